"""Kernels that start at once: a warm process forks one for each notebook.

Linux only; SKILLKIT_WARM=0 turns it off.
process.py is the warm process; provisioner.py has Jupyter start client.py, which stands in for a kernel.
May import: study.environment and study.execute. The engine and the command line use it through `warm_process`
and `execute_warm`; nothing else depends on this package.
"""
