"""Frozen backbones and everything that runs them: inputs, soft prompts, passes, activations, evaluation.

A new family is a row in architectures.py; nothing outside this package looks into a model.
May import: errors, files, stats, classroom, data.
"""
