"""The rendered book: building it from executed notebooks, and checking it in a browser.

Reads tables and notebooks; computes nothing from a model.
May import: everything above but models at import; never torch at import.
"""
