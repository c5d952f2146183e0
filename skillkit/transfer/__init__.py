"""Prompts elsewhere: similarities, ranking, zero-shot matrix, starts, projection, released prompts.

Between tasks of one model, and between models.
May import: errors, files, stats, data, models, tuning, neurons; not robustness.
"""
