"""What made a result: parameters, code, data, models and artifacts read, versions, commit, machine.

A notebook types none of it. The parameters are those that ran, taken from the cells that this kernel has
executed. Everything that is read from outside is noted in `READS` by the function that reads it.
"""

from __future__ import annotations

import ast
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from skillkit.files import code_digest

PACKAGES = ("skillkit", "torch", "transformers", "datasets", "numpy", "pandas", "papermill", "altair")

CODE_VARIABLE = "SKILLKIT_CODE"
"""The environment variable in which a study run gives a notebook its code: `file=digest` words."""

READS: dict[str, dict[str, str]] = {}
"""The ledger of this process: for each kind (data, model, prompt, scores, table) names and digests."""


def note_read(kind: str, name: str | Path, digest: str) -> None:
    """Note in the ledger that `name` was read, with the digest of what was found there."""
    READS.setdefault(kind, {})[str(name)] = digest


def provenance() -> dict[str, Any]:
    """Everything known about how a table written now came about.

    `parameters` holds the executed parameters, `notebook` a digest of the executed cells, `code` digests of
    the package's files behind them, and `read` the ledger. `seconds` counts since this process began.
    """
    cells = executed_cells()
    return {
        "parameters": executed_parameters(cells),
        "notebook": _notebook_digest(cells),
        "code": _package_code(),
        "read": {kind: dict(sorted(names.items())) for kind, names in sorted(READS.items())},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - psutil.Process().create_time(), 1),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": _device(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
    }


def executed_cells() -> list[str]:
    """The code cells that this IPython kernel has executed, in order; none outside IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return [cell for cell in shell.user_ns.get("In", []) if cell.strip()] if shell else []


def executed_parameters(cells: Sequence[str]) -> dict[str, Any]:
    """The literal assignments of the parameters cell, and of the cell that papermill injected after it.

    Without an injected cell, the parameters cell is the first cell of nothing but literal assignments, as it
    was executed last.
    """
    at = _injected(cells)
    if at is not None:
        return {**(_literals(cells[at - 1]) if at else {}), **_literals(cells[at])}
    plain = [values for cell in cells if (values := _literals(cell)) and _is_plain(cell)]
    return next((values for values in reversed(plain) if values.keys() == plain[0].keys()), {})


def _injected(cells: Sequence[str]) -> int | None:
    """Where the last cell stands that papermill injected."""
    return next((at for at in reversed(range(len(cells))) if cells[at].startswith("# Parameters\n")), None)


def _literals(cell: str) -> dict[str, Any]:
    """Names and values of the plain assignments in a cell."""
    values = {}
    for statement in _statements(cell):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            try:
                value = ast.literal_eval(statement.value)
            except (ValueError, TypeError):  # no literal, or an impossible one
                continue
            values.update({target.id: value for target in targets if isinstance(target, ast.Name)})
    return values


def _is_plain(cell: str) -> bool:
    """Whether a cell only assigns literals."""
    return len(_literals(cell)) == len(_statements(cell))


def _statements(cell: str) -> list[ast.stmt]:
    """The statements of a cell; none where it is no Python, such as one with a slip of the keyboard."""
    try:
        return ast.parse(cell).body
    except SyntaxError:
        return []


def _notebook_digest(cells: Sequence[str]) -> str | None:
    """A digest of the executed cells, up to now and without the injected one; None where there are none."""
    at = _injected(cells)
    own = [cell for number, cell in enumerate(cells) if number != at and _statements(cell)]
    return code_digest("\n".join(own)) if own else None


def _package_code() -> dict[str, str]:
    """Digests of the package's files that the notebook uses: as the study gives them, or of those loaded."""
    given = os.environ.get(CODE_VARIABLE)
    if given:
        return dict(word.rsplit("=", 1) for word in given.split())  # type: ignore[misc]
    root = Path(__file__).parents[1]
    loaded = [module for name, module in sys.modules.items() if name.partition(".")[0] == "skillkit"]
    paths = sorted({Path(module.__file__) for module in loaded if module.__file__})
    return {path.relative_to(root).as_posix(): code_digest(path.read_text("utf-8")) for path in paths}


def _device() -> str:
    """The accelerator's name if torch is loaded and has one, else `cpu`."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return "cpu"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit this file is of, with `+` after it when files differ from the commit; None outside git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
