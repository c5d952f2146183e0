"""The command line: `skillkit run`, `page`, `book`, `status`, `check` and the commands that other modules
bring.

Nothing heavy is imported before a command needs it, so `skillkit --help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from skillkit.errors import SkillkitError

DEFAULT_STUDY = "classroom"

# Commands of other modules: name, module, one line of help. The module has `add_arguments(parser)` and
# `main(args) -> int`.
OTHER_COMMANDS = {
    "classroom": ("skillkit.classroom.command", "the bundled mini models and tasks: pretrain, inspect"),
    "released": ("skillkit.transfer.released.command", "analyse the papers' released prompts"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that the reader can put right are one message, without a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = _parser(words)
        args, rest = parser.parse_known_args(words)
        if rest and args.command != "run":
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        args.extra = rest
        os.chdir(_project())
        return int(args.function(args) or 0)
    except (SkillkitError, OSError) as error:
        if os.environ.get("SKILLKIT_DEBUG"):
            raise
        print(f"skillkit: {_plain(error)}", file=sys.stderr)
        return 2


def _plain(error: Exception) -> str:
    """An error's message; for one of the system's own, what to look at."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    where = error.filename or "a file or a connection"
    if isinstance(error, FileNotFoundError):
        return f"There is no {where}. Restore it, or give another path."
    return f"Cannot write or read {where} ({error.strerror}): check space and permissions."


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skillkit",
        description="Skill neurons, prompt transfer, robustness: run studies, rerun pages, build the book.",
        epilog="Set SKILLKIT_DEBUG=1 to see the traceback behind an error message.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "make every page of a study that is not up to date")
    run.add_argument(
        "study", nargs="?", default=DEFAULT_STUDY, help="a file in studies/ (default: %(default)s)"
    )
    run.add_argument(
        "--dry-run",
        "--dryrun",  # as Snakemake has it; passed on, it would look like a run that had nothing to do
        "-n",
        action="store_true",
        help="only list the pages that would be made, and why",
    )
    run.add_argument(
        "--cores", type=int, metavar="N", help="pages made at a time (default: one more than processor cores)"
    )
    run.add_argument("--force", action="store_true", help="make all pages again")
    run.add_argument("--book", action="store_true", help="build the book afterwards")
    run.epilog = "Other options go to Snakemake: --profile profiles/slurm, --forcerun 03_perturbation."

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
    page.add_argument(
        "--cores", type=int, metavar="N", help="pages made at a time (default: one more than processor cores)"
    )
    page.add_argument("--no-book", action="store_true", help="do not build the book afterwards")

    book = _command(commands, "book", _book, "build the book from the pages that were made")
    book.add_argument("studies", nargs="*", metavar="STUDY", help="what it shows (default: as last time)")

    check_book = _command(
        commands, "check-book", _check_book, "open every page of the built book in a browser"
    )
    check_book.add_argument("folder", nargs="?", default="book/_build/html", help="default: %(default)s")

    status = _command(commands, "status", _status, "which pages of a study were made, and which failed")
    status.add_argument("study", nargs="?", default=DEFAULT_STUDY, help="default: %(default)s")

    _command(commands, "check", _check, "look at this machine: versions, data folders, memory, disk")

    execute = commands.add_parser("execute")  # what the Snakefile calls; not listed
    execute.add_argument("notebook", type=Path)
    execute.add_argument("executed", type=Path)
    execute.add_argument("--parameters", type=json.loads, default={})
    execute.add_argument("--expect", type=Path, nargs="*", default=[])
    execute.set_defaults(function=_execute)

    for name, (module, line) in OTHER_COMMANDS.items():
        other = commands.add_parser(name, help=line, description=line)
        if words[:1] == [name]:
            brought = import_module(module)
            brought.add_arguments(other)
            other.set_defaults(function=brought.main)
    return parser


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int | None], line: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=line, description=line[0].upper() + line[1:] + "."
    )
    parser.set_defaults(function=function)
    return parser


def _project() -> Path:
    """The folder with the Snakefile: this one, one above it, or the checkout of the package."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "Snakefile").is_file() and (folder / "studies").is_dir():
            return folder
    raise SkillkitError(
        "There is no Snakefile here or above. Change into a checkout of the project and try again."
    )


def _run(args: argparse.Namespace) -> int:
    from skillkit.study import engine
    from skillkit.study.studies import load_study

    study = load_study(args.study)
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
    study, config, page = find_page(notebook, _values(args.given), args.study)
    status = engine.run_study(study, config, targets=[str(page.table)], cores=args.cores, force=True)
    if status == 0:
        print(f"The notebook is {page.executed}")
        if not args.no_book:
            from skillkit.book.build import build_book, shown

            names = shown()
            print(f"The book is at {build_book(names if study.name in names else [*names, study.name])}")
    return status


def _values(given: Sequence[str]) -> dict[str, Any]:
    """`["steps=100", "model=minilm"]` as a mapping; values are read as YAML."""
    import yaml

    values = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise SkillkitError(f"-p {text}: expected NAME=VALUE, such as -p steps=100.")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SkillkitError(
                f"-p {text}: the value is not valid YAML. Write a number, a text, or a list such as [0, 1]."
            ) from error
    return values


def _book(args: argparse.Namespace) -> int:
    from skillkit.book.build import build_book, shown

    print(f"The book is at {build_book(args.studies or shown())}")
    return 0


def _check_book(args: argparse.Namespace) -> int:
    from skillkit.book.browser import check_book

    faults = check_book(Path(args.folder))
    for fault in faults:
        print(fault)
    print(
        f"{len(faults)} faults."
        if faults
        else "Every page opens, every figure is drawn, nothing is loaded from elsewhere."
    )
    return 1 if faults else 0


def _status(args: argparse.Namespace) -> int:
    from skillkit.study.engine import report_failures
    from skillkit.study.studies import load_study

    study = load_study(args.study)
    print(f"{study.title}: {len(study.models)} models, {len(study.tasks)} tasks, seeds {list(study.seeds)}")
    for row in study.rows:
        pages = [page for page in study.pages if page.notebook == row]
        made = sum(page.table.is_file() and not page.error.is_file() for page in pages)
        print(f"  {row.name:24} {made:3} of {len(pages):3} made")
    failed = report_failures(study, sys.stdout)
    print(f"\n`skillkit run {study.name}` makes what is missing; with --dry-run it says what and why.")
    return 1 if failed else 0


def _check(args: argparse.Namespace) -> int:
    from skillkit.book.check import check_machine

    return check_machine()


def _execute(args: argparse.Namespace) -> int:
    from skillkit.study.fork.process import execute_warm

    work = (args.notebook, args.executed, args.parameters, args.expect)
    done = execute_warm(*work)
    if done is None:
        from skillkit.study.execute import execute

        done = execute(*work)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
