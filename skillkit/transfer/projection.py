"""Prompts carried to another backbone by a trained projector (Su et al. 2022, section 5).

    flatten [source length * source hidden] -> Linear -> LeakyReLU -> Linear -> reshape -> LayerNorm per row
    (optional)

with a bottleneck of 768 units as in the released code. It is trained either by *distance minimising* (mean
squared error to the target backbone's own prompt for the same task; no LayerNorm) or by *task tuning* (the
target backbone's label-word loss when it reads the projected prompt). The backbones stay frozen; only the
projector learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from skillkit.checks import Positive, Seed, Size, check_arguments
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError, unknown
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode
from skillkit.models.passes import Batch
from skillkit.models.prompts import (
    SoftPrompt,
    answer_hidden,
    label_logits,
    label_token_ids,
    layout_of,
    scheme_of,
)
from skillkit.transfer.zero_shot import Prompts
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.loop import epochs, minimise
from skillkit.tuning.prompt import accuracy_and_loss

METHODS = ("distance", "task tuning")


@dataclass(frozen=True)
class ProjectorBudget:
    """What the training of a projector may spend.

    Attributes:
        bottleneck: units between the projector's two layers.
        tuning: of task tuning; its length is not used.
        distance_steps: of distance minimising.
        distance_rate: learning rate of distance minimising.
    """

    bottleneck: int = 768
    tuning: TuningBudget = field(
        default_factory=lambda: TuningBudget(steps=200, learning_rate=5e-3, evaluate_every=20)
    )
    distance_steps: int = 1000
    distance_rate: float = 1e-4


class Projector(nn.Module):
    """Maps prompts [length, hidden] of one backbone to prompts [target length, target hidden] of another.

    `scale` is the standard deviation that a LayerNormed projector's rows start with: that of the target's
    word embeddings. (The released code starts at 1.) None leaves LayerNorm out.
    """

    def __init__(
        self,
        source_shape: tuple[int, int],
        target_shape: tuple[int, int],
        *,
        bottleneck: int = 768,
        scale: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(*source_shape, *target_shape, bottleneck) < 1:
            raise SkillkitError(
                f"Projector: shapes {source_shape} and {target_shape}, bottleneck {bottleneck}; "
                "all must be positive."
            )
        self.source_shape, self.target_shape = tuple(source_shape), tuple(target_shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.down = nn.Linear(source_shape[0] * source_shape[1], bottleneck)
            self.up = nn.Linear(bottleneck, target_shape[0] * target_shape[1])
        self.norm = None if scale is None else nn.LayerNorm(target_shape[1])
        if self.norm is not None:
            nn.init.constant_(self.norm.weight, float(scale or 1.0))

    def forward(self, prompts: Tensor) -> Tensor:
        """[..., length, hidden] to [..., target length, target hidden]."""
        if tuple(prompts.shape[-2:]) != self.source_shape:
            raise SkillkitError(
                f"This projector takes prompts {self.source_shape}, got {tuple(prompts.shape[-2:])}. "
                "Use prompts of the backbone and length that it was made for."
            )
        hidden = nn.functional.leaky_relu(self.down(prompts.flatten(-2)))
        rows = self.up(hidden).unflatten(-1, self.target_shape)
        return rows if self.norm is None else self.norm(rows)

    @torch.no_grad()
    def project(self, prompt: SoftPrompt) -> SoftPrompt:
        """The prompt as the target backbone may read it; its `meta` keeps task, layout and label words."""
        device = self.down.weight.device
        kept = {
            key: value
            for key, value in prompt.meta.items()
            if key in ("task", "layout", "label_words", "seed")
        }
        meta = {**kept, "projected_from": prompt.meta.get("backbone", "")}
        return SoftPrompt(self(prompt.matrix.to(device)).float().cpu(), meta)


@dataclass(frozen=True)
class Fit:
    """A trained projector and its learning curve.

    `history` has the columns step and loss; after task tuning also accuracy and validation_loss, means over
    tasks.
    """

    projector: Projector
    history: pd.DataFrame


@check_arguments
def new_projector(
    source: SoftPrompt,
    target: Backbone,
    *,
    length: Size | None = None,
    bottleneck: Size = 768,
    norm: bool = True,
    seed: Seed = 0,
) -> Projector:
    """An untrained projector from prompts shaped like `source` to prompts of `target`, by default as long."""
    scale = float(target.embeddings.weight.float().std()) if norm else None
    shape = (source.matrix.shape[0], source.matrix.shape[1])
    projector = Projector(
        shape, (length or source.length, target.hidden_size), bottleneck=bottleneck, scale=scale, seed=seed
    )
    return projector.to(target.device)


@check_arguments
def copy_through(prompt: SoftPrompt, target: Backbone) -> SoftPrompt:
    """A control: the prompt as it is, with columns cut off, or filled with zeros, to the target's width."""
    width, hidden = prompt.matrix.shape[1], target.hidden_size
    matrix = torch.zeros(prompt.length, hidden)
    matrix[:, : min(width, hidden)] = prompt.matrix[:, :hidden]
    return SoftPrompt(matrix, prompt.unbound().meta)


@check_arguments
def fit_distance(
    projector: Projector,
    pairs: Sequence[tuple[SoftPrompt, SoftPrompt]],
    *,
    steps: Size = 1000,
    learning_rate: Positive = 1e-4,
) -> Fit:
    """Distance minimising: mean squared error between projected prompts and the target's, all at once.

    Adam without clipping or warm-up, as in the released code.

    Args:
        projector: changed in place.
        pairs: the source and the target backbone's prompt, of the same task.
        steps: of the optimiser.
        learning_rate: of Adam.

    Raises:
        SkillkitError: no pairs, prompts that do not fit the projector, no steps, or a loss that is not
            finite.
    """
    if not pairs:
        raise SkillkitError(
            "fit_distance: no pairs of prompts; give (source, target) prompts of at least one task."
        )
    device = projector.down.weight.device
    sources, targets = zip(*pairs, strict=True)
    source = _stack(sources, projector.source_shape, "takes source prompts").to(device)
    target = _stack(targets, projector.target_shape, "makes target prompts").to(device)
    optimiser = torch.optim.Adam(projector.parameters(), lr=learning_rate)
    history = []
    for step in range(1, steps + 1):
        loss = nn.functional.mse_loss(projector(source), target)
        optimiser.zero_grad(set_to_none=True)
        if not torch.isfinite(loss):
            raise SkillkitError(f"The projector's loss is {loss.item()} at step {step}. Lower learning_rate.")
        loss.backward()
        optimiser.step()
        if step == 1 or step % max(1, steps // 50) == 0:
            history.append({"step": step, "loss": loss.item()})
    return Fit(projector, pd.DataFrame(history))


def _stack(prompts: Sequence[SoftPrompt], shape: tuple[int, ...], does: str) -> Tensor:
    """The prompts as [prompts, length, hidden]."""
    wrong = {tuple(prompt.matrix.shape) for prompt in prompts} - {shape}
    if wrong:
        raise SkillkitError(
            f"The projector {does} {shape}, but one of those given is {wrong.pop()}. Give prompts of one "
            "length and backbone, and make the projector for them (new_projector)."
        )
    return torch.stack([prompt.matrix for prompt in prompts])


Sample = tuple[str, Tensor, Batch]
"""A task, one of its source prompts [length, hidden], and a batch of its examples."""


@check_arguments
def fit_tasks(
    projector: Projector,
    backbone: Backbone,
    prompts: Mapping[str, Sequence[SoftPrompt]],
    tasks: Mapping[str, TaskData | EncodedTask],
    budget: TuningBudget | None = None,
    *,
    seed: Seed = 0,
) -> Fit:
    """Task tuning: the target backbone's label-word loss on one task, or on a group of tasks in turn.

    Step i trains on the (i mod tasks)-th task with the next of its source prompts. The learning rate warms up
    over the first tenth of the steps and then stays (the released code has no warm-up). The projector that is
    best on the tasks' validation splits (mean accuracy over tasks, of each task's first prompt) is kept.

    Args:
        projector: changed in place.
        backbone: the target, frozen.
        prompts: of the source backbone, by task.
        tasks: to tune on.
        budget: its length is not used; None is 400 steps at a rate of 0.005.
        seed: of the order of the examples.

    Raises:
        SkillkitError: a task without prompts, or a loss that is not finite.
    """
    names, budget = list(tasks), budget or TuningBudget(learning_rate=5e-3)
    first = _first_prompt(prompts, names)
    layout, scheme = layout_of(first), scheme_of(first)
    words = {name: label_token_ids(backbone, tasks[name].task, scheme).to(backbone.device) for name in names}
    train, validation = (
        {name: encode(backbone, tasks[name].split(split), tasks[name].task, layout) for name in names}
        for split in ("train", "validation")
    )

    def loss(sample: Sample) -> Tensor:
        name, source, batch = sample
        hidden = answer_hidden(backbone, projector(source), batch)
        return nn.functional.cross_entropy(backbone.answer_logits(hidden, words[name]), batch.labels)

    def evaluate() -> tuple[float, float]:
        found = []
        for name in names:
            now = projector.project(prompts[name][0])
            logits = label_logits(backbone, now, validation[name], tasks[name].task)
            found.append(accuracy_and_loss(logits, validation[name].labels))
        return float(np.mean([each[0] for each in found])), float(np.mean([each[1] for each in found]))

    parameters = list(projector.parameters())
    run = minimise(
        loss,
        parameters,
        lambda after: samples(backbone, prompts, train, budget.batch_size, seed, after),
        budget,
        evaluate=evaluate,
        rate=_warm_up,
        description=f"projector to {backbone.name}",
    )
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(run.best), parameters)
    return Fit(projector, run.history)


def _first_prompt(prompts: Mapping[str, Sequence[SoftPrompt]], names: Sequence[str]) -> SoftPrompt:
    """The first task's first prompt; refuses tasks without one."""
    missing = [name for name in names if not prompts.get(name)]
    if missing or not names:
        raise SkillkitError(f"fit_tasks: no source prompt for {', '.join(missing) or 'any task'}.")
    return prompts[names[0]][0]


@check_arguments
def samples(
    backbone: Backbone,
    prompts: Mapping[str, Sequence[SoftPrompt]],
    train: Mapping[str, Encoded],
    batch_size: Size,
    seed: Seed,
    after: int,
) -> Iterator[Sample]:
    """What `fit_tasks` learns from after some steps: the tasks in turn, and each one's prompts in turn."""
    names = list(train)
    streams = {
        name: epochs(each, batch_size, seed, backbone.device)(len(range(place, after, len(names))))
        for place, (name, each) in enumerate(train.items())
    }
    for step in count(after):
        name = names[step % len(names)]
        source = prompts[name][step // len(names) % len(prompts[name])]
        yield name, source.matrix.to(backbone.device), next(streams[name])


def _warm_up(step: int, steps: int) -> float:
    """Share of the full learning rate: up over the first tenth of the steps, then constant."""
    return min(1.0, step / max(1, steps // 10))


@check_arguments
def train_projector(
    target: Backbone,
    sources: Prompts,
    targets: Prompts,
    task_data: Mapping[str, TaskData | EncodedTask],
    method: str,
    budget: ProjectorBudget | None = None,
) -> Projector:
    """A projector for prompts of some tasks, by either method: ``distance`` or ``task tuning``.

    Args:
        target: the backbone that is to read the projected prompts.
        sources: the source backbone's own prompts, by task and seed.
        targets: the target backbone's, of the same seeds; of these tasks or more.
        task_data: the tasks that task tuning reads; of these tasks or more.
        method: one of `METHODS`.
        budget: of either method.

    Raises:
        SkillkitError: unknown method.
    """
    if method not in METHODS:
        raise unknown("way to train a projector", method, METHODS)
    budget = budget or ProjectorBudget()
    task = next(iter(sources))
    first, own = (next(iter(prompts[task].values())) for prompts in (sources, targets))
    tuned = method == "task tuning"
    projector = new_projector(first, target, length=own.length, bottleneck=budget.bottleneck, norm=tuned)
    if tuned:
        prompts = {task: list(each.values()) for task, each in sources.items()}
        chosen = {task: task_data[task] for task in sources}
        return fit_tasks(projector, target, prompts, chosen, budget.tuning).projector
    pairs = [(prompt, targets[task][seed]) for task, each in sources.items() for seed, prompt in each.items()]
    return fit_distance(
        projector, pairs, steps=budget.distance_steps, learning_rate=budget.distance_rate
    ).projector
