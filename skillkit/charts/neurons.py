"""Figures of notebooks 05 to 07: quantities site by site, over tuning steps, and over shares of kept neurons."""

from typing import Any

import altair as alt
import pandas as pd

from skillkit.charts.figures import (
    Figure,
    _capped,
    _checked,
    _colour,
    _names,
    _numbers,
    _panel_grid,
    _shape,
    _sites,
)


def lines(
    table: pd.DataFrame,
    *,
    x: str,
    series: str,
    x_title: str,
    y_title: str,
    title: str,
    subtitle: str = "",
    panel: str | None = None,
    log: bool = False,
    zero: bool = False,
) -> Figure:
    """Lines with points over a numeric `x`, one per `series`, with a band where low and high are given.

    Columns: `x`, `series`, value, optional low and high; `panel` splits the figure. `log` makes the x axis
    logarithmic, `zero` lets the y axis start at 0.
    """
    frame = _capped(_checked(table, [x, series, "value", *([panel] if panel else [])], "lines"), "lines")
    names, panels = _names(frame[series]), _names(frame[panel]) if panel else [""]
    scale = alt.Scale(type="log" if log else "linear", nice=False, padding=8)
    whole = pd.api.types.is_integer_dtype(frame[x])  # there is no layer 1.5
    axis = alt.Axis(tickCount=6, tickMinStep=1) if whole else alt.Axis(tickCount=6)
    base = alt.Chart(frame).encode(
        x=alt.X(f"{x}:Q", title=x_title, scale=scale, axis=axis),
        color=_colour(series, names),
    )
    y = alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=zero))
    layers: list[Any] = []
    if {"low", "high"} <= set(frame) and frame["low"].notna().any():
        y_low = alt.Y("low:Q", title=y_title, scale=alt.Scale(zero=zero))
        layers.append(base.mark_area(opacity=0.15).encode(y=y_low, y2="high:Q"))
    tips = [f"{series}:N", alt.Tooltip(f"{x}:Q", title=x_title), *_numbers("value")]
    layers += [
        base.mark_line().encode(y=y),
        base.mark_point(size=50).encode(y=y, shape=_shape(series, names), tooltip=tips),
    ]
    properties: dict[str, Any] = {
        "title": alt.Title(title, subtitle=subtitle),
        "description": f"{title}. {_ends(frame, x, series, panel)}",
    }
    in_row, width = _panel_grid(len(panels))
    chart = alt.layer(*layers, data=frame).properties(width=width, height=240)
    if panel is None:
        return chart.properties(**properties)
    return chart.facet(facet=alt.Facet(f"{panel}:N", sort=panels, title=None), columns=in_row).properties(
        **properties
    )


def _ends(frame: pd.DataFrame, x: str, series: str, panel: str | None) -> str:
    """First and last value of every line, in words."""
    parts = []
    for name, rows in frame.groupby([panel, series] if panel else [series], sort=False):
        ordered = rows.sort_values(x)["value"]
        parts.append(f"{' '.join(map(str, name))} from {ordered.iloc[0]:.2f} to {ordered.iloc[-1]:.2f}")
    return "; ".join(parts) + "."


def site_profile(table: pd.DataFrame, *, series: str, y_title: str, title: str, subtitle: str = "") -> Figure:
    """A quantity layer by layer, one panel per stack, one line per series.

    Columns: stack, layer, `series`, value, optional low and high.
    """
    frame = _sites(_checked(table, ["stack", "layer", series, "value"], "site_profile"))
    several = frame["stack"].nunique() > 1
    return lines(
        frame,
        x="layer",
        series=series,
        x_title="layer",
        y_title=y_title,
        title=title,
        subtitle=subtitle,
        panel="stack" if several else None,
    )
