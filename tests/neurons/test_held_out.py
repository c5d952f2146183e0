"""What was chosen on validation, on test: against the scores and activations it is made of."""

import numpy as np
import pytest
import torch
from tiny import tiny_backbone, toy_data

from skillkit.models.activations import record
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.held_out import score_held_out, site_table, try_best_neuron
from skillkit.neurons.scores import score_neurons
from skillkit.neurons.stability import held_out
from skillkit.neurons.subtasks import score_prompts


@pytest.fixture(scope="module")
def setting():
    backbone, data = tiny_backbone("t5"), toy_data(50, 40)
    prompts = {seed: SoftPrompt.initial(backbone, 2, seed) for seed in (0, 3)}
    return backbone, data, prompts, score_prompts(backbone, prompts, data, permutations=20)


def test_held_out_scores_are_those_of_the_test_split(setting) -> None:
    backbone, data, prompts, scored = setting
    tested = score_held_out(backbone, prompts, scored)
    [name] = scored
    for seed, prompt in prompts.items():
        alone = score_neurons(backbone, prompt, data, split="test")
        torch.testing.assert_close(tested[name].by_seed[seed].accuracy, alone.accuracy, equal_nan=True)
    each = [held_out(scored[name].by_seed[seed], tested[name].by_seed[seed]) for seed in prompts]
    torch.testing.assert_close(tested[name].accuracy, (each[0] + each[1]) / 2)
    table = site_table(scored, tested, backbone.sites)
    assert len(table) == 4 * 6 and set(table["unit"]) == {"texts"} and set(table["n"]) == {40}
    rows = table[(table["stack"] == "decoder") & (table["layer"] == 1)].set_index(["metric", "split"])[
        "value"
    ]
    best = int(scored[name].predictivity[3].argmax())
    assert rows["held_out_of_best", "test"] == pytest.approx(float(tested[name].accuracy[3, best]))
    assert rows["highest_predictivity", "test"] == pytest.approx(float(tested[name].predictivity[3].max()))


def test_the_best_neuron_is_read_where_it_was_best(setting) -> None:
    backbone, data, prompts, scored = setting
    [part] = scored.values()
    best = try_best_neuron(backbone, prompts, part)
    site, neuron = best.neuron
    assert part.predictivity[site, neuron] == part.predictivity.max()
    labels, correct = np.array(data.test["label"]), np.zeros(40)
    for seed, prompt in prompts.items():
        share = part.by_seed[seed].accuracy[site, :, neuron].numpy()
        position = int(np.nanargmax(np.maximum(share, 1 - share)))
        seen = record(backbone, prompt, data.test, data.task)[:, site, position, neuron].numpy()
        bits = seen > float(part.by_seed[seed].baseline[site, position, neuron])
        correct += (bits == (labels == 1)) if share[position] >= 0.5 else (bits != (labels == 1))
    np.testing.assert_array_equal(best.correct, correct / 2)
    assert best.accuracy().value == pytest.approx(correct.mean() / 2) and best.accuracy().unit == "texts"
    assert best.majority == 0.5
