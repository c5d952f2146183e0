"""Does a projected prompt work? Where it is tried, beside which controls, and what is claimed of it.

Success on the task that a projector was trained on says little, since a network that ignores its input and
puts out one good prompt would do as well. What counts is the tasks that it never saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skillkit.checks import Size, check_arguments
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import evaluate
from skillkit.models.inputs import EncodedTask, encode_task
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.stats.claims import claim
from skillkit.stats.measurement import Measurement, mean_of_runs
from skillkit.transfer.projection import (
    METHODS,
    Projector,
    ProjectorBudget,
    copy_through,
    new_projector,
    train_projector,
)
from skillkit.transfer.starts import Starts
from skillkit.transfer.zero_shot import Prompts, untuned_prompt
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.prompt import tune_prompt

ROLES = {
    "trained on": "on the tasks it was trained on",
    "same type": "on an unseen task of the same type",
    "other type": "on other types",
}
"""What a task can be to a projector, and in words."""

OWN, UNTRAINED, AS_IT_IS, UNTUNED = "own prompt", "untrained projector", "used as it is", "untuned prompt"


@dataclass(frozen=True)
class ProjectionPlan:
    """Which tasks a projector learns from, and which it never sees.

    Attributes:
        types: of each task.
        family: the tasks of the type that has most.
    """

    types: Mapping[str, str]
    family: tuple[str, ...]

    @classmethod
    def of(cls, types: Mapping[str, str]) -> ProjectionPlan:
        """The plan for some tasks, given their types."""
        largest = Counter(types.values()).most_common(1)[0][0]
        return cls(types, tuple(task for task in types if types[task] == largest))

    @property
    def one(self) -> tuple[str, ...]:
        """The single task that a projector is trained on."""
        return self.family[:1]

    @property
    def group(self) -> tuple[str, ...]:
        """The tasks that a projector is trained on together: all of the family but one."""
        return self.family[:-1] or self.family

    @property
    def left_out(self) -> str:
        """The task of the family that the group lacks."""
        return self.family[-1]

    @property
    def ordered(self) -> list[str]:
        """All tasks: the group, the one left out of it, then those of other types."""
        return [*self.family, *(task for task in self.types if task not in self.family)]

    def role(self, trained: tuple[str, ...], task: str) -> str:
        """What a task is to a projector that was trained on others: one of `ROLES`."""
        if task in trained:
            return "trained on"
        return "same type" if task in self.family else "other type"

    def describe(self) -> str:
        """The plan in a line of Markdown."""
        others = [task for task in self.types if task not in self.family]
        unseen = [task for task in self.family if task not in self.group]
        named = [", ".join(f"*{task}*" for task in each) for each in (self.one, self.group, unseen, others)]
        return (
            f"One task: {named[0]}. Group: {named[1]}. Same type, left out: {named[2] or 'none'}. "
            f"Other types: {named[3] or 'none'}."
        )


@dataclass(frozen=True)
class Direction:
    """What projecting from one backbone to another gave.

    Attributes:
        table: the `method_table` with tried_on, one of `ROLES`.
        projector: task tuned on the group.
        untrained: a projector that never learned, as a control.
    """

    table: pd.DataFrame
    projector: Projector
    untrained: Projector


@check_arguments
def stored_prompts(
    files: Mapping[str, Mapping[int, Path]],
    backbone: Backbone,
    tasks: Mapping[str, TaskData | EncodedTask],
    budget: TuningBudget | None = None,
) -> dict[str, dict[int, SoftPrompt]]:
    """The prompts of some files, by task and seed; given a budget, missing ones are tuned and saved first.

    Raises:
        SkillkitError: a missing file, and no budget.
    """
    for task, by_seed in files.items():
        for seed, file in by_seed.items():
            if budget is not None and not file.exists():
                tune_prompt(backbone, tasks[task], budget, seed=seed).prompt.save(file)
    return {
        task: {seed: SoftPrompt.load(file) for seed, file in by_seed.items()}
        for task, by_seed in files.items()
    }


@check_arguments
def project_all(projector: Projector, prompts: Mapping[int, SoftPrompt]) -> dict[int, SoftPrompt]:
    """What a projector makes of each prompt, by seed."""
    return {seed: projector.project(prompt) for seed, prompt in prompts.items()}


@check_arguments
def try_projection(
    plan: ProjectionPlan,
    target: Backbone,
    sources: Prompts,
    targets: Prompts,
    tasks: Mapping[str, TaskData | EncodedTask],
    budget: ProjectorBudget | None = None,
) -> Direction:
    """Train projectors by both methods, on one task and on the group, and measure them beside the controls.

    Args:
        plan: which tasks to train on.
        target: the backbone that reads the projected prompts.
        sources: the source backbone's own prompts, by task and seed.
        targets: the target's own.
        tasks: those to measure on; they hold the ones to train on.
        budget: of the projectors.
    """
    budget = budget or ProjectorBudget()
    trained_on = {
        f"{method}, {size}": (method, trained)
        for method in METHODS
        for size, trained in (("one task", plan.one), ("group", plan.group))
    }
    fitted = {}
    for name, (method, trained) in trained_on.items():
        learned = {task: sources[task] for task in trained}
        fitted[name] = train_projector(target, learned, targets, tasks, method, budget)
    first, own = (next(iter(prompts[plan.one[0]].values())) for prompts in (sources, targets))
    untrained = new_projector(first, target, length=own.length, bottleneck=budget.bottleneck)
    chosen = {task: sources[task] for task in tasks}
    methods: dict[str, Prompts] = {
        OWN: targets,
        **{
            name: {task: project_all(projector, each) for task, each in chosen.items()}
            for name, projector in {**fitted, UNTRAINED: untrained}.items()
        },
        AS_IT_IS: {
            task: {seed: copy_through(prompt, target) for seed, prompt in each.items()}
            for task, each in chosen.items()
        },
        UNTUNED: {
            task: {seed: untuned_prompt(target, own, seed) for seed in each} for task, each in chosen.items()
        },
    }
    table = method_table(target, methods, tasks)
    table["tried_on"] = [
        plan.role(trained_on[method][1] if method in trained_on else plan.group, task)
        for method, task in zip(table["method"], table["task"], strict=True)
    ]
    return Direction(table, fitted["task tuning, group"], untrained)


@check_arguments
def method_table(
    backbone: Backbone,
    methods: Mapping[str, Prompts],
    tasks: Mapping[str, TaskData | EncodedTask],
    *,
    batch_size: Size = 64,
) -> pd.DataFrame:
    """Accuracy of each method's prompts on the test split of their own task; every task is tokenised once.

    Args:
        backbone: that reads the prompts.
        methods: prompts by name of the method, task and seed.
        tasks: to measure on.
        batch_size: of the forward passes.

    Returns:
        One row per task, method and seed: method, task, seed, value, n, unit, low, high, interval (Wilson).

    Raises:
        SkillkitError: no method has a prompt for any of the tasks.
    """
    rows = []
    for name, data in tasks.items():
        encoded: dict[str, EncodedTask] = {}
        for method, prompts in methods.items():
            for seed, prompt in prompts.get(name, {}).items():
                layout = layout_of(prompt)
                if layout not in encoded:
                    encoded[layout] = encode_task(backbone, data, layout)
                found = evaluate(backbone, prompt, encoded[layout].test, data.task, batch_size=batch_size)
                measured = found.measurement
                rows.append({"method": method, "task": name, "seed": seed, **vars(measured)})
    if not rows:
        raise SkillkitError("method_table: no method has a prompt for any of the tasks.")
    return pd.DataFrame(rows)


@check_arguments
def all_directions(
    directions: Mapping[tuple[str, str], Direction], majority: Mapping[str, float]
) -> pd.DataFrame:
    """The tables of all directions (source, target) below each other.

    Further columns: source, target, direction ("source to target"), relative (to the target's own prompt of
    the same task and seed), above_majority (accuracy minus `majority`, by task).
    """
    parts = [
        each.table.assign(source=source, target=target, direction=f"{source} to {target}")
        for (source, target), each in directions.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    key = ["direction", "task", "seed"]
    own = table[table["method"] == OWN].set_index(key)["value"]
    table["relative"] = table["value"] / own.reindex(pd.MultiIndex.from_frame(table[key])).to_numpy()
    table["above_majority"] = table["value"] - table["task"].map(majority)
    return table


@check_arguments
def relative_summary(table: pd.DataFrame) -> pd.DataFrame:
    """The share of the own prompt that each method reaches, mean over the tasks of a role and over seeds.

    One row per direction, tried_on and method, in the order of `ROLES` and the methods: value, n (prompts),
    unit, low, high, interval (Student's t, as there are few).
    """
    others = table[table["method"] != OWN]
    rows = [
        dict(zip(("direction", "tried_on", "method"), key, strict=True))
        | vars(mean_of_runs(group["relative"].to_numpy(float)))
        for key, group in others.groupby(["direction", "tried_on", "method"], sort=False)
    ]
    place = {name: number for number, name in enumerate([*ROLES, *others["method"].unique()])}
    return pd.DataFrame(rows).sort_values(
        ["tried_on", "method"], key=lambda column: column.map(place), kind="stable"
    )


@check_arguments
def projection_claims(table: pd.DataFrame, starts: Starts | None = None) -> list[dict[str, Any]]:
    """What Su et al. claim of projected prompts, with the verdicts of these directions, tasks and seeds.

    Args:
        table: from `all_directions`.
        starts: what tuning from projected prompts gave, if it was tried.
    """
    best = "task tuning, group"
    claims = []
    for role, words in ROLES.items():
        found = table[(table["method"] == best) & (table["tried_on"] == role)]
        if len(found):
            beyond = mean_of_runs(found["above_majority"].to_numpy(float))
            text = f"A projected prompt (task tuning, group) beats the most frequent class {words}"
            claims.append(claim(text, beyond, source="Su et al."))
            text = f"It beats what an untrained projector makes, {words}"
            claims.append(claim(text, _lead(table, found, UNTRAINED), source="this study"))
            text = f"Task tuning beats distance minimising {words}"
            claims.append(claim(text, _lead(table, found, "distance, group"), source="Su et al."))
    if starts is not None:
        text = "Tuning from a projected prompt ends better than a fresh start"
        claims.append(claim(text, starts.gain("projected"), source="Su et al."))
        text = "Tuning from what an untrained projector makes ends better than a fresh start"
        claims.append(claim(text, starts.gain(UNTRAINED), source="this study"))
    return claims


def _lead(table: pd.DataFrame, found: pd.DataFrame, other: str) -> Measurement:
    """Mean difference between the rows found and another method's of the same direction, task and seed."""
    key = ["direction", "task", "seed"]
    both = found.merge(table[table["method"] == other], on=key, suffixes=("", "_other"))
    return mean_of_runs((both["value"] - both["value_other"]).to_numpy(float))
