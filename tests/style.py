"""The project's limits of style, each a function that finds what breaks it."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[1]

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8
CELL_LINES = 30
COLUMNS = 110

WORD_LISTS = ROOT / "skillkit" / "classroom" / "lexicon"
"""Lists may be as long as the language asks for."""

CLOCKS = {"perf_counter", "monotonic", "process_time", "thread_time", "seconds", "elapsed", "speed_up"}
"""Names that a time is read from, or kept in."""


@dataclass(frozen=True)
class Problem:
    """A line that breaks a limit. `file` is relative to the repository, with forward slashes."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def problem(path: Path, line: int, text: str) -> Problem:
    return Problem(path.relative_to(ROOT).as_posix(), line, text)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def package_files(*suffixes: str) -> list[Path]:
    """The package's Python files, its stubs too where they are asked for."""
    return sorted(path for suffix in suffixes or (".py",) for path in (ROOT / "skillkit").rglob(f"*{suffix}"))


def test_files() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


def benchmarks() -> list[Path]:
    return sorted((ROOT / "benchmarks").rglob("*.py"))


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> Iterator[tuple[int, str]]:
    """The line of the file at which the source of each code cell starts, and the source."""
    text = path.read_text()
    starts = [
        number for number, line in enumerate(text.splitlines(), 1) if re.match(r'   "source": (\[|")', line)
    ]
    for start, cell in zip(starts, json.loads(text)["cells"], strict=True):
        if cell["cell_type"] == "code":
            yield start, "".join(cell["source"])


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def public_functions(
    body: list[ast.stmt], prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Functions and methods that others call, with their names: not those with a leading underscore."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            not node.name.startswith("_") or node.name.startswith("__")
        ):
            yield prefix + node.name, node


def long_modules() -> Iterator[Problem]:
    for path in package_files():
        count = len(path.read_text().splitlines())
        if count > MODULE_LINES and WORD_LISTS not in path.parents:
            yield problem(path, 1, f"{count} lines; a module has at most {MODULE_LINES}")


def long_functions() -> Iterator[Problem]:
    for path in [*package_files(), *test_files(), *benchmarks()]:
        for node in functions(parsed(path)):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > FUNCTION_LINES:
                text = f"{node.name} has {count} lines; a function has at most {FUNCTION_LINES}"
                yield problem(path, node.lineno, text)


def long_signatures() -> Iterator[Problem]:
    """`self`, `cls`, `*args` and `**kwargs` are not counted."""
    for path in package_files():
        for name, node in public_functions(parsed(path).body):
            named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in named)
            if count > PARAMETERS:
                text = f"{name} takes {count} parameters; a public function takes at most {PARAMETERS}"
                yield problem(path, node.lineno, text)


def long_cells() -> Iterator[Problem]:
    """Blank lines are not counted."""
    for path in notebooks():
        for start, source in code_cells(path):
            count = sum(bool(line.strip()) for line in source.splitlines())
            if count > CELL_LINES:
                yield problem(path, start, f"a cell of {count} lines; a cell has at most {CELL_LINES}")


def long_lines() -> Iterator[Problem]:
    """In Python files, stubs, the Snakefile and code cells of notebooks: comments and strings included."""
    texts = [*package_files(".py", ".pyi"), *test_files(), *benchmarks()]
    pieces = [(path, 1, path.read_text()) for path in [*texts, ROOT / "Snakefile"]]
    pieces += [(path, start + 1, source) for path in notebooks() for start, source in code_cells(path)]
    for path, first, text in pieces:
        for number, line in enumerate(text.splitlines(), first):
            if len(line) > COLUMNS:
                yield problem(path, number, f"{len(line)} characters; a line has at most {COLUMNS}")


def silent_packages() -> Iterator[Problem]:
    """Each package says first what belongs in it, and then, in a line of its own, what it may import."""
    for path in package_files():
        if path.name == "__init__.py" and path.parent != ROOT / "skillkit":
            said = ast.get_docstring(parsed(path)) or ""
            if "\nMay import: " not in said:
                text = (
                    'the docstring has to say what belongs here and, in a line "May import: …", what it uses'
                )
                yield problem(path, 1, text)


def defining_notebooks() -> Iterator[Problem]:
    for path in notebooks():
        for start, source in code_cells(path):
            for node in ast.walk(ast.parse(TransformerManager().transform_cell(source))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    yield problem(path, start + node.lineno, f"{node.name} belongs into the package")


def asserted_times() -> Iterator[Problem]:
    for path in test_files():
        text = path.read_text()
        if not any(name in text for name in CLOCKS):
            continue
        for line in lines_that_assert_a_time(parsed(path)):
            yield problem(path, line, "this asserts a time; times belong into benchmarks/")


def lines_that_assert_a_time(tree: ast.Module) -> list[int]:
    """The lines of asserts in which `<`, `>` or `approx` meets a time, or what was computed from one.

    Comparing with 0 is allowed: that a time was measured at all holds on every machine.
    """
    found = []
    for scope in functions(tree):
        timed = _names_of_times(scope)
        for node in ast.walk(scope):
            if isinstance(node, ast.Assert):
                comparisons = [part for part in ast.walk(node.test) if isinstance(part, ast.Compare)]
                if any(_compares_a_time(comparison, timed) for comparison in comparisons):
                    found.append(node.lineno)
    return sorted(set(found))


def _compares_a_time(comparison: ast.Compare, timed: set[str]) -> bool:
    sides = [comparison.left, *comparison.comparators]
    ordered = any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in comparison.ops)
    near = any(_mentions(side, {"approx"}) for side in sides)
    with_zero = any(isinstance(side, ast.Constant) and side.value == 0 for side in sides)
    return (ordered or near) and not with_zero and any(_mentions(side, timed) for side in sides)


def _names_of_times(scope: ast.AST) -> set[str]:
    """The clocks, and every variable that is assigned something computed from them."""
    timed, before = set(CLOCKS), 0
    while len(timed) > before:
        before = len(timed)
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _mentions(node.value, timed):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                timed |= {
                    part.id for each in targets for part in ast.walk(each) if isinstance(part, ast.Name)
                }
    return timed


def _mentions(node: ast.AST, names: set[str]) -> bool:
    """Whether one of the names occurs as a variable, an attribute, or the key of a subscript."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.Attribute) and _name(part) in names:
            return True
        key = part.slice if isinstance(part, ast.Subscript) else None
        if isinstance(key, ast.Constant) and key.value in names:
            return True
    return False


def _name(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def unmirrored_tests(cross_cutting: dict[str, str]) -> Iterator[Problem]:
    """tests/x/test_y.py tests skillkit/x/y.py or skillkit/x/y/, except for the `cross_cutting` ones."""
    for folder in sorted((ROOT / "skillkit").iterdir()):
        if (folder / "__init__.py").exists() and not list((ROOT / "tests" / folder.name).rglob("test_*.py")):
            yield problem(folder / "__init__.py", 1, f"tests/{folder.name} has no tests of this package")
    for path in test_files():
        inside = path.relative_to(ROOT / "tests")
        if path.name.startswith("test_") and inside.as_posix() not in cross_cutting:
            module = ROOT / "skillkit" / inside.parent / path.stem.removeprefix("test_")
            if not module.with_suffix(".py").exists() and not (module / "__init__.py").exists():
                text = f"there is no {module.relative_to(ROOT).as_posix()} that it could be the test of"
                yield problem(path, 1, text)
