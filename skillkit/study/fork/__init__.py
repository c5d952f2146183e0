"""Kernels that start at once: a warm process forks one for each notebook.

Linux only; SKILLKIT_WARM=0 turns it off.
start.py starts the warm process and asks it for pages; process.py is that process; provisioner.py has Jupyter
start client.py, which stands in for a kernel; tether.py makes processes end with those that started them.
May import: study.environment, study.signals and study.execute. The engine and the command line use it through
`warm_process`, `execute_page` and `tethered`; nothing else depends on this package.
"""
