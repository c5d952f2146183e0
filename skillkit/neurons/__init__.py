"""What single FFN neurons predict and do: scores, nulls, stability, factors, perturbation, pruning.

Scores are [sites, positions, width] or [sites, width]; selection on validation, reporting on test.
May import: errors, files, stats, data, models, tuning.
"""
