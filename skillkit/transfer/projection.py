"""Prompts carried to another backbone by a trained projector (Su et al. 2022, section 5).

    flatten [source length * source hidden] -> Linear -> LeakyReLU -> Linear -> reshape -> LayerNorm per row
    (optional)

with a bottleneck of 768 units as in the released code. It is trained either by *distance minimising* (mean
squared error to the target backbone's own prompt for the same task; no LayerNorm) or by *task tuning* (the
target backbone's label-word loss when it reads the projected prompt). The backbones stay frozen; only the
projector learns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

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
from skillkit.stats.intervals import wilson
from skillkit.tuning.loop import CLIP
from skillkit.tuning.prompt import accuracy

METHODS = ("distance", "task tuning")


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
                f"Projector: shapes {source_shape} and {target_shape}, bottleneck {bottleneck}; all must be positive."
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
                f"This projector takes prompts {self.source_shape}, got {tuple(prompts.shape[-2:])}. Use prompts of the "
                "backbone and length that it was made for."
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
    """A trained projector and its learning curve (`history`: step, loss, and for task tuning validation
    accuracy).
    """

    projector: Projector
    history: pd.DataFrame


def new_projector(
    source: SoftPrompt,
    target: Backbone,
    *,
    length: int | None = None,
    bottleneck: int = 768,
    norm: bool = True,
    seed: int = 0,
) -> Projector:
    """An untrained projector from prompts shaped like `source` to prompts of `target` (of the same length
    by default).
    """
    scale = float(target.embeddings.weight.float().std()) if norm else None
    shape = (source.matrix.shape[0], source.matrix.shape[1])
    projector = Projector(
        shape, (length or source.length, target.hidden_size), bottleneck=bottleneck, scale=scale, seed=seed
    )
    return projector.to(target.device)


def copy_through(prompt: SoftPrompt, target: Backbone) -> SoftPrompt:
    """The prompt used as it is: columns cut off, or filled up with zeros, to the target's width. A control."""
    width, hidden = prompt.matrix.shape[1], target.hidden_size
    matrix = torch.zeros(prompt.length, hidden)
    matrix[:, : min(width, hidden)] = prompt.matrix[:, :hidden]
    return SoftPrompt(matrix, {key: value for key, value in prompt.meta.items() if key != "backbone"})


def fit_distance(
    projector: Projector,
    pairs: Sequence[tuple[SoftPrompt, SoftPrompt]],
    *,
    steps: int = 1000,
    learning_rate: float = 1e-4,
) -> Fit:
    """Distance minimising: mean squared error between each projected source prompt and its target prompt,
    all pairs at once.

    `pairs` holds (source backbone's prompt, target backbone's prompt) of the same tasks. Adam, as in the
    released code.

    Raises:
        SkillkitError: no pairs, or prompts that do not fit the projector.
    """
    if not pairs:
        raise SkillkitError(
            "fit_distance: no pairs of prompts; give (source, target) prompts of at least one task."
        )
    device = projector.down.weight.device
    source = torch.stack([first.matrix for first, _ in pairs]).to(device)
    target = torch.stack([second.matrix for _, second in pairs]).to(device)
    if tuple(target.shape[1:]) != projector.target_shape:
        raise SkillkitError(
            f"The target prompts are {tuple(target.shape[1:])}, the projector makes {projector.target_shape}."
        )
    optimiser = torch.optim.Adam(projector.parameters(), lr=learning_rate)
    history = []
    for step in range(1, steps + 1):
        loss = nn.functional.mse_loss(projector(source), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step == 1 or step % max(1, steps // 50) == 0:
            history.append({"step": step, "loss": loss.item()})
    return Fit(projector, pd.DataFrame(history))


def fit_tasks(
    projector: Projector,
    backbone: Backbone,
    prompts: Mapping[str, Sequence[SoftPrompt]],
    tasks: Mapping[str, TaskData] | Mapping[str, EncodedTask],
    *,
    steps: int = 400,
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    evaluate_every: int = 50,
    seed: int = 0,
) -> Fit:
    """Task tuning: the target backbone's label-word loss on one task, or on a group of tasks in turn.

    Step i trains on the (i mod tasks)-th task with the next of its source prompts. AdamW without weight
    decay; linear warm-up over the first tenth, then constant (the released code has no warm-up). The
    projector that is best on the tasks' validation splits (mean accuracy over tasks, of each task's first
    prompt) is kept.

    Raises:
        SkillkitError: a task without prompts, or a loss that is not finite.
    """
    names = list(tasks)
    missing = [name for name in names if not prompts.get(name)]
    if missing or not names:
        raise SkillkitError(f"fit_tasks: no source prompt for {', '.join(missing) or 'any task'}.")
    first = prompts[names[0]][0]
    layout, scheme = layout_of(first), scheme_of(first)
    words = {name: label_token_ids(backbone, tasks[name].task, scheme).to(backbone.device) for name in names}
    validation = {name: encode(backbone, tasks[name].validation, tasks[name].task, layout) for name in names}
    streams = {
        name: _endless(
            encode(backbone, tasks[name].train, tasks[name].task, layout), batch_size, seed, backbone
        )
        for name in names
    }
    optimiser = torch.optim.AdamW(projector.parameters(), lr=learning_rate, weight_decay=0.0)
    best, best_accuracy, history, losses = _copy(projector), -1.0, [], []
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * min(1.0, step / max(1, steps // 10))
        name = names[(step - 1) % len(names)]
        source = prompts[name][(step - 1) // len(names) % len(prompts[name])].matrix.to(backbone.device)
        batch = next(streams[name])
        hidden = answer_hidden(backbone, projector(source), batch)
        loss = nn.functional.cross_entropy(backbone.answer_logits(hidden, words[name]), batch.labels)
        if not torch.isfinite(loss):
            raise SkillkitError(
                f"The loss became {loss.item()} at step {step}; use a learning rate below {learning_rate}."
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(projector.parameters(), CLIP)
        optimiser.step()
        losses.append(loss.item())
        if step % evaluate_every == 0 or step == steps:
            scores = [
                accuracy(
                    label_logits(
                        backbone, projector.project(prompts[name][0]), validation[name], tasks[name].task
                    ),
                    validation[name].labels,
                )
                for name in names
            ]
            history.append({"step": step, "loss": float(np.mean(losses)), "accuracy": float(np.mean(scores))})
            losses = []
            if history[-1]["accuracy"] > best_accuracy:
                best, best_accuracy = _copy(projector), history[-1]["accuracy"]
    projector.load_state_dict(best)
    return Fit(projector, pd.DataFrame(history))


def train_projector(
    target: Backbone,
    sources: Mapping[str, Mapping[int, SoftPrompt]],
    targets: Mapping[str, Mapping[int, SoftPrompt]],
    task_data: Mapping[str, TaskData] | Mapping[str, EncodedTask],
    method: str,
    *,
    bottleneck: int = 768,
    distance_steps: int = 1000,
    distance_rate: float = 1e-4,
    steps: int = 200,
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    evaluate_every: int = 20,
) -> Projector:
    """A projector for prompts of some tasks, by either method: ``distance`` or ``task tuning``.

    Args:
        sources, targets: both backbones' own prompts, by task and seed.
        task_data: the tasks that task tuning reads.

    Raises:
        SkillkitError: unknown method.
    """
    if method not in METHODS:
        raise unknown("way to train a projector", method, METHODS)
    task = next(iter(sources))
    first, own = (next(iter(prompts[task].values())) for prompts in (sources, targets))
    tuned = method == "task tuning"
    projector = new_projector(first, target, length=own.length, bottleneck=bottleneck, norm=tuned)
    if not tuned:
        pairs = [
            (prompt, targets[task][seed]) for task, each in sources.items() for seed, prompt in each.items()
        ]
        return fit_distance(projector, pairs, steps=distance_steps, learning_rate=distance_rate).projector
    return fit_tasks(
        projector,
        target,
        {task: list(each.values()) for task, each in sources.items()},
        task_data,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        evaluate_every=evaluate_every,
    ).projector


def method_table(
    backbone: Backbone,
    methods: Mapping[str, Mapping[str, Mapping[int, SoftPrompt]]],
    tasks: Mapping[str, TaskData] | Mapping[str, EncodedTask],
    *,
    split: str = "test",
    batch_size: int = 64,
) -> pd.DataFrame:
    """Accuracy of each method's prompts, each on its own task; every task is tokenised once.

    `methods` holds, by name of the method, prompts by task and seed. One row per method, task and seed:
    method, task, seed, value, n, low, high (Wilson).
    """
    rows = []
    for name, data in tasks.items():
        encoded: dict[str, Encoded] = {}
        for method, prompts in methods.items():
            for seed, prompt in prompts.get(name, {}).items():
                layout = layout_of(prompt)
                encoded.setdefault(layout, encode(backbone, data.split(split), data.task, layout))
                logits = label_logits(backbone, prompt, encoded[layout], data.task, batch_size=batch_size)
                count = len(encoded[layout])
                correct = int((logits.argmax(-1) == encoded[layout].labels).sum())
                low, high = wilson(correct, count)
                rows.append(
                    {
                        "method": method,
                        "task": name,
                        "seed": seed,
                        "value": correct / count,
                        "n": count,
                        "low": low,
                        "high": high,
                    }
                )
    if not rows:
        raise SkillkitError("method_table: no method has a prompt for any of the tasks.")
    return pd.DataFrame(rows)


def _copy(projector: Projector) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in projector.state_dict().items()}


def _endless(encoded: Encoded, batch_size: int, seed: int, backbone: Backbone) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from encoded.shuffled(batch_size, np.random.default_rng((seed, epoch)), backbone.device)
        epoch += 1
