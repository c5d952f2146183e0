"""Kernels that start at once: a warm process forks one for each notebook (Linux only).

client.py stands in for a kernel and imports nothing; process.py is the warm process.
May import: study.environment and study.execute; nothing else depends on this package.
"""
