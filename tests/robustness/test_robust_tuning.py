"""Tuning for robustness: the penalty, and what the objectives do."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import measure_baseline
from skillkit.robustness.pairs import pair_up
from skillkit.robustness.robust_tuning import Penalty, shift_penalty, tune_robustly
from skillkit.robustness.shift import activation_shift
from skillkit.tuning.budget import TuningBudget


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
    shift, penalty = {}, Penalty(neurons, deviation, weight=5.0)
    budget = TuningBudget(steps=25, learning_rate=0.1)
    for objective in ("plain", "skill"):
        run = tune_robustly(backbone, data, start, objective, budget, penalty=penalty, attacked=attacked)
        moved = activation_shift(backbone, run.prompt, pairs, deviation, {"penalised": neurons})
        shift[objective] = moved["value"].mean()
        assert run.prompt.meta["objective"] == objective and not torch.equal(run.prompt.matrix, start.matrix)
    assert shift["skill"] < 0.8 * shift["plain"]


def test_the_same_seed_gives_the_same_prompt():
    backbone, data = tiny_backbone("bert"), toy_data()
    start = SoftPrompt.initial(backbone, 2, 0)
    one, two = (tune_robustly(backbone, data, start, "augmented", TuningBudget(steps=4)) for _ in range(2))
    assert torch.equal(one.prompt.matrix, two.prompt.matrix)


def test_bad_input_is_refused():
    backbone, data, budget = tiny_backbone("bert"), toy_data(), TuningBudget(steps=2)
    start = SoftPrompt.initial(backbone, 2, 0)
    with pytest.raises(SkillkitError, match="objective"):
        tune_robustly(backbone, data, start, "robust", budget)
    with pytest.raises(SkillkitError, match="penalty="):
        tune_robustly(backbone, data, start, "skill", budget)
    with pytest.raises(SkillkitError, match="one for each"):
        tune_robustly(backbone, data, start, "augmented", budget, attacked=data.train.select(range(3)))
    with pytest.raises(SkillkitError, match="at least one neuron"):
        Penalty(torch.zeros(4, 20, dtype=torch.bool), torch.ones(4, 20))
