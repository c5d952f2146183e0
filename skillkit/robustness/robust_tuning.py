"""Tuning prompts to withstand attacks.

If robustness came from skill neurons that stay the same under attack, then asking just that of a prompt
should make it robust. Four ways to go on tuning from the same prompt, for the same number of steps:

- `plain`: the clean texts alone, as before: the control for the extra steps
- `augmented`: half of the loss on attacked copies of the training texts (typos and distracting sentences)
- `skill`: clean texts alone, plus a penalty on how far the attack moves the *skill neurons* at the slot and
  the prompt rows
- `random`: the same penalty on as many random neurons: the control for asking any neurons to stay

The penalty sees the attacked copies but not their labels. Nothing is selected on the way: the last step's
prompt is kept, so no objective profits from a criterion that suits it. The test twin also holds attacks that
were never seen in tuning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from skillkit.checks import Seed, check_arguments
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import Watcher, present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode
from skillkit.models.passes import Batch, Pass
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_token_ids, layout_of, scheme_of
from skillkit.neurons.scores import shift_unit
from skillkit.robustness.augmentation import attacked_copy
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.loop import epochs, minimise

OBJECTIVES = ("plain", "augmented", "skill", "random")
PENALISED = ("skill", "random")


@dataclass(frozen=True)
class Penalty:
    """How much it costs when an attack moves some neurons.

    Attributes:
        neurons: which must stay, bool [sites, width].
        deviation: every neuron's standard deviation over clean training texts, the unit of its shift,
            [sites, width].
        weight: of the mean squared shift beside the cross-entropy.

    Raises:
        SkillkitError: no neuron is chosen, or the shapes differ.
    """

    neurons: Tensor
    deviation: Tensor
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.neurons.any() or self.neurons.shape != self.deviation.shape:
            raise SkillkitError(
                "A penalty needs at least one neuron and the deviations of all; "
                f"got {int(self.neurons.sum())} neurons of "
                f"{list(self.neurons.shape)}, and deviations {list(self.deviation.shape)}."
            )


@dataclass(frozen=True)
class Robust:
    """A prompt tuned by one objective, with the mean loss over all steps and the wall time in seconds."""

    prompt: SoftPrompt
    loss: float
    seconds: float


@check_arguments
def tune_robustly(
    backbone: Backbone,
    task_data: TaskData | EncodedTask,
    start: SoftPrompt,
    objective: str,
    budget: TuningBudget,
    *,
    penalty: Penalty | None = None,
    attacked: Dataset | Encoded | None = None,
    seed: Seed = 0,
) -> Robust:
    """Go on tuning a prompt by one of `OBJECTIVES` for some steps.

    Args:
        backbone: the model.
        task_data: the clean task, of which the training split is used.
        start: the prompt to start from, normally the one tuned on clean text; its length, layout and label
            words are kept.
        objective: what is minimised.
        budget: steps, batch size and learning rate; nothing is evaluated on the way.
        penalty: for the objectives that have one.
        attacked: the attacked copies of the training rows, in the same order; None: `attacked_copy` of them.
        seed: of the order of the examples, and of the attacks.

    Raises:
        SkillkitError: an unknown objective, a missing penalty, or another number of attacked rows.
    """
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    if objective in PENALISED and penalty is None:
        raise SkillkitError(f"Objective {objective!r} needs penalty=Penalty(neurons, deviation, weight).")
    task, layout = task_data.task, layout_of(start)
    copies = attacked_copy(task_data.train, task, seed=seed) if attacked is None else attacked
    if len(copies) != len(task_data.train):
        raise SkillkitError(
            f"{len(copies)} attacked rows for {len(task_data.train)} training rows: "
            "give one for each, in order."
        )
    clean, attacks = (encode(backbone, rows, task, layout) for rows in (task_data.train, copies))
    token_ids = label_token_ids(backbone, task, scheme_of(start)).to(backbone.device)
    matrix = nn.Parameter(start.matrix.clone().to(backbone.device))
    loss = _Loss(backbone, matrix, token_ids, objective, attacks, penalty if objective in PENALISED else None)
    run = minimise(
        loss,
        [matrix],
        epochs(clean, budget.batch_size, seed, backbone.device),
        budget,
        description=f"{task.name} · {objective}",
    )
    meta = {
        **start.meta,
        "objective": objective,
        "robust_steps": budget.steps,
        "weight": loss.penalty.weight if loss.penalty else 0.0,
    }
    return Robust(SoftPrompt(run.best[0].cpu(), meta), float(np.mean(loss.values)), run.seconds)


@check_arguments
def shift_penalty(
    before: Mapping[int, Tensor], after: Mapping[int, Tensor], neurons: Tensor, deviation: Tensor
) -> Tensor:
    """Mean squared shift of some neurons, in squared units of `neurons.scores.shift_unit`.

    It is averaged over the examples, positions and neurons of each site, and then over the sites that have
    any of the neurons.

    Args:
        before: by site, activations on clean texts [examples, positions, width].
        after: likewise, on attacked texts.
        neurons: bool [sites, width].
        deviation: [sites, width].
    """
    parts, units = [], shift_unit(deviation)
    for site in before:
        columns = torch.nonzero(neurons[site]).flatten().to(before[site].device)
        if len(columns):
            unit = units[site].to(before[site].device)[columns]
            parts.append((((after[site] - before[site])[..., columns].float() / unit) ** 2).mean())
    return torch.stack(parts).mean()


@dataclass
class _Loss:
    """The loss of a batch of clean texts and their attacked copies; keeps its values."""

    backbone: Backbone
    matrix: nn.Parameter
    token_ids: Tensor
    objective: str
    attacks: Encoded
    penalty: Penalty | None
    values: list[float] = field(default_factory=list)

    def __call__(self, clean: Batch) -> Tensor:
        attacked = self.attacks.batch(clean.rows.tolist(), self.backbone.device)
        value = self._with_penalty(clean, attacked) if self.penalty else self._cross_entropy(clean)
        if self.objective == "augmented":
            value = (value + self._cross_entropy(attacked)) / 2
        self.values.append(value.item())
        return value

    def _cross_entropy(self, batch: Batch) -> Tensor:
        logits = self.backbone.answer_logits(answer_hidden(self.backbone, self.matrix, batch), self.token_ids)
        return nn.functional.cross_entropy(logits, batch.labels)

    def _with_penalty(self, clean: Batch, attacked: Batch) -> Tensor:
        assert self.penalty is not None
        before: dict[int, Tensor] = {}
        after: dict[int, Tensor] = {}
        with watch(self.backbone, _keeper(self.backbone, before)):
            value = self._cross_entropy(clean)
        with watch(self.backbone, _keeper(self.backbone, after)):
            answer_hidden(self.backbone, self.matrix, attacked)
        moved = shift_penalty(before, after, self.penalty.neurons, self.penalty.deviation)
        return value + self.penalty.weight * moved


def _keeper(backbone: Backbone, kept: dict[int, Tensor]) -> Watcher:
    """Keeps what the neurons do at the slot and the prompt rows, by site."""

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        kept[site] = take(activation, present_positions(backbone, site, current)[1])

    return keep
