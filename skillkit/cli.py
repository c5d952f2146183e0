"""The command line: `skillkit run`, `page`, `book`, `status`, `check` and the commands of other modules.

Nothing heavy is imported before a command needs it, so `skillkit --help` answers at once. Commands that
work on the project change into its folder; `_enter_project` sees to it that paths still mean what they
meant where the command was typed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from skillkit.errors import SkillkitError
from skillkit.terminal import at_terminal

DEFAULT_STUDY = "classroom"

OTHER_COMMANDS = {
    "classroom": ("skillkit.classroom.command", "the bundled mini models and tasks: pretrain, inspect"),
    "released": ("skillkit.transfer.released.command", "analyse the papers' released prompts"),
}
"""Commands of other modules: name, module, one line of help. The module has `add_arguments(parser)` and
`main(args) -> int`, and works in the folder where the command was typed."""

MOST_CORES = 10_000


class _Parser(argparse.ArgumentParser):
    """A parser whose faults are one line, like every other fault."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise SkillkitError(f"{' '.join(message.split())[:400]}. See {self.prog} --help.")


@at_terminal
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that the reader can put right are one message, without a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = _parser(words)
        args, rest = parser.parse_known_args(words)
        if rest and args.command != "run":
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        args.extra = rest
        if args.command not in (*OTHER_COMMANDS, "execute"):
            _enter_project(args)
        return int(args.function(args) or 0)
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("SKILLKIT_DEBUG"):
            raise
        print(f"skillkit: {_plain(error)}", file=sys.stderr)
        return 2


def _plain(error: Exception) -> str:
    """An error's message; for one of the system's own, what to look at; for any other, how to see more."""
    if isinstance(error, SkillkitError):
        return str(error)
    if not isinstance(error, OSError) or error.errno is None:
        said = " ".join(str(error).split())[:400]
        return f"{type(error).__name__}: {said} (not foreseen; SKILLKIT_DEBUG=1 shows where it happened)"
    where = str(error.filename or "a file or a connection")[:300]
    if isinstance(error, FileNotFoundError):
        return f"There is no {where}. Restore it, or give another path."
    return f"Cannot write or read {where} ({error.strerror}): check space and permissions."


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands; only the module of the command that was typed is imported."""
    parser = _Parser(
        prog="skillkit",
        description="Skill neurons, prompt transfer, robustness: run studies, rerun pages, build the book.",
        epilog="Set SKILLKIT_DEBUG=1 to see the traceback behind an error message.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_page(commands)
    book = _command(commands, "book", _book, "build the book from the pages that were made")
    book.add_argument("studies", nargs="*", metavar="STUDY", help="what it shows (default: as last time)")
    checking = _command(commands, "check-book", _check_book, "open every page of the built book in a browser")
    checking.add_argument("folder", nargs="?", type=Path, help="default: the project's book/_build/html")
    status = _command(commands, "status", _status, "which pages of a study were made, and which failed")
    status.add_argument("study", nargs="?", default=DEFAULT_STUDY, help="default: %(default)s")
    _command(commands, "check", _check, "look at this machine: versions, data folders, memory, disk")
    _add_execute(commands)
    for name, (module, line) in OTHER_COMMANDS.items():
        other = _command(commands, name, _other, line)
        if words[:1] == [name]:
            import_module(module).add_arguments(other)
    return parser


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int | None], line: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=line, description=line[0].upper() + line[1:] + "."
    )
    parser.set_defaults(function=function)
    return parser


def _add_run(commands: Any) -> None:
    run = _command(commands, "run", _run, "make every page of a study that is not up to date")
    run.add_argument(
        "study", nargs="?", default=DEFAULT_STUDY, help="a name in studies/, or a file (default: %(default)s)"
    )
    run.add_argument(
        "--dry-run",
        "--dryrun",  # as Snakemake has it; passed on, it would look like a run that had nothing to do
        "-n",
        action="store_true",
        help="only list the pages that would be made, and why",
    )
    _add_cores(run)
    run.add_argument("--force", action="store_true", help="make all pages again")
    run.add_argument("--book", action="store_true", help="build the book afterwards")
    run.epilog = (
        "Other options go to Snakemake: --profile profiles/slurm, --forcerun 03_perturbation. "
        "SKILLKIT_WARM=0 starts every page in a fresh process, for when a fork of the warm one misbehaves."
    )


def _add_page(commands: Any) -> None:
    page = _command(commands, "page", _page, "make one page again, with your own parameters if you like")
    page.add_argument("notebook", help="number or name: 02, 02_skill_neurons")
    page.add_argument(
        "-p",
        dest="given",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="model=…, task=…, or any parameter of the notebook, such as steps=100; may be repeated",
    )
    page.add_argument(
        "--study", help="whose budget to use (default: the first one that has the model or task)"
    )
    _add_cores(page)
    page.add_argument("--no-book", action="store_true", help="do not build the book afterwards")


def _add_cores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cores",
        type=_cores,
        metavar="N",
        help="pages made at a time (default: one more than processor cores)",
    )


def _cores(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < len(text) < 6 and 0 < int(text) <= MOST_CORES:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {MOST_CORES}, not {text[:40]!r}")


def _add_execute(commands: Any) -> None:
    """What the Snakefile calls for each page; it is not listed."""
    execute = commands.add_parser("execute")
    execute.add_argument("notebook", type=Path)
    execute.add_argument("executed", type=Path)
    execute.add_argument("--parameters", type=json.loads, default={})
    execute.add_argument("--code", default="", help="digests of the package's files, for the provenance")
    execute.add_argument("--expect", type=Path, nargs="*", default=[])
    execute.set_defaults(function=_execute)


def _enter_project(args: argparse.Namespace) -> None:
    """Change into the project's folder, and keep the meaning of all paths that were given.

    This is the one place where relative paths are resolved: paths among the arguments, study files, folders
    among the parameters of `page`, and folders that environment variables name.
    """
    from skillkit.study.given import full_path, read_given

    project = _project()
    for name, value in vars(args).items():
        if isinstance(value, Path):
            setattr(args, name, value.absolute())
        elif name == "study" and value:
            args.study = _study(value)
        elif name == "studies":
            args.studies = [_study(each) for each in value]
        elif name == "given":
            args.given = read_given(value)
    for variable in ("SKILLKIT_DATA", "SKILLKIT_REFERENCE"):
        if os.environ.get(variable):
            os.environ[variable] = full_path(os.environ[variable])
    os.chdir(project)


def _study(name: str) -> str:
    """A study's name, or the full path of its file."""
    from skillkit.study.given import full_path

    return full_path(name) if name.endswith((".yaml", ".yml")) else name


def _project() -> Path:
    """The folder with the Snakefile: this one, one above it, or the checkout of the package."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "Snakefile").is_file() and (folder / "studies").is_dir():
            return folder
    raise SkillkitError(
        f"There is no Snakefile in {here} or above. Change into a checkout of the project and try again."
    )


def _run(args: argparse.Namespace) -> int:
    from skillkit.study import engine
    from skillkit.study.options import check_extra
    from skillkit.study.studies import load_study

    study = load_study(args.study)
    check_extra(args.extra)
    if args.dry_run:
        pages = engine.plan(study, args.study, extra=args.extra)
        for label, reason in pages:
            print(f"{label:60} {reason}")
        print(f"{len(pages)} of {len(study.pages)} pages to make." if pages else "Everything is up to date.")
        return 0
    status = engine.run_study(study, args.study, cores=args.cores, force=args.force, extra=args.extra)
    if args.book and status != 130:
        from skillkit.book.build import build_book

        print(f"The book is at {build_book([args.study])}")
    return status


def _page(args: argparse.Namespace) -> int:
    from skillkit.study import engine
    from skillkit.study.pages import find_page
    from skillkit.study.table import find_notebook

    notebook = find_notebook(args.notebook)
    study, config, page = find_page(notebook, args.given, args.study)
    status = engine.run_study(study, config, targets=[str(page.receipt)], cores=args.cores, force=True)
    if status == 0:
        print(f"The notebook is {page.executed}")
        if not args.no_book:
            from skillkit.book.build import build_book, shown

            names = shown()
            print(f"The book is at {build_book(names if study.name in names else [*names, study.name])}")
    return status


def _book(args: argparse.Namespace) -> int:
    from skillkit.book.build import build_book, shown

    print(f"The book is at {build_book(args.studies or shown())}")
    return 0


def _check_book(args: argparse.Namespace) -> int:
    from skillkit.book.browser import check_book

    faults = check_book(args.folder or Path("book/_build/html"))
    for fault in faults:
        print(fault)
    print(
        f"{len(faults)} faults."
        if faults
        else "Every page opens, every figure is drawn, nothing is loaded from elsewhere."
    )
    return 1 if faults else 0


def _status(args: argparse.Namespace) -> int:
    from skillkit.study.failures import report_failures
    from skillkit.study.receipts import is_made
    from skillkit.study.studies import load_study

    study = load_study(args.study)
    print(f"{study.title}: {len(study.models)} models, {len(study.tasks)} tasks, seeds {list(study.seeds)}")
    for row in study.rows:
        pages = [page for page in study.pages if page.notebook == row]
        made = sum(is_made(study, page) for page in pages)
        print(f"  {row.name:24} {made:3} of {len(pages):3} made")
    failed = report_failures(study, sys.stdout)
    print(f"\n`skillkit run {study.name}` makes what is missing; with --dry-run it says what and why.")
    return 1 if failed else 0


def _check(args: argparse.Namespace) -> int:
    from skillkit.book.check import check_machine

    return check_machine()


def _execute(args: argparse.Namespace) -> int:
    from skillkit.provenance import CODE_VARIABLE
    from skillkit.study.fork.start import execute_page

    os.environ[CODE_VARIABLE] = args.code
    return 0 if execute_page(args.notebook, args.executed, args.parameters, args.expect) else 1


def _other(args: argparse.Namespace) -> int:
    """A command of another module; what it refuses is told in its words, whichever error it raises."""
    module, _ = OTHER_COMMANDS[args.command]
    try:
        return int(import_module(module).main(args) or 0)
    except SkillkitError:
        raise
    except ValueError as error:
        raise SkillkitError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
