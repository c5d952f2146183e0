"""Ask the warm process (process.py beside this file) to do something, and stand in until it is done.

Standard library only, and run by its path: starting a kernel must not import the package.
"""

import json
import os
import select
import signal
import socket
import sys
from typing import Any

#: What the warm process says first: the fork is there.
STARTED = b"+"


def ask(path: str, call: str, *arguments: Any) -> int:
    """Have `call` run in a fork of the warm process with our standard streams, folder and environment.

    Signals that we get are passed on; when we are killed, so is the fork. Returns its exit status.
    Raises OSError when no warm process listens at `path`, or it dies before it has forked.
    """
    parent = os.getppid()
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
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: connection.sendall(b"%d\n" % received))
        started = False
        while os.getppid() == parent:  # orphaned: let go, and the fork is ended
            if select.select([connection], [], [], 1.0)[0]:
                answer = connection.recv(16)
                if answer == STARTED:
                    started = True
                elif answer:
                    return int(answer.removeprefix(STARTED))
                elif started:
                    return 1  # ended together with the run
                else:
                    raise ConnectionError(f"the warm process at {path} is gone")
        return 1


if __name__ == "__main__":
    socket_path, *arguments = sys.argv[1:]
    sys.exit(ask(socket_path, "kernel", *arguments))
