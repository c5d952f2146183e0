"""Skill neurons, prompt transfer and robustness in prompt tuning.

The package's interface is the names listed in ``__init__.pyi``, each beside the module that it lives in. They
are imported on first use, so that the command line starts without loading torch.
"""

import os
from importlib.metadata import version

import lazy_loader

# Between two operations OpenMP's threads spin, so as to be quick for the next one, and for long by default.
# Where other processes want the same cores, each operation waits until the system takes a spinning thread off
# its core. Scoring neurons on 300 texts (by means over 300 others) on two cores with two other busy processes
# took 14 s by default, 1.6 to 2.1 s with this count, and 0.8 s with threads that never spin; alone on the
# machine it took 0.4 to 0.6 s, 0.3 to 0.5 s and 0.7 to 1.3 s. The OpenMP that comes with torch reads this
# when it is loaded, which is after this line; who has set either variable keeps it.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "10000"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = version("skillkit")
