"""Which notebook runs for which model and task, what must run again, and the running itself.

table.py lists the notebooks, studies.py reads studies/*.yaml, engine.py calls Snakemake.
May import: errors, files, results, stats, and names from data; never torch at import.
"""
