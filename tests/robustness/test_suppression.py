"""Suppressed neurons, pair by pair."""

import pandas as pd
import pytest
from attacks import toy_pairs
from tiny import tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.evaluation import evaluate
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons
from skillkit.neurons.subtasks import task_skill_neurons
from skillkit.robustness.suppression import suppression, suppression_gap, suppression_table


def test_suppressing_nothing_changes_nothing_and_all_texts_are_tried(setting):
    backbone, prompt, pairs, selection = setting
    rows = suppression(backbone, prompt, pairs, selection, [0.0, 0.2], batch_size=24)
    table = suppression_table(rows).set_index(["neurons", "fraction", "text"])
    for text in ("clean", "adversarial"):
        base = {
            table.loc[(name, 0.0, text), "value"] for name in ("clean", "adversarial", "random", "matched")
        }
        assert len(base) == 1
    assert (table["n"] == len(pairs)).all()


def test_suppression_is_compared_pair_by_pair():
    rows = pd.DataFrame(
        [
            {
                "neurons": name,
                "fraction": 0.1,
                "text": "clean",
                "pair": pair,
                "group": pair,
                "correct": correct,
            }
            for name, answers in (("clean", [0, 0, 1, 1]), ("random", [1, 1, 1, 0]))
            for pair, correct in sorted(enumerate(answers), reverse=name == "random")
        ]
    ).astype({"correct": float})
    (row,) = suppression_gap(rows, control="random").to_dict("records")
    assert row["value"] == 0.25 and row["n"] == 4 and row["low"] <= 0.25 <= row["high"]
    with pytest.raises(SkillkitError, match="same pairs"):
        suppression_gap(rows, control="matched")


def test_suppression_at_some_sites_leaves_the_others_alone():
    backbone, data = tiny_backbone("t5"), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    selection = score_neurons(backbone, prompt, data)
    encoder = [number for number, site in enumerate(backbone.sites) if site.stack == "encoder"]
    everywhere, listed, encoder_only = (
        suppression(backbone, prompt, toy_pairs(), selection, [0.4], sites=sites)
        for sites in (None, range(len(backbone.sites)), encoder)
    )
    assert everywhere.equals(listed)
    with pytest.raises(SkillkitError, match="at least one of the sites"):
        suppression(backbone, prompt, toy_pairs(), selection, [0.4], sites=[])
    mask = task_skill_neurons(selection, 0.4)
    mask[[number for number in range(len(backbone.sites)) if number not in encoder]] = False
    pairs = toy_pairs()
    with intervene(backbone, mask, "zero"):
        expected = evaluate(backbone, prompt, pairs.clean, pairs.task).correct
    rows = encoder_only[(encoder_only["neurons"] == "clean") & (encoder_only["text"] == "clean")]
    assert rows.sort_values("pair")["correct"].tolist() == expected.tolist()
