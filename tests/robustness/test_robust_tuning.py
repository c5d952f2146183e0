"""Tuning for robustness: attacked copies, the penalty, and what the objectives do."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.classroom.drawing import bucket
from skillkit.data.loading import load_task
from skillkit.data.tasks import get_task
from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import measure_baseline
from skillkit.robustness.pairs import pair_up
from skillkit.robustness.robust_tuning import attacked_copy, compare_answers, shift_penalty, tune_robustly
from skillkit.robustness.shift import activation_shift


def test_copies_of_bundled_texts_stay_in_their_split():
    data = load_task("park_entailment", limit=120)
    copy = attacked_copy(data.train, data.task)
    texts = list(zip(*(copy[c] for c in data.task.text_columns), strict=True))
    originals = list(zip(*(data.train[c] for c in data.task.text_columns), strict=True))
    changed = [a != b for a, b in zip(texts, originals, strict=True)]
    assert np.mean(changed) > 0.9
    assert [m != "none" for m in copy["method"]] == changed
    assert {bucket(t) for t in texts} == {"train"}
    assert list(copy["label"]) == list(data.train["label"])
    assert list(attacked_copy(data.train, data.task)["premise"]) == list(
        copy["premise"]
    )  # the same seed, the same attacks


def test_copies_of_other_texts_get_slips_and_tautologies():
    rows = Dataset.from_dict(
        {"sentence": ["an entirely wonderful comedy , truly"] * 40, "label": [0, 1] * 20}
    )
    copy = attacked_copy(rows, get_task("sst2"))
    texts = pd.Series(list(copy["sentence"]), index=list(copy["method"]))
    assert set(texts.index) == {"typo", "distractor"}
    assert texts["distractor"].str.startswith("an entirely wonderful comedy , truly and").all()
    slipped = texts["typo"]
    assert (slipped != "an entirely wonderful comedy , truly").all()
    assert (slipped.str.split().str.len() == 6).all()
    with pytest.raises(SkillkitError, match="attack"):
        attacked_copy(rows, get_task("sst2"), methods=("magic",))


def test_penalty_agrees_with_a_loop():
    generator = torch.Generator().manual_seed(0)
    before, after = ({s: torch.randn(4, 2, 5, generator=generator) for s in range(2)} for _ in range(2))
    neurons = torch.tensor([[True, False, True, False, True], [False, True, False, False, False]])
    deviation = torch.rand(2, 5, generator=generator) + 0.5
    deviation[0, 4] = 0  # never varies: measured in a tenth of its site's root mean square
    units = deviation.clone()
    units[0, 4] = 0.1 * deviation[0].square().mean().sqrt()
    sites = []
    for site, chosen in enumerate(([0, 2, 4], [1])):
        shifts = [
            ((after[site][e, p, n] - before[site][e, p, n]) / units[site, n]) ** 2
            for e in range(4)
            for p in range(2)
            for n in chosen
        ]
        sites.append(np.mean([float(s) for s in shifts]))
    assert shift_penalty(before, after, neurons, deviation).item() == pytest.approx(np.mean(sites), rel=1e-5)


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_the_penalty_holds_its_neurons_still(family):
    backbone, data = tiny_backbone(family), toy_data(64)
    start = SoftPrompt.initial(backbone, 3, 0)
    texts = list(data.train["text"])
    attacked = data.train.remove_columns("text").add_column("text", [f"{t} word25 word26" for t in texts])
    deviation = measure_baseline(backbone, start, data.train, TASK).deviation
    neurons = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.bool)
    neurons[:, ::4] = True
    held_out = toy_dataset(40, 77)
    rows = Dataset.from_dict(
        {
            "text": [f"{t} word25 word26" for t in held_out["text"]],
            "original_text": list(held_out["text"]),
            "label": list(held_out["label"]),
        }
    )
    pairs = pair_up(rows, TASK)
    shift = {}
    for objective in ("plain", "skill"):
        run = tune_robustly(backbone, data, start, objective, neurons=neurons, deviation=deviation, weight=5.0, steps=25,
                            learning_rate=0.1, attacked=attacked)  # fmt: skip
        moved = activation_shift(backbone, run.prompt, pairs, deviation, {"penalised": neurons})
        shift[objective] = moved["value"].mean()
        assert run.prompt.meta["objective"] == objective and not torch.equal(run.prompt.matrix, start.matrix)
    assert shift["skill"] < 0.8 * shift["plain"]


def test_the_same_seed_gives_the_same_prompt():
    backbone, data = tiny_backbone("bert"), toy_data()
    start = SoftPrompt.initial(backbone, 2, 0)
    one, two = (tune_robustly(backbone, data, start, "augmented", steps=4) for _ in range(2))
    assert torch.equal(one.prompt.matrix, two.prompt.matrix)


def test_comparisons_are_paired_with_the_reference():
    base = pd.DataFrame({"example": range(40), "group": range(40), "method": ["typo"] * 20 + ["synonym"] * 20, "paired": True,
                         "clean_correct": 1.0, "adversarial_correct": [0.0, 1.0] * 20, "adversarial_margin": 0.0})  # fmt: skip
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


def test_bad_input_is_refused():
    backbone, data = tiny_backbone("bert"), toy_data()
    start = SoftPrompt.initial(backbone, 2, 0)
    with pytest.raises(SkillkitError, match="objective"):
        tune_robustly(backbone, data, start, "robust")
    with pytest.raises(SkillkitError, match="neurons="):
        tune_robustly(backbone, data, start, "skill")
    with pytest.raises(SkillkitError, match="one for each"):
        tune_robustly(backbone, data, start, "augmented", attacked=data.train.select(range(3)))
