"""Each condition of the comparison, against the steps it is made of."""

import numpy as np
import pytest
from tiny import tiny_backbone, toy_data

from skillkit.models.evaluation import evaluate, mean_correct
from skillkit.models.inputs import encode_task
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.pruning import largest_neurons, mean_activation, prune_ffn
from skillkit.neurons.pruning_comparison import (
    HERE,
    KEPT,
    NOTHING,
    W1,
    W2,
    WHOLE,
    PruningComparison,
    accuracy_table,
)
from skillkit.neurons.scores import random_neurons, score_neurons, skill_neurons
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.prompt import tune_prompt


@pytest.fixture(scope="module")
def comparison() -> PruningComparison:
    backbone = tiny_backbone("t5")
    data = encode_task(backbone, toy_data(40, 30))
    prompts = {seed: SoftPrompt.initial(backbone, 2, seed) for seed in (0, 4)}
    scores = {seed: score_neurons(backbone, prompt, data) for seed, prompt in prompts.items()}
    return PruningComparison(backbone, prompts, scores, data, [1, 3])


def answers(comparison, make):
    """Share of prompts right on each test text, with the model that `make` gives for each seed."""
    data = comparison.task_data
    return mean_correct(
        [evaluate(make(seed), prompt, data.test, data.task) for seed, prompt in comparison.prompts.items()]
    )


def test_what_is_kept_is_as_many_neurons_by_every_rule(comparison) -> None:
    masks = comparison.kept(4, 0.2)
    skill = skill_neurons(comparison.scores[4].predictivity, 0.2)
    assert list(masks) == list(KEPT) and masks["skill"].equal(skill)
    assert masks["random"].equal(random_neurons(skill, 4))
    assert masks["largest weights"].equal(largest_neurons(comparison.backbone, 0.2))
    assert all(mask.sum(1).tolist() == [1] * 4 for mask in comparison.kept(0, 0.001).values())


def test_pruned_models_answer_with_the_prompts_as_they_are(comparison) -> None:
    found = comparison.with_prompts_unchanged(0.1)
    for name, correct in found.items():

        def pruned(seed, name=name):
            keep = comparison.kept(seed, 0.1)[name]
            return prune_ffn(comparison.backbone, keep, comparison.scores[seed].mean, sites=[1, 3])

        np.testing.assert_array_equal(correct, answers(comparison, pruned))
    np.testing.assert_array_equal(comparison.whole(), answers(comparison, lambda seed: comparison.backbone))
    table = accuracy_table(found)
    assert table["neurons"].tolist() == list(KEPT) and set(table["unit"]) == {"texts"}
    assert table["value"].tolist() == [correct.mean() for correct in found.values()]


def test_further_tuning_starts_from_the_old_prompt_on_each_model(comparison) -> None:
    data, budget = comparison.task_data, TuningBudget(steps=2, batch_size=8, evaluate_every=2)
    found = comparison.with_further_tuning(0.1, data, budget, [4])
    assert list(found) == [*KEPT, WHOLE]
    for name in ("skill", WHOLE):
        model = comparison.backbone if name == WHOLE else comparison.pruned(4, name, 0.1)
        tuned = tune_prompt(model, data, budget, seed=4, start=comparison.prompts[4])
        expected = evaluate(model, tuned.prompt, data.test, data.task).correct
        np.testing.assert_array_equal(found[name], expected)


def test_other_means_are_those_that_the_variants_name(comparison) -> None:
    data, backbone = comparison.task_data, comparison.backbone
    found = comparison.with_other_means(0.1)
    assert list(found) == [HERE, W1, W2, NOTHING]
    np.testing.assert_array_equal(found[HERE], comparison.with_prompts_unchanged(0.1)["skill"])
    for name, fold in ((W1, "all"), (W2, "removed"), (NOTHING, "none")):

        def made(seed, name=name, fold=fold):
            means = comparison.scores[seed].mean
            if name == W2:
                means = mean_activation(backbone, comparison.prompts[seed], data.train, data.task)
            keep = comparison.kept(seed, 0.1)["skill"]
            return prune_ffn(backbone, keep, means, sites=[1, 3], fold=fold)

        np.testing.assert_array_equal(found[name], answers(comparison, made))
