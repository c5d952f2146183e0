"""Only prompts that learned their task may carry a claim about neurons."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from tiny import tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt
from skillkit.tuning.learned import which_learned, which_tasks_learned
from skillkit.tuning.prompt import tune_prompt


def prompt(accuracy: float, examples: int = 400, majority: float = 0.51) -> SoftPrompt:
    found = {
        "validation_accuracy": accuracy,
        "validation_examples": examples,
        "validation_majority": majority,
    }
    return SoftPrompt(torch.ones(2, 3), found)


GOOD, BAD = prompt(0.9), prompt(0.46)


def test_all_prompts_stay_when_all_learned():
    learned = which_learned({0: GOOD, 3: GOOD})
    assert learned.seeds == [0, 3] and learned.note == "" and learned.why_not == ""


def test_a_prompt_below_the_majority_is_left_out_and_said():
    learned = which_learned({0: BAD, 1: GOOD})
    assert learned.seeds == [1] and learned.why_not == ""
    assert "seed 0 answers 46% of 400" in learned.note and "class 51%" in learned.note
    assert "steps" in learned.note and "learning_rate" in learned.note


def test_where_none_learned_nothing_can_be_claimed():
    learned = which_learned({0: BAD, 1: prompt(0.53)})
    assert learned.seeds == [0, 1]
    assert learned.why_not == "no prompt has learned the task"
    assert "seed 1" in learned.note and "no claim of this page is tested" in learned.note


@given(st.integers(0, 200), st.floats(0.05, 0.95))
def test_the_border_is_wilson_s(right: int, majority: float):
    reference = binomtest(right, 200).proportion_ci(method="wilson").low
    assert bool(which_learned({0: prompt(right / 200, 200, majority)}).failed) == (reference <= majority)


def test_a_prompt_that_was_never_tried_is_taken_as_it_is():
    assert which_learned({0: SoftPrompt(torch.ones(2, 3))}).note == ""


def test_no_prompt_is_an_error():
    with pytest.raises(SkillkitError, match="at least one seed"):
        which_learned({})


def test_tuning_says_what_the_majority_reaches():
    data = toy_data()
    tuned = tune_prompt(tiny_backbone("roberta"), data, length=2, steps=2, evaluate_every=1, batch_size=8)
    labels = data.validation["label"][:]
    assert tuned.prompt.meta["validation_examples"] == len(labels)
    assert tuned.prompt.meta["validation_majority"] == max(map(labels.count, labels)) / len(labels)


def test_tasks_with_a_failed_prompt_are_left_out_of_comparisons():
    prompts = {"film": {0: GOOD, 1: GOOD}, "food": {0: GOOD, 1: BAD}, "news": {0: GOOD}}
    learned = which_tasks_learned(prompts)
    assert learned.tasks == ["film", "news"] and learned.why_not == ""
    assert "food (the prompt of seed 1" in learned.note


def test_fewer_than_two_tasks_are_no_comparison():
    learned = which_tasks_learned({"film": {0: GOOD}, "food": {0: BAD}})
    assert learned.tasks == ["film", "food"] and learned.why_not and "food (" in learned.note
    whole = which_tasks_learned({"film": {0: GOOD}, "food": {0: GOOD}})
    assert whole.tasks == ["film", "food"] and whole.note == "" and whole.why_not == ""
