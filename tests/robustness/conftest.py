"""Two tiny backbones with a prompt, pairs of texts, and the neurons' scores on clean text."""

import pytest
from attacks import toy_pairs
from tiny import tiny_backbone, toy_data

from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons


@pytest.fixture(params=("roberta", "t5"))
def setting(request):
    backbone, data = tiny_backbone(request.param), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    return backbone, prompt, toy_pairs(), score_neurons(backbone, prompt, data)
