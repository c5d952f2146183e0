"""What a page says about a claim, worded by its numbers.

Nothing about an outcome is typed in by hand.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from skillkit.names import markdown_text
from skillkit.stats.measurement import Measurement

HELD, FAILED, UNDECIDED = "held", "did not hold", "undecided"
"""What the interval of a quantity says about a claim: the words of all verdicts."""


def verdict(low: float, high: float, border: float = 0.0) -> str:
    """Whether a quantity claimed to lie above `border` does, given its interval.

    Returns:
        `HELD` if the whole interval lies above, `FAILED` if it lies below, `UNDECIDED` if it covers or
        touches the border, or is not known (NaN).
    """
    if low > border:
        return HELD
    if high < border:
        return FAILED
    return UNDECIDED


def claim(
    text: str, measured: Measurement | Mapping[str, Any], border: float = 0.0, source: str = ""
) -> dict[str, Any]:
    """A row about one claim: its text, the measurement it rests on, and the verdict."""
    row = vars(measured) if isinstance(measured, Measurement) else measured
    return {
        "claim": text,
        "source": source,
        "value": float(row["value"]),
        "low": float(row["low"]),
        "high": float(row["high"]),
        "n": row.get("n"),
        "unit": row.get("unit"),
        "interval": row.get("interval"),
        "border": border,
        "verdict": verdict(float(row["low"]), float(row["high"]), border),
    }


def number(row: Mapping[str, Any], signed: bool = False) -> str:
    """A value with its interval and n in words: `0.87 (0.84 to 0.90, n = 400)`."""
    form = "+.3f" if signed else ".3f"
    known = [f"{row['low']:{form}} to {row['high']:{form}}"] if pd.notna(row.get("low")) else []
    unit = f" {row['unit']}" if pd.notna(row.get("unit")) else ""
    count = [f"n = {int(row['n']):,}{unit}"] if pd.notna(row.get("n")) else []
    inside = ", ".join(known + count)
    return f"{row['value']:{form}}" + (f" ({inside})" if inside else "")


def claims_table(claims: Iterable[Mapping[str, Any]]) -> str:
    """The claims as a Markdown table for a page."""
    lines = ["| claim | from | measured here | verdict |", "|---|---|---|---|"]
    for each in claims:
        against = f", against {each['border']:.3g}" if each["border"] else ""
        measured = number(each, signed=not each["border"]) + against
        lines.append(
            f"| {markdown_text(each['claim'])} | {each['source']} | {measured} | **{each['verdict']}** |"
        )
    return "\n".join(lines)


def spans(rows: pd.DataFrame, low: str, high: str) -> pd.Series:
    """Two columns as one of words, `0.050 to 0.150`, for what is no interval of the value but of chance."""
    return pd.Series(
        [f"{a:.3f} to {b:.3f}" for a, b in zip(rows[low], rows[high], strict=True)], rows.index, dtype=object
    )


def claim_rows(claims: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The claims as rows of a result table: metric `claim`, with text and verdict as further columns."""
    return [{"metric": "claim", **each} for each in claims]


def numbers_table(rows: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """A Markdown table of measurements: given columns under their headings, then value, interval and n."""
    lines = ["| " + " | ".join([*columns.values(), "value", "interval", "n"]) + " |"]
    lines.append("|" + "---|" * (len(columns) + 3))
    for row in rows.to_dict("records"):
        own = ["" if pd.isna(row[name]) else markdown_text(row[name]) for name in columns]
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if pd.notna(row.get("low")) else ""
        count = f"{int(row['n']):,}" if pd.notna(row.get("n")) else ""
        lines.append("| " + " | ".join([*own, f"{row['value']:.3f}", interval, count]) + " |")
    return "\n".join(lines)
