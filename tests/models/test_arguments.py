"""What the functions of models and tuning refuse, in one sentence that names the argument."""

import pytest
import torch
from safetensors.torch import save_file
from tiny import TASK, tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.backbones import load_backbone
from skillkit.models.evaluation import evaluate, sample_examples
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.methods import reinitialised, tune_method
from skillkit.tuning.prompt import tune_prompt

DATA = toy_data()


def model():
    return tiny_backbone("roberta")


def prompt():
    return SoftPrompt.initial(model(), 2, 0)


def nothing():
    return torch.zeros(len(model().sites), model().width, dtype=torch.bool)


BAD = {
    "no name": lambda: load_backbone(None),
    "a number as name": lambda: load_backbone(3),
    "a number as device": lambda: load_backbone("mini-roberta", device=0),
    "a dtype of torch": lambda: load_backbone("mini-roberta", dtype=torch.float32),
    "no token": lambda: load_backbone("mini-roberta", max_text_tokens=0),
    "half a row": lambda: SoftPrompt.initial(model(), 2.5, 0),
    "no row": lambda: SoftPrompt.initial(model(), 0, 0),
    "a yes as length": lambda: SoftPrompt.initial(model(), True, 0),
    "a negative seed": lambda: SoftPrompt.initial(model(), 2, -1),
    "a huge seed": lambda: SoftPrompt.initial(model(), 2, 2**70),
    "text as seed": lambda: SoftPrompt.initial(model(), 2, "0"),
    "a list as prompt": lambda: SoftPrompt([[1.0, 2.0]]),
    "metadata that are none": lambda: SoftPrompt(torch.ones(2, 3), ["task"]),
    "a matrix as prompt": lambda: label_logits(model(), torch.ones(2, 8), DATA.test, TASK),
    "a list as data": lambda: label_logits(model(), prompt(), [1, 2], TASK),
    "no task": lambda: evaluate(model(), prompt(), DATA.test, "toy"),
    "no batch": lambda: evaluate(model(), prompt(), DATA.test, TASK, batch_size=0),
    "a batch of text": lambda: record(model(), prompt(), DATA.test, TASK, batch_size="8"),
    "a negative batch": lambda: label_logits(model(), prompt(), DATA.test, TASK, batch_size=-4),
    "no example": lambda: sample_examples(DATA.test, 0),
    "a list of neurons": lambda: intervene(model(), [1, 2], "zero").__enter__(),
    "endless noise": lambda: intervene(model(), nothing(), "noise", scale=float("inf")).__enter__(),
    "a negative batch in tuning": lambda: tune_prompt(model(), DATA, batch_size=-4),
    "no patience": lambda: tune_prompt(model(), DATA, patience=0),
    "steps as text": lambda: tune_prompt(model(), DATA, steps="100"),
    "a seed below 0": lambda: tune_prompt(model(), DATA, steps=1, seed=-1),
    "a dict as budget": lambda: tune_prompt(model(), DATA, {"steps": 1}),
    "a path as data": lambda: tune_prompt(model(), "sst2", steps=1),
    "a rate of NaN": lambda: TuningBudget(learning_rate=float("nan")),
    "a rate below 0": lambda: TuningBudget(learning_rate=-0.1),
    "a seed of text": lambda: tune_method(model(), DATA, "bitfit", seed="0"),
    "half a seed": lambda: reinitialised(model(), 0.5),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused_in_words(call):
    with pytest.raises(SkillkitError, match=r"expected|Give|give") as refused:
        call()
    assert len(str(refused.value).splitlines()) == 1


def test_a_prompt_whose_metadata_are_no_json_says_what_to_do(tmp_path):
    path = tmp_path / "seed-0.safetensors"
    save_file({"prompt": torch.ones(2, 3)}, path, {"format": "skillkit-prompt", "meta": "{cut off"})
    with pytest.raises(SkillkitError, match=r"metadata of the soft prompt .* cannot be read"):
        SoftPrompt.load(path)
