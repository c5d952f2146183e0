"""How Jupyter starts a kernel during a run: as a fork of the warm process where one listens.

Registered as the kernel provisioner `skillkit-warm` in pyproject.toml. `pages.execute_page` makes it the
default one by an environment variable of Jupyter's, so notebooks keep their kernel's name.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from skillkit.study.environment import SOCKET_VARIABLE
from skillkit.study.fork.tether import tethered

CLIENT = Path(__file__).with_name("client.py")


class WarmProvisioner(LocalProvisioner):
    """Starts a small client in place of the kernel; the client stands in for its fork of the warm process."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel: as usual where no warm process listens, but so that it ends with us."""
        path = os.environ.get(SOCKET_VARIABLE, "")
        if listens(path):
            manager: Any = self.parent
            us = str(os.getpid())
            cmd = [sys.executable, "-S", "-E", str(CLIENT), path, manager.connection_file, us]
        else:
            cmd = tethered(cmd)
        return await super().launch_kernel(cmd, **kwargs)


def listens(path: str) -> bool:
    """Whether a warm process listens at a socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
    except OSError:
        return False
    return True
