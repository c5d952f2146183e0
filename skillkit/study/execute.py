"""Run one notebook by papermill, and keep what went wrong where a reader finds it.

The executed notebook is always kept, with the error in it if there was one. Beside it then lies
`<notebook>.error.json`: which page, what error, which command runs it again. This is the one command that
the Snakefile calls.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from skillkit.files import atomic_write
from skillkit.results import RECEIPT
from skillkit.study.environment import PEAK_VARIABLE, QUIET
from skillkit.study.receipts import write_receipt

try:
    import resource
except ImportError:  # not on every system
    resource = None  # type: ignore[assignment]


def execute(
    notebook: Path, executed: Path, parameters: Mapping[str, Any], expected: Sequence[Path] = ()
) -> bool:
    """Run `notebook` into `executed`; True when it came to its end and wrote the `expected` files.

    A receipt among these is written here, last.
    """
    import papermill

    error_file = executed.with_suffix(".error.json")
    error_file.unlink(missing_ok=True)
    executed.parent.mkdir(parents=True, exist_ok=True)
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    peak_file = executed.with_suffix(".peak")
    os.environ[PEAK_VARIABLE] = str(peak_file.resolve())
    began = time.perf_counter()
    error: dict[str, str] | None = None
    try:
        _run(notebook, executed, parameters)
    except papermill.PapermillExecutionError as failure:
        error = {"error": failure.ename, "message": failure.evalue, "cell": str(failure.exec_count or "")}
    except Exception as failure:  # the kernel died, or did not start
        text = str(failure).strip()
        if text in ("", "Kernel died"):
            text = "the process of its cells was killed: most often the system does so when memory runs out"
        error = {"error": type(failure).__name__, "message": text, "cell": ""}
    _note(executed, seconds=time.perf_counter() - began, peak=_peak_bytes(peak_file))
    error = error or _complete(executed, expected)
    if error is None:
        return True
    note_failure(notebook, executed, parameters, **error)
    return False


def _complete(executed: Path, expected: Sequence[Path]) -> dict[str, str] | None:
    """Write the receipt of a page that ran to its end; what is wrong where it did not write all its files."""
    files = [path for path in expected if path.suffix != RECEIPT]
    if missing := [str(path) for path in files if not path.is_file()]:
        text = f"it ran to its end, but did not write {', '.join(missing)}"
        return {"error": "MissingResult", "message": text, "cell": ""}
    try:
        for receipt in (path for path in expected if path.suffix == RECEIPT):
            write_receipt(receipt, [*files, executed])
    except OSError as failure:
        text = f"it ran to its end, but its receipt could not be written: {failure.strerror}. "
        text += "Check space and permissions."
        return {"error": type(failure).__name__, "message": text, "cell": ""}
    return None


def note_failure(
    notebook: Path, executed: Path, parameters: Mapping[str, Any], error: str, message: str, cell: str = ""
) -> None:
    """Keep beside an executed notebook what went wrong in it, and say it."""
    content = {"notebook": notebook.stem, "parameters": dict(parameters)}
    content |= {"error": error, "message": message, "cell": cell}
    _write(executed.with_suffix(".error.json"), json.dumps(content, indent=1) + "\n")
    print(f"{executed}: {error}: {message}", file=sys.stderr)


def _run(notebook: Path, executed: Path, parameters: Mapping[str, Any]) -> None:
    """Run papermill, and once more where the kernel did not come up.

    A kernel is told which ports to take, and one may be taken by then.
    """
    import papermill

    for last in (False, True):
        try:
            papermill.execute_notebook(
                str(notebook),
                str(executed),
                dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
            )
            return
        except RuntimeError as failure:  # no cell has run yet, so nothing is done twice
            if last or "before replying to kernel_info" not in str(failure):
                raise


def _peak_bytes(peak_file: Path) -> int:
    """Peak memory of the kernel: what a forked one wrote down, or that of our child; 0 where unknown."""
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss if resource else 0
    with suppress(OSError, ValueError):  # not there, or cut off by a full disk
        text = peak_file.read_text(encoding="utf-8")
        peak_file.unlink()
        kibibytes = int(text)
    return kibibytes * (1 if sys.platform == "darwin" else 1024)


def _note(executed: Path, seconds: float, peak: int) -> None:
    """Write run time and peak memory into the executed notebook, for the book's status page."""
    import nbformat

    try:
        content = nbformat.read(executed, as_version=4)
    except (OSError, ValueError):
        return
    content.metadata["skillkit"] = {"seconds": round(seconds, 1), "peak_bytes": peak, "finished": time.time()}
    _write(executed, nbformat.writes(content) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file that no result depends on. On a full disk, say so and leave the page its own error."""
    try:
        with atomic_write(path) as beside:
            beside.write_text(text, encoding="utf-8")
    except OSError as failure:
        print(
            f"{path} could not be written: {failure.strerror}. Check space and permissions.", file=sys.stderr
        )
