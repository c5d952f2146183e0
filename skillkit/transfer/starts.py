"""Other prompts as a place to start tuning from: how soon it gets there, how well (Su et al. 2022, 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd

from skillkit.checks import Share, Size, check_arguments, known, table_with
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import evaluate
from skillkit.models.inputs import EncodedTask, encode_task
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.stats.claims import claim
from skillkit.stats.measurement import Measurement, mean_of_runs, proportion
from skillkit.tuning.budget import TuningBudget, resolve_budget
from skillkit.tuning.prompt import tune_prompt

FRESH = "fresh"

Curves = Annotated[
    pd.DataFrame,
    table_with("start", "seed", "step", "accuracy", made_by="tune_from"),
    known("accuracy", "step"),
]
"""The learning curves of `Starts`."""


@dataclass(frozen=True)
class Starts:
    """What tuning from different starts gave. Of several targets (`Starts.of`), each has a column target.

    Attributes:
        curves: start, seed, step (0: before tuning), accuracy (validation), n.
        results: start, seed, value (test accuracy of the best checkpoint), n, unit, low, high, interval,
            validation_accuracy.
    """

    curves: pd.DataFrame
    results: pd.DataFrame

    @classmethod
    def of(cls, tried: Mapping[str, Starts]) -> Starts:
        """One for several targets, by name."""
        curves = [each.curves.assign(target=name) for name, each in tried.items()]
        results = [each.results.assign(target=name) for name, each in tried.items()]
        return cls(pd.concat(curves, ignore_index=True), pd.concat(results, ignore_index=True))

    def speed_ups(self) -> pd.DataFrame:
        """`speed_ups` of the curves, for each target apart."""
        if "target" not in self.curves:
            return speed_ups(self.curves)
        parts = [
            speed_ups(curves).assign(target=target)
            for target, curves in self.curves.groupby("target", sort=False)
        ]
        return pd.concat(parts, ignore_index=True)

    def compared(self) -> pd.DataFrame:
        """One row per target, start and seed: its steps, the ratios, and the test accuracy at the end."""
        steps = ["steps_to_fresh_best", "comparable_speed_up", "steps_to_convergence", "convergence_speed_up"]
        key = ["target", "start", "seed"]
        joined = self.speed_ups().merge(self.results, on=key)
        return joined[[*key, *steps, "value", "low", "high", "n"]]

    def gain(self, start: str) -> Measurement:
        """Mean over runs of the test accuracy minus that of the fresh run of the same target and seed."""
        wide = self.results.pivot(index=["target", "seed"], columns="start", values="value")
        return mean_of_runs((wide[start] - wide[FRESH]).dropna().to_numpy(float), "runs")

    def sooner(self, start: str) -> Measurement:
        """Share of runs that reach the fresh run's best sooner; a tie, or never, counts against."""
        ups = self.speed_ups()
        ratio = ups.loc[ups["start"] == start, "comparable_speed_up"]
        return proportion(int((ratio > 1).sum()), len(ratio), "runs")

    def rows(self) -> pd.DataFrame:
        """What a result table keeps.

        Metrics validation_curve, start_accuracy, comparable_speed_up (none for a run that never gets there)
        and convergence_speed_up.
        """
        ups = self.speed_ups()
        ratios = ["comparable_speed_up", "convergence_speed_up"]
        curves = self.curves.rename(columns={"accuracy": "value"})
        parts = [
            curves.assign(metric="validation_curve", split="validation", unit="texts"),
            self.results.assign(metric="start_accuracy", split="test"),
            *(ups.drop(columns=ratios).assign(metric=name, value=ups[name]) for name in ratios),
        ]
        return pd.concat(parts, ignore_index=True).dropna(subset=["value"])


@check_arguments
def choose_starts(types: Mapping[str, str], most: Size) -> dict[str, dict[str, str]]:
    """For a few targets, one of each task type, whose prompts to start from.

    Targets are the first task of each type that has another one, if there is such a type.

    Args:
        types: of each task.
        most: so many targets.

    Returns:
        By target: the first other task of the "same type" and the first of an "other type", where there are
        any.
    """

    def others(target: str, same: bool) -> list[str]:
        return [task for task in types if task != target and (types[task] == types[target]) == same]

    related = [task for task in types if others(task, True)] or list(types)
    first_of_type = {types[task]: task for task in reversed(related)}
    targets = list(first_of_type.values())[::-1][:most]
    kinds = (("same type", True), ("other type", False))
    return {
        target: {kind: others(target, same)[0] for kind, same in kinds if others(target, same)}
        for target in targets
    }


@check_arguments
def tune_from(
    backbone: Backbone,
    task_data: TaskData | EncodedTask,
    starts: Mapping[str, Mapping[int, SoftPrompt]],
    budget: TuningBudget | None = None,
    *,
    seeds: Sequence[int],
    **budget_fields: Any,
) -> Starts:
    """Tune a task's prompt from fresh initialisation and from each of `starts`, all else equal.

    Every seed has its own fresh run and, for each start, one run from that start's prompt of the same seed. A
    seed decides the order of the examples (and the fresh initialisation), so runs of one seed see the same
    batches.

    Args:
        backbone: frozen.
        task_data: the task to tune on.
        starts: prompts by name of the start and seed.
        budget: of each run; single fields can be given by name instead.
        seeds: of the runs.

    Raises:
        SkillkitError: no seed, or a start without a prompt of one of the seeds.
    """
    budget = resolve_budget(budget, budget_fields)
    for name, prompts in starts.items():
        if not seeds or set(seeds) - set(prompts):
            raise SkillkitError(
                f"The start {name!r} has prompts of the seeds {sorted(prompts)}; expected one for each of "
                f"{list(seeds)}, at least one."
            )
    encoded: dict[str, EncodedTask] = {}
    curves, results = [], []
    every: dict[str, Mapping[int, SoftPrompt]] = {
        FRESH: {seed: SoftPrompt.initial(backbone, budget.length, seed) for seed in seeds},
        **starts,
    }
    for name, by_seed in every.items():
        for seed in seeds:
            layout = layout_of(by_seed[seed])
            if layout not in encoded:
                encoded[layout] = encode_task(backbone, task_data, layout)
            curve, result = _tune_one(backbone, encoded[layout], by_seed[seed], budget, seed)
            curves.append(curve.assign(start=name, seed=seed))
            results.append({"start": name, "seed": seed, **result})
    curve_columns = ["start", "seed", "step", "accuracy", "n"]
    return Starts(pd.concat(curves, ignore_index=True)[curve_columns], pd.DataFrame(results))


def _tune_one(
    backbone: Backbone, data: EncodedTask, start: SoftPrompt, budget: TuningBudget, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The learning curve from step 0 on, and the best checkpoint's accuracies."""
    before = evaluate(backbone, start, data.validation, data.task, batch_size=32)
    tuned = tune_prompt(backbone, data, budget, start=start, seed=seed)
    curve = pd.DataFrame(
        {
            "step": [0, *tuned.history["step"].astype(int)],
            "accuracy": [before.accuracy, *tuned.history["accuracy"]],
            "n": len(data.validation),
        }
    )
    after = evaluate(backbone, tuned.prompt, data.test, data.task, batch_size=32)
    measured = after.measurement
    return curve, {**vars(measured), "validation_accuracy": tuned.validation_accuracy}


@check_arguments
def speed_ups(curves: Curves, *, tolerance: Share = 0.01) -> pd.DataFrame:
    """How much sooner each start gets there than the fresh run of the same seed (Su et al. 2022, section 4).

    Su et al. released no code for either quantity, so the definitions are ours. On validation accuracy at the
    evaluated steps:

    - steps_to_fresh_best: the first step at which the run is at least as good as the fresh run ever was (NaN:
    never) - steps_to_convergence: the first step at which the run is within `tolerance` of its own best -
    comparable_speed_up and convergence_speed_up: the fresh run's steps divided by this run's. Steps below the
    first evaluation after the start count as that one, so a start that is there before tuning gets a finite
    lower bound.

    One row per start and seed, fresh runs included (their ratios are 1).

    Raises:
        SkillkitError: an accuracy that is not finite, no step after the start, or a seed without a fresh run.
    """
    steps = np.sort(curves["step"].unique())
    without = set(curves["seed"]) - set(curves.loc[curves["start"] == FRESH, "seed"])
    if without or not (steps > 0).any():
        raise SkillkitError(
            f"Speed-ups need steps after the start, and a {FRESH!r} run of each seed; seeds without one: "
            f"{sorted(without)}, last step: {steps.max()}."
        )
    resolution = int(steps[steps > 0].min())
    fresh = {seed: group for seed, group in curves[curves["start"] == FRESH].groupby("seed")}
    rows = []
    for (start, seed), run in curves.groupby(["start", "seed"], sort=False):
        reference = fresh[seed]
        best = reference["accuracy"].max()
        reached = _first_step(run, best)
        converged = _first_step(run, run["accuracy"].max() - tolerance)
        fresh_converged = _first_step(reference, best - tolerance)
        rows.append(
            {
                "start": start,
                "seed": seed,
                "best": run["accuracy"].max(),
                "fresh_best": best,
                "steps_to_fresh_best": reached,
                "steps_to_convergence": converged,
                "comparable_speed_up": max(_first_step(reference, best), resolution)
                / np.maximum(reached, resolution),
                "convergence_speed_up": max(fresh_converged, resolution) / max(converged, resolution),
            }
        )
    return pd.DataFrame(rows)


def _first_step(run: pd.DataFrame, level: float) -> float:
    """The first evaluated step with at least this accuracy; NaN where there is none."""
    there = run.loc[run["accuracy"] >= level - 1e-9, "step"]
    return float(there.min()) if len(there) else float("nan")


@check_arguments
def start_claims(starts: Starts) -> list[dict[str, Any]]:
    """What Su et al. claim of other tasks' prompts as a start, with the verdicts of these runs."""
    claims = []
    for kind in ("same type", "other type"):
        if (starts.results["start"] == kind).sum() > 1:
            better = f"Starting from a prompt of the {kind} ends better than a fresh start (test accuracy)"
            sooner = (
                f"It reaches the fresh run's best sooner (share of runs; a tie counts against it), {kind}"
            )
            claims += [
                claim(better, starts.gain(kind), source="Su et al."),
                claim(sooner, starts.sooner(kind), 0.5, source="Su et al."),
            ]
    return claims
