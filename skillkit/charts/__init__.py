"""Altair figures from tables alone.

One module for each kind of figure; theme.py has colours and sizes, parts.py what figures share.
May import: errors, stats; never torch or transformers.
"""
