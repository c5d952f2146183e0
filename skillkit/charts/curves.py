"""Curves: training, shares of neurons perturbed or patched or kept, and quantities layer by layer."""

from typing import Any

import altair as alt
import pandas as pd

from skillkit.charts import parts
from skillkit.charts.parts import Panels
from skillkit.charts.theme import GREY, VERMILLION, Figure
from skillkit.charts.thinning import noted, thin, thinning
from skillkit.checks import check_arguments


@check_arguments
def learning_curves(history: pd.DataFrame, *, chance: float | None = None) -> Figure:
    """Training loss and validation accuracy while prompts are tuned, one line per seed.

    Args:
        history: Columns seed, step, loss (NaN where only the accuracy was taken), accuracy (validation; NaN
            between evaluations).
        chance: The accuracy of guessing, drawn as a dashed line.
    """
    frame = parts.checked(history, ["seed", "step", "loss", "accuracy"], "learning_curves")
    frame["seed"] = ["all" if pd.isna(seed) else f"{int(seed)}" for seed in frame["seed"]]
    names = parts.distinct(frame["seed"])
    panels, notes = [], []
    for column, words in (
        ("loss", "training loss (nats per example)"),
        ("accuracy", "validation accuracy (share correct)"),
    ):
        rows, note = thin(frame.dropna(subset=[column])[["seed", "step", column]], "step", ["seed"])
        rows = parts.limited(rows, "learning_curves")
        notes += [f"{column}: {note}"] if note else []
        base = alt.Chart(rows).encode(
            x=alt.X("step:Q", title="optimiser step"),
            y=alt.Y(f"{column}:Q", title=words, scale=alt.Scale(zero=column == "loss")),
            color=parts.colour("seed", names, "prompt seed"),
            tooltip=["seed:N", "step:Q", *parts.numbers(column)],
        )
        layers: list[Any] = [
            base.mark_line(opacity=0.85),
            base.mark_point(size=28).encode(shape=parts.shape("seed", names, "prompt seed")),
        ]
        if column == "accuracy" and chance is not None:
            layers.append(parts.named_level(chance, f"chance {chance:.2f}", "y"))
        panels.append(alt.layer(*layers).properties(width=265, height=220))
    best = frame.dropna(subset=["accuracy"]).groupby("seed", sort=False)["accuracy"].max()
    said = "; ".join(f"seed {seed} reaches {value:.2f}" for seed, value in best.items())
    figure = alt.hconcat(*panels).properties(
        title="Prompt tuning, step by step",
        description=f"Training loss and validation accuracy by step. Best validation accuracy: {said}.",
    )
    return noted(figure, "; ".join(notes))


@check_arguments
@thinning("x", "series")
def lines(
    table: pd.DataFrame,
    *,
    x: str,
    series: str,
    x_title: str,
    y_title: str,
    title: str,
    subtitle: str = "",
    log: bool = False,
) -> Figure:
    """Lines with points over a numeric column, with a band where low and high are given.

    Args:
        table: Columns `x`, `series`, value; optional low and high.
        x: The column of the x axis.
        series: The column that tells the lines apart.
        x_title: Of the x axis, with its unit.
        y_title: Of the y axis, with its unit.
        title: Of the figure.
        subtitle: Below the title.
        log: Whether the x axis is logarithmic.
    """
    frame = parts.marks_table(table, [x, series, "value"], "lines")
    layers = _line_layers(frame, x, series, x_title, y_title, log=log)
    return parts.in_panels(layers, frame, None, height=240).properties(
        title=alt.Title(title, subtitle=subtitle), description=f"{title}. {_ends(frame, x, [series])}"
    )


@check_arguments
@thinning("layer", "stack", "series")
def site_profile(table: pd.DataFrame, *, series: str, y_title: str, title: str, subtitle: str = "") -> Figure:
    """A quantity layer by layer, one panel per stack, one line per series.

    Args:
        table: Columns stack, layer, `series`, value; optional low and high.
        series: The column that tells the lines apart.
        y_title: Of the y axis, with its unit.
        title: Of the figure.
        subtitle: Below the title.
    """
    frame = parts.marks_table(table, ["stack", "layer", series, "value"], "site_profile")
    frame, _ = parts.with_sites(frame)
    stack = "stack" if frame["stack"].nunique() > 1 else None
    layers = _line_layers(frame, "layer", series, "layer", y_title, log=False)
    said = _ends(frame, "layer", [stack, series] if stack else [series])
    return parts.in_panels(layers, frame, stack, height=240).properties(
        title=alt.Title(title, subtitle=subtitle), description=f"{title}. {said}"
    )


def _line_layers(
    frame: pd.DataFrame, x: str, series: str, x_title: str, y_title: str, *, log: bool
) -> list[Any]:
    names = parts.distinct(frame[series])
    scale = alt.Scale(type="log" if log else "linear", nice=False, padding=8)
    whole = pd.api.types.is_integer_dtype(frame[x])  # there is no layer 1.5
    axis = alt.Axis(tickCount=6, tickMinStep=1) if whole else alt.Axis(tickCount=6)
    base = alt.Chart(frame).encode(
        x=alt.X(f"{x}:Q", title=x_title, scale=scale, axis=axis), color=parts.colour(series, names)
    )
    y = alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=False))
    tooltip = [f"{series}:N", alt.Tooltip(f"{x}:Q", title=x_title), *parts.numbers("value")]
    curve = parts.curve(base, y, parts.shape(series, names), tooltip)
    if not ({"low", "high"} <= set(frame) and frame["low"].notna().any()):
        return curve
    return [parts.band(base, alt.Y("low:Q", title=y_title, scale=alt.Scale(zero=False))), *curve]


def _ends(frame: pd.DataFrame, x: str, keys: list[str]) -> str:
    """First and last value of every line, in words."""
    said = []
    for name, rows in frame.groupby(keys, sort=False):
        ordered = rows.sort_values(x)["value"]
        said.append(f"{' '.join(map(str, name))} from {ordered.iloc[0]:.2f} to {ordered.iloc[-1]:.2f}")
    return "; ".join(said) + "."


@check_arguments
@thinning("fraction", "neurons", "panel")
def perturbation_curves(
    table: pd.DataFrame,
    *,
    panel: str | None = None,
    chance: float | None = None,
    title: str = "Accuracy when neurons are perturbed",
    interval: str = "95 % interval",
) -> Figure:
    """Accuracy against the share of perturbed neurons, one line with its band per selection of neurons.

    Args:
        table: Columns fraction (0 to 1), neurons (which selection: skill, random, …), value, low, high, n,
            and `panel`.
        panel: The column that splits the figure (mode of perturbation, stack…).
        chance: The accuracy of guessing, drawn as a dashed line.
        title: Of the figure.
        interval: What the bands mean.
    """
    columns = ["fraction", "neurons", "value", "low", "high", "n", *([panel] if panel else [])]
    frame = parts.marks_table(table, columns, "perturbation_curves")
    frame["percent"] = 100 * frame["fraction"]
    floor = min(float(frame["low"].min()), chance if chance is not None else 1.0)
    x = alt.X("percent:Q", title="neurons perturbed (%)", axis=alt.Axis(tickCount=5))
    y = alt.Y(
        "low:Q", title="accuracy (share correct)", scale=alt.Scale(domain=[max(0.0, floor - 0.05), 1.0])
    )
    tooltip = [
        "neurons:N",
        alt.Tooltip("percent:Q", title="perturbed, %", format=".1f"),
        *parts.numbers("value", "low", "high"),
        alt.Tooltip("n:Q", format=",d"),
    ]
    layers = _selection_layers(frame, x, y, "neurons perturbed", tooltip)
    subtitle = f"bands: {interval}"
    if chance is not None:
        layers.append(parts.level(frame, chance, "y", panel))
        subtitle += f"; dashed: chance {chance:.2f}"
    return parts.in_panels(layers, frame, panel, height=250).properties(
        title=alt.Title(title, subtitle=subtitle),
        description=f"{title}. At the largest share of neurons: {_at_the_end(frame, panel)}.",
    )


@check_arguments
@thinning("fraction", "neurons", "panel")
def share_curves(
    table: pd.DataFrame,
    *,
    panel: str = "direction",
    title: str = "How much of the attack's effect passes through some neurons",
    interval: str = "95 % bootstrap interval over originals",
) -> Figure:
    """Mediation share against the share of patched neurons, one line with its band per selection of neurons.

    Dashed lines mark nothing (0) and all of the lost margin (1).

    Args:
        table: Columns fraction (0 to 1), neurons (which selection), value, low, high, n, and `panel`.
        panel: The column that splits the figure.
        title: Of the figure.
        interval: What the bands mean.
    """
    columns = ["fraction", "neurons", "value", "low", "high", "n", panel]
    frame = parts.marks_table(table, columns, "share_curves")
    frame["percent"] = 100 * frame["fraction"]
    x = alt.X("percent:Q", title="neurons patched (% of each site)")
    y = alt.Y("low:Q", title="mediation share (1: all of the lost margin)")
    percent = alt.Tooltip("percent:Q", title="patched, %")
    tooltip = ["neurons:N", percent, *parts.numbers("value", "low", "high"), "n:Q"]
    layers = _selection_layers(frame, x, y, "neurons patched", tooltip)
    layers += [parts.level(frame, end, "y", panel) for end in (0.0, 1.0)]
    last = frame[frame["fraction"] == frame["fraction"].max()]
    said = "; ".join(f"{row[panel]} {row['neurons']} {row['value']:.2f}" for row in last.to_dict("records"))
    width = {1: 520, 2: 270}.get(len(parts.distinct(frame[panel])), 175)
    return parts.faceted(layers, frame, Panels(panel, across=3), width=width, height=260).properties(
        title=alt.Title(title, subtitle=f"bands: {interval}; dashed: nothing and all of it"),
        description=f"{title}. At {100 * frame['fraction'].max():g} % of the neurons: {said}.",
    )


def _selection_layers(frame: pd.DataFrame, x: alt.X, y: alt.Y, words: str, tooltip: list[Any]) -> list[Any]:
    """Band, line and points of each selection of neurons."""
    names = parts.distinct(frame["neurons"])
    base = alt.Chart(frame).encode(x=x, color=parts.colour("neurons", names, words))
    return [parts.band(base, y), *parts.curve(base, "value:Q", parts.shape("neurons", names, words), tooltip)]


def _at_the_end(frame: pd.DataFrame, panel: str | None) -> str:
    """The value of every line at the panel's largest share of neurons, in words."""
    said = []
    for group in parts.distinct(frame[panel]) if panel else [""]:
        rows = frame[frame[panel].astype(str) == group] if panel else frame
        last = rows[rows["percent"] == rows["percent"].max()]
        means = last.groupby("neurons", sort=False)["value"].mean()
        for name in parts.distinct(frame["neurons"]):
            if name in means:
                said.append(f"{group} {name} {means[name]:.2f} at {last['percent'].max():g} %".strip())
    return "; ".join(said)


@check_arguments
@thinning("fraction")
def overlap_curve(
    table: pd.DataFrame,
    *,
    title: str = "How much two selections share",
    x_title: str = "neurons selected (% of each site)",
) -> Figure:
    """Share of the selected neurons that two rankings have in common, and what chance gives.

    Args:
        table: Columns fraction (0 to 1), value (shared share), expected, chance_low, chance_high (range of
            the shared share under independent selections).
        title: Of the figure.
        x_title: Of the x axis.
    """
    columns = ["fraction", "value", "expected", "chance_low", "chance_high"]
    frame = parts.marks_table(table, columns, "overlap_curve")
    frame["percent"] = 100 * frame["fraction"]
    x = alt.X("percent:Q", title=x_title)
    y_title = "neurons in common (share of the selected)"
    base = alt.Chart(frame)
    area = base.mark_area(color=GREY, opacity=0.3).encode(
        x=x, y=alt.Y("chance_low:Q", title=y_title), y2="chance_high:Q"
    )
    chance = base.mark_line(color=GREY, strokeDash=parts.DASHES).encode(x=x, y="expected:Q")
    line = base.mark_line(color=VERMILLION, point=alt.OverlayMarkDef(size=50, color=VERMILLION)).encode(
        x=x,
        y=alt.Y("value:Q", title=y_title, scale=alt.Scale(domain=[0, 1])),
        tooltip=[alt.Tooltip("percent:Q", title="selected, %"), *parts.numbers(*columns[1:])],
    )
    said = "; ".join(
        f"at {row.percent:g} % {row.value:.2f}, chance {row.expected:.2f}" for row in frame.itertuples()
    )
    return (area + chance + line).properties(
        width=480,
        height=260,
        title=alt.Title(
            title, subtitle="grey: expectation and 95 % range if the two selections were independent"
        ),
        description=f"{title}, as a share of the selected neurons: {said}.",
    )
