"""Skill neurons, prompt transfer and robustness in prompt tuning.

The package's interface is the names listed in ``__init__.pyi``, each beside the module that it lives in. They
are imported on first use, so that the command line starts without loading torch.
"""

import os
from importlib.metadata import version

import lazy_loader

# Between two operations OpenMP's threads spin by default, so as to be quick for the next one. Where other
# processes want the same cores, each operation then waits until the system takes a spinning thread off its
# core: with two other busy processes on two cores, scoring took ten times as long. Threads that sleep cost
# nothing measurable. torch's OpenMP reads this when it is loaded, which is after this line; who has set it
# keeps it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = version("skillkit")
