"""Objectives compared with plain tuning, pair by pair."""

import numpy as np
import pandas as pd
import pytest
import torch
from attacks import toy_pairs
from tiny import TASK, tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons
from skillkit.robustness.augmentation import attacked_copy
from skillkit.robustness.objectives import (
    answers_by_objective,
    attack_tables,
    change_of,
    clean_answers,
    clean_changes,
    clean_table,
    compare_answers,
    shift_tables,
    shifts_by_objective,
    tune_objectives,
)
from skillkit.robustness.robust_tuning import OBJECTIVES, Penalty, tune_robustly
from skillkit.tuning.budget import TuningBudget


def test_comparisons_are_paired_with_the_reference():
    base = pd.DataFrame(
        {
            "example": range(40),
            "group": range(40),
            "method": ["typo"] * 20 + ["synonym"] * 20,
            "paired": True,
            "clean_correct": 1.0,
            "adversarial_correct": [0.0, 1.0] * 20,
            "adversarial_margin": 0.0,
        }
    )
    better = base.assign(adversarial_correct=[1.0] * 20 + [0.0, 1.0] * 10, adversarial_margin=1.0)
    table = compare_answers({"plain": base, "skill": better}).set_index(["attack", "metric"])
    assert (
        table.loc[("typo", "adversarial_accuracy"), "value"] == 0.5
        and table.loc[("typo", "adversarial_accuracy"), "low"] > 0.2
    )
    assert table.loc[("synonym", "adversarial_accuracy"), "value"] == 0
    assert table.loc[("all", "drop"), "value"] == -0.25 and table.loc[("all", "margin"), "value"] == 1
    with pytest.raises(SkillkitError, match="reference"):
        compare_answers({"skill": better})
    with pytest.raises(SkillkitError, match="different examples"):
        compare_answers({"plain": base, "skill": better.iloc[:10]})


def test_every_objective_is_tuned_and_measured_on_the_same_texts():
    backbone, data, pairs = tiny_backbone("roberta"), toy_data(), toy_pairs()
    starts = {seed: SoftPrompt.initial(backbone, 2, seed) for seed in (0, 1)}
    scores = {seed: score_neurons(backbone, start, data) for seed, start in starts.items()}
    mask = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.bool)
    mask[:, :4] = True
    masks = {seed: {"skill": mask, "random": mask.flip(1)} for seed in starts}
    penalties = {
        seed: {name: Penalty(each, scores[seed].deviation) for name, each in named.items()}
        for seed, named in masks.items()
    }
    budget = TuningBudget(steps=3, batch_size=8)
    tuned = tune_objectives(backbone, data, starts, penalties, budget)
    assert set(tuned) == {(objective, seed) for objective in OBJECTIVES for seed in starts}
    alone = tune_robustly(
        backbone, data, starts[1], "skill", budget, penalty=penalties[1]["skill"],
        attacked=attacked_copy(data.train, data.task), seed=1,
    )  # fmt: skip
    torch.testing.assert_close(tuned["skill", 1].prompt.matrix, alone.prompt.matrix)

    prompts = {("start", seed): start for seed, start in starts.items()}
    prompts |= {key: run.prompt for key, run in tuned.items()}
    answers = answers_by_objective(backbone, prompts, pairs)
    assert list(answers) == ["start", *OBJECTIVES] and len(answers["plain"]) == 2 * len(pairs)
    assert set(attack_tables(answers)["objective"]) == set(answers)
    moved = shift_tables(shifts_by_objective(backbone, prompts, pairs, scores, masks))
    assert set(moved["neurons"]) == {"skill", "random"} and len(moved) == 2 * len(answers)

    texts = encode(backbone, data.test, TASK)
    correct = clean_answers(backbone, prompts, texts, data)
    assert (clean_table(correct).set_index("objective")["n"] == len(data.test)).all()
    changes = clean_changes(correct)
    assert list(changes["objective"]) == ["augmented", "skill", "random"]
    change = change_of(changes, "skill", "clean_test", "clean test")
    assert change.value == pytest.approx(np.mean(correct["skill"]) - np.mean(correct["plain"]))
    assert change.low <= change.value <= change.high
