"""What a page says about a claim, worded by its numbers.

Nothing about an outcome is typed in by hand.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skillkit.checks import Finite, check_arguments, need_columns
from skillkit.errors import SkillkitError
from skillkit.names import markdown_text
from skillkit.stats.measurement import Measurement

HELD, FAILED, UNDECIDED, NOT_TESTED = "held", "did not hold", "undecided", "not tested"
"""The words of all verdicts: three for what the interval of a quantity says about a claim, and one for a
claim that nothing here could test."""


@check_arguments
def verdict(low: float, high: float, border: Finite = 0.0) -> str:
    """Whether a quantity claimed to lie above `border` does, given its interval.

    Returns:
        `HELD` if the whole interval lies above, `FAILED` if it lies below, `UNDECIDED` if it covers or
        touches the border, or is not known (an end is NaN).

    Raises:
        SkillkitError: the ends are in the wrong order, or the border is not finite.
    """
    if low > high:
        raise SkillkitError(f"An interval from {low} to {high} has its ends in the wrong order.")
    if np.isnan(low) or np.isnan(high):
        return UNDECIDED
    if low > border:
        return HELD
    if high < border:
        return FAILED
    return UNDECIDED


@check_arguments
def claim(
    text: str, measured: Measurement | Mapping[str, Any], border: Finite = 0.0, source: str = ""
) -> dict[str, Any]:
    """A row about one claim: its text, the measurement it rests on, and the verdict.

    Raises:
        SkillkitError: a row without a value and both ends of an interval, or with an interval of a value that
            is not finite.
    """
    row = vars(measured) if isinstance(measured, Measurement) else measured
    value, low, high = (_number_in(row, name) for name in ("value", "low", "high"))
    if not np.isfinite(value) and not np.isnan([low, high]).all():
        raise SkillkitError(
            f"The claim {text!r} rests on {value}, whose interval goes from {low} to {high}: broken numbers "
            "decide nothing. Look for NaN where it was measured."
        )
    return {
        "claim": text,
        "source": source,
        "value": value,
        "low": low,
        "high": high,
        "n": row.get("n"),
        "unit": row.get("unit"),
        "interval": row.get("interval"),
        "border": border,
        "verdict": verdict(low, high, border),
    }


@check_arguments
def untested(text: str, reason: str, source: str = "") -> dict[str, Any]:
    """A row about a claim that could not be tested here, and why; it carries no number.

    Args:
        text: the claim.
        reason: which precondition failed, in words that follow a colon.
        source: whose claim it is.
    """
    nothing = {"value": math.nan, "low": math.nan, "high": math.nan}
    return {**claim(text, nothing, source=source), "verdict": NOT_TESTED, "reason": reason}


@check_arguments
def if_tested(claims: Iterable[Mapping[str, Any]], reason: str) -> list[dict[str, Any]]:
    """The claims as they are, or all of them as untested for a `reason` that is not empty."""
    if not reason:
        return [dict(each) for each in claims]
    return [untested(each["claim"], reason, each["source"]) for each in claims]


def _number_in(row: Mapping[str, Any], name: str) -> float:
    """A field of a measurement's row as a number; missing ones are NaN."""
    if name not in row:
        raise SkillkitError(
            f"A row with {', '.join(map(str, row)) or 'nothing'} is no measurement: it lacks {name!r}. "
            "Make it with the functions of skillkit.stats.measurement."
        )
    try:
        return float("nan") if pd.isna(row[name]) else float(row[name])
    except (TypeError, ValueError) as error:
        raise SkillkitError(f"A measurement has {name} = {row[name]!r}; expected a number.") from error


@check_arguments
def number(row: Mapping[str, Any], signed: bool = False) -> str:
    """A value with its interval and n in words: `0.87 (0.84 to 0.90, n = 400)`.

    Raises:
        SkillkitError: the row has no value, or text where a number belongs.
    """
    form = "+.3f" if signed else ".3f"
    value, known, count = _number_in(row, "value"), [], []
    if pd.notna(row.get("low")):
        known = [f"{_number_in(row, 'low'):{form}} to {_number_in(row, 'high'):{form}}"]
    unit = f" {row['unit']}" if pd.notna(row.get("unit")) else ""
    if pd.notna(row.get("n")):
        count = [f"n = {int(_number_in(row, 'n')):,}{unit}"]
    inside = ", ".join(known + count)
    return f"{value:{form}}" + (f" ({inside})" if inside else "")


@check_arguments
def claims_table(claims: Iterable[Mapping[str, Any]]) -> str:
    """The claims as a Markdown table for a page.

    Raises:
        SkillkitError: a row that `claim` did not make.
    """
    lines = ["| claim | from | measured here | verdict |", "|---|---|---|---|"]
    for each in claims:
        if missing := {"claim", "source", "border", "verdict"} - set(each):
            raise SkillkitError(f"A row of claims lacks {', '.join(sorted(missing))}; make it with `claim`.")
        if each["verdict"] == NOT_TESTED:
            measured = each["reason"]
        else:
            against = f", against {each['border']:.3g}" if each["border"] else ""
            measured = number(each, signed=not each["border"]) + against
        text = markdown_text(each["claim"])
        lines.append(f"| {text} | {each['source']} | {measured} | **{each['verdict']}** |")
    return "\n".join(lines)


@check_arguments
def spans(rows: pd.DataFrame, low: str, high: str) -> pd.Series:
    """Two columns as one of words, `0.050 to 0.150`, for what is no interval of the value but of chance.

    Raises:
        SkillkitError: there is no such column.
    """
    need_columns(rows, (low, high))
    return pd.Series(
        [f"{a:.3f} to {b:.3f}" for a, b in zip(rows[low], rows[high], strict=True)], rows.index, dtype=object
    )


@check_arguments
def claim_rows(claims: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The claims as rows of a result table: metric `claim`, with text and verdict as further columns."""
    return [{"metric": "claim", **each} for each in claims]


@check_arguments
def numbers_table(rows: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """A Markdown table of measurements: given columns under their headings, then value, interval and n.

    Raises:
        SkillkitError: there is no such column, or none of values.
    """
    need_columns(rows, (*columns, "value"))
    lines = ["| " + " | ".join([*columns.values(), "value", "interval", "n"]) + " |"]
    lines.append("|" + "---|" * (len(columns) + 3))
    for row in rows.to_dict("records"):
        own = ["" if pd.isna(row[name]) else markdown_text(row[name]) for name in columns]
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if pd.notna(row.get("low")) else ""
        count = f"{int(row['n']):,}" if pd.notna(row.get("n")) else ""
        lines.append("| " + " | ".join([*own, f"{row['value']:.3f}", interval, count]) + " |")
    return "\n".join(lines)
