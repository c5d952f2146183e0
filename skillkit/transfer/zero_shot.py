"""Prompts used, unchanged, on tasks that they were not tuned for (Su et al. 2022, section 4).

Every prompt meets every task with the *target's* label words, whatever words (and however many classes) the
prompt was tuned with. Rows for untuned prompts and for the majority class say what nothing transferred would
look like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from skillkit.checks import Seed, Size, check_arguments
from skillkit.data.loading import TaskData, bare_text, texts_of
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import (
    Evaluation,
    evaluate,
    evaluate_majority,
    mean_correct,
    sample_examples,
)
from skillkit.models.inputs import EncodedTask, encode
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.stats.claims import claim
from skillkit.stats.measurement import Measurement, mean_of, mean_of_runs
from skillkit.stats.type_effect import TypeEffect
from skillkit.transfer.ranking import relative_transfer

Array = NDArray[np.float64]

Prompts = Mapping[str, Mapping[int, SoftPrompt]]
"""Prompts of each task, by seed."""

RANDOM, MAJORITY = "random prompt", "majority class"
_RANDOM_SEED = 10_000  # so that an untuned prompt is not the start of a tuned one


@check_arguments
def drop_seen_tests(tasks: Mapping[str, TaskData]) -> dict[str, TaskData]:
    """The same tasks without the test examples whose text another task's prompt was tuned on.

    These are the texts of other tasks' training and validation splits; success on them would say nothing
    about transfer. Texts are compared without case, spaces and punctuation.

    Raises:
        SkillkitError: a task has no test example left.
    """
    seen = {
        name: {
            bare_text(text)
            for split in ("train", "validation")
            for text in texts_of(data.split(split), data.task)
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
            if not any(bare_text(text) in others for text in row)
        ]
        if not rows:
            raise SkillkitError(
                f"Every test example of {name!r} occurs in another task's training data; leave one out."
            )
        kept[name] = replace(data, splits={**data.splits, "test": data.test.select(rows)})
    return kept


@check_arguments
def sample_splits(tasks: Mapping[str, TaskData], **most: int | None) -> dict[str, TaskData]:
    """The same tasks with at most so many examples in the named splits: `sample_splits(tasks, test=500)`."""
    return {
        name: replace(
            data,
            splits={
                **data.splits,
                **{split: sample_examples(data.split(split), count) for split, count in most.items()},
            },
        )
        for name, data in tasks.items()
    }


@dataclass(frozen=True)
class ZeroShot:
    """How every prompt answers every task.

    Attributes:
        tasks: in the order of the matrices.
        evaluations: by source (a task, RANDOM or MAJORITY), target and seed (None for MAJORITY).
    """

    tasks: tuple[str, ...]
    evaluations: Mapping[tuple[str, str, int | None], Evaluation]

    def table(self) -> pd.DataFrame:
        """The accuracy of each prompt on each task, with Wilson's interval.

        One row per source, target and seed: source, target, seed, prompt ("own", "other", "random",
        "majority"), value, n, unit, low, high, interval.
        """
        rows = [
            {
                "source": source,
                "target": target,
                "seed": seed,
                "prompt": _kind(source, target),
                **vars(_accuracy([evaluation])),
            }
            for (source, target, seed), evaluation in self.evaluations.items()
        ]
        return pd.DataFrame(rows).astype({"seed": "Int64"})

    def matrix(self, *, relative: bool = False) -> Array:
        """Accuracy [source, target], mean over seeds.

        `relative`: divided by that of the target's own prompt of the same seed, before the mean is taken.
        """
        seeds = sorted(
            {seed for source, _, seed in self.evaluations if source in self.tasks and seed is not None}
        )
        matrices = []
        for seed in seeds:
            found = [[self.evaluations.get((s, t, seed)) for t in self.tasks] for s in self.tasks]
            matrix = np.array([[each.accuracy if each else np.nan for each in row] for row in found])
            matrices.append(relative_transfer(matrix) if relative else matrix)
        return np.asarray(np.nanmean(matrices, axis=0), dtype=np.float64)

    def summary(self) -> pd.DataFrame:
        """Each source (with the controls) on each target, over its prompts.

        One row per source and target: source, target, prompt, value, n, unit, low, high, interval (95 %: a
        bootstrap over texts of their mean correctness over prompts, Wilson's for a single prompt), relative
        (mean over seeds of the accuracy divided by the own prompt's), prompts (how many), se (standard error
        over prompts, NaN for one).
        """
        rows = []
        for source in (*self.tasks, RANDOM, MAJORITY):
            for target in self.tasks:
                found = self._by_seed(source, target)
                own = {seed: each.accuracy for seed, each in self._by_seed(target, target).items()}
                values = [each.accuracy for each in found.values()]
                mean_own = float(np.mean(list(own.values())))
                against = [mean_own if source == MAJORITY else own[seed] for seed in found]
                rows.append(
                    {
                        "source": source,
                        "target": target,
                        "prompt": _kind(source, target),
                        **vars(_accuracy(list(found.values()))),
                        "relative": float(np.mean(np.array(values) / np.array(against))),
                        "prompts": len(values),
                        "se": float(stats.sem(values)) if len(values) > 1 else np.nan,
                    }
                )
        return pd.DataFrame(rows)

    def rows(self) -> pd.DataFrame:
        """What a result table keeps: accuracy (one row per prompt) and relative_transfer (over prompts)."""
        table, summary = self.table(), self.summary()
        relative = summary.drop(columns=["low", "high", "interval", "se"]).assign(
            metric="relative_transfer", task=summary["target"], value=summary["relative"]
        )
        accuracies = table.assign(metric="accuracy", task=table["target"], split="test")
        return pd.concat([accuracies, relative], ignore_index=True)

    def _by_seed(self, source: str, target: str) -> dict[int | None, Evaluation]:
        return {seed: each for (s, t, seed), each in self.evaluations.items() if (s, t) == (source, target)}


@check_arguments
def zero_shot(
    backbone: Backbone,
    prompts: Prompts,
    tasks: Mapping[str, TaskData | EncodedTask],
    *,
    split: str = "test",
    batch_size: Size = 32,
) -> ZeroShot:
    """Answer every task with every prompt, with untuned prompts, and with its majority class.

    Each prompt meets each task in one pass, so the matrix costs its forward passes.

    Raises:
        SkillkitError: no prompts or tasks, prompts of different lengths or layouts, or of different seeds.
    """
    first = _first(prompts)
    seeds = sorted({seed for by_seed in prompts.values() for seed in by_seed})
    if not tasks or any(sorted(by_seed) != seeds for by_seed in prompts.values()):
        raise SkillkitError(
            "Zero-shot transfer needs tasks, and prompts of the same seeds for each of them; got "
            f"{len(tasks)} tasks and the seeds { {name: sorted(each) for name, each in prompts.items()} }."
        )
    encoded = {
        name: encode(backbone, data.split(split), data.task, layout_of(first)) for name, data in tasks.items()
    }
    untuned = {seed: untuned_prompt(backbone, first, seed) for seed in seeds}
    evaluations: dict[tuple[str, str, int | None], Evaluation] = {}
    for source, by_seed in {**prompts, RANDOM: untuned}.items():
        for seed, prompt in by_seed.items():
            for target, data in tasks.items():
                evaluations[source, target, seed] = evaluate(
                    backbone, prompt, encoded[target], data.task, batch_size=batch_size
                )
    for target, data in tasks.items():
        evaluations[MAJORITY, target, None] = evaluate_majority(data.train, encoded[target])
    return ZeroShot(tuple(tasks), evaluations)


@check_arguments
def untuned_prompt(backbone: Backbone, like: SoftPrompt, seed: Seed) -> SoftPrompt:
    """A prompt as tuning starts from (but of no run's seed), written and answered like another one."""
    matrix = SoftPrompt.initial(backbone, like.length, _RANDOM_SEED + seed).matrix
    kept: dict[str, Any] = {k: v for k, v in like.meta.items() if k in ("layout", "label_words")}
    return SoftPrompt(matrix, kept)


@check_arguments
def transfer_pairs(summary: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """The rows of a summary that pair two different tasks, those of one type first, with the column pair."""
    others = summary[summary["prompt"] == "other"]
    same = others["source"].map(types) == others["target"].map(types)
    pairs = others.assign(pair=np.where(same, "same type", "different type"))
    return pairs.sort_values("pair", ascending=False)


@check_arguments
def zero_shot_claims(
    summary: pd.DataFrame, effect: TypeEffect, types: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What the papers claim of transfer inside and across task types, with this summary's verdicts."""
    text = "A prompt transfers better inside its task type than across types"
    claims = [claim(text, effect.measurement(), source="Su et al.")]
    pairs = transfer_pairs(summary, types)
    inside = pairs[pairs["pair"] == "same type"]
    if len(inside) > 1:
        majority = summary[summary["prompt"] == "majority"].set_index("target")["value"]
        beyond = mean_of_runs((inside["value"] - inside["target"].map(majority)).to_numpy(float), "pairs")
        text = "Inside a type, another task's prompt beats the most frequent class"
        claims.append(claim(text, beyond, source="Su et al."))
    return claims


def _kind(source: str, target: str) -> str:
    """What the prompt of a source is to a target."""
    controls = {RANDOM: "random", MAJORITY: "majority"}
    return controls.get(source, "own" if source == target else "other")


def _accuracy(evaluations: Sequence[Evaluation]) -> Measurement:
    """The mean accuracy of prompts on the same texts."""
    if len(evaluations) == 1:
        return evaluations[0].measurement
    return mean_of(mean_correct(evaluations))


def _first(prompts: Prompts) -> SoftPrompt:
    given = [prompt for by_seed in prompts.values() for prompt in by_seed.values()]
    if not given:
        raise SkillkitError("No prompts to transfer. Tune them first (notebook 01_prompt_tuning).")
    kinds = {(prompt.length, layout_of(prompt)) for prompt in given}
    if len(kinds) > 1:
        raise SkillkitError(f"The prompts differ in (length, layout): {sorted(kinds)}. Tune them alike.")
    return given[0]
