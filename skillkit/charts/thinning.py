"""Curves and clouds with more points than a page can draw: fewer of them are drawn, and the figure says so.

A page of 2,600 looks at the validation split must not fail after hours of tuning because of its figure. Which
points are left out follows from the table alone, so that a figure is the same every time.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import altair as alt
import numpy as np
import pandas as pd

from skillkit.charts.theme import MAX_ROWS, Figure

P = ParamSpec("P")


def thin(table: pd.DataFrame, along: str | None, lines: Sequence[str] = ()) -> tuple[pd.DataFrame, str]:
    """At most `MAX_ROWS` rows where that can be done, and a note on what was left out.

    Args:
        table: One row per point.
        along: The column of the x axis: so many of its values are kept, evenly spaced, the same for all
            lines. None: single points are kept, evenly spaced in the table.
        lines: The columns that tell the lines apart. Each one's first and last point are always kept.

    Returns:
        The rows, in their order, and the note; the table itself and no note where everything is drawn.
    """
    if len(table) <= MAX_ROWS:
        return table, ""
    if along is None:
        kept = table.iloc[_evenly(len(table), MAX_ROWS)]
        return kept, f"{len(kept):,} of {len(table):,} points are drawn"
    values = np.sort(pd.unique(table[along].dropna()))
    numbered = table.reset_index(drop=True)
    groups = numbered.groupby(list(lines), dropna=False)[along] if lines else [("", numbered[along])]
    ends = np.zeros(len(table), dtype=bool)
    for _, steps in groups:
        if steps.notna().any():
            ends[[steps.idxmin(), steps.idxmax()]] = True
    number = int(len(values) * MAX_ROWS / len(table))
    while number > 1:
        chosen = table[along].isin(values[_evenly(len(values), number)]).to_numpy() | ends
        if chosen.sum() <= MAX_ROWS:
            return table[chosen], f"{chosen.sum():,} of {len(table):,} points are drawn, evenly spaced"
        number = int(0.95 * number)
    return table, ""  # as many lines as points: the figure itself refuses


def thinning(along: str | None, *lines: str) -> Callable[[Callable[P, Figure]], Callable[P, Figure]]:
    """A figure whose table is thinned before it is drawn, with a note in its subtitle and description.

    Args:
        along: The column of the x axis, or the figure's parameter that names it; None for single points.
        *lines: The columns that tell lines apart, or the parameters that name them.
    """

    def decorate(figure: Callable[P, Figure]) -> Callable[P, Figure]:
        signature = inspect.signature(figure)
        first = next(iter(signature.parameters))

        @wraps(figure)
        def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            table = bound.arguments[first]

            def column(name: str) -> Any:
                return bound.arguments.get(name, name)

            x, keys = along and column(along), [column(name) for name in lines]
            known = isinstance(table, pd.DataFrame) and {*keys, x} - {None} <= set(table.columns)
            if not known or len(table) <= MAX_ROWS:
                return figure(*args, **kwargs)  # what is missing is said by the figure
            bound.arguments[first], note = thin(table, x, [key for key in keys if key is not None])
            return noted(figure(*bound.args, **bound.kwargs), note)

        return draw

    return decorate


def noted(chart: Figure, note: str) -> Figure:
    """The chart with a note behind its subtitle and its description."""
    if not note:
        return chart
    title = chart.title if isinstance(chart.title, alt.TitleParams) else alt.Title(chart.title or "")
    before = "" if title.subtitle is alt.Undefined or not title.subtitle else f"{title.subtitle}; "
    title = title.copy()
    title.subtitle = f"{before}{note}"
    return chart.properties(title=title, description=f"{chart.description} Of the table, {note}.")


def _evenly(count: int, kept: int) -> np.ndarray:
    """Places of so many items out of `count`, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(kept, count)).round().astype(int))
