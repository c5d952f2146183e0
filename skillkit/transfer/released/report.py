"""What the released prompts amount to: tables, claims with their verdicts, the audit's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skillkit.checks import check_arguments
from skillkit.stats.claims import claim, number
from skillkit.stats.measurement import Measurement
from skillkit.stats.type_effect import TypeEffect, type_effect
from skillkit.transfer.ranking import AGGREGATIONS, prediction_difference, relative_transfer
from skillkit.transfer.released.accuracy import dropped_examples
from skillkit.transfer.released.analysis import correlations, metric_matrices, norm_ordering, row_norms
from skillkit.transfer.released.releases import Array, Release
from skillkit.transfer.similarities import METRICS

WITHOUT_ROW_0 = "without row 0"


@dataclass(frozen=True)
class Report:
    """The analyses of some releases, each made once, when it is first asked for.

    Attributes:
        releases: by name.
        resamples: of the tasks, for all intervals.
    """

    releases: Mapping[str, Release]
    resamples: int = 1000

    @property
    def final(self) -> list[str]:
        """The releases of each model's final prompts, with all of their tasks."""
        return [name for name in self.releases if "2021" not in name and "classification" not in name]

    @property
    def early(self) -> list[str]:
        """The releases for which ON was published; the last of them has the tasks alone that trained."""
        return [name for name, each in self.releases.items() if each.overlap is not None]

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """How well each similarity predicts the published transfer: `correlations` of all releases."""
        parts = [correlations(each, resamples=self.resamples) for each in self.releases.values()]
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def type_effects(self) -> dict[str, TypeEffect]:
        """Relative transfer inside and across task types, by release."""
        return {
            name: type_effect(relative_transfer(each.transfer), each.types)
            for name, each in self.releases.items()
        }

    @cached_property
    def row_norms(self) -> pd.DataFrame:
        """Length of row 0 beside the other rows: `row_norms` of all releases."""
        return pd.concat([row_norms(each) for each in self.releases.values()], ignore_index=True)

    @cached_property
    def orderings(self) -> dict[str, float]:
        """`norm_ordering` by release."""
        return {name: norm_ordering(each) for name, each in self.releases.items()}

    @cached_property
    def dropped(self) -> pd.DataFrame:
        """`dropped_examples` of the final releases."""
        return pd.concat([dropped_examples(self.releases[name]) for name in self.final], ignore_index=True)

    def predicts(self, release: str, metric: str, rows: str = "all") -> Measurement:
        """How well a metric predicts a release's transfer per target."""
        table = self.correlations
        wanted = (table["release"] == release) & (table["metric"] == metric)
        wanted &= table["aggregation"] == "tgt_off"
        wanted &= (table["rows"] == rows) | table["metric"].isin(["ON", "same-type"])
        return Measurement.of_row(table[wanted].iloc[0].to_dict())

    def best_metric(self, release: str, rows: str = "all") -> str:
        """The embedding metric that predicts a release's transfer best per target."""
        return max(METRICS, key=lambda metric: self.predicts(release, metric, rows).value)

    def lead(self, release: str, one: str, other: str, rows: str = "all") -> Measurement:
        """How much better one metric predicts transfer per target than another, in the same resamples."""
        each = self.releases[release]
        metrics = metric_matrices(each, skip_rows=int(rows == WITHOUT_ROW_0))
        found = prediction_difference(metrics[one], metrics[other], each.transfer, resamples=self.resamples)
        return found["tgt_off"]

    @cached_property
    def changes_without_row_0(self) -> pd.DataFrame:
        """Change of each correlation (times 100) without row 0: release, metric, aggregation, change."""
        key = ["release", "metric", "aggregation"]
        wide = self.correlations.pivot_table(index=key, columns="rows", values="value", sort=False)
        wide = wide.reset_index().dropna()
        return wide.assign(change=100 * (wide[WITHOUT_ROW_0] - wide["all"]))


@check_arguments
def release_listing(releases: Mapping[str, Release]) -> pd.DataFrame:
    """What a folder holds: release, tasks, rows, width, published ON."""
    return pd.DataFrame(
        {
            "release": list(releases),
            "tasks": [len(each.tasks) for each in releases.values()],
            "rows": [each.prompts.shape[1] for each in releases.values()],
            "width": [each.prompts.shape[2] for each in releases.values()],
            "published ON": ["yes" if each.overlap is not None else "no" for each in releases.values()],
        }
    )


@check_arguments
def transfer_grid(release: Release) -> pd.DataFrame:
    """The published relative transfer for a heat map: row (source), column (target), value."""
    tasks = list(release.tasks)
    grid = pd.DataFrame(relative_transfer(release.transfer), index=tasks, columns=tasks)
    return grid.rename_axis("row").reset_index().melt("row", var_name="column")


@check_arguments
def effects_table(effects: Mapping[str, TypeEffect]) -> pd.DataFrame:
    """Transfer inside and across types, one row per release."""
    rows = [
        {
            "release": name,
            "tasks": each.tasks,
            "inside types": each.inside,
            "across types": each.across,
            "difference": each.difference,
            "low": each.low,
            "high": each.high,
            "permutation p": each.p,
        }
        for name, each in effects.items()
    ]
    return pd.DataFrame(rows)


@check_arguments
def correlations_table(report: Report) -> pd.DataFrame:
    """All correlations, times 100, with all prompt rows: a row per release and metric."""
    rows = report.correlations[report.correlations["rows"] == "all"]
    key = ["release", "metric"]
    wide = rows.assign(hundredths=100 * rows["value"]).pivot(
        index=key, columns="aggregation", values="hundredths"
    )
    order = rows.drop_duplicates(key).set_index(key).index
    return wide.loc[order, list(AGGREGATIONS)].reset_index()


@check_arguments
def dead_row_table(report: Report) -> pd.DataFrame:
    """By release: length of row 0 relative to the other rows, and what leaving it out changes per target."""
    ratio = report.row_norms.groupby("release", sort=False)["ratio"]
    lengths = ratio.agg(["median", "min", "max", "size"]).reset_index()
    changes = report.changes_without_row_0
    changes = changes[changes["aggregation"] == "tgt_off"]
    by_metric = changes.pivot(index="release", columns="metric", values="change").reset_index()
    names = {"median": "row 0 / other rows, median", "size": "tasks"}
    return lengths.merge(by_metric).rename(columns=names)


@check_arguments
def overlap_lead(report: Report) -> str:
    """In Markdown: how far ON leads each rival per target, on the tasks that trained."""
    if not report.early:
        return "Per target, on the tasks that trained, ON reaches **not published here**."
    trained, lines = report.early[-1], []
    for rows, words in (("all", "all rows"), (WITHOUT_ROW_0, WITHOUT_ROW_0)):
        best = report.best_metric(trained, rows)
        reached = 100 * report.predicts(trained, best, rows).value
        lead = number(vars(report.lead(trained, "ON", best, rows)), signed=True)
        lines.append(f"- against the best embedding measure, **{best}** ({words}, {reached:.1f}): {lead}")
    kinds = 100 * report.predicts(trained, "same-type").value
    lead = number(vars(report.lead(trained, "ON", "same-type")), signed=True)
    lines.append(f"- against **same-type** ({kinds:.1f}): {lead}")
    on = 100 * report.predicts(trained, "ON").value
    head = f"Per target, on the tasks that trained, ON reaches **{on:.1f}** (times 100). "
    return head + "Its lead, in the same resamples of the tasks:\n\n" + "\n".join(lines)


@check_arguments
def release_claims(report: Report) -> list[dict[str, Any]]:
    """What Su et al. claim of their prompts, with the verdicts of what they released."""
    claims = [
        claim(
            f"{name}: prompts transfer better inside a task type",
            report.type_effects[name].measurement(),
            source="Su et al.",
        )
        for name in report.final
    ]
    if report.early:
        trained = report.early[-1]
        best, bare = report.best_metric(trained), report.best_metric(trained, WITHOUT_ROW_0)
        compared = (
            ("ON predicts transfer (per target)", report.predicts(trained, "ON"), "Su et al."),
            (
                f"ON predicts it better than the best embedding measure, {best}",
                report.lead(trained, "ON", best),
                "Su et al.",
            ),
            (
                f"... also once the dead row is left out, {bare}",
                report.lead(trained, "ON", bare, WITHOUT_ROW_0),
                "this study",
            ),
            (
                "ON predicts it better than knowing the task types",
                report.lead(trained, "ON", "same-type"),
                "this study",
            ),
        )
        claims += [claim(text, measured, source=source) for text, measured, source in compared]
    return claims


@check_arguments
def audit_items(report: Report, growth: pd.DataFrame | None = None) -> list[tuple[str, str]]:
    """What deviations of the released code change, measured on its files: the audit's item, and a sentence.

    Args:
        report: on the releases.
        growth: from `training_norms`, if the folder holds these prompts.
    """
    changes = report.changes_without_row_0
    per_target = changes[(changes["metric"] == "C_concat") & (changes["aggregation"] == "tgt_off")]
    change = per_target.set_index("release")["change"]
    largest = change.abs().idxmax()
    orderings = [report.orderings[name] for name in report.final]
    dropped = report.dropped
    items = [
        (
            "S3",
            f"per-target correlation of C_concat (times 100): {change[largest]:+.1f} for {largest}, "
            f"{_span(change.drop(largest), '+.1f')} elsewhere",
        ),
        ("S4", f"correlation of E_concat with the source's size, per target: {_span(orderings, '.3f')}"),
        (
            "S5",
            f"{_span(dropped['share_dropped'], '.1%')} of the examples were not counted; "
            f"{int(dropped['multiples'].sum())} of {int(dropped['results'].sum())} published accuracies "
            "fit that",
        ),
    ]
    if report.early:
        items.append(("S1", _overlap_range(report.releases[report.early[0]])))
    if growth is not None:
        ranks = [
            group["steps"].corr(group["norm"], method="spearman") for _, group in growth.groupby("model")
        ]
        text = "correlation of a prompt's row length with its training steps"
        items.append(("S4", f"{text}: {_span(ranks, '.3f')} (n = {len(growth)})"))
    return sorted(items)


@check_arguments
def report_rows(report: Report) -> pd.DataFrame:
    """Metrics spearman, type_effect, row0_to_other_rows and norm_ordering, for a result table."""
    names = {"metric": "similarity", "rows": "prompt_rows"}
    effects = [
        each.measurement().row("type_effect", release=name, p_value=each.p)
        for name, each in report.type_effects.items()
    ]
    norms = report.row_norms.rename(columns={"ratio": "value"}).assign(metric="row0_to_other_rows")
    orderings = [
        {"metric": "norm_ordering", "release": name, "value": each} for name, each in report.orderings.items()
    ]
    parts = [
        report.correlations.rename(columns=names).assign(metric="spearman"),
        pd.DataFrame(effects),
        norms[["release", "task", "metric", "value"]],
        pd.DataFrame(orderings),
    ]
    return pd.concat(parts, ignore_index=True)


@check_arguments
def audit_rows(audit: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The audit's items for a result table: metric audit, item, text, value (the item's place)."""
    return [
        {"metric": "audit", "item": key, "text": text, "value": float(place)}
        for place, (key, text) in enumerate(audit)
    ]


def _overlap_range(release: Release) -> str:
    """The published ON between different tasks, and its means inside and across types."""
    assert release.overlap is not None
    different = ~np.eye(len(release.tasks), dtype=bool)
    off, same = release.overlap[different], np.equal.outer(release.types, release.types)[different]
    means = f"mean {off[same].mean():.2f} inside a type, {off[~same].mean():.2f} across"
    return f"ON between different tasks is {off.min():.2f} to {off.max():.2f}; {means}"


def _span(values: Sequence[float] | pd.Series | Array, form: str) -> str:
    """The smallest and the largest value, or one of them where both are printed alike."""
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"
