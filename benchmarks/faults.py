"""A storm over a tiny study: kills, damaged files, bad input, strange surroundings; and what held.

    python benchmarks/faults.py                              some rounds of every kind
    python benchmarks/faults.py --kills 100 --damage 40      so many of these kinds, none of others
    python benchmarks/faults.py --minutes 60 --seed 3        every kind in turns, for an hour
    python benchmarks/faults.py --short                      two to four minutes, as in CI
    python benchmarks/faults.py --seed 3 --only kills:17     one round again

The study is made once undisturbed, and its tables and prompts are what all rounds are compared with. A round
draws from the seed, its kind and its number alone. One that fails is told in a line; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from storm.bad_calls import all_calls  # noqa: E402
from storm.bad_input import refuse  # noqa: E402
from storm.damage import CASES, damage  # noqa: E402
from storm.kills import VICTIMS, kill  # noqa: E402
from storm.project import Project  # noqa: E402
from storm.runs import Fault, environment, last_lines  # noqa: E402
from storm.surroundings import ROUNDS, Skipped, surround  # noqa: E402

Round = Callable[[Project, random.Random, Any, list[str]], None]

KINDS: dict[str, tuple[Round, Sequence[Any]]] = {
    "kills": (kill, VICTIMS),
    "damage": (damage, CASES),
    "inputs": (refuse, all_calls()),
    "surroundings": (surround, ROUNDS),
}
"""What a round of each kind does, and the cases that are dealt to its rounds."""

USUAL = {"kills": 10, "damage": 10, "inputs": 200, "surroundings": len(ROUNDS)}
SHORT = {"kills": 2, "damage": 1, "inputs": 60, "surroundings": 1}

#: With --minutes, so many rounds of each kind come in turns: bad input is quick.
IN_TURNS = {"kills": 2, "damage": 1, "inputs": 10, "surroundings": 1}


def dealt(cases: Sequence[Any], seed: int | str, number: int) -> Any:
    """The case of a round: like cards, every case comes once before one comes again."""
    deal, place = divmod(number, len(cases))
    return random.Random(f"{seed} {deal}").sample(cases, len(cases))[place]


def one_round(project: Project, kind: str, seed: int, number: int) -> str:
    """Do a round, tell it where it failed or was skipped; returns `held`, `failed` or `skipped`."""
    do, cases = KINDS[kind]
    did: list[str] = []
    told = ""
    outcome = "held"
    try:
        do(project, random.Random(f"{seed} {kind} {number}"), dealt(cases, f"{seed} {kind}", number), did)
    except Skipped as reason:
        outcome, told = "skipped", str(reason)
    except Fault as fault:
        outcome, told = "failed", str(fault)
    except Exception as error:  # the storm goes on
        outcome, told = "failed", f"the storm itself: {type(error).__name__}: {error}"
    if told:
        again = f"--seed {seed} --only {kind}:{number}"
        print(f"{outcome.upper()} {kind}:{number} ({again}) {', '.join(did)}: {last_lines(told)}", flush=True)
    return outcome


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Kind and number of each round that was asked for."""
    if options.only:
        kind, _, number = options.only.partition(":")
        yield kind, int(number)
    elif options.minutes:
        end = time.monotonic() + 60 * options.minutes
        for turn in itertools.count():
            for kind, count in IN_TURNS.items():
                for place in range(count):
                    if time.monotonic() > end:
                        return
                    yield kind, turn * count + place
    else:
        asked = {kind: getattr(options, kind) for kind in KINDS}
        if not any(asked.values()):
            asked = SHORT if options.short else USUAL
        for kind, count in asked.items():
            yield from ((kind, number) for number in range(count or 0))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="every kind in turns, for so long")
    parser.add_argument("--short", action="store_true", help="a few rounds of every kind")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one round again")
    for kind, (_, cases) in KINDS.items():
        parser.add_argument(f"--{kind}", type=int, metavar="N", help=f"rounds; {len(cases)} cases are dealt")
    options = parser.parse_args(words)
    if options.only and options.only.partition(":")[0] not in KINDS:
        parser.error(f"--only {options.only}: expected one of {', '.join(KINDS)}, a colon, a number.")
    return options


def main() -> int:
    """Do the rounds, and count."""
    options = arguments()
    settled = environment({})
    os.environ.clear()
    os.environ.update(settled)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, leaves nothing behind
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory(prefix="storm-") as place:
        project = Project(Path(place))
        project.make()
        print(f"Undisturbed, the study takes {project.seconds:.0f} s.", flush=True)
        try:
            for kind, number in rounds(options):
                counts[kind, one_round(project, kind, options.seed, number)] += 1
        except KeyboardInterrupt:
            print("Interrupted; until then:")
    for kind in KINDS:
        if done := {outcome: n for (each, outcome), n in counts.items() if each == kind}:
            told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(done.items()))
            print(f"{kind}: {sum(done.values())} rounds, {told}")
    return 1 if any(outcome == "failed" for _, outcome in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
