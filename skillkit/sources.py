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
    *("__init__", "charts", "transfer_charts"),
    *("cli", "notebooks", "studies", "pages", "sources", "engine", "execute", "warm", "warm_client"),
    *("book", "browser", "check"),
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
    return sorted(path for module in found if (path := _file(module)) and _counts(path))


def _imports(code: str, package: str = "") -> Iterator[str]:
    """Names of our modules that some code of `package` imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            home = _home(node, package)
            if home is not None:
                yield home
                for name in node.names:  # `from skillkit import load_task`, `from skillkit import charts`
                    yield f"{home}.{name.name}".lstrip(".")
                    yield "" if home else skillkit._MODULE_OF.get(name.name, "")
        elif isinstance(node, ast.Import):
            ours = [name.name for name in node.names if name.name.startswith("skillkit.")]
            yield from (name.removeprefix("skillkit.") for name in ours)


def _home(node: ast.ImportFrom, package: str) -> str | None:
    """What stands between `from` and `import`, seen from our package: "" for itself, None for another's."""
    if node.level == 1:
        return ".".join(filter(None, (package, node.module)))
    parts = (node.module or "").split(".")
    return ".".join(parts[1:]) if parts[0] == "skillkit" else None


@cache
def _module_imports(module: str) -> tuple[str, ...]:
    path = _file(module)
    if path is None or not _counts(path):
        return ()
    package = path.parent.relative_to(PACKAGE).as_posix().replace("/", ".").strip(".")
    return tuple(_imports(path.read_text(), package))


def _counts(path: Path) -> bool:
    return path.parent != PACKAGE or path.stem not in NOT_RESULTS


def _file(module: str) -> Path | None:
    """The file of a module; None for what is no module (a function's name, the package itself)."""
    path = PACKAGE.joinpath(*module.split("."))
    if path.is_dir():
        path = path / "__init__"
    return path if module and (path := path.with_suffix(".py")).is_file() else None
