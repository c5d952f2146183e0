"""How the bundled models were made: corpus, architectures, curriculum, model cards.

Needs torch; nothing that only draws texts imports it.
May import: everything in classroom, errors, files, provenance.
"""
