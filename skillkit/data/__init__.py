"""Tasks and their splits: the task table, and loading from the bundled tasks, a folder or the Hub.

A split is a datasets.Dataset with text columns and an int64 label.
May import: errors, files, classroom.
"""
