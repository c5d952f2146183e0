"""Skill neurons, prompt transfer and robustness in prompt tuning.

The package's interface is the names listed in ``__init__.pyi``, each beside the module that it lives in. They
are imported on first use, so that the command line starts without loading torch.
"""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = version("skillkit")
