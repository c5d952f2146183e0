"""How a bundled text is put together, one module for each kind of task.

Words and templates come from the lexicon.
May import: classroom.drawing, classroom.lexicon.
"""
