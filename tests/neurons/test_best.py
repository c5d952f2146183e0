"""Single neurons: chosen in order, read where they are, and tried on texts that they were not chosen on."""

import numpy as np
import pytest
import torch
from tiny import TASK, tiny_backbone, toy_data

from skillkit.models.activations import record
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.best import activations_at, best_neurons, best_places, bits_at, neuron_name
from skillkit.neurons.scores import measure_baseline


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_activations_at_places_are_the_recorded_ones(family: str) -> None:
    backbone, data = tiny_backbone(family), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    everything = record(backbone, prompt, data.test, TASK).numpy()
    places = [(0, 2, 5), (len(backbone.sites) - 1, 0, 11), (0, 3, 0)]
    seen = activations_at(backbone, prompt, data.test, TASK, places, batch_size=7)
    for column, (site, position, neuron) in enumerate(places):
        np.testing.assert_allclose(seen[:, column], everything[:, site, position, neuron], atol=1e-5)


def test_the_best_position_is_the_most_telling_one() -> None:
    accuracy = torch.full((1, 3, 2), 0.5)
    accuracy[0, 2, 1], accuracy[0, 1, 1], accuracy[0, 0, 0] = 0.1, 0.8, torch.nan
    assert best_places(accuracy, [(0, 1)]) == [(0, 2, 1)]


def test_the_best_neurons_come_in_order_from_the_sites_that_are_asked_for() -> None:
    predictivity = torch.tensor([[0.6, 0.9, 0.6], [0.9, 0.5, 0.95]])
    assert best_neurons(predictivity, 4) == [(1, 2), (0, 1), (1, 0), (0, 0)]
    assert best_neurons(predictivity, 2, torch.tensor([True, False])) == [(0, 1), (0, 0)]
    assert neuron_name(tiny_backbone("t5"), (2, 7)) == "decoder 0, neuron 7"


def test_bits_are_activations_above_the_threshold() -> None:
    backbone, data = tiny_backbone("roberta"), toy_data()
    prompt = SoftPrompt.initial(backbone, 2, 0)
    baseline = measure_baseline(backbone, prompt, data.train, TASK)
    places = [(0, 1, 4), (1, 0, 9)]
    values = activations_at(backbone, prompt, data.test, TASK, places)
    bits = bits_at(backbone, prompt, data.test, TASK, places, baseline)
    for column, place in enumerate(places):
        assert bits[:, column].tolist() == [
            value > float(baseline.mean[place]) for value in values[:, column]
        ]
