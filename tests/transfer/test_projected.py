"""Projected prompts beside their controls: where each counts as tried, and what is claimed of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TASK, tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode_task
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.transfer.projected import (
    AS_IT_IS,
    OWN,
    UNTRAINED,
    UNTUNED,
    Direction,
    ProjectionPlan,
    all_directions,
    method_table,
    projection_claims,
    relative_summary,
    stored_prompts,
    try_projection,
)
from skillkit.transfer.projection import Projector, ProjectorBudget
from skillkit.transfer.starts import Starts
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.prompt import accuracy, tune_prompt

TYPES = {"film": "mood", "topic": "topic", "food": "mood", "pair": "pair", "tool": "mood"}


def test_a_plan_leaves_out_one_task_of_the_largest_type():
    plan = ProjectionPlan.of(TYPES)
    assert (plan.one, plan.group, plan.left_out) == (("film",), ("film", "food"), "tool")
    assert plan.ordered == ["film", "food", "tool", "topic", "pair"]
    roles = [plan.role(plan.one, task) for task in plan.ordered]
    assert roles == ["trained on", "same type", "same type", "other type", "other type"]
    assert plan.describe().startswith("One task: *film*. Group: *film*, *food*. Same type, left out: *tool*.")
    alone = ProjectionPlan.of({"film": "mood"})
    assert alone.group == ("film",) and "left out: none. Other types: none" in alone.describe()


def test_method_table_measures_each_prompt_on_its_own_task():
    backbone = tiny_backbone("t5")
    tasks = {"one": toy_data(seed=0), "two": toy_data(seed=5)}
    prompts = {
        name: {k: SoftPrompt.initial(backbone, 3, 10 * i + k, "normal") for k in (0, 1)}
        for i, name in enumerate(tasks)
    }
    table = method_table(backbone, {"own": prompts, "only one": {"one": prompts["one"]}}, tasks, batch_size=5)
    assert len(table) == 6
    for row in table.itertuples():
        data = tasks[row.task]
        logits = label_logits(backbone, prompts[row.task][row.seed], data.test, data.task)
        assert row.value == pytest.approx(accuracy(logits, torch.tensor(data.test["label"])))
        assert row.low <= row.value <= row.high and (row.n, row.unit) == (len(data.test), "texts")
    with pytest.raises(SkillkitError, match="no method"):
        method_table(backbone, {}, tasks)


def test_missing_prompts_are_tuned_only_where_a_budget_is_given(tmp_path):
    backbone, data = tiny_backbone("roberta"), toy_data()
    files = {"toy": {seed: tmp_path / f"{seed}.safetensors" for seed in (0, 1)}}
    kept = SoftPrompt.initial(backbone, 2, 7)
    kept.save(files["toy"][0])
    with pytest.raises(SkillkitError, match="no soft prompt at"):
        stored_prompts(files, backbone, {"toy": data})
    budget = TuningBudget(2, 2, 8)
    found = stored_prompts(files, backbone, {"toy": data}, budget)["toy"]
    assert torch.equal(found[0].matrix, kept.matrix)
    assert torch.equal(found[1].matrix, tune_prompt(backbone, data, budget, seed=1).prompt.matrix)
    assert files["toy"][1].exists()


def test_a_direction_measures_every_method_and_control_on_every_task():
    source, target = tiny_backbone("roberta"), tiny_backbone("t5")
    tasks = {
        name: encode_task(target, replace(toy_data(seed=10 * i), task=replace(TASK, name=name)))
        for i, name in enumerate(("film", "food", "topic"))
    }
    plan = ProjectionPlan.of({"film": "mood", "food": "mood", "topic": "topic"})
    sources, targets = (
        {
            name: {k: SoftPrompt.initial(backbone, 2, 10 * i + k) for k in (0, 1)}
            for i, name in enumerate(tasks)
        }
        for backbone in (source, target)
    )
    budget = ProjectorBudget(4, TuningBudget(steps=2, batch_size=8), distance_steps=2)
    direction = try_projection(plan, target, sources, targets, tasks, budget)
    trained = ["distance, one task", "distance, group", "task tuning, one task", "task tuning, group"]
    assert direction.table["method"].unique().tolist() == [OWN, *trained, UNTRAINED, AS_IT_IS, UNTUNED]
    assert direction.table.groupby(["method", "task"]).size().eq(2).all()
    roles = direction.table.set_index(["method", "task"])["tried_on"]
    assert roles["distance, group", "food"].unique().tolist() == ["same type"]
    assert roles[OWN, "film"].unique().tolist() == ["trained on"]
    made = direction.projector.project(sources["topic"][1])
    expected = accuracy(
        label_logits(target, made, tasks["topic"].test, tasks["topic"].task), tasks["topic"].test.labels
    )
    row = direction.table.query("method == 'task tuning, group' and task == 'topic' and seed == 1")
    assert row["value"].item() == pytest.approx(expected)


def made_up_direction():
    """Two seeds on one trained and one unseen task; task tuning reaches 0.8 and 0.6, all else half."""
    rows = []
    for task, role, value in (("film", "trained on", 0.8), ("food", "same type", 0.6)):
        for seed in (0, 1):
            for method in (OWN, "distance, group", "task tuning, group", UNTRAINED):
                reached = (
                    0.9 + 0.05 * seed if method == OWN else value + 0.01 * seed if "task" in method else 0.5
                )
                rows.append((method, task, seed, reached, role))
    table = pd.DataFrame(rows, columns=["method", "task", "seed", "value", "tried_on"])
    projector = Projector((1, 1), (1, 1), bottleneck=1)
    return Direction(table, projector, projector)


def test_directions_are_summed_up_relative_to_the_own_prompt():
    table = all_directions({("a", "b"): made_up_direction()}, {"film": 0.5, "food": 0.55})
    best = table[table["method"] == "task tuning, group"].set_index(["task", "seed"])
    assert best.loc[("film", 1), "relative"] == pytest.approx(0.81 / 0.95)
    assert best.loc[("food", 0), "above_majority"] == pytest.approx(0.05)
    assert table["direction"].unique().tolist() == ["a to b"]
    summary = relative_summary(table)
    assert summary["tried_on"].tolist() == ["trained on"] * 3 + ["same type"] * 3
    row = summary.iloc[1]
    assert row["method"] == "task tuning, group" and (row["n"], row["unit"]) == (2, "prompts")
    assert row["value"] == pytest.approx(np.mean([0.8 / 0.9, 0.81 / 0.95]))
    assert row["interval"] == "Student's t" and row["low"] < min(0.8 / 0.9, 0.81 / 0.95)


def test_claims_compare_methods_on_the_same_task_and_seed():
    table = all_directions({("a", "b"): made_up_direction()}, {"film": 0.5, "food": 0.55})
    claims = projection_claims(table)
    assert len(claims) == 6  # no task of another type
    assert claims[0]["value"] == pytest.approx(0.305) and claims[0]["verdict"] == "held"
    assert claims[4]["value"] == pytest.approx(0.105) and claims[4]["unit"] == "prompts"
    results = pd.DataFrame(
        [
            ("a to b", start, seed, value)
            for seed in (0, 1)
            for start, value in (("fresh", 0.5), ("projected", 0.7 + 0.01 * seed), (UNTRAINED, 0.4))
        ],
        columns=["target", "start", "seed", "value"],
    )
    after = projection_claims(table, Starts(pd.DataFrame(), results))
    assert [round(each["value"], 3) for each in after[6:]] == [0.205, -0.1]
    assert [each["source"] for each in after[6:]] == ["Su et al.", "this study"]
