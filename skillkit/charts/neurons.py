"""Figures of single neurons: where the predictive ones are, how many there are, and what one of them does."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from skillkit.charts import parts
from skillkit.charts.theme import BLACK, BLUE, GREY, VERMILLION, Figure
from skillkit.checks import Finite, Size, check_arguments
from skillkit.errors import SkillkitError

HEATMAP_COLUMNS = 64  # cells of a site in `predictivity_heatmap`


@check_arguments
def neuron_table(sites: Sequence[Any], **values: Any) -> pd.DataFrame:
    """One row per neuron: columns stack, layer, neuron, and one for each array by its name.

    Args:
        sites: Things with a `stack` and a `layer`, as `Backbone.sites` has them.
        **values: Arrays [sites, width], all of one shape.

    Raises:
        SkillkitError: The arrays differ in shape, or have no row for each site.
    """
    arrays = {name: np.asarray(array, dtype=float) for name, array in values.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or next(iter(shapes))[0] != len(sites):
        raise SkillkitError(
            f"neuron_table needs arrays [{len(sites)} sites, width], all alike; got {sorted(shapes)}."
        )
    width = next(iter(shapes))[1]
    places = {
        "stack": np.repeat([site.stack for site in sites], width),
        "layer": np.repeat([site.layer for site in sites], width),
        "neuron": np.tile(np.arange(width), len(sites)),
    }
    return pd.DataFrame(places | {name: array.ravel() for name, array in arrays.items()})


# ------------------------------------------------------------------------------------------------- heat map


@check_arguments
def predictivity_heatmap(
    table: pd.DataFrame, *, top: Size = 10, title: str = "Where the predictive neurons are"
) -> Figure:
    """The neurons of every FFN site as a heat map, linked to a table of the best ones.

    Neurons are binned into at most 64 cells a site; a cell's colour is the highest predictivity in it. A
    click on a row of the map lists that site's best neurons.

    Args:
        table: Columns stack, layer, neuron, value (predictivity), one row per neuron; optional test, the same
            neuron's predictivity on the test split.
        top: Rows of the table.
        title: Of the figure.
    """
    frame = parts.checked(table, ["stack", "layer", "neuron", "value"], "predictivity_heatmap")
    frame = frame.dropna(subset="value")
    if frame.empty:
        raise SkillkitError("predictivity_heatmap got no finite value; score the neurons again.")
    frame, sites = parts.with_sites(frame)
    cells = parts.limited(heatmap_cells(frame), "predictivity_heatmap")
    pick = alt.selection_point(fields=["site"], name="site")
    height = max(20 * len(sites), 150)
    grid = _heatmap(cells, sites, pick).properties(width=300, height=height)
    ordered = frame.sort_values("value", ascending=False, kind="stable")  # ties: the lower index first
    best = ordered.groupby("site", sort=False).head(top)
    leader = frame.loc[frame["value"].idxmax()]
    both = alt.hconcat(grid, _listing(best, pick, top, height)).resolve_scale(color="independent")
    return both.properties(
        title=alt.Title(
            title, subtitle="click a row to list the best neurons of that site, click beside it for all"
        ),
        description=(
            f"Heat map of the predictivity of {len(frame):,} neurons in {len(sites)} FFN sites, with a "
            f"table of the best {top}. The best is neuron {leader['neuron']} of {leader['site']} with "
            f"{leader['value']:.3f}; the median over all neurons is {frame['value'].median():.3f}."
        ),
    )


@check_arguments
def heatmap_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """At most 64 equal bins of neuron indices per site, with the best and the median predictivity of each.

    Args:
        frame: Columns site, neuron, value.

    Returns:
        Columns site, start and end (neuron indices, the end excluded), last, highest, median, best (its
        neuron).
    """
    bins = []
    for site, rows in frame.groupby("site", sort=False):
        width = int(rows["neuron"].max()) + 1
        edges = np.linspace(0, width, min(HEATMAP_COLUMNS, width) + 1).round().astype(int)
        cell = np.searchsorted(edges, rows["neuron"].to_numpy(), side="right") - 1
        grouped = rows.groupby(cell)["value"]
        highest = grouped.max()
        columns = {
            "site": site,
            "start": edges[highest.index],
            "end": edges[highest.index + 1],
            "last": edges[highest.index + 1] - 1,
            "highest": highest.to_numpy(),
            "median": grouped.median().to_numpy(),
            "best": rows.loc[grouped.idxmax().to_numpy(), "neuron"].to_numpy(),
        }
        bins.append(pd.DataFrame(columns))
    return pd.concat(bins, ignore_index=True).round(4)


def _heatmap(cells: pd.DataFrame, sites: list[str], pick: alt.Parameter) -> alt.Chart:
    number = int(cells.groupby("site")["start"].size().max())
    x = alt.X(
        "start:Q",
        title=f"neuron index ({number} bins; order has no meaning)",
        axis=alt.Axis(grid=False, tickCount=6),
        scale=alt.Scale(nice=False),
    )
    colour = alt.Color(
        "highest:Q",
        scale=alt.Scale(scheme="viridis", domain=[0.5, max(1.0, float(cells["highest"].max()))]),
        legend=alt.Legend(title="highest predictivity in the bin", orient="top", gradientLength=220),
    )
    tooltip = [
        alt.Tooltip("site:N"),
        alt.Tooltip("start:Q", title="first neuron"),
        alt.Tooltip("last:Q", title="last neuron"),
        alt.Tooltip("best:Q", title="best neuron"),
        alt.Tooltip("highest:Q", title="its predictivity", format=".3f"),
        alt.Tooltip("median:Q", title="median of the bin", format=".3f"),
    ]
    marks = alt.Chart(cells).mark_rect()
    return marks.encode(
        x=x,
        x2="end:Q",
        y=alt.Y("site:N", sort=sites, title=parts.SITE_AXIS),
        color=colour,
        opacity=alt.condition(pick, alt.value(1), alt.value(0.35)),
        tooltip=tooltip,
    ).add_params(pick)


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
    shown = []
    for name, words in columns:
        numeric = name in ("value", "test")
        text = alt.Text(f"{name}:Q", format=".3f") if numeric else alt.Text(f"{name}:N")
        title = alt.Title(words, fontSize=12, fontWeight="normal", anchor="middle")
        column = rows.mark_text(fontSize=12).encode(text=text)
        shown.append(column.properties(width=58 if name == "neuron" else 72, height=height, title=title))
    return alt.hconcat(*shown, spacing=0)


# --------------------------------------------------------------------------------------------- distributions


@check_arguments
def predictivity_histogram(table: pd.DataFrame, *, title: str = "How predictivity is distributed") -> Figure:
    """Distribution of predictivity in each FFN site: middle half, middle 98 %, median and best neuron.

    Args:
        table: Columns stack, layer, value (predictivity), one row per neuron; optional null, the value that
            the best neuron of that site reaches under shuffled labels in 95 % of shuffles.
        title: Of the figure.
    """
    frame = parts.checked(table, ["stack", "layer", "value"], "predictivity_histogram")
    frame, sites = parts.with_sites(frame)
    rows = _site_quantiles(frame)
    base = alt.Chart(rows).encode(
        y=alt.Y("site:N", sort=sites, title=parts.SITE_AXIS),
        tooltip=[alt.Tooltip("site:N"), *parts.numbers(*rows.columns[1:])],
    )
    x = alt.X(
        "q01:Q",
        scale=alt.Scale(domain=[min(0.5, float(rows["q01"].min())), 1.0]),
        title="predictivity (share of examples a neuron's threshold gets right)",
    )
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2, color=BLUE).encode(x=x, x2="q99:Q"),
        base.mark_bar(height=9, color=BLUE, opacity=0.55).encode(x="q25:Q", x2="q75:Q"),
        base.mark_tick(thickness=2, height=14, color=BLACK).encode(x="median:Q"),
        base.mark_point(shape="diamond", size=90, color=VERMILLION).encode(x="highest:Q"),
    ]
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


def _site_quantiles(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per site with the quantiles of its values, and its column `null` where there is one."""
    sites = frame.groupby("site", sort=False)
    rows = sites["value"].quantile([0.01, 0.25, 0.5, 0.75, 0.99, 1.0]).unstack()
    rows.columns = pd.Index(["q01", "q25", "median", "q75", "q99", "highest"])
    rows = rows.reset_index()
    return rows.merge(sites["null"].first().reset_index(), on="site") if "null" in frame else rows


@check_arguments
def activation_histogram(
    table: pd.DataFrame, *, baseline: Finite, title: str = "Activation of the best neuron", bins: Size = 40
) -> Figure:
    """Histogram of one neuron's activation, split by the true label, with its baseline as a line.

    Args:
        table: Columns activation, label (words), one row per example.
        baseline: The neuron's mean activation on the training split.
        title: Of the figure.
        bins: Bars over the whole range. Their heights are shares of each label's examples.

    Raises:
        SkillkitError: No activation is finite. Single ones that are not are left out.
    """
    frame = parts.checked(table, ["activation", "label"], "activation_histogram")
    known = frame["activation"].notna()
    if not known.any():
        raise SkillkitError("activation_histogram got no finite activation; check the model and the prompt.")
    frame = frame[known].reset_index(drop=True)
    shares = _label_shares(frame, baseline, bins)
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
            color=parts.colour("label", parts.distinct(frame["label"]), "true label"),
            tooltip=[
                "label:N",
                alt.Tooltip("start:Q", format=".2f"),
                alt.Tooltip("end:Q", format=".2f"),
                alt.Tooltip("share:Q", format=".1%"),
                alt.Tooltip("n:Q", title="examples"),
            ],
        )
    )
    above = (frame["activation"] > baseline).groupby(frame["label"].astype(str), sort=False).mean()
    said = "; ".join(f"{name} above it in {share:.0%} of examples" for name, share in above.items())
    shortly = ", ".join(f"{share:.0%} of {name}" for name, share in above.head(4).items())
    return (bars + parts.named_level(baseline, f"baseline {baseline:.2f}")).properties(
        width=560,
        height=240,
        title=alt.Title(title, subtitle=f"above the baseline (training mean): {shortly}"),
        description=f"{title}, by true label, with the baseline {baseline:.3f}: {said}.",
    )


def _label_shares(frame: pd.DataFrame, baseline: float, bins: int) -> pd.DataFrame:
    """The share of each label's examples in each bin: columns label, start, end, share, n."""
    values = frame["activation"].to_numpy(dtype=float)
    edges = np.histogram_bin_edges(np.append(values, baseline), bins=bins)
    rows = []
    for name in parts.distinct(frame["label"]):
        own = values[(frame["label"].astype(str) == name).to_numpy()]
        share = np.histogram(own, bins=edges)[0] / len(own)
        columns = {"label": name, "start": edges[:-1], "end": edges[1:], "share": share, "n": len(own)}
        rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


@check_arguments
def rank_scatter(
    table: pd.DataFrame, *, x_title: str, y_title: str, title: str = "Do two prompts find the same neurons?"
) -> Figure:
    """Two predictivities of the same neurons against each other, as a two-dimensional histogram.

    The dashed diagonal marks agreement; colour is the number of neurons, on a log scale.

    Args:
        table: Columns x, y, one row per neuron.
        x_title: What x is.
        y_title: What y is.
        title: Of the figure.
    """
    frame = parts.checked(table, ["x", "y"], "rank_scatter").dropna(subset=["x", "y"])
    low = float(min(frame["x"].min(), frame["y"].min(), 0.5))
    edges = np.linspace(low, max(1.0, float(frame[["x", "y"]].max().max())), 51)
    counts, _, _ = np.histogram2d(frame["x"], frame["y"], bins=[edges, edges])
    i, j = np.nonzero(counts)
    cells = pd.DataFrame(
        {"x": edges[i], "x2": edges[i + 1], "y": edges[j], "y2": edges[j + 1], "neurons": counts[i, j]}
    )
    scale, axis = alt.Scale(domain=[edges[0], edges[-1]]), alt.Axis(tickCount=6)
    colour = alt.Color(
        "neurons:Q",
        scale=alt.Scale(type="log", scheme="viridis"),
        legend=alt.Legend(title="neurons (log scale)"),
    )
    marks = alt.Chart(parts.limited(cells, "rank_scatter")).mark_rect()
    grid = marks.encode(
        x=alt.X("x:Q", title=x_title, scale=scale, axis=axis),
        x2="x2:Q",
        y=alt.Y("y:Q", title=y_title, scale=scale, axis=axis),
        y2="y2:Q",
        color=colour,
        tooltip=[alt.Tooltip("x:Q", format=".2f"), alt.Tooltip("y:Q", format=".2f"), "neurons:Q"],
    )
    rho = float(frame["x"].corr(frame["y"], method="spearman"))
    return (grid + parts.diagonal(edges[0], edges[-1])).properties(
        width=360,
        height=340,
        title=alt.Title(
            title, subtitle=f"rank correlation over {len(frame):,} neurons: {rho:.2f}; dashed: equal"
        ),
        description=f"{title} {x_title} against {y_title}, {len(frame):,} neurons; correlation {rho:.3f}.",
    )
