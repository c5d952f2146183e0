"""The reference of the package as pages of the book, written from signatures and docstrings.

Files are parsed, never imported, so the pages cost no second and need no torch. Docstrings are Markdown with
sections in Google style; Sphinx's napoleon turns the sections into field lists.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.ext.napoleon import Config, GoogleDocstring

PACKAGE = Path(__file__).parents[1]
FOLDER = Path("reference")
#: Packages in the order in which data flows through them; modules beside them come last.
PACKAGES = (
    *("stats", "classroom", "data", "models", "tuning", "neurons", "robustness", "transfer"),
    *("charts", "study", "book"),
)
REST = "other"
NAPOLEON: Any = Config(napoleon_use_param=True, napoleon_use_rtype=False)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def reference_files() -> list[Path]:
    """The pages among the book's sources, without suffix, in reading order."""
    return [FOLDER / name for name in ("index", *PACKAGES, REST)]


def reference_pages() -> dict[Path, str]:
    """The text of each page in MyST Markdown, by its file."""
    texts = {"index": _interface_page(), REST: _rest_page()}
    texts |= {name: _package_page(name) for name in PACKAGES}
    return {file: texts[file.name] for file in reference_files()}


# ----------------------------------------------------------------------------------------------------- pages


def _interface_page() -> str:
    """The names that `from skillkit import …` finds, by the package that they live in."""
    lines = [
        "# The package",
        "",
        "Notebooks and your own scripts need little more than these names; `from skillkit import …` finds "
        "them all. The other pages of this part list every public function of each package.",
    ]
    for package in (*PACKAGES, REST):
        rows = [row for row in _exported() if _page_of(row[0]) == package]
        if rows:
            lines += ["", f"## {package}" if package != REST else "## Beside the packages", ""]
            lines += [f"- {{py:obj}}`{name} <{module}.{name}>`: {first}" for module, name, first in rows]
    return "\n".join(lines) + "\n"


def _exported() -> list[tuple[str, str, str]]:
    """Module, name and first sentence of everything in the package's interface."""
    rows = []
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            module = f"skillkit.{node.module}"
            said = {one.name: _first_sentence(one) for one in _public(_parsed(module))}
            rows += [(module, alias.name, said.get(alias.name, "A constant.")) for alias in node.names]
    return rows


def _page_of(module: str) -> str:
    package = module.split(".")[1]
    return package if package in PACKAGES else REST


def _package_page(name: str) -> str:
    parts = [f"# skillkit.{name}", _docstring(_parsed(f"skillkit.{name}"))]
    for path in sorted((PACKAGE / name).rglob("*.py")):
        inside = path.relative_to(PACKAGE).with_suffix("").parts
        if not any(part.startswith("_") for part in inside):
            parts += _module(".".join(("skillkit", *inside)))
    return "\n\n".join(filter(None, parts)) + "\n"


def _rest_page() -> str:
    parts = ["# Beside the packages", "What every package may use, and the command line."]
    for path in sorted(PACKAGE.glob("[!_]*.py")):
        parts += _module(f"skillkit.{path.stem}")
    return "\n\n".join(parts) + "\n"


def _module(name: str) -> list[str]:
    tree = _parsed(name)
    members = [_member(node) for node in _public(tree)]
    if not members:
        return []
    heading = [f"## {name.removeprefix('skillkit.')}", f"```{{py:module}} {name}\n```", _docstring(tree)]
    return [*heading, *members]


# --------------------------------------------------------------------------------------------------- members


def _parsed(module: str) -> ast.Module:
    path = PACKAGE.parent.joinpath(*module.split("."))
    file = path.with_suffix(".py")
    return ast.parse((file if file.is_file() else path / "__init__.py").read_text(encoding="utf-8"))


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def _member(node: Function | ast.ClassDef) -> str:
    """A function or class as a directive of Sphinx's Python domain; methods lie inside their class."""
    if not isinstance(node, ast.ClassDef):
        return _directive("py:function", f"{node.name}{_signature(node)}", _docstring(node))
    methods = [_method(method) for method in _public(node) if isinstance(method, Function)]
    body = "\n\n".join([_docstring(node), *methods])
    return _directive("py:class", f"{node.name}{_constructor(node)}", body, fence="`````")


def _method(node: Function) -> str:
    marks = {ast.unparse(mark).split(".")[-1].split("(")[0] for mark in node.decorator_list}
    text = _docstring(node)
    if marks & {"property", "cached_property"}:
        kind = f":type: {ast.unparse(node.returns)}\n\n" if node.returns else ""
        return _directive("py:property", node.name, kind + text)
    options = "".join(f":{mark}:\n" for mark in ("classmethod", "staticmethod") if mark in marks)
    bound = "staticmethod" not in marks
    signature = f"{node.name}{_signature(node, bound=bound)}"
    return _directive("py:method", signature, f"{options}\n{text}" if options else text)


def _directive(kind: str, argument: str, body: str, fence: str = "````") -> str:
    return f"{fence}{{{kind}}} {argument}\n{body}\n{fence}"


def _signature(node: Function, *, bound: bool = False) -> str:
    """Parameters and result as written; a method's first parameter is left out."""
    arguments = ast.parse(ast.unparse(node.args).join(("def f(", "): ..."))).body[0]
    assert isinstance(arguments, ast.FunctionDef)
    if bound:
        first = arguments.args.posonlyargs or arguments.args.args
        del first[:1]
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(arguments.args)}){result}"


def _constructor(node: ast.ClassDef) -> str:
    """The parameters of `__init__`, or the fields of a dataclass."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return _signature(method, bound=True).removesuffix(" -> None")
    if not any("dataclass" in ast.unparse(mark) for mark in node.decorator_list):
        return ""
    fields = [
        one for one in node.body if isinstance(one, ast.AnnAssign) and ast.unparse(one.target)[0] != "_"
    ]
    return f"({', '.join(_field(one) for one in fields)})"


def _field(node: ast.AnnAssign) -> str:
    written = f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
    if node.value is None:
        return written
    default = ast.unparse(node.value)
    return f"{written} = {'...' if default.startswith('field(') else default}"


# ------------------------------------------------------------------------------------------------ docstrings


def _docstring(node: ast.Module | Function | ast.ClassDef) -> str:
    """The docstring as Markdown, its sections as field lists."""
    text = inspect.cleandoc(ast.get_docstring(node, clean=False) or "")
    what = "class" if isinstance(node, ast.ClassDef) else "function"
    lines = [] if isinstance(node, ast.Module) else GoogleDocstring(text, NAPOLEON, what=what).lines()
    markdown = "\n".join(lines) if lines else text
    # Types stand in signatures; what napoleon takes for one is the beginning of a sentence with a colon.
    markdown = re.sub(r"^:returns: \*(.+)\* -- ?", r":returns: \1: ", markdown, flags=re.MULTILINE)
    return markdown.replace("](", "]\\(").strip()  # shapes such as [sites](…) are no links


def _first_sentence(node: Function | ast.ClassDef) -> str:
    """The first sentence of the docstring's first paragraph, on one line."""
    paragraph = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.:])\s(?=[A-Z])", paragraph)[0].replace("](", "]\\(")
