"""`skillkit classroom …`: look at a bundled task, or pretrain a mini model."""

from __future__ import annotations

import argparse

from skillkit.classroom.tasks import TASKS
from skillkit.errors import SkillkitError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands below `skillkit classroom`."""
    from skillkit.classroom.pretraining import training

    commands = parser.add_subparsers(dest="classroom_command", required=True, metavar="COMMAND")
    line = "make the weights of a bundled mini model from the bundled grammars"
    making = commands.add_parser("pretrain", help=line, description=line)
    training.add_arguments(making)
    making.set_defaults(classroom_function=training.main)
    line = "print the bundled tasks, or examples of one of them"
    showing = commands.add_parser("show", help=line, description=line)
    showing.add_argument("task", nargs="?", help="a bundled task; none: list them")
    showing.add_argument("--split", default="train", choices=("train", "validation", "test"))
    showing.add_argument("--count", type=int, default=5, help="number of examples (default: %(default)s)")
    showing.set_defaults(classroom_function=show)


def main(args: argparse.Namespace) -> int:
    """Run the chosen command."""
    return int(args.classroom_function(args))


def show(args: argparse.Namespace) -> int:
    """Print the list of tasks, or some examples with their label words and factors."""
    if args.task is None:
        for task in TASKS.values():
            print(f"{task.name:28} {task.type:14} {'/'.join(task.label_words):32} {task.description}")
        return 0
    from skillkit.classroom.splits import classroom_splits
    from skillkit.classroom.tasks import find_task

    task = find_task(args.task)
    if args.count < 1:
        raise SkillkitError(f"--count {args.count} shows nothing. Give a number above 0.")
    splits = classroom_splits(task.name)
    split = splits.get(args.split, splits["test"])
    for row in split.select(range(min(args.count, len(split)))):
        factors = " ".join(f"{name[7:]}={value}" for name, value in row.items() if name.startswith("factor_"))
        print(" | ".join(str(row[column]) for column in task.text_columns))
        print(f"    {task.label_words[row['label']]}    {factors}")
    return 0
