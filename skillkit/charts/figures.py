"""Figures, drawn with Altair from tidy tables alone: nothing here imports torch or runs a model.

Every function takes a DataFrame with one row per mark, says in its docstring which columns it reads, and
returns a chart that carries axis titles with units, drawn intervals and a text `description` for readers
who cannot see it. Fractions and accuracies are 0 to 1 in the tables; axes show them as they are, shares of
neurons in per cent.

Colours are safe for colour-blind readers: viridis for magnitudes, blue to orange for signed values, the
palette of Okabe and Ito for categories, doubled by a shape wherever categories meet in one panel.
"""

import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from altair.utils.html import spec_to_html

Figure = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart

PAGE_WIDTH = 700  # px, the text column of a book page
MAX_ROWS = 5_000  # marks that a page can carry without becoming slow
HEATMAP_COLUMNS = 64  # cells per layer in a neuron heat map

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#6E6E6E"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)

# The same thing has the same colour on every page.
ROLE_COLOURS = {
    "tuned": BLUE,
    "random": GREY,
    "majority": BLACK,
    "none": SKY,
    "skill": VERMILLION,
    "matched": ORANGE,
    "least": GREEN,
    "clean": BLUE,
    "adversarial": VERMILLION,
    "clean originals": BLUE,
}


# -------------------------------------------------------------------------------------------------- set-up


@alt.theme.register("skillkit", enable=False)
def theme() -> alt.theme.ThemeConfig:
    """The look shared by all figures: legible sizes, light grid, white background."""
    return {
        "config": {
            "background": "white",
            "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
            "view": {"stroke": "#CCCCCC", "continuousWidth": 540, "continuousHeight": 260},
            "title": {"fontSize": 15, "subtitleFontSize": 12, "anchor": "start", "subtitleColor": "#444444"},
            "axis": {
                "labelFontSize": 12,
                "titleFontSize": 13,
                "titleFontWeight": "normal",
                "gridColor": "#E8E8E8",
                "labelLimit": 220,
                "titleLimit": 600,
            },
            "legend": {
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "labelLimit": 240,
            },
            "header": {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal"},
            "range": {"category": list(PALETTE)},
            "line": {"strokeWidth": 2},
            "point": {"size": 60, "filled": True},
        }
    }


def enable() -> None:
    """Switch on the theme and the renderer; call it once at the start of a notebook.

    Charts are then stored as a live HTML figure and as their text description. The HTML asks for Vega by
    version and loads nothing where a page already provides it, as the book does. For slides and papers:
    `png`, or *Save as SVG* in a figure's menu.
    """
    alt.theme.enable("skillkit")
    alt.renderers.register("skillkit", _render)
    alt.renderers.enable("skillkit")


def _render(spec: dict[str, Any], **_: Any) -> dict[str, Any]:
    from altair.vegalite import v6

    # A name made from the content keeps executed notebooks identical from run to run.
    name = "figure-" + hashlib.sha256(repr(spec).encode()).hexdigest()[:12]
    page = spec_to_html(
        spec,
        mode="vega-lite",
        vega_version=v6.VEGA_VERSION,
        vegaembed_version=v6.VEGAEMBED_VERSION,
        vegalite_version=v6.VEGALITE_VERSION,
        output_div=name,
        embed_options={"renderer": "svg", "actions": {"export": True, "source": False, "editor": False}},
        fullhtml=False,
        template="universal",
    )
    description = spec.get("description", "a figure")
    label = html.escape(description, quote=True)
    return {
        "text/html": f'<div role="figure" aria-label="{label}">{page}<noscript>{label}</noscript></div>',
        "text/plain": description,
    }


def png(chart: Figure | dict[str, Any], scale: float = 1.5) -> bytes:
    """A still picture of a chart (or of its Vega-Lite specification), `scale` pixels per page pixel."""
    import vl_convert

    return vl_convert.vegalite_to_png(chart if isinstance(chart, dict) else chart.to_dict(), scale=scale)


# -------------------------------------------------------------------------------------------------- pieces


def neuron_table(sites: Sequence[Any], **values: Any) -> pd.DataFrame:
    """One row per neuron from arrays [sites, width]: columns stack, layer, neuron, and one for each array by its name.

    `sites` have a `stack` and a `layer` each, as `Backbone.sites` do.
    """
    arrays = {name: np.asarray(array, dtype=float) for name, array in values.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or next(iter(shapes))[0] != len(sites):
        raise ValueError(
            f"neuron_table needs arrays [{len(sites)} sites, width], all alike; got {sorted(shapes)}."
        )
    width = next(iter(shapes))[1]
    places = {
        "stack": np.repeat([site.stack for site in sites], width),
        "layer": np.repeat([site.layer for site in sites], width),
        "neuron": np.tile(np.arange(width), len(sites)),
    }
    return pd.DataFrame(places | {name: array.ravel() for name, array in arrays.items()})


def _checked(table: pd.DataFrame, columns: Iterable[str], figure: str) -> pd.DataFrame:
    """A copy of `table`, once it is known to hold what `figure` needs."""
    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"{figure} needs a pandas DataFrame, got {type(table).__name__}.")
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"{figure} needs the column(s) {', '.join(missing)}; "
            f"the table has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise ValueError(f"{figure} got a table with no rows; check the filter that made it.")
    frame = table.reset_index(drop=True).copy()
    for (
        name
    ) in frame.columns:  # pandas' nullable numbers (as in result tables) become plain ones, missing as NaN
        if pd.api.types.is_numeric_dtype(frame[name]) and pd.api.types.is_extension_array_dtype(frame[name]):
            frame[name] = frame[name].astype(float)
    return frame


def _capped(table: pd.DataFrame, figure: str) -> pd.DataFrame:
    if len(table) > MAX_ROWS:
        raise ValueError(
            f"{figure} would draw {len(table):,} marks, more than the {MAX_ROWS:,} a page can carry; "
            "aggregate, bin or sample the table first."
        )
    return table


def _names(column: pd.Series) -> list[str]:
    """Distinct values in order of appearance."""
    return [str(name) for name in pd.unique(column.dropna())]


def _scale(names: Sequence[str]) -> alt.Scale:
    """One colour per name: the fixed one where the name has a role, else the next free one of the palette."""
    taken = {ROLE_COLOURS[name] for name in names if name in ROLE_COLOURS}
    free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
    colours, used = [], 0
    for name in names:
        if name in ROLE_COLOURS:
            colours.append(ROLE_COLOURS[name])
        else:
            colours.append(free[used % len(free)])
            used += 1
    return alt.Scale(domain=list(names), range=colours)


def _colour(field: str, names: Sequence[str], title: str | None = None, **options: Any) -> alt.Color:
    legend = (
        alt.Legend(title=title, orient="top", symbolSize=90, symbolOpacity=1, columns=4)
        if len(names) > 1
        else None
    )
    return alt.Color(f"{field}:N", scale=_scale(names), legend=legend, **options)


def _shape(field: str, names: Sequence[str], title: str | None = None) -> alt.Shape:
    legend = (
        alt.Legend(title=title, orient="top", symbolSize=90, symbolOpacity=1, columns=4)
        if len(names) > 1
        else None
    )
    shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
    return alt.Shape(
        f"{field}:N",
        scale=alt.Scale(domain=list(names), range=[shapes[i % len(shapes)] for i in range(len(names))]),
        legend=legend,
    )


def _say(rows: pd.DataFrame, label: str, most: int = 12) -> str:
    """Rows with value, low and high as words, for descriptions."""
    parts = []
    for row in rows.head(most).to_dict("records"):
        interval = f" ({row['low']:.2f} to {row['high']:.2f})" if pd.notna(row.get("low")) else ""
        parts.append(f"{row[label]} {row['value']:.2f}{interval}")
    more = f", and {len(rows) - most} more" if len(rows) > most else ""
    return "; ".join(parts) + more + "."


def _sites(table: pd.DataFrame) -> pd.DataFrame:
    """Add `site`, a label such as "encoder 3", and return it with the labels' order in `attrs["sites"]`."""
    order = table[["stack", "layer"]].drop_duplicates()
    order = order.assign(last=order["stack"].eq("decoder")).sort_values(["last", "stack", "layer"])
    table = table.assign(site=table["stack"].astype(str) + " " + table["layer"].astype(str))
    table.attrs["sites"] = (order["stack"].astype(str) + " " + order["layer"].astype(str)).tolist()
    return table


def _columns(panels: int) -> int:
    """How many panels to a row, so that the last row is full where that can be had."""
    if panels <= 4:
        return panels
    return next((columns for columns in (4, 3, 5) if panels % columns == 0), 4)


def _numbers(*names: str) -> list[alt.Tooltip]:
    """Tooltips of numeric columns, to three places."""
    return [alt.Tooltip(f"{name}:Q", format=".3f") for name in names]


def _rule(value: float, words: str, axis: str = "x") -> alt.LayerChart:
    """A dashed line at `value` with its name, for chance levels."""
    data = pd.DataFrame({axis: [value], "words": [words]})
    channel: dict[str, Any] = {axis: alt.X("x:Q") if axis == "x" else alt.Y("y:Q")}
    line = alt.Chart(data).mark_rule(strokeDash=[5, 4], color="#555555").encode(**channel)
    if axis == "x":
        words_mark = alt.Chart(data).mark_text(align="left", dx=4, dy=-6, color="#555555", fontSize=11)
        return line + words_mark.encode(**channel, y=alt.value(0), text="words:N")
    words_mark = alt.Chart(data).mark_text(align="right", dx=-4, dy=-6, color="#555555", fontSize=11)
    return line + words_mark.encode(**channel, x=alt.value("width"), text="words:N")


def _level(frame: pd.DataFrame, value: float, axis: str, panel: str | None = None) -> alt.Chart:
    """One dashed line at `value` in every panel of a figure made from `frame`."""
    rule = alt.Chart(frame).transform_aggregate(rows="count()", groupby=[panel] if panel else [])
    return rule.mark_rule(strokeDash=[5, 4], color="#555555").encode(**{axis: alt.datum(value)})


# ------------------------------------------------------------------------------------------------ accuracy


def accuracy_bars(
    table: pd.DataFrame,
    by: str = "prompt",
    *,
    title: str = "Accuracy",
    x_title: str = "accuracy (share of examples answered correctly)",
    chance: float | None = None,
    interval: str = "95 % Wilson interval",
) -> Figure:
    """One dot with its interval per row, grouped by a category.

    Columns: `by` (category), value, low, high, n; and `seed` where a category has several rows.
    `chance` draws a dashed line; `interval` names what the bars mean.
    """
    frame = _checked(table, [by, "value", "low", "high", "n"], "accuracy_bars")
    frame = _capped(frame, "accuracy_bars")
    names = _names(frame[by])
    frame["row"] = frame[by].astype(str)
    if "seed" in frame:
        frame["row"] += [f", seed {int(seed)}" if pd.notna(seed) else "" for seed in frame["seed"]]
    frame["words"] = [f"{row.value:.3f}, n = {row.n:,.0f}" for row in frame.itertuples()]
    rows = alt.Chart(frame).encode(
        y=alt.Y("row:N", sort=_names(frame["row"]), title=None, axis=alt.Axis(labelFontSize=13)),
        color=_colour(by, names).legend(None),
        tooltip=[
            "row:N",
            *_numbers("value", "low", "high"),
            alt.Tooltip("n:Q", title="examples", format=",d"),
        ],
    )
    domain = alt.Scale(domain=[0, 1])
    bars = rows.mark_rule(strokeWidth=3, opacity=0.55).encode(
        x=alt.X("low:Q", title=x_title, scale=domain), x2="high:Q"
    )
    dots = rows.mark_point(size=80, opacity=1).encode(x="value:Q")
    # The figure beside its interval, on whichever side has room.
    right = (
        rows.transform_filter("datum.high <= 0.75")
        .mark_text(align="left", dx=7, fontSize=11)
        .encode(x="high:Q", text="words:N", color=alt.value("#222222"))
    )
    left = (
        rows.transform_filter("datum.high > 0.75")
        .mark_text(align="right", dx=-7, fontSize=11)
        .encode(x="low:Q", text="words:N", color=alt.value("#222222"))
    )
    layers = [bars, dots, right, left]
    if chance is not None:
        layers.append(_rule(chance, f"chance {chance:.2f}"))
    return alt.layer(*layers).properties(
        width=500,
        height=max(30 * frame["row"].nunique(), 90),
        title=alt.Title(title, subtitle=f"bars: {interval}"),
        description=f"{title}, {interval} in brackets: " + _say(frame, "row"),
    )


def _seed_words(seed: Any) -> str:
    return "all" if pd.isna(seed) else f"{int(seed)}"


def learning_curves(history: pd.DataFrame, *, chance: float | None = None) -> Figure:
    """Training loss and validation accuracy while prompts are tuned, one line per seed.

    Columns: seed, step, loss (nan where only the accuracy was taken), accuracy (validation; nan between
    evaluations).
    """
    frame = _checked(history, ["seed", "step", "loss", "accuracy"], "learning_curves")
    frame["seed"] = frame["seed"].map(_seed_words)
    names = _names(frame["seed"])
    panels = []
    for column, words in (
        ("loss", "training loss (nats per example)"),
        ("accuracy", "validation accuracy (share correct)"),
    ):
        rows = _capped(frame.dropna(subset=[column])[["seed", "step", column]], "learning_curves")
        base = alt.Chart(rows).encode(
            x=alt.X("step:Q", title="optimiser step"),
            y=alt.Y(f"{column}:Q", title=words, scale=alt.Scale(zero=column == "loss")),
            color=_colour("seed", names, "prompt seed"),
            tooltip=["seed:N", "step:Q", alt.Tooltip(f"{column}:Q", format=".3f")],
        )
        marks: list[Any] = [
            base.mark_line(opacity=0.85),
            base.mark_point(size=28).encode(shape=_shape("seed", names, "prompt seed")),
        ]
        if column == "accuracy" and chance is not None:
            marks.append(_rule(chance, f"chance {chance:.2f}", "y"))
        panels.append(alt.layer(*marks).properties(width=265, height=220))
    best = frame.dropna(subset=["accuracy"]).groupby("seed", sort=False)["accuracy"].max()
    said = "; ".join(f"seed {seed} reaches {value:.2f}" for seed, value in best.items())
    return alt.hconcat(*panels).properties(
        title="Prompt tuning, step by step",
        description=f"Training loss and validation accuracy by step. Best validation accuracy: {said}.",
    )


def confusion(table: pd.DataFrame, *, title: str = "What is taken for what") -> Figure:
    """Share of each true label's examples that were given each answer.

    Columns: label, answer (words), count.
    """
    frame = _capped(_checked(table, ["label", "answer", "count"], "confusion"), "confusion")
    names = _names(frame["label"])
    total = frame.groupby("label")["count"].transform("sum")
    frame["share"] = frame["count"] / total.where(total > 0)
    frame["words"] = [
        f"{share:.0%} ({int(count)})" for share, count in zip(frame["share"], frame["count"], strict=True)
    ]
    base = alt.Chart(frame).encode(
        x=alt.X("answer:N", sort=names, title="answer given", axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("label:N", sort=names, title="true label"),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "share:Q",
            scale=alt.Scale(scheme="viridis", domain=[0, 1]),
            legend=alt.Legend(title="share of the true label", format=".0%", orient="right"),
        ),
        tooltip=["label:N", "answer:N", alt.Tooltip("share:Q", format=".1%"), "count:Q"],
    )
    words = base.mark_text(fontSize=13).encode(
        text="words:N", color=alt.condition("datum.share > 0.6", alt.value("black"), alt.value("white"))
    )
    right = frame[frame["label"].astype(str) == frame["answer"].astype(str)]
    said = "; ".join(f"{row.label} right in {row.share:.0%}" for row in right.itertuples())
    return (cells + words).properties(
        width=min(110 * len(names), 440),
        height=min(60 * len(names), 300),
        title=title,
        description=f"Confusion table, shares of each true label: {said}.",
    )


# ------------------------------------------------------------------------------------------------- neurons


def predictivity_heatmap(
    table: pd.DataFrame, *, top: int = 10, title: str = "Where the predictive neurons are"
) -> Figure:
    """The neurons of every FFN site as a heat map, linked to a table of the best ones.

    Columns: stack, layer, neuron, value (predictivity); one row per neuron. Neurons are binned into at most
    64 cells a site; a cell's colour is the highest predictivity in it. Click a row of the map to list that
    site's best neurons. Extra column, optional: `test`, the same neuron's predictivity on the test split.
    """
    frame = _sites(_checked(table, ["stack", "layer", "neuron", "value"], "predictivity_heatmap"))
    sites = frame.attrs["sites"]
    cells = _capped(_cells(frame), "predictivity_heatmap")
    bins = int(cells.groupby("site")["start"].size().max())
    pick = alt.selection_point(fields=["site"], name="site")
    height = max(20 * len(sites), 150)
    grid = (
        alt.Chart(cells)
        .mark_rect()
        .encode(
            x=alt.X(
                "start:Q",
                title=f"neuron index ({bins} bins; order has no meaning)",
                axis=alt.Axis(grid=False, tickCount=6),
                scale=alt.Scale(nice=False),
            ),
            x2="end:Q",
            y=alt.Y("site:N", sort=sites, title="FFN site (stack, layer)"),
            color=alt.Color(
                "highest:Q",
                scale=alt.Scale(scheme="viridis", domain=[0.5, max(1.0, float(cells["highest"].max()))]),
                legend=alt.Legend(title="highest predictivity in the bin", orient="top", gradientLength=220),
            ),
            opacity=alt.condition(pick, alt.value(1), alt.value(0.35)),
            tooltip=[
                alt.Tooltip("site:N"),
                alt.Tooltip("start:Q", title="first neuron"),
                alt.Tooltip("last:Q", title="last neuron"),
                alt.Tooltip("best:Q", title="best neuron"),
                alt.Tooltip("highest:Q", title="its predictivity", format=".3f"),
                alt.Tooltip("median:Q", title="median of the bin", format=".3f"),
            ],
        )
        .add_params(pick)
        .properties(width=300, height=height)
    )
    best = frame.sort_values("value", ascending=False).groupby("site", sort=False).head(top)
    listing = _listing(best, pick, top, height)
    leader = frame.loc[frame["value"].idxmax()]
    return (
        alt.hconcat(grid, listing)
        .resolve_scale(color="independent")
        .properties(
            title=alt.Title(
                title, subtitle="click a row to list the best neurons of that site, click beside it for all"
            ),
            description=(
                f"Heat map of the predictivity of {len(frame):,} neurons in {len(sites)} FFN sites, with a "
                f"table of the best {top}. The best is neuron {leader['neuron']} of {leader['site']} with "
                f"{leader['value']:.3f}; "
                f"the median over all neurons is {frame['value'].median():.3f}."
            ),
        )
    )


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    """At most 64 equal bins of neuron indices per site, with the best and the median predictivity of each."""
    parts = []
    for site, rows in frame.groupby("site", sort=False):
        width = int(rows["neuron"].max()) + 1
        bins = min(HEATMAP_COLUMNS, width)
        edges = np.linspace(0, width, bins + 1).round().astype(int)
        cell = np.searchsorted(edges, rows["neuron"].to_numpy(), side="right") - 1
        grouped = rows.groupby(cell)["value"]
        parts.append(
            pd.DataFrame(
                {
                    "site": site,
                    "start": edges[grouped.max().index],
                    "end": edges[grouped.max().index + 1],
                    "last": edges[grouped.max().index + 1] - 1,
                    "highest": grouped.max().to_numpy(),
                    "median": grouped.median().to_numpy(),
                    "best": rows.loc[grouped.idxmax().to_numpy(), "neuron"].to_numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).round(4)


def _listing(best: pd.DataFrame, pick: alt.Parameter, top: int, height: int) -> alt.HConcatChart:
    """A table drawn with text marks, which a selection on `site` filters."""
    columns = [("site", "site"), ("neuron", "neuron"), ("value", "predictivity")]
    if "test" in best.columns:
        columns.append(("test", "on test"))
    rows = (
        alt.Chart(best[[name for name, _ in columns]])
        .transform_filter(pick)
        .transform_window(rank="row_number()", sort=[alt.SortField("value", order="descending")])
        .transform_filter(f"datum.rank <= {top}")
        .encode(y=alt.Y("rank:O", axis=None))
    )
    parts = []
    for name, words in columns:
        numeric = name in ("value", "test")
        text = alt.Text(f"{name}:Q", format=".3f") if numeric else alt.Text(f"{name}:N")
        parts.append(
            rows.mark_text(fontSize=12)
            .encode(text=text)
            .properties(
                width=58 if name == "neuron" else 72,
                height=height,
                title=alt.Title(words, fontSize=12, fontWeight="normal", anchor="middle"),
            )
        )
    return alt.hconcat(*parts, spacing=0)


def predictivity_histogram(table: pd.DataFrame, *, title: str = "How predictivity is distributed") -> Figure:
    """Distribution of predictivity in each FFN site: middle half, middle 98 %, median and best neuron.

    Columns: stack, layer, value (predictivity), one row per neuron; optional `null`, the value that the
    best neuron of that site reaches under shuffled labels in 95 % of shuffles.
    """
    frame = _sites(_checked(table, ["stack", "layer", "value"], "predictivity_histogram"))
    sites = frame.attrs["sites"]
    rows = frame.groupby("site", sort=False)["value"].quantile([0.01, 0.25, 0.5, 0.75, 0.99, 1.0]).unstack()
    rows.columns = pd.Index(["q01", "q25", "median", "q75", "q99", "highest"])
    rows = rows.reset_index()
    if "null" in frame:
        rows = rows.merge(frame.groupby("site", sort=False)["null"].first().reset_index(), on="site")
    low = min(0.5, float(rows["q01"].min()))
    tooltips = [alt.Tooltip("site:N"), *(alt.Tooltip(f"{name}:Q", format=".3f") for name in rows.columns[1:])]
    base = alt.Chart(rows).encode(
        y=alt.Y("site:N", sort=sites, title="FFN site (stack, layer)"), tooltip=tooltips
    )
    scale = alt.Scale(domain=[low, 1.0])
    words = "predictivity (share of examples a neuron's threshold gets right)"
    thin = base.mark_rule(strokeWidth=2, color=BLUE).encode(
        x=alt.X("q01:Q", scale=scale, title=words), x2="q99:Q"
    )
    thick = base.mark_bar(height=9, color=BLUE, opacity=0.55).encode(x="q25:Q", x2="q75:Q")
    middle = base.mark_tick(thickness=2, height=14, color=BLACK).encode(x="median:Q")
    best = base.mark_point(shape="diamond", size=90, color=VERMILLION).encode(x="highest:Q")
    layers: list[Any] = [thin, thick, middle, best]
    legend = "bar: middle half; line: 1st to 99th percentile; tick: median; diamond: best neuron"
    if "null" in rows:
        layers.append(base.mark_tick(thickness=2, height=16, color=GREY).encode(x="null:Q"))
        legend += "; grey tick: best neuron under shuffled labels (95 %)"
    said = "; ".join(
        f"{row.site} median {row.median:.2f}, best {row.highest:.2f}" for row in rows.itertuples()
    )
    return alt.layer(*layers).properties(
        width=540,
        height=max(22 * len(sites), 120),
        title=alt.Title(title, subtitle=legend),
        description=f"Distribution of predictivity over neurons, site by site: {said}.",
    )


def activation_histogram(
    table: pd.DataFrame, *, baseline: float, title: str = "Activation of the best neuron", bins: int = 40
) -> Figure:
    """Histogram of one neuron's activation, split by the true label, with its baseline as a line.

    Columns: activation (one row per example), label (words). Shares are of each label's examples.
    """
    frame = _checked(table, ["activation", "label"], "activation_histogram")
    names = _names(frame["label"])
    values = frame["activation"].to_numpy(dtype=float)
    edges = np.histogram_bin_edges(np.append(values, baseline), bins=bins)
    parts, above = [], {}
    for name in names:
        own = values[(frame["label"].astype(str) == name).to_numpy()]
        above[name] = float((own > baseline).mean())
        share = np.histogram(own, bins=edges)[0] / len(own)
        parts.append(
            pd.DataFrame(
                {"label": name, "start": edges[:-1], "end": edges[1:], "share": share, "n": len(own)}
            )
        )
    shares = pd.concat(parts, ignore_index=True)
    bars = (
        alt.Chart(shares)
        .mark_bar(opacity=0.55, binSpacing=0)
        .encode(
            x=alt.X(
                "start:Q",
                bin="binned",
                title="activation (input of the FFN's down-projection)",
                axis=alt.Axis(tickCount=10),
            ),
            x2="end:Q",
            y=alt.Y(
                "share:Q", title="share of the label's examples", stack=None, axis=alt.Axis(format=".0%")
            ),
            color=_colour("label", names, "true label"),
            tooltip=[
                "label:N",
                alt.Tooltip("start:Q", format=".2f"),
                alt.Tooltip("end:Q", format=".2f"),
                alt.Tooltip("share:Q", format=".1%"),
                alt.Tooltip("n:Q", title="examples"),
            ],
        )
    )
    said = "; ".join(f"{name} above it in {share:.0%} of examples" for name, share in above.items())
    shortly = ", ".join(f"{share:.0%} of {name}" for name, share in list(above.items())[:4])
    return (bars + _rule(baseline, f"baseline {baseline:.2f}")).properties(
        width=560,
        height=240,
        title=alt.Title(title, subtitle=f"above the baseline (training mean): {shortly}"),
        description=f"{title}, by true label, with the baseline {baseline:.3f}: {said}.",
    )


def rank_scatter(
    table: pd.DataFrame, *, x_title: str, y_title: str, title: str = "Do two prompts find the same neurons?"
) -> Figure:
    """Two predictivities of the same neurons against each other, as a two-dimensional histogram per stack.

    Columns: x, y (one row per neuron). The diagonal marks agreement. Colour is the number of neurons, on a
    log scale.
    """
    frame = _checked(table, ["x", "y"], "rank_scatter").dropna(subset=["x", "y"])
    low = float(min(frame["x"].min(), frame["y"].min(), 0.5))
    edges = np.linspace(low, max(1.0, float(frame[["x", "y"]].max().max())), 51)
    counts, _, _ = np.histogram2d(frame["x"], frame["y"], bins=[edges, edges])
    i, j = np.nonzero(counts)
    cells = pd.DataFrame(
        {"x": edges[i], "x2": edges[i + 1], "y": edges[j], "y2": edges[j + 1], "neurons": counts[i, j]}
    )
    rho = float(frame["x"].corr(frame["y"], method="spearman"))
    scale = alt.Scale(domain=[edges[0], edges[-1]])
    axis = alt.Axis(tickCount=6)
    grid = (
        alt.Chart(_capped(cells, "rank_scatter"))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title=x_title, scale=scale, axis=axis),
            x2="x2:Q",
            y=alt.Y("y:Q", title=y_title, scale=scale, axis=axis),
            y2="y2:Q",
            color=alt.Color(
                "neurons:Q",
                scale=alt.Scale(type="log", scheme="viridis"),
                legend=alt.Legend(title="neurons (log scale)"),
            ),
            tooltip=[alt.Tooltip("x:Q", format=".2f"), alt.Tooltip("y:Q", format=".2f"), "neurons:Q"],
        )
    )
    ends = pd.DataFrame({"x": [edges[0], edges[-1]], "y": [edges[0], edges[-1]]})
    line = (
        alt.Chart(ends).mark_line(strokeDash=[5, 4], strokeWidth=1, color="#555555").encode(x="x:Q", y="y:Q")
    )
    return (grid + line).properties(
        width=360,
        height=340,
        title=alt.Title(
            title, subtitle=f"rank correlation over {len(frame):,} neurons: {rho:.2f}; dashed: equal"
        ),
        description=f"{title} {x_title} against {y_title}, {len(frame):,} neurons; correlation {rho:.3f}.",
    )


def overlap_curve(
    table: pd.DataFrame,
    *,
    title: str = "How much two selections share",
    x_title: str = "neurons selected (% of each site)",
) -> Figure:
    """Share of the selected neurons that two rankings have in common, with what chance gives.

    Columns: fraction (0 to 1), value (shared share), expected, chance_low, chance_high (range of the shared share
    under independent selections).
    """
    columns = ["fraction", "value", "expected", "chance_low", "chance_high"]
    frame = _capped(_checked(table, columns, "overlap_curve"), "overlap_curve")
    frame["percent"] = 100 * frame["fraction"]
    x = alt.X("percent:Q", title=x_title)
    y_title = "neurons in common (share of the selected)"
    y = alt.Y("value:Q", title=y_title, scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(frame)
    tooltips = [
        alt.Tooltip("percent:Q", title="selected, %"),
        *_numbers(*columns[1:]),
    ]
    band = base.mark_area(color=GREY, opacity=0.3).encode(
        x=x, y=alt.Y("chance_low:Q", title=y_title), y2="chance_high:Q"
    )
    chance = base.mark_line(color=GREY, strokeDash=[5, 4]).encode(x=x, y="expected:Q")
    line = base.mark_line(color=VERMILLION, point=alt.OverlayMarkDef(size=50, color=VERMILLION)).encode(
        x=x, y=y, tooltip=tooltips
    )
    said = "; ".join(
        f"at {row.percent:g} % {row.value:.2f}, chance {row.expected:.2f}" for row in frame.itertuples()
    )
    return (band + chance + line).properties(
        width=480,
        height=260,
        title=alt.Title(
            title, subtitle="grey: expectation and 95 % range if the two selections were independent"
        ),
        description=f"{title}, as a share of the selected neurons: {said}.",
    )


def factor_bars(table: pd.DataFrame, *, title: str = "Which factor does a skill neuron follow?") -> Figure:
    """Predictivity of single neurons for each generating factor, one panel per neuron.

    Columns: neuron (its name), factor, value, low, high, n.
    """
    frame = _capped(
        _checked(table, ["neuron", "factor", "value", "low", "high", "n"], "factor_bars"), "factor_bars"
    )
    factors = _names(frame["factor"])
    base = alt.Chart(frame).encode(
        y=alt.Y("factor:N", sort=factors, title=None),
        tooltip=[
            "neuron:N",
            "factor:N",
            *_numbers("value", "low", "high"),
            "n:Q",
        ],
    )
    low = min(0.5, float(frame["low"].min()))
    x = alt.X(
        "low:Q",
        scale=alt.Scale(domain=[low, 1]),
        title="predictivity for the factor",
        axis=alt.Axis(values=[0.5, 0.75, 1.0], format=".2f"),
    )
    bars = base.mark_rule(strokeWidth=3, color=BLUE, opacity=0.55).encode(x=x, x2="high:Q")
    dots = base.mark_point(size=70, color=BLUE).encode(x="value:Q")
    neurons = _names(frame["neuron"])
    said = frame.loc[frame.groupby("neuron", sort=False)["value"].idxmax()]
    best = "; ".join(f"{row.neuron} follows {row.factor} best ({row.value:.2f})" for row in said.itertuples())
    return (
        alt.layer(bars, dots, data=frame)
        .properties(width=145, height=max(24 * len(factors), 80))
        .facet(facet=alt.Facet("neuron:N", sort=neurons, title=None), columns=3)
        .properties(
            title=alt.Title(
                title, subtitle="bars: 95 % interval over examples; 0.5 is no relation for a balanced factor"
            ),
            description=f"{title} {best}.",
        )
    )


# -------------------------------------------------------------------------------------------- perturbation


def perturbation_curves(
    table: pd.DataFrame,
    *,
    panel: str | None = None,
    chance: float | None = None,
    title: str = "Accuracy when neurons are perturbed",
    interval: str = "95 % interval",
) -> Figure:
    """Accuracy against the share of perturbed neurons, one line with its band per selection of neurons.

    Columns: fraction (0 to 1), neurons (which selection: skill, random, …), value, low, high, n; and the
    column named by `panel`, if given, which splits the figure (mode of perturbation, stack…).
    """
    columns = ["fraction", "neurons", "value", "low", "high", "n", *([panel] if panel else [])]
    frame = _capped(_checked(table, columns, "perturbation_curves"), "perturbation_curves")
    frame["percent"] = 100 * frame["fraction"]
    names = _names(frame["neurons"])
    panels = _names(frame[panel]) if panel else [""]
    x = alt.X("percent:Q", title="neurons perturbed (%)", axis=alt.Axis(tickCount=5))
    words = "accuracy (share correct)"
    base = alt.Chart(frame).encode(x=x, color=_colour("neurons", names, "neurons perturbed"))
    floor = min(float(frame["low"].min()), chance if chance is not None else 1.0)
    scale = alt.Scale(domain=[max(0.0, floor - 0.05), 1.0])
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=words, scale=scale), y2="high:Q")
    line = base.mark_line().encode(y="value:Q")
    dots = base.mark_point(size=50).encode(
        y="value:Q",
        shape=_shape("neurons", names, "neurons perturbed"),
        tooltip=[
            "neurons:N",
            alt.Tooltip("percent:Q", title="perturbed, %", format=".1f"),
            *_numbers("value", "low", "high"),
            alt.Tooltip("n:Q", format=",d"),
        ],
    )
    layers: list[Any] = [band, line, dots]
    if chance is not None:
        layers.append(_level(frame, chance, "y", panel))
    subtitle = f"bands: {interval}" + (f"; dashed: chance {chance:.2f}" if chance is not None else "")
    said = _curve_words(frame, names, panels, panel)
    properties: dict[str, Any] = {
        "title": alt.Title(title, subtitle=subtitle),
        "description": f"{title}. At the largest share of neurons: {said}.",
    }
    in_row, width = _panel_grid(len(panels))
    chart = alt.layer(*layers, data=frame).properties(width=width, height=250)
    if panel is None:
        return chart.properties(**properties)
    return chart.facet(facet=alt.Facet(f"{panel}:N", sort=panels, title=None), columns=in_row).properties(
        **properties
    )


def _panel_grid(panels: int) -> tuple[int, int]:
    """Panels in a row and the width of each, so that rows fill the text column; four panels make two rows of two."""
    columns = 2 if panels == 4 else min(panels, 3)
    return columns, {1: 520, 2: 265}.get(columns, 175)


def _curve_words(frame: pd.DataFrame, names: list[str], panels: list[str], panel: str | None) -> str:
    parts = []
    for group in panels:
        rows = frame if panel is None else frame[frame[panel].astype(str) == group]
        last = rows[rows["percent"] == rows["percent"].max()]
        for name in names:
            own = last[last["neurons"].astype(str) == name]
            if len(own):
                parts.append(
                    f"{group} {name} {own['value'].mean():.2f} at {own['percent'].max():g} %".strip()
                )
    return "; ".join(parts)


# ---------------------------------------------------------------------------------------------- robustness


def clean_vs_adversarial(
    table: pd.DataFrame,
    *,
    by: str = "model",
    title: str = "Clean and adversarial accuracy",
    interval: str = "95 % interval",
) -> Figure:
    """A slope from clean to adversarial accuracy for every category, one panel per task.

    Columns: task, `by` (category), text ("clean" or "adversarial"), value, low, high, n; optional `chance`.
    """
    columns = ["task", by, "text", "value", "low", "high", "n"]
    frame = _capped(_checked(table, columns, "clean_vs_adversarial"), "clean_vs_adversarial")
    names, tasks = _names(frame[by]), _names(frame["task"])
    base = alt.Chart(frame).encode(
        x=alt.X("text:N", sort=["clean", "adversarial"], title="text", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset(f"{by}:N", sort=names),
        color=_colour(by, names, by),
        tooltip=[
            "task:N",
            f"{by}:N",
            "text:N",
            *_numbers("value", "low", "high"),
            alt.Tooltip("n:Q", format=",d"),
        ],
    )
    scale = alt.Scale(domain=[0, 1])
    rules = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        y=alt.Y("low:Q", scale=scale, title="accuracy (share correct)"), y2="high:Q"
    )
    lines = base.mark_line(opacity=0.7).encode(y="value:Q", detail=f"{by}:N")
    dots = base.mark_point(size=60).encode(y="value:Q", shape=_shape(by, names, by))
    layers: list[Any] = [rules, lines, dots]
    known = "chance" in frame and bool(frame["chance"].notna().any())
    if known:
        rule = alt.Chart(frame).mark_rule(strokeDash=[5, 4], color="#555555")
        layers.append(rule.encode(y="mean(chance):Q"))
    subtitle = f"bars: {interval}" + ("; dashed: chance" if known else "")
    frame["what"] = frame["task"].astype(str) + " " + frame[by].astype(str) + " " + frame["text"].astype(str)
    return (
        alt.layer(*layers, data=frame)
        .properties(width={5: 105, 3: 185, 2: 250, 1: 400}.get(_columns(len(tasks)), 135), height=200)
        .facet(facet=alt.Facet("task:N", sort=tasks, title=None), columns=_columns(len(tasks)))
        .properties(
            title=alt.Title(title, subtitle=subtitle), description=f"{title}: " + _say(frame, "what", 24)
        )
    )


def overlap_by_site(
    table: pd.DataFrame, *, title: str = "Are the same neurons predictive on clean and on adversarial text?"
) -> Figure:
    """Share of the top neurons on clean text that are top neurons elsewhere too, site by site.

    Columns: stack, layer, fraction (of each site's width), value, expected, chance_low, chance_high (range if
    independent); optional `text`, a name for where else (clean originals, adversarial text…).
    """
    columns = ["stack", "layer", "fraction", "value", "expected", "chance_low", "chance_high"]
    frame = _capped(_sites(_checked(table, columns, "overlap_by_site")), "overlap_by_site")
    sites = _sites(frame).attrs["sites"]
    frame["panel"] = [f"top {100 * fraction:g} % of each site" for fraction in frame["fraction"]]
    frame["text"] = frame["text"].astype(str) if "text" in frame else "adversarial"
    panels, texts = _names(frame["panel"]), _names(frame["text"])
    base = alt.Chart(frame).encode(
        y=alt.Y("site:N", sort=sites, title="FFN site (stack, layer)"),
        tooltip=["site:N", "panel:N", "text:N", *_numbers(*columns[3:])],
    )
    x = alt.X("chance_low:Q", scale=alt.Scale(domain=[0, 1]), title="neurons in common (share)")
    chance = base.mark_bar(height=12, color=GREY, opacity=0.3).encode(x=x, x2="chance_high:Q")
    expected = base.mark_tick(thickness=2, height=14, color=GREY).encode(x="expected:Q")
    dots = base.mark_point(size=70).encode(
        x="value:Q",
        color=_colour("text", texts, "compared with"),
        shape=_shape("text", texts, "compared with"),
    )
    frame["what"] = frame["site"] + " " + frame["panel"] + " " + frame["text"]
    inside = int(frame["value"].between(frame["chance_low"], frame["chance_high"]).sum())
    return (
        alt.layer(chance, expected, dots, data=frame)
        .properties(width={1: 480, 2: 250}.get(len(panels), 160), height=max(20 * len(sites), 110))
        .facet(facet=alt.Facet("panel:N", sort=panels, title=None), columns=3)
        .properties(
            title=alt.Title(
                title, subtitle="grey: expectation and 95 % range if the two selections were independent"
            ),
            description=f"{title} {inside} of {len(frame)} points lie in the range that chance gives. "
            + _say(frame.assign(low=np.nan), "what"),
        )
    )


# ------------------------------------------------------------------------------------------- whole studies


#: Panels side by side, so that a row fits into the book's text column.
_GRID_COLUMNS = 3


def comparison_grid(
    table: pd.DataFrame, *, title: str = "The whole study", interval: str = "95 % interval"
) -> Figure:
    """All models and tasks side by side: one panel per quantity, one row per task, one mark per model.

    Columns: task, model, quantity (panel title), value, low, high; optional `reference`, drawn as a dashed
    line.
    """
    frame = _capped(
        _checked(table, ["task", "model", "quantity", "value", "low", "high"], "comparison_grid"),
        "comparison_grid",
    )
    tasks, models, quantities = _names(frame["task"]), _names(frame["model"]), _names(frame["quantity"])
    panels = []
    for position, quantity in enumerate(quantities):
        rows = frame[frame["quantity"] == quantity]
        first = position % _GRID_COLUMNS == 0
        axis = alt.Axis(labels=first, ticks=first)
        base = alt.Chart(rows).encode(
            y=alt.Y("task:N", sort=tasks, scale=alt.Scale(domain=tasks), title=None, axis=axis),
            yOffset=alt.YOffset("model:N", sort=models),
            color=_colour("model", models, "model"),
            tooltip=[
                "task:N",
                "model:N",
                *_numbers("value", "low", "high"),
            ],
        )
        bars = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", title=quantity, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
            x2="high:Q",
        )
        dots = base.mark_point(size=50).encode(x="value:Q", shape=_shape("model", models, "model"))
        layers: list[Any] = [bars, dots]
        if "reference" in rows and rows["reference"].notna().any():
            level = float(rows["reference"].dropna().iloc[0])
            layers.append(_level(rows, level, "x"))
        panels.append(
            alt.layer(*layers).properties(width=150, height=max(15 * len(models) * len(tasks), 100))
        )
    spread = frame.groupby("quantity", sort=False)["value"].agg(["min", "max"])
    said = "; ".join(f"{name} from {row['min']:.2f} to {row['max']:.2f}" for name, row in spread.iterrows())
    return alt.concat(*panels, columns=_GRID_COLUMNS, spacing=14).properties(
        title=alt.Title(title, subtitle=f"bars: {interval}"),
        description=f"{title}, {len(tasks)} tasks by {len(models)} models: {said}.",
    )


def matrix_heatmap(
    table: pd.DataFrame,
    *,
    row_title: str,
    column_title: str,
    value_title: str,
    signed: bool = False,
    domain: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """A labelled matrix: rows and columns in order of appearance, the figure written into each cell.

    Columns: row, column, value; optional low, high (tooltips). `signed` colours blue to orange around zero,
    else viridis.
    """
    frame = _capped(_checked(table, ["row", "column", "value"], "matrix_heatmap"), "matrix_heatmap")
    rows, columns = _names(frame["row"]), _names(frame["column"])
    low, high = domain or (float(frame["value"].min()), float(frame["value"].max()))
    if signed:
        high = max(abs(low), abs(high))
        scale = alt.Scale(scheme="blueorange", domain=[-high, 0, high])
        dark = f"abs(datum.value) > {0.75 * high}"
        ink = alt.condition(dark, alt.value("white"), alt.value("black"))
    else:
        scale = alt.Scale(scheme="viridis", domain=[low, high])
        ink = alt.condition(
            f"datum.value > {low + 0.6 * (high - low)}", alt.value("black"), alt.value("white")
        )
    tooltips: list[Any] = ["row:N", "column:N", alt.Tooltip("value:Q", format=".3f")]
    tooltips += [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("low", "high") if name in frame]
    base = alt.Chart(frame).encode(
        x=alt.X("column:N", sort=columns, title=column_title, axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("row:N", sort=rows, title=row_title),
    )
    cells = base.mark_rect().encode(
        color=alt.Color("value:Q", scale=scale, title=value_title), tooltip=tooltips
    )
    size = min(46, 480 // max(len(columns), 1))
    layers = [cells]
    if size >= 26:
        layers.append(base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=".2f"), color=ink))
    said = f"values from {frame['value'].min():.2f} to {frame['value'].max():.2f}"
    return alt.layer(*layers).properties(
        width=size * len(columns),
        height=max(24, min(size, 34)) * len(rows),
        title=title,
        description=f"{title or value_title}: {len(rows)} rows ({row_title}) by {len(columns)} columns "
        f"({column_title}), {said}.",
    )
