"""Which files of the package a notebook's results depend on, so that an edit reruns the notebooks concerned
and no others.

A notebook names the modules it uses in its imports, and they name theirs. Figures are left out on purpose: a
new colour in `charts.py` is no reason to tune prompts again (rerun a page by `skillkit page`, or all by
`skillkit run --force`). So are the modules that run notebooks and build the book.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import skillkit
from skillkit.notebooks import notebook_code

PACKAGE = Path(__file__).parent
NOT_RESULTS = (
    "__init__",
    "charts",
    "cli",
    "notebooks",
    "studies",
    "sources",
    "execute",
    "engine",
    "book",
    "browser",
    "check",
)


def sources(notebook: Path) -> list[Path]:
    """The files of the package that `notebook` uses, directly or through others, sorted."""
    found: set[str] = set()
    waiting = list(_imports(notebook_code(notebook)))
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(_module_imports(module))
    return sorted(path for module in found if (path := _file(module)) and path.stem not in NOT_RESULTS)


def _imports(code: str) -> Iterator[str]:
    """Names of the package's modules that some code imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "skillkit":
                yield ".".join(parts[1:])
                for name in node.names:  # `from skillkit import load_task`, `from skillkit import charts`
                    yield ".".join([*parts[1:], name.name])
                    if len(parts) == 1 and name.name in skillkit._MODULE_OF:
                        yield skillkit._MODULE_OF[name.name]
        elif isinstance(node, ast.Import):
            yield from (
                name.name.removeprefix("skillkit.")
                for name in node.names
                if name.name.startswith("skillkit.")
            )


@cache
def _module_imports(module: str) -> tuple[str, ...]:
    path = _file(module)
    return tuple(_imports(path.read_text())) if path and path.stem not in NOT_RESULTS else ()


def _file(module: str) -> Path | None:
    """The file of a module; None for what is no module (a function's name, the package itself)."""
    path = PACKAGE.joinpath(*module.split("."))
    if path.is_dir():
        path = path / "__init__"
    return path if module and (path := path.with_suffix(".py")).is_file() else None
