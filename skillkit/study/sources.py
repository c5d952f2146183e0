"""Which code of the package a notebook's results depend on, so that an edit remakes the pages concerned.

A notebook names the modules it uses in its imports, and they name theirs (the import graph is grimp's).
Figures are left out on purpose: a new colour is no reason to tune prompts again (remake a page by
`skillkit page`, or all by `skillkit run --force`). So are the packages that run notebooks and build the book.
The bundled tasks and their words count only where a bundled task is used. A file is known by what its code
does: comments and docstrings do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp

from skillkit.files import code_digest
from skillkit.study.table import notebook_code

PACKAGE = Path(__file__).parents[1]
NO_RESULTS = tuple(
    f"skillkit.{name}" for name in ("charts", "study", "book", "cli", "__main__", "provenance", "errors")
)
"""Packages and modules that change no number."""

BUNDLED_TASKS = "skillkit.classroom"


def sources(notebook: Path, *, bundled_task: bool = True) -> list[Path]:
    """The files of the package that `notebook` uses, directly or through others, sorted.

    `bundled_task=False` leaves out the code of the bundled tasks: the page is of another one.
    """
    graph = _graph()
    named = {name for name in _imports(notebook_code(notebook)) if name in graph.modules}
    used = named.union(
        *(graph.find_upstream_modules(name) for name in named if not _within(name, NO_RESULTS))
    )
    left_out = NO_RESULTS if bundled_task else (*NO_RESULTS, BUNDLED_TASKS)
    return sorted(_file(name) for name in used if name != "skillkit" and not _within(name, left_out))


def code_words(notebook: Path, *, bundled_task: bool = True) -> str:
    """The files that `sources` names with their digests, as the words `skillkit/results.py=3fa1… …`.

    The Snakefile keeps them as a parameter of each page, which is how it knows that code has changed.
    """
    root = PACKAGE.parent
    paths = sources(notebook, bundled_task=bundled_task)
    return " ".join(f"{path.relative_to(root).as_posix()}={_digest(path)}" for path in paths)


@cache
def _digest(path: Path) -> str:
    """The first digits of a file's digest, as the file was when this process first asked."""
    return code_digest(path.read_text(encoding="utf-8"))[:16]


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@cache
def _graph() -> grimp.ImportGraph:
    """The imports of the package when this process first asked; those inside functions count too."""
    return grimp.build_graph("skillkit", cache_dir=None)


def _imports(code: str) -> Iterator[str]:
    """Modules of ours that some code imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "skillkit":
            for name in node.names:
                yield from (node.module, f"{node.module}.{name.name}")
                if node.module == "skillkit":  # a name of the interface
                    yield _homes().get(name.name, "")
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@cache
def _homes() -> dict[str, str]:
    """The module that each name of the package's interface lives in, from the stub beside `__init__.py`."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    return {
        name.name: f"skillkit.{node.module}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
