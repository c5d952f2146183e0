"""Prompts used outside the task they were tuned for: zero-shot, and as the start of further tuning (Su et
al. 2022).

Zero-shot, every prompt meets every task with the *target's* label words, whatever words (and however many
classes) the prompt was tuned with. Rows for untuned prompts and for the majority class say what nothing
transferred would look like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from skillkit.data.loading import TaskData
from skillkit.data.loading import _bare as bare
from skillkit.data.loading import _texts as texts
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode, labels_of
from skillkit.models.prompts import SoftPrompt, label_logits, layout_of
from skillkit.neurons.scores import NeuronScores, merge_subtasks, skill_neurons
from skillkit.neurons.subtasks import subtask_predictivities
from skillkit.stats.intervals import sem, wilson
from skillkit.transfer.ranking import relative_transfer
from skillkit.transfer.similarities import activated, layer_groups, overlap_rates, same_type, similarities
from skillkit.tuning.prompt import accuracy, tune_prompt

Array = NDArray[np.float64]

#: Prompts of each task, by seed.
Prompts = Mapping[str, Mapping[int, SoftPrompt]]

RANDOM, MAJORITY = "random prompt", "majority class"
_RANDOM_SEED = 10_000  # so that an untuned prompt is not the start of a tuned one


def drop_seen_tests(tasks: Mapping[str, TaskData]) -> dict[str, TaskData]:
    """The same tasks without the test examples that share a text with another task's training or validation
    split.

    Such an example says nothing about transfer: the other task's prompt was tuned on its text. Texts are
    compared without case, spaces and punctuation.

    Raises:
        SkillkitError: a task has no test example left.
    """
    seen = {
        name: {
            bare(text) for split in ("train", "validation") for text in texts(data.split(split), data.task)
        }
        for name, data in tasks.items()
    }
    kept = {}
    for name, data in tasks.items():
        others = set().union(*(found for other, found in seen.items() if other != name))
        columns = [data.test[column] for column in data.task.text_columns]
        rows = [
            i
            for i, row in enumerate(zip(*columns, strict=True))
            if not any(bare(text) in others for text in row)
        ]
        if not rows:
            raise SkillkitError(
                f"Every test example of {name!r} occurs in another task's training data; leave one out."
            )
        kept[name] = replace(data, splits={**data.splits, "test": data.test.select(rows)})
    return kept


def skill_masks(scores: Mapping[str, Sequence[NeuronScores]], fraction: float) -> dict[str, Tensor]:
    """Skill neurons of each task, bool [sites, width], from the scores of its prompts (one per seed,
    averaged).
    """
    masks = {}
    for task, by_seed in scores.items():
        subtasks = zip(*(subtask_predictivities(each) for each in by_seed), strict=True)
        means = [torch.stack(each).mean(0) for each in subtasks]
        masks[task] = (
            skill_neurons(means[0], fraction) if len(means) == 1 else merge_subtasks(means, fraction)
        )
    return masks


def transfer_table(
    backbone: Backbone,
    prompts: Prompts,
    tasks: Mapping[str, TaskData] | Mapping[str, EncodedTask],
    *,
    split: str = "test",
    batch_size: int = 32,
) -> pd.DataFrame:
    """Accuracy of every prompt on every task, of untuned prompts, and of always answering the majority class.

    Each task is tokenised once and each prompt meets it in one pass, so the matrix costs its forward passes.

    One row per source, target and seed: source (a task, RANDOM or MAJORITY), target, seed (missing for
    MAJORITY), prompt ("own", "other", "random", "majority"), value, n, low, high (Wilson).

    Raises:
        SkillkitError: no prompts, or prompts of different lengths or layouts.
    """
    first = _first(prompts)
    encoded = {
        name: encode(backbone, data.split(split), data.task, layout_of(first)) for name, data in tasks.items()
    }
    seeds = sorted({seed for by_seed in prompts.values() for seed in by_seed})
    untuned = {seed: _untuned(backbone, first, seed) for seed in seeds}
    rows = []
    for source, by_seed in {**prompts, RANDOM: untuned}.items():
        for seed, prompt in by_seed.items():
            for target, data in tasks.items():
                logits = label_logits(backbone, prompt, encoded[target], data.task, batch_size=batch_size)
                correct = int((logits.argmax(-1) == encoded[target].labels).sum())
                kind = "random" if source == RANDOM else "own" if source == target else "other"
                rows.append(_row(source, target, seed, kind, correct, len(encoded[target])))
    for target, data in tasks.items():
        rows.append(
            _row(MAJORITY, target, None, "majority", _majority(data, encoded[target]), len(encoded[target]))
        )
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def transfer_matrix(table: pd.DataFrame, tasks: Sequence[str], *, relative: bool = False) -> Array:
    """Accuracy [source, target], mean over seeds; `relative`: divided by the target's own prompt of that
    seed first.
    """
    matrices = []
    for _, group in table[table["source"].isin(tasks)].groupby("seed"):
        wide = group.pivot(index="source", columns="target", values="value")
        matrix = wide.reindex(index=list(tasks), columns=list(tasks)).to_numpy(dtype=np.float64)
        matrices.append(relative_transfer(matrix) if relative else matrix)
    if not matrices:
        raise SkillkitError(f"The transfer table has no rows for the tasks {', '.join(tasks)}.")
    return np.nanmean(matrices, axis=0)


def transfer_summary(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """One row per source (with the controls) and target: value, relative (means over seeds), n, seeds, low,
    high.

    The interval is mean ± standard error over prompts where there are several seeds, else Wilson over
    examples.
    """
    own = table[table["prompt"] == "own"].set_index(["target", "seed"])["value"]
    rows = []
    for (source, target), group in table.groupby(["source", "target"], sort=False):
        values = group["value"].to_numpy(dtype=np.float64)
        single = len(values) == 1
        low, high = (group["low"].iloc[0], group["high"].iloc[0]) if single else sem(values)
        whole = own.xs(target, level="target")
        against = (
            whole.reindex(group["seed"]).to_numpy(dtype=np.float64) if source != MAJORITY else whole.mean()
        )
        relative = float(np.mean(values / against))
        rows.append(
            {
                "source": source,
                "target": target,
                "prompt": group["prompt"].iloc[0],
                "value": values.mean(),
                "relative": relative,
                "n": int(group["n"].iloc[0]),
                "seeds": len(values),
                "low": low,
                "high": high,
            }
        )
    order = {name: place for place, name in enumerate([*tasks, RANDOM, MAJORITY])}
    return pd.DataFrame(rows).sort_values(
        ["source", "target"], key=lambda column: column.map(order), ignore_index=True
    )


def prompt_similarities(
    backbone: Backbone,
    prompts: Prompts,
    types: Mapping[str, str],
    *,
    skill: Mapping[str, Tensor] | None = None,
    group_size: int = 3,
) -> dict[str, Array]:
    """Every similarity of the tasks' prompts, [source, target] by name, tasks in the order of `prompts`.

    The four embedding metrics, "ON" (all layers), "ON <stack> <layers>" for each group of `group_size`
    layers, "ON skill neurons" where `skill` gives bool masks [sites, width] by task (restricted to the
    target's, after Wang et al. 2022, section 6.2), and "same-type". With several seeds, two tasks are
    compared by prompts of *different* seeds: those of one seed start from the same point, which would make
    them alike.
    """
    names = list(prompts)
    keys = [(task, seed) for task in names for seed in prompts[task]]
    chosen = [prompts[task][seed] for task, seed in keys]
    found = dict(similarities(chosen, skip_rows=int(layout_of(chosen[0]) == "su")))
    patterns = [activated(backbone, prompt).numpy() for prompt in chosen]
    present = [
        index for index in range(len(backbone.sites)) if any(pattern[index].any() for pattern in patterns)
    ]
    found["ON"] = overlap_rates(patterns)
    groups = layer_groups(backbone.sites, group_size)
    for name, sites in groups.items():
        if set(sites) <= set(present):
            found[f"ON {name}"] = overlap_rates(patterns, sites=sites)
    if skill is not None:
        masked = {task: overlap_rates(patterns, neurons=skill[task].numpy()) for task in names}
        columns = [masked[task][:, column] for column, (task, _) in enumerate(keys)]
        found["ON skill neurons"] = np.stack(columns, axis=1)
    result = {name: _by_task(values, keys, names) for name, values in found.items()}
    result["same-type"] = same_type([types[task] for task in names])
    return result


@dataclass(frozen=True)
class Starts:
    """What tuning from different starts gave.

    `curves`: start, seed, step (0: before tuning), accuracy (validation), n. `results`: start, seed, value
    (test accuracy of the best checkpoint), n, low, high, validation_accuracy.
    """

    curves: pd.DataFrame
    results: pd.DataFrame


FRESH = "fresh"


def tune_from(
    backbone: Backbone,
    task_data: TaskData | EncodedTask,
    starts: Mapping[str, Mapping[int, SoftPrompt]],
    *,
    seeds: Sequence[int],
    steps: int,
    length: int = 16,
    batch_size: int = 32,
    learning_rate: float = 0.01,
    evaluate_every: int = 10,
) -> Starts:
    """Tune a task's prompt from fresh initialisation and from each of `starts` (by name and seed), all else
    equal.

    Every seed has its own fresh run and, for each start, one run from that start's prompt of the same seed;
    a seed decides the order of the examples (and the fresh initialisation), so runs of one seed see the same
    batches.
    """
    curves, results = [], []
    task = task_data.task
    every: dict[str, Mapping[int, SoftPrompt]] = {FRESH: {}, **starts}
    for name, by_seed in every.items():
        for seed in seeds:
            start = SoftPrompt.initial(backbone, length, seed) if name == FRESH else by_seed[seed]
            layout = layout_of(start)
            validation = encode(backbone, task_data.validation, task, layout)
            tuned = tune_prompt(
                backbone,
                task_data,
                start=start,
                seed=seed,
                steps=steps,
                batch_size=batch_size,
                learning_rate=learning_rate,
                evaluate_every=evaluate_every,
            )
            zero = accuracy(label_logits(backbone, start, validation, task), validation.labels)
            steps_seen, values = [0, *tuned.history["step"]], [zero, *tuned.history["accuracy"]]
            for step, value in zip(steps_seen, values, strict=True):
                curves.append(
                    {"start": name, "seed": seed, "step": int(step), "accuracy": value, "n": len(validation)}
                )
            test = encode(backbone, task_data.test, task, layout)
            correct = int((label_logits(backbone, tuned.prompt, test, task).argmax(-1) == test.labels).sum())
            low, high = wilson(correct, len(test))
            results.append(
                {
                    "start": name,
                    "seed": seed,
                    "value": correct / len(test),
                    "n": len(test),
                    "low": low,
                    "high": high,
                    "validation_accuracy": tuned.validation_accuracy,
                }
            )
    return Starts(pd.DataFrame(curves), pd.DataFrame(results))


def speed_ups(curves: pd.DataFrame, *, tolerance: float = 0.01) -> pd.DataFrame:
    """How much sooner each start gets there than the fresh run of the same seed (Su et al. 2022, section 4;
    our definitions).

    Su et al. released no code for either quantity. Here, on validation accuracy at the evaluated steps:

    - steps_to_fresh_best: the first step at which the run is at least as good as the fresh run ever was
    (NaN: never)
    - steps_to_convergence: the first step at which the run is within `tolerance` of its own best
    - comparable_speed_up and convergence_speed_up: the fresh run's steps divided by this run's. Steps below
    the first
      evaluation after the start count as that one, so a start that is there before tuning gets a finite lower bound.

    One row per start and seed, fresh runs included (their ratios are 1).
    """
    steps = np.sort(curves["step"].unique())
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


def _first(prompts: Prompts) -> SoftPrompt:
    given = [prompt for by_seed in prompts.values() for prompt in by_seed.values()]
    if not given:
        raise SkillkitError("No prompts to transfer. Tune them first (notebook 01_prompt_tuning).")
    kinds = {(prompt.length, layout_of(prompt)) for prompt in given}
    if len(kinds) > 1:
        raise SkillkitError(f"The prompts differ in (length, layout): {sorted(kinds)}. Tune them alike.")
    return given[0]


def _untuned(backbone: Backbone, like: SoftPrompt, seed: int) -> SoftPrompt:
    """A prompt as tuning starts from, written and answered like the tuned ones."""
    matrix = SoftPrompt.initial(backbone, like.length, _RANDOM_SEED + seed).matrix
    kept: dict[str, Any] = {k: v for k, v in like.meta.items() if k in ("layout", "label_words")}
    return SoftPrompt(matrix, kept)


def _majority(data: TaskData | EncodedTask, scored: Encoded) -> int:
    """How many of the scored examples have the most frequent label of the training split."""
    labels = torch.from_numpy(labels_of(data.train))
    return int((scored.labels == torch.bincount(labels).argmax()).sum())


def _row(source: str, target: str, seed: int | None, prompt: str, correct: int, n: int) -> dict[str, object]:
    low, high = wilson(correct, n)
    return {
        "source": source,
        "target": target,
        "seed": seed,
        "prompt": prompt,
        "value": correct / n,
        "n": n,
        "low": low,
        "high": high,
    }


def _by_task(values: Array, keys: Sequence[tuple[str, int]], names: Sequence[str]) -> Array:
    """Means over prompt pairs: a task with itself by the same prompt, two tasks by different seeds where
    there are any.
    """
    tasks, seeds = np.array([task for task, _ in keys]), np.array([seed for _, seed in keys])
    result = np.full((len(names), len(names)), np.nan)
    for row, source in enumerate(names):
        for column, target in enumerate(names):
            pairs = (tasks[:, None] == source) & (tasks == target)
            same = seeds[:, None] == seeds
            wanted = pairs & same if source == target else pairs & ~same
            result[row, column] = values[wanted if wanted.any() else pairs].mean()
    return result
