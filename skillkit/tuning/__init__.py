"""Training: soft prompts, and the methods that prompt tuning is compared with.

One training loop, resumable; the backbone stays frozen unless a method says otherwise.
May import: errors, files, stats, data, models.
"""
