"""Ask the warm process (process.py beside this file) to do something, and stand in until it is done.

Standard library only, and run by its path: starting a kernel must not import the package.
"""

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

#: What the warm process says first: the fork is there.
STARTED = b"+"


class Lost(ConnectionError):
    """The warm process has ended, and the fork with it."""


def ask(path: str, call: str, *arguments: Any, parent: int | None = None) -> int:
    """Have `call` run in a fork of the warm process with our standard streams, folder and environment.

    Signals that we get are passed on; when we are killed or our `parent` (None: the present one) ends, so is
    the fork. Returns its exit status: 128 and the signal's number where a signal ended it.
    Raises OSError when no warm process listens at `path`, or it ends before it has forked; Lost when it ends
    before the fork does.
    """
    parent = parent or os.getppid()
    told: list[int] = []
    started = False
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        message = {
            "call": call,
            "arguments": arguments,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
        }
        body = json.dumps(message).encode() + b"\n"
        socket.send_fds(connection, [body[:1]], [0, 1, 2])
        connection.sendall(body[1:])

        def pass_on(number: int, _: object) -> None:
            told.append(number)
            with suppress(OSError):  # the fork has ended
                connection.sendall(b"%d\n" % number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pass_on)
        while os.getppid() == parent:  # orphaned: let go, and the fork is ended
            if select.select([connection], [], [], 1.0)[0]:
                answer = connection.recv(16)
                status = answer.removeprefix(STARTED)
                started = started or answer.startswith(STARTED)
                if status or (told and not answer):
                    return 1 if told else int(status)
                if not answer:
                    raise (Lost if started else ConnectionError)(f"the warm process at {path} is gone")
        return 1


if __name__ == "__main__":
    socket_path, connection_file, parent_pid = sys.argv[1:]
    try:
        sys.exit(ask(socket_path, "kernel", connection_file, parent=int(parent_pid)))
    except OSError:  # the kernel has ended together with the warm process
        sys.exit(1)
