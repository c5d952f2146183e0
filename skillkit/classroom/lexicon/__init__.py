"""Words and templates of the bundled texts, one module for each kind of task.

Lists only; nothing is drawn here.
May import: classroom.drawing.
"""
