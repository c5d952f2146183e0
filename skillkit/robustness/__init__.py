"""Adversarial text: pairs of clean and attacked examples, neurons under attack, patching, robust tuning.

Several attacks on one original are never treated as independent.
May import: errors, files, stats, data, models, tuning, neurons; not transfer.
"""
