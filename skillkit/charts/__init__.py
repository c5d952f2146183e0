"""Altair figures from tables alone.

One module for each kind of figure; theme.py has colours and sizes, parts.py what figures share.
May import: errors, stats; never torch or transformers.
"""

import lazy_loader

# The figures that notebooks call are listed in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
