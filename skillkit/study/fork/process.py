"""Start notebooks at once: a process that has imported the heavy libraries, and forks for each notebook.

Importing torch, transformers and the rest takes several seconds, and a study of small models would spend
most of its time on that. So a local run keeps one *warm* process that has done it. `skillkit execute` and
the kernels that it starts are forks of that process, which share its memory. Without a warm process (on a
cluster, outside Linux, or with SKILLKIT_WARM=0) everything runs as usual; benchmarks/warm_kernels.py
measures the difference. start.py beside this file starts this process, and asks it for pages.

One thread, one loop: nothing is forked while another thread holds a lock.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from skillkit.study.environment import PEAK_VARIABLE
from skillkit.study.fork.client import STARTED
from skillkit.study.fork.tether import die_with

#: What a notebook may need; imported once, before the first fork.
PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completer",
    "sqlite3",
    "papermill",
    "nbclient",
    "altair",
    "pandas.io.formats.style",
    "pyarrow.parquet",
    "scipy.stats",
    "torch",
    "datasets",
    "peft",
    "transformers.models.bert.modeling_bert",
    "transformers.models.roberta.modeling_roberta",
    "transformers.models.t5.modeling_t5",
    "transformers.models.auto.modeling_auto",
    "skillkit.charts.curves",
    "skillkit.data.loading",
    "skillkit.stats.claims",
    "skillkit.neurons.scores",
    "skillkit.results",
    "skillkit.tuning.prompt",
)


def serve(path: str) -> None:
    """Import everything, then fork for each request, until we are terminated or left alone.

    We are left alone when our run was killed and no fork is at work.
    """
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the run, which ends us
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    for module in os.environ.get("SKILLKIT_PRELOAD", " ".join(PRELOADED)).split():
        import_module(module)
    gc.collect()
    children: dict[int, socket.socket] = {}
    try:
        _loop(listener, children, parent)
    finally:
        for pid in children:
            _kill(pid, signal.SIGKILL)


def _loop(listener: socket.socket, children: dict[int, socket.socket], parent: int) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        while children or os.getppid() == parent:
            for key, _ in ready.select(timeout=0.05):
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    pid = _fork(connection, listener, list(children.values()))
                    if pid is None:
                        continue
                    children[pid] = connection
                    ready.register(connection, selectors.EVENT_READ, pid)
                else:
                    _heed(key.fileobj, key.data)  # type: ignore[arg-type]
                    if key.fileobj.fileno() < 0:  # type: ignore[union-attr]
                        ready.unregister(key.fileobj)
            for pid, status in _ended(children):
                connection = children.pop(pid)
                if connection.fileno() >= 0:
                    ready.unregister(connection)
                    _say(connection, status)


def _fork(connection: socket.socket, listener: socket.socket, others: list[socket.socket]) -> int | None:
    first, streams, _, _ = socket.recv_fds(connection, 1, 3)
    if not first:  # somebody only looked whether we are there
        connection.close()
        return None
    with connection.makefile("rb") as rest:
        message = json.loads(first + rest.readline())
    if message["call"] == "execute":
        _draw_examples(*message["arguments"])
    # What is here stays: no fork's garbage collector need walk through it, which takes time and copies the
    # memory that they share.
    gc.freeze()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            die_with(parent)
            for inherited in (connection, listener, *others):
                inherited.close()
            status = _become(message, streams)
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    for stream in streams:
        os.close(stream)
    with suppress(OSError):
        connection.sendall(STARTED)
    return pid


def _draw_examples(
    notebook: str, executed: str, parameters: Mapping[str, Any], expected: Sequence[str]
) -> None:
    """Draw the examples of a page's bundled task here, once, so that every later fork has them.

    This is pure Python: no thread starts.
    """
    from skillkit.classroom.splits import draw_task

    with suppress(Exception):  # if it is wrong, the page says so
        draw_task(parameters["task"])


def _become(message: dict[str, Any], streams: list[int]) -> int:
    """Turn this fork into what was asked for."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(message["folder"])
    os.environ.clear()
    os.environ.update(message["environment"])
    return CALLS[message["call"]](*message["arguments"])


def _kernel(connection_file: str) -> int:
    import resource

    from ipykernel.kernelapp import launch_new_instance

    try:
        # A page is not what somebody typed: it stays out of the reader's IPython history. A kernel with a
        # parent says nothing about Ctrl-C.
        options = ["--HistoryManager.enabled=False", f"--IPKernelApp.parent_handle={os.getppid()}"]
        launch_new_instance(argv=["-f", connection_file, *options])
    finally:
        if PEAK_VARIABLE in os.environ:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with suppress(OSError):  # a full disk
                Path(os.environ[PEAK_VARIABLE]).write_text(str(peak), encoding="utf-8")
    return 0


def _execute(notebook: str, executed: str, parameters: dict[str, Any], expected: list[str]) -> int:
    from skillkit.study.execute import execute

    return 0 if execute(Path(notebook), Path(executed), parameters, [Path(e) for e in expected]) else 1


CALLS: dict[str, Callable[..., int]] = {"kernel": _kernel, "execute": _execute}


def _heed(connection: socket.socket, pid: int) -> None:
    """Pass a signal on to the fork; end it when whoever asked for it is gone."""
    try:
        received = connection.recv(64)
    except OSError:
        received = b""
    for number in received.split():
        _kill(pid, int(number))
    if not received:
        _kill(pid, signal.SIGKILL)
        connection.close()


def _kill(pid: int, number: int) -> None:
    """Send a signal to a fork; one that ends it goes to all that it has started as well."""
    with suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            with suppress(ProcessLookupError):  # it has no group of its own yet
                os.killpg(pid, number)
        os.kill(pid, number)


def _ended(children: dict[int, socket.socket]) -> Iterator[tuple[int, int]]:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if pid in children:
            yield pid, os.waitstatus_to_exitcode(status)


def _say(connection: socket.socket, status: int) -> None:
    with suppress(OSError):
        connection.sendall(b"%d" % (status if status >= 0 else 128 - status))
    connection.close()


if __name__ == "__main__":
    serve(sys.argv[1])
