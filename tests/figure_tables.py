"""Small tables of every kind that a figure is drawn from, and how each figure is called in tests."""

from typing import Any

import numpy as np
import pandas as pd

from skillkit import charts


def spread(values: Any, n: int = 400) -> dict[str, Any]:
    """The columns value, low, high and n for some accuracies."""
    values = np.asarray(values, dtype=float)
    return {"value": values, "low": values - 0.03, "high": np.minimum(values + 0.03, 1), "n": n}


def accuracies() -> pd.DataFrame:
    names = ["majority", "none", "random", "random", "tuned", "tuned"]
    seeds = [np.nan, np.nan, 0, 1, 0, 1]
    return pd.DataFrame({"prompt": names, "seed": seeds, **spread([0.51, 0.5, 0.52, 0.48, 0.87, 0.89])})


def history() -> pd.DataFrame:
    steps = np.arange(1, 101, 3)
    parts = []
    for seed in (0, 1):
        accuracy = np.where(np.arange(len(steps)) % 5 == 0, 0.9 - 0.4 * np.exp(-steps / 30), np.nan)
        loss = np.exp(-steps / (30 + 9 * seed))
        parts.append(pd.DataFrame({"seed": seed, "step": steps, "loss": loss, "accuracy": accuracy}))
    return pd.concat(parts)


def answers() -> pd.DataFrame:
    rows = [("negative", "negative", 90), ("negative", "positive", 10), ("positive", "negative", 30)]
    return pd.DataFrame([*rows, ("positive", "positive", 70)], columns=["label", "answer", "count"])


def neurons(layers: int = 6, width: int = 384, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for stack, count in (("encoder", layers), ("decoder", 2)):
        for layer in range(count):
            value = 0.5 + (0.05 + 0.02 * layer) * rng.gamma(1.2, 1, width).clip(0, 4)
            parts.append(
                pd.DataFrame(
                    {"stack": stack, "layer": layer, "neuron": np.arange(width), "value": value.clip(0, 1)}
                )
            )
    table = pd.concat(parts, ignore_index=True)
    return table.assign(test=(table["value"] - 0.02).clip(lower=0.5), null=0.6)


def activations() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"activation": rng.normal(0.2, 0.3, 300), "label": "negative"})
    return pd.concat([one, pd.DataFrame({"activation": rng.normal(0.9, 0.4, 260), "label": "positive"})])


def two_rankings() -> pd.DataFrame:
    table = neurons()
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"x": table["value"], "y": (table["value"] + rng.normal(0, 0.04, len(table))).clip(0.5, 1)}
    )


def shared() -> pd.DataFrame:
    fraction = np.array([0.01, 0.02, 0.05, 0.1, 0.2])
    bounds = {"expected": fraction, "chance_low": fraction * 0.6, "chance_high": fraction * 1.5}
    return pd.DataFrame({"fraction": fraction, "value": [0.5, 0.52, 0.55, 0.6, 0.66], **bounds})


def factors() -> pd.DataFrame:
    units = ["encoder 3, neuron 17", "encoder 3, neuron 200", "encoder 2, neuron 5"]
    rows = [(unit, factor) for unit in units for factor in ("polarity", "negation", "template")]
    table = pd.DataFrame(rows, columns=["neuron", "factor"])
    return table.assign(**spread([0.93, 0.6, 0.52, 0.9, 0.72, 0.5, 0.81, 0.8, 0.55]))


def curves() -> pd.DataFrame:
    parts = []
    for mode in ("zero", "noise", "mean"):
        for name, slope in (("skill", 2.0), ("random", 0.4), ("matched", 1.0), ("least", 0.1)):
            fraction = np.array([0, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2])
            value = np.maximum(0.9 - slope * fraction, 0.5)
            parts.append(pd.DataFrame({"mode": mode, "neurons": name, "fraction": fraction, **spread(value)}))
    return pd.concat(parts, ignore_index=True)


def slopes() -> pd.DataFrame:
    keys = [
        (t, m, x)
        for t in ("film", "food", "topic")
        for m in ("mini-roberta", "mini-t5")
        for x in ("clean", "adversarial")
    ]
    table = pd.DataFrame(keys, columns=["task", "model", "text"])
    return table.assign(**spread(np.linspace(0.9, 0.4, len(keys))), chance=0.5)


def overlaps() -> pd.DataFrame:
    keys = [("encoder", layer, fraction) for layer in range(5) for fraction in (0.02, 0.1)]
    table = pd.DataFrame(keys, columns=["stack", "layer", "fraction"])
    share = table["fraction"]
    bounds = {"expected": share, "chance_low": share * 0.4, "chance_high": share * 2}
    table = table.assign(value=np.linspace(0.05, 0.8, len(table)), **bounds, text="adversarial")
    return pd.concat(
        [table, table.assign(value=table["value"] / 2 + 0.4, text="clean originals")], ignore_index=True
    )


def study() -> pd.DataFrame:
    keys = [
        (q, t, m)
        for q in ("accuracy", "highest predictivity", "skill gap", "adversarial drop")
        for t in ("film", "food", "gadget", "topic", "entailment")
        for m in ("mini-roberta", "mini-t5")
    ]
    table = pd.DataFrame(keys, columns=["quantity", "task", "model"])
    return table.assign(**spread(np.random.default_rng(0).uniform(0.3, 0.95, len(keys))), reference=0.5)


def matrix() -> pd.DataFrame:
    names = ["film", "food", "gadget", "topic"]
    rows = [(a, b, 1.0 if a == b else -0.3 + 0.2 * i) for a in names for i, b in enumerate(names)]
    return pd.DataFrame(rows, columns=["row", "column", "value"])


def profile() -> pd.DataFrame:
    keys = [
        ("tuned", "encoder", 0),
        ("tuned", "encoder", 1),
        ("random", "encoder", 0),
        ("random", "encoder", 1),
    ]
    keys += [("tuned", "decoder", 0), ("random", "decoder", 0)]
    table = pd.DataFrame(keys, columns=["prompt", "stack", "layer"])
    value = np.array([0.6, 0.9, 0.5, 0.55, 0.8, 0.5])
    return table.assign(value=value, low=value - 0.1, high=value + 0.1)


def mediation() -> pd.DataFrame:
    keys = [
        (fraction, name, direction, fraction * slope)
        for fraction in (0.05, 0.2)
        for name, slope in (("skill", 3.0), ("random", 1.0))
        for direction in ("restore", "damage")
    ]
    table = pd.DataFrame(keys, columns=["fraction", "neurons", "direction", "value"])
    return table.assign(low=table["value"] - 0.1, high=table["value"] + 0.1, n=50)


def confidence() -> pd.DataFrame:
    bins = pd.DataFrame({"text": ["clean", "adversarial"], "confidence": [0.8, 0.9], "n": [40, 60]})
    return bins.assign(value=[0.8, 0.5], low=[0.7, 0.4], high=[0.9, 0.6])


def consistency() -> pd.DataFrame:
    points = pd.DataFrame({"model": ["a", "b", "a"], "task": ["x", "y", "z"], "seed": [0, 1, 2]})
    return points.assign(
        robustness=[0.1, 0.2, 0.3], n=[3, 4, 5], shared=[0.2, 0.4, 0.5], cosine=[1.0, 2.0, 3.0]
    )


def correlations() -> pd.DataFrame:
    table = pd.DataFrame({"metric": ["ON", "ON", "E", "E"], "aggregation": ["a", "b"] * 2})
    return table.assign(
        value=[0.5, 0.4, -0.1, 0.25], low=[0.1, np.nan, -0.3, 0.2], high=[0.8, np.nan, 0.2, 0.3]
    )


def task_pairs() -> pd.DataFrame:
    relative = np.array([[1, 0.9, 0.5], [0.8, 1, 0.6], [0.4, 0.5, 1]])
    types = {"a": "x", "b": "x", "c": "y"}
    return charts.metric_pairs({"ON": relative**2, "E": -relative}, relative, ["a", "b", "c"], types)


def starts() -> pd.DataFrame:
    keys = [
        (target, start, seed, step, 0.5 + step / 100 + seed / 10)
        for target in ("one", "two")
        for start in ("fresh", "other")
        for seed in (0, 1)
        for step in (0, 10)
    ]
    return pd.DataFrame(keys, columns=["target", "start", "seed", "step", "accuracy"])


def norms() -> pd.DataFrame:
    table = pd.DataFrame({"model": ["r"] * 3, "task": ["a", "b", "c"], "seed": [1] * 3})
    return table.assign(steps=[10, 100, 1000], norm=[1.0, 2.0, 9.0])


def tuning_overlap() -> pd.DataFrame:
    return pd.DataFrame({"activation": ["gate"] * 2, "pair": ["p"] * 2, "step": [1, 2], "value": [0.8, 0.6]})


MATRIX = {"row_title": "source task", "column_title": "target task", "value_title": "rank correlation"}
DOTS = {"row": "metric", "colour": "aggregation", "x_title": "Spearman", "title": "Prediction", "level": 0.0}
PROFILE = {"series": "prompt", "y_title": "predictivity", "title": "Where the neurons are"}
#: For each figure, the table that it is drawn from and its other arguments.
FIGURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "accuracy_bars": (accuracies, {"chance": 0.5}),
    "activation_histogram": (activations, {"baseline": 0.55}),
    "clean_vs_adversarial": (slopes, {}),
    "comparison_grid": (study, {}),
    "confusion": (answers, {}),
    "consistency_scatter": (consistency, {"measures": {"shared": "neurons shared", "cosine": "cosine"}}),
    "factor_bars": (factors, {}),
    "interval_dots": (correlations, DOTS),
    "learning_curves": (history, {"chance": 0.5}),
    "lines": (profile, PROFILE | {"x": "layer", "x_title": "layer"}),
    "matrix_heatmap": (matrix, MATRIX | {"signed": True}),
    "metric_scatter": (task_pairs, {"metrics": ["ON", "E"]}),
    "norm_scatter": (norms, {}),
    "overlap_by_site": (overlaps, {}),
    "overlap_curve": (shared, {}),
    "overlap_history": (tuning_overlap, {}),
    "perturbation_curves": (curves, {"panel": "mode", "chance": 0.5}),
    "predictivity_heatmap": (neurons, {}),
    "predictivity_histogram": (neurons, {}),
    "rank_scatter": (two_rankings, {"x_title": "predictivity, seed 0", "y_title": "predictivity, seed 1"}),
    "reliability_diagram": (confidence, {}),
    "share_curves": (mediation, {}),
    "site_profile": (profile, PROFILE),
    "start_curves": (starts, {}),
    "type_strip": (lambda: task_pairs()[lambda pairs: pairs["metric"] == "ON"], {}),
}


def draw(name: str, table: pd.DataFrame | None = None, **changes: Any) -> charts.Figure:
    """The figure of this name from its example table, or from another one."""
    example, options = FIGURES[name]
    return getattr(charts, name)(example() if table is None else table, **options | changes)
