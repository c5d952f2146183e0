"""Options of `skillkit run` that go to Snakemake: refused here when Snakemake does not know them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from skillkit.errors import SkillkitError


def check_extra(words: Sequence[str]) -> None:
    """Raise SkillkitError, with Snakemake's own words, when it would refuse these options.

    Files to make are refused too: a word without a dash is most often a second study.
    """
    if not words:
        return
    from snakemake.cli import get_argument_parser

    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            known = get_argument_parser().parse_args(list(words))
    except SystemExit as end:
        lines = said.getvalue().strip().splitlines()
        last = lines[-1].rpartition("error: ")[2] if lines else "they cannot be read"
        if end.code == 0:
            last = "ask Snakemake itself: snakemake --help"
        raise SkillkitError(f"run: options that are not its own go to Snakemake, and {last[:400]}.") from None
    if known.targets:
        raise SkillkitError(f"run takes one study, and {' '.join(known.targets)[:200]!r} was given besides.")
