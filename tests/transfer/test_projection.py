"""Projectors: a known linear map is recovered, the backbone stays as it was, only the projector learns."""

import pytest
import torch
from tiny import tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.transfer import projection
from skillkit.transfer.projection import (
    Projector,
    ProjectorBudget,
    copy_through,
    fit_distance,
    fit_tasks,
    new_projector,
    train_projector,
)
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.prompt import accuracy


def random_prompts(count, length, hidden, seed):
    generator = torch.Generator().manual_seed(seed)
    return [SoftPrompt(torch.randn(length, hidden, generator=generator)) for _ in range(count)]


def test_distance_minimising_recovers_a_linear_map():
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(2 * 3, 2 * 4, generator=generator)

    def mapped(prompt):
        return SoftPrompt((prompt.matrix.flatten() @ true).reshape(2, 4))

    pairs = [(prompt, mapped(prompt)) for prompt in random_prompts(300, 2, 3, seed=1)]
    projector = Projector((2, 3), (2, 4), bottleneck=32)
    held_out = [(prompt, mapped(prompt)) for prompt in random_prompts(50, 2, 3, seed=2)]

    def error():  # share of the held-out targets' variance that is missed
        missed = sum(
            ((projector.project(source).matrix - target.matrix) ** 2).sum() for source, target in held_out
        )
        return float(missed / sum((target.matrix**2).sum() for _, target in held_out))

    before = error()
    fit = fit_distance(projector, pairs, steps=600, learning_rate=1e-2)
    assert before > 0.5
    assert error() < 0.01
    assert fit.history["loss"].iloc[-1] < 0.01 * fit.history["loss"].iloc[0]


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_task_tuning_leaves_the_backbone_bitwise_and_learns(family):
    backbone, data = tiny_backbone(family), toy_data(train=120)
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    source = random_prompts(1, 4, 7, seed=0)[0]  # another width and length
    projector = new_projector(source, backbone, length=3, bottleneck=16, seed=0)
    start = {name: value.clone() for name, value in projector.state_dict().items()}

    validation = encode(backbone, data.validation, data.task)

    def measured():
        return accuracy(
            label_logits(backbone, projector.project(source), validation, data.task), validation.labels
        )

    untrained = measured()
    fit = fit_tasks(
        projector,
        backbone,
        {"toy": [source]},
        {"toy": data},
        TuningBudget(steps=90, learning_rate=0.02, evaluate_every=15),
    )
    assert all(torch.equal(value, before[name]) for name, value in backbone.model.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.model.parameters())
    assert all(not torch.equal(value, start[name]) for name, value in projector.state_dict().items())
    assert measured() == pytest.approx(fit.history["accuracy"].max())  # the best on validation is kept
    assert measured() > max(untrained, 0.6)
    assert source.matrix.grad is None


def test_task_tuning_takes_tasks_and_prompts_in_turn():
    backbone = tiny_backbone("roberta")
    tasks = {"one": toy_data(seed=0), "two": toy_data(seed=5)}
    prompts = {"one": random_prompts(2, 3, 5, seed=0), "two": random_prompts(1, 3, 5, seed=1)}
    projector = new_projector(prompts["one"][0], backbone, bottleneck=8)
    seen = []
    forward = projector.forward
    projector.forward = lambda x: seen.append(x) or forward(x)
    fit_tasks(projector, backbone, prompts, tasks, TuningBudget(steps=4, evaluate_every=10))
    expected = [prompts["one"][0], prompts["two"][0], prompts["one"][1], prompts["two"][0]]
    assert all(torch.equal(x, prompt.matrix) for x, prompt in zip(seen[:4], expected, strict=True))


def test_the_layer_norm_starts_at_the_scale_of_the_word_embeddings():
    backbone = tiny_backbone("roberta")
    source = random_prompts(1, 4, 30, seed=0)[0]
    scale = float(backbone.embeddings.weight.std())
    normed = new_projector(source, backbone).project(source).matrix
    assert normed.shape == (4, backbone.hidden_size)
    torch.testing.assert_close(normed.std(1, correction=0), torch.full((4,), scale), rtol=1e-2, atol=0)
    plain = new_projector(source, backbone, norm=False)
    assert plain.norm is None
    assert (
        sum(p.numel() for p in plain.parameters())
        == (4 * 30 + 1) * 768 + (768 + 1) * 4 * backbone.hidden_size
    )


def test_projectors_are_seeded_without_touching_the_global_state():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two, other = (Projector((2, 3), (2, 4), bottleneck=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.down.weight, two.down.weight)
    assert not torch.equal(one.down.weight, other.down.weight)


def test_copy_through_cuts_or_fills_columns():
    backbone = tiny_backbone("roberta")  # 12 wide
    wide, narrow = random_prompts(1, 3, 15, seed=0)[0], random_prompts(1, 3, 5, seed=0)[0]
    assert torch.equal(copy_through(wide, backbone).matrix, wide.matrix[:, :12])
    filled = copy_through(narrow, backbone).matrix
    assert torch.equal(filled[:, :5], narrow.matrix)
    assert not filled[:, 5:].any()


def test_the_prompt_batches_go_on_where_a_run_would_have_been():
    """After three steps the stream gives what an undisturbed one gives from its fourth sample on."""
    backbone = tiny_backbone("roberta")
    tasks = {"one": toy_data(seed=0), "two": toy_data(seed=5)}
    prompts = {"one": random_prompts(2, 3, 5, seed=0), "two": random_prompts(1, 3, 5, seed=1)}
    train = {name: encode(backbone, data.train, data.task) for name, data in tasks.items()}
    whole, rest = (projection.samples(backbone, prompts, train, 8, 0, after) for after in (0, 3))
    for _ in range(3):
        next(whole)
    for _ in range(20):
        (name, source, batch), (other, same, again) = next(whole), next(rest)
        assert name == other and torch.equal(source, same) and torch.equal(batch.ids, again.ids)


def test_training_projectors_uses_the_budget_of_its_method():
    backbone = tiny_backbone("roberta")
    tasks = {"one": toy_data(seed=0), "two": toy_data(seed=5)}
    sources = {name: dict(enumerate(random_prompts(2, 3, 5, seed=i))) for i, name in enumerate(tasks)}
    targets = {name: {k: SoftPrompt.initial(backbone, 4, k) for k in (0, 1)} for name in tasks}
    budget = ProjectorBudget(
        6, TuningBudget(steps=2, batch_size=8, learning_rate=0.5), distance_steps=3, distance_rate=0.5
    )
    only = {"one": sources["one"]}
    for method, norm in (("distance", False), ("task tuning", True)):
        projector = train_projector(backbone, only, targets, tasks, method, budget)
        assert projector.down.out_features == 6 and projector.target_shape == (4, backbone.hidden_size)
        assert (projector.norm is not None) == norm
        untrained = new_projector(sources["one"][0], backbone, length=4, bottleneck=6, norm=norm)
        assert not torch.equal(projector.down.weight, untrained.down.weight)
    with pytest.raises(SkillkitError, match="task tuning"):
        train_projector(backbone, only, targets, tasks, "tuning", budget)


def test_bad_input_is_refused():
    projector = Projector((2, 3), (2, 4), bottleneck=4)
    with pytest.raises(SkillkitError, match="takes prompts"):
        projector.project(random_prompts(1, 3, 3, seed=0)[0])
    with pytest.raises(SkillkitError, match="no pairs"):
        fit_distance(projector, [])
    with pytest.raises(SkillkitError, match="makes target prompts"):
        fit_distance(projector, [(random_prompts(1, 2, 3, seed=0)[0], random_prompts(1, 2, 5, seed=0)[0])])
    source, target = random_prompts(1, 2, 3, seed=0)[0], random_prompts(1, 2, 4, seed=0)[0]
    longer = random_prompts(1, 3, 3, seed=0)[0]  # torch's own error for two lengths was shown here
    with pytest.raises(SkillkitError, match=r"takes source prompts \(2, 3\).*\(3, 3\)"):
        fit_distance(projector, [(source, target), (longer, target)])
    with pytest.raises(SkillkitError, match="no source prompt"):
        fit_tasks(projector, tiny_backbone("roberta"), {}, {"toy": toy_data()})
    with pytest.raises(SkillkitError, match="positive"):
        Projector((2, 3), (2, 4), bottleneck=0)
