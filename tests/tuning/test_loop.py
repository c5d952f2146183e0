"""The training loop on losses whose minimum is known."""

import math

import pytest
import torch
from tiny import TASK, tiny_backbone, toy_dataset
from torch import nn

from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.loop import epochs, minimise, warm_up_and_decay


def numbers(after):
    return iter(range(after + 1, 1000))


def test_without_an_evaluation_the_last_parameters_are_kept():
    parameter = nn.Parameter(torch.zeros(3))
    target = torch.tensor([1.0, -1.0, 0.5])
    budget = TuningBudget(steps=300, learning_rate=0.05, evaluate_every=100)
    run = minimise(lambda _: (parameter - target).square().sum(), [parameter], numbers, budget)
    torch.testing.assert_close(run.best[0], target, atol=0.05, rtol=0)
    assert torch.equal(run.best[0], parameter)
    assert math.isnan(run.accuracy) and run.history["accuracy"].isna().all()
    assert run.history["step"].tolist() == [100, 200, 300]
    assert run.history["loss"].is_monotonic_decreasing


def test_patience_needs_an_evaluation():
    with pytest.raises(SkillkitError, match="evaluate="):
        minimise(lambda _: torch.zeros(()), [nn.Parameter(torch.zeros(1))], numbers, TuningBudget(patience=2))


def test_another_course_of_the_learning_rate_can_be_given():
    """Adam's first step is as large as the rate; a rate of zero in the second stays where it led."""
    parameter = nn.Parameter(torch.zeros(1))
    minimise(
        lambda _: parameter.sum(),
        [parameter],
        numbers,
        TuningBudget(steps=2, learning_rate=0.1),
        rate=lambda step, steps: float(step == 1),
    )
    torch.testing.assert_close(parameter.detach(), torch.tensor([-0.1]), atol=1e-4, rtol=0)


def test_the_learning_rate_warms_up_and_decays():
    shares = [warm_up_and_decay(step, 20) for step in range(1, 21)]
    assert shares[:2] == [0.5, 1.0]
    assert shares[2:] == pytest.approx([(20 - step + 1) / 19 for step in range(3, 21)])


@pytest.mark.parametrize("after", [0, 1, 3, 4, 9])
def test_batches_after_some_steps_are_the_rest_of_all_batches(after):
    backbone = tiny_backbone("roberta")
    train = encode(backbone, toy_dataset(13, 0), TASK)
    batches = epochs(train, 4, 7, backbone.device)
    every = [batch.rows.tolist() for batch, _ in zip(batches(0), range(12), strict=False)]
    rest = [batch.rows.tolist() for batch, _ in zip(batches(after), range(12 - after), strict=False)]
    assert rest == every[after:]
    for epoch in (every[:4], every[4:8], every[8:]):
        assert sorted(row for rows in epoch for row in rows) == list(range(13))
    assert every[:4] != every[4:8]


@pytest.mark.parametrize("broken", ["loss", "gradient"])
@pytest.mark.parametrize(("first", "said"), [(1, "not the learning rate"), (3, "lower learning rate than")])
def test_a_loss_or_gradient_that_is_not_finite_ends_the_run(broken, first, said):
    parameter = nn.Parameter(torch.ones(2))

    def loss(step):
        if step < first:
            return parameter.square().sum()
        return (parameter * torch.nan).sum() if broken == "loss" else (parameter * 0).sqrt().sum()

    with pytest.raises(SkillkitError, match=rf"at step {first} of 5 .* in the loss or its gradient.*{said}"):
        minimise(loss, [parameter], numbers, TuningBudget(steps=5, learning_rate=0.01))
    assert torch.isfinite(parameter).all()
