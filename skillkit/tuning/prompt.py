"""Prompt tuning: the backbone is frozen, only the soft prompt learns.

The loss is the cross-entropy of the label words. The backbone stays in evaluation mode, so the function being
prompted is the same in tuning, evaluation and neuron analysis (Wang et al. tune with dropout on). Validation
accuracy picks the checkpoint; the test split is never looked at.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from skillkit.checks import Seed, check_arguments
from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import EncodedTask, encode
from skillkit.models.passes import Batch
from skillkit.models.prompts import (
    SoftPrompt,
    answer_hidden,
    check_prompt,
    label_logits,
    label_token_ids,
    layout_of,
    marks_of,
    scheme_of,
)
from skillkit.tuning.budget import TuningBudget, resolve_budget
from skillkit.tuning.checkpoints import Checkpoint
from skillkit.tuning.loop import epochs, minimise


@dataclass(frozen=True)
class TunedPrompt:
    """The best prompt of a run, its learning curve, and its accuracy on the validation split.

    ``history`` has a row per evaluation: step, loss (mean training loss since the last row), accuracy and
    validation_loss. ``seconds`` is wall time.
    """

    prompt: SoftPrompt
    history: pd.DataFrame
    validation_accuracy: float
    seconds: float = field(compare=False, default=0.0)


@check_arguments
def tune_prompt(
    backbone: Backbone,
    task_data: TaskData | EncodedTask,
    budget: TuningBudget | None = None,
    *,
    seed: Seed = 0,
    start: SoftPrompt | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    each: Callable[[int, SoftPrompt], None] | None = None,
    **budget_fields: Any,
) -> TunedPrompt:
    """Tune a soft prompt on the training split; keep the best on the validation split (ties: the earlier).

    Args:
        budget: how long to tune. Its fields can be given by name too: ``tune_prompt(b, t, steps=100)``.
        seed: decides the fresh prompt and the order of the examples.
        start: go on from this prompt (another task's, a projected one, or ``SoftPrompt.initial`` with a
            layout of its own) instead of a fresh one. Its layout and label words are kept.
        checkpoint: a file that holds the state of the run after every evaluation, the last one included. A
            killed run goes on from there to the same prompt. One of other settings, or a damaged one, is
            replaced, with a warning. Delete it when you have saved the prompt.
        each: called at every evaluation with its number (from 1) and the prompt as it is then.

    Raises:
        SkillkitError: an impossible budget, a loss that is not finite, a missing split, a prompt of another
            width, or a checkpoint of another run.
    """
    budget = resolve_budget(budget, budget_fields)
    first = start or SoftPrompt.initial(backbone, budget.length, seed)
    check_prompt(backbone, first)
    task, layout = task_data.task, layout_of(first)
    meta = _meta(backbone, task.name, budget, seed, first)
    matrix = nn.Parameter(first.matrix.clone().to(backbone.device))
    train, validation = (
        encode(backbone, split, task, layout) for split in (task_data.train, task_data.validation)
    )
    evaluations = 0

    def evaluate() -> tuple[float, float]:
        nonlocal evaluations
        evaluations += 1
        now = SoftPrompt(matrix.detach().clone().cpu(), meta)
        if each is not None:
            each(evaluations, now)
        logits = label_logits(backbone, now, validation, task, batch_size=2 * budget.batch_size)
        return accuracy_and_loss(logits, validation.labels)

    identity = {**meta, **asdict(budget), "start": first.digest}
    identity |= {"train": train.digest, "validation": validation.digest}
    run = minimise(
        answer_loss(backbone, task, scheme_of(first), matrix),
        [matrix],
        epochs(train, budget.batch_size, seed, backbone.device),
        budget,
        evaluate=evaluate,
        checkpoint=None if checkpoint is None else Checkpoint(Path(checkpoint), identity),
        description=f"{backbone.name} · {task.name} · seed {seed}",
    )
    prompt = SoftPrompt(run.best[0].cpu(), {**meta, **_validated(run.accuracy, validation.labels)})
    return TunedPrompt(prompt, run.history, run.accuracy, run.seconds)


def answer_loss(
    backbone: Backbone, task: Task, label_words: str, matrix: Tensor | None = None
) -> Callable[[Batch], Tensor]:
    """The mean cross-entropy of a batch's answers behind a prompt matrix [length, hidden] (None: no
    prompt)."""
    token_ids = label_token_ids(backbone, task, label_words).to(backbone.device)

    def loss(batch: Batch) -> Tensor:
        logits = backbone.answer_logits(answer_hidden(backbone, matrix, batch), token_ids)
        return nn.functional.cross_entropy(logits, batch.labels)

    return loss


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of examples whose largest logit is the label's."""
    return (logits.argmax(-1) == labels.cpu()).double().mean().item()


def accuracy_and_loss(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy, and the mean cross-entropy, of logits [examples, labels]."""
    return accuracy(logits, labels), nn.functional.cross_entropy(logits, labels).item()


def _validated(accuracy: float, labels: Tensor) -> dict[str, Any]:
    """How a prompt did on the validation split, and the share of its most frequent class (`learned`)."""
    majority = labels.bincount().max().item() / len(labels)
    return {
        "validation_accuracy": accuracy,
        "validation_examples": len(labels),
        "validation_majority": majority,
    }


def _meta(
    backbone: Backbone, task: str, budget: TuningBudget, seed: int, first: SoftPrompt
) -> dict[str, Any]:
    """Where a tuned prompt comes from. A start that names a task was tuned before, others are initial."""
    initialisation = "another prompt" if "task" in first.meta else first.meta.get("initialisation")
    return {
        "task": task,
        **marks_of(backbone),
        "seed": seed,
        "layout": layout_of(first),
        "label_words": scheme_of(first),
        "steps": budget.steps,
        "batch_size": budget.batch_size,
        "learning_rate": budget.learning_rate,
        "initialisation": initialisation or "another prompt",
    }
