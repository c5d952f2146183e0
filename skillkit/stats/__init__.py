"""Numbers about numbers: intervals, resampling, claims and their verdicts.

Knows nothing of models or tasks; arrays and tables come in, numbers go out.
May import: errors, files, and numpy, scipy and pandas; never torch or transformers.
"""
