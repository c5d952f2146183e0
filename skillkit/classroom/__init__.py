"""The bundled tasks (grammar, lexicon, attacks, splits) and the recipe that pretrained the bundled models.

Everything is drawn from seeds: the same name and seed give the same texts on every machine.
May import: errors, files, provenance.
"""
