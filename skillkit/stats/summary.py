"""All claims of a study in one table: pooled over tasks, counted, and corrected for their number.

A claim that is tried in many cells holds in some of them by luck, and a study that tries many claims finds
some that hold. So each claim gets, for every model, one pooled estimate over its tasks (`pooling`), the
counts of its verdicts beside the number that luck alone would give, and a q-value: the smallest
false-discovery rate at which it would count as held among all claims of the same paper (Benjamini & Hochberg
1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from skillkit.checks import check_arguments
from skillkit.errors import SkillkitError
from skillkit.names import markdown_text
from skillkit.stats.claims import FAILED, HELD, NOT_TESTED, UNDECIDED, verdict
from skillkit.stats.measurement import Measurement
from skillkit.stats.pooling import pool
from skillkit.stats.published import said

VERDICTS = (HELD, UNDECIDED, FAILED, NOT_TESTED)

LUCK = 0.025
"""How often a 95 % interval lies above a border that the truth lies on."""

SIGNIFICANT = 0.05
"""The false-discovery rate that is accepted."""

OURS = "ours"
"""The source of claims that no paper makes."""

_KEYS = ["page", "paper", "claim", "source", "model"]


@check_arguments
def sum_claims(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every claim of a study, for each model.

    Args:
        tables: the result tables of all pages, by page.

    Returns:
        One row per claim and model, in the order of the pages: page, paper, claim, source, model; value, low,
        high, n, unit, interval (pooled over tasks by random effects; of a single cell, its own) and border;
        between and heterogeneity (`pooling.Pooled`, NaN for a single cell); verdict of the pooled interval; a
        column for each verdict with the number of cells, and cells, their sum; by_luck, how many of the
        tested ones would hold if every truth lay on its border; p, one-sided, for the claimed direction; q,
        the same corrected within the paper.

    Raises:
        SkillkitError: no table holds a claim.
    """
    claims = _gather(tables)
    groups = claims.groupby(_KEYS, sort=False, dropna=False)
    summed = pd.DataFrame([dict(zip(_KEYS, keys, strict=True)) | _summed(cells) for keys, cells in groups])
    q = summed.groupby("paper", sort=False)["p"].transform(lambda p: _corrected(p.to_numpy(dtype=float)))
    return summed.assign(q=q)


@check_arguments
def summary_table(summed: pd.DataFrame) -> str:
    """The claims of `sum_claims` as a Markdown table, with what the paper says where it is known.

    The models of a claim stand below each other. A claim that held, but would not after the correction, says
    so.
    """
    lines = ["| claim | model | over tasks | verdict | cells | q |", "|---|---|---|---|---|---|"]
    for claim, rows in summed.groupby("claim", sort=False):
        paper = said(rows["paper"].iloc[0], str(claim))
        shown = markdown_text(str(claim)) + (f"<br>*{paper}*" if paper else "")
        for row in rows.to_dict("records"):
            lines.append(f"| {shown} | {' | '.join(_cells(row))} |")
            shown = ""
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    """What is said of one claim and model: the columns of the table after the claim."""
    counts = " · ".join(str(row[word]) for word in VERDICTS) + f" ({row['by_luck']:.1f})"
    q = "" if np.isnan(row["q"]) else "< 0.001" if row["q"] < 0.001 else f"{row['q']:.3f}"
    word = f"**{row['verdict']}**"
    if row["verdict"] == HELD and row["q"] > SIGNIFICANT:
        word += ", but not among so many claims"
    return [markdown_text(row["model"]), _estimate(row), word, counts, q]


def _estimate(row: Mapping[str, Any]) -> str:
    """The pooled value with its interval, border and heterogeneity, in words."""
    if np.isnan(row["value"]):
        return ""
    form = ".3f" if row["border"] else "+.3f"
    text = f"{row['value']:{form}}"
    if not np.isnan(row["low"]):
        text += f" ({row['low']:{form}} to {row['high']:{form}})"
    if row["border"]:
        text += f", against {row['border']:.3g}"
    return text if np.isnan(row["heterogeneity"]) else f"{text}, I² {row['heterogeneity']:.0%}"


def _gather(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The claims of all tables, with their page and paper."""
    parts = [
        rows[rows["metric"] == "claim"].assign(page=page)
        for page, rows in tables.items()
        if (rows["metric"] == "claim").any()
    ]
    if not parts:
        raise SkillkitError("No table holds a claim. Give the tables of pages that were run.")
    claims = pd.concat(parts, ignore_index=True)
    papers = [_paper(source) for source in claims["source"]]
    return claims.assign(paper=papers, model=claims["model"].fillna("all"))


def _paper(source: Any) -> str:
    """Whose claim it is: `Ackermann & Ohmer, of T5` is the paper's; those of no paper are ours."""
    first = "" if pd.isna(source) else str(source).partition(",")[0]
    return OURS if first in ("", OURS, "this study", "audit") else first


def _summed(cells: pd.DataFrame) -> dict[str, Any]:
    """What the cells of one claim and model amount to."""
    counts = {word: int((cells["verdict"] == word).sum()) for word in VERDICTS}
    tested = cells[cells["verdict"] != NOT_TESTED]
    border = float(tested["border"].mean()) if len(tested) else 0.0
    estimate = _pooled(tested, border)
    pooled = verdict(estimate["low"], estimate["high"], estimate["border"])
    totals = {"cells": len(cells), "by_luck": LUCK * len(tested)}
    return {**estimate, "verdict": pooled if len(tested) else NOT_TESTED, **counts, **totals}


def _pooled(tested: pd.DataFrame, border: float) -> dict[str, Any]:
    """The estimate over the tested cells, with its p-value; NaN where no cell has an interval."""
    known = tested[tested["low"].notna() & (tested["high"] > tested["low"])]
    unknown = {"between": np.nan, "heterogeneity": np.nan, "border": border}
    if known.empty:
        value = float(tested["value"].mean()) if len(tested) else np.nan
        return {"value": value, "low": np.nan, "high": np.nan, "n": None, "p": np.nan, **unknown}
    # Borders differ between tasks where they are shares of a class, so what is pooled is the way above them.
    above = [_above(row) for row in known.to_dict("records")]
    pooled = pool(above)
    p = pooled.p / 2 if pooled.measurement.value > 0 else 1 - pooled.p / 2
    if len(known) == 1:
        row = known.iloc[0].to_dict()
        own = {name: row.get(name) for name in ("value", "low", "high", "n", "unit", "interval")}
        return {**own, "p": p, **unknown}
    shared = known["border"].nunique() == 1
    shift = border if shared else 0.0
    measured = vars(pooled.measurement)
    return {
        **measured,
        **{name: measured[name] + shift for name in ("value", "low", "high")},
        "p": p,
        "between": pooled.between,
        "heterogeneity": pooled.heterogeneity,
        "border": shift,
    }


def _above(row: Mapping[str, Any]) -> Measurement:
    """How far a claim's quantity lies above its border."""
    value, low, high = (row[name] - row["border"] for name in ("value", "low", "high"))
    return Measurement(value, 1, "tasks", low, high, "as measured")


def _corrected(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's q-values; NaN where p is."""
    known = ~np.isnan(p)
    corrected = np.full(len(p), np.nan)
    if known.any():
        corrected[known] = stats.false_discovery_control(p[known])
    return corrected
