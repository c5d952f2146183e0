"""Prompt tuning: the backbone is frozen, only the soft prompt learns.

AdamW without weight decay on the label-word cross-entropy, linear warm-up and decay, gradient clipping. The backbone stays in
evaluation mode, so the function being prompted is the same in tuning, evaluation and neuron analysis (Wang et al. tune with
dropout on). Validation accuracy picks the checkpoint; the test split is never looked at.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm  # tqdm.auto would draw widgets in notebooks, whatever TQDM_DISABLE says

from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.files import atomic_write
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Batch
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_logits, label_token_ids

WARM_UP = 0.1  # share of all steps
CLIP = 1.0


@dataclass(frozen=True)
class TunedPrompt:
    """The best prompt of a run, its learning curve, and its accuracy on the validation split.

    ``history`` has a row per evaluation: step, loss (mean training loss since the last row), accuracy and validation_loss.
    """

    prompt: SoftPrompt
    history: pd.DataFrame
    validation_accuracy: float
    seconds: float = field(compare=False, default=0.0)


def tune_prompt(
    backbone: Backbone,
    task_data: TaskData,
    *,
    length: int = 16,
    steps: int = 400,
    seed: int = 0,
    batch_size: int = 32,
    learning_rate: float = 0.01,
    evaluate_every: int = 50,
    patience: int | None = None,
    initial: SoftPrompt | None = None,
    initialisation: str = "vocabulary",
    layout: str = "standard",
    label_words: str = "own",
    checkpoint: str | os.PathLike[str] | None = None,
    each: Callable[[int, SoftPrompt], None] | None = None,
) -> TunedPrompt:
    """Tune a soft prompt on the training split; keep the one that is best on the validation split (ties: the earlier).

    Args:
        initial: start from this prompt (another task's, a projected one) instead of a fresh one.
        patience: stop after so many evaluations without a new best; None: run all steps.
        evaluate_every: steps between evaluations on the validation split.
        layout, label_words: the input format and label words, ``wang`` and ``su`` as in the papers; kept in the prompt's ``meta``.
        checkpoint: a file that holds the state of the run after every evaluation, the last one included. A killed run goes on from
            there and ends with the same prompt as an undisturbed one. Delete it when you have saved the prompt.
        each: called at every evaluation with its number (from 1) and the prompt as it is then.

    Raises:
        SkillkitError: a loss that is not finite, a missing split, a prompt of another width, or a checkpoint of another run.
    """
    if steps < 1 or evaluate_every < 1:
        raise SkillkitError(f"steps={steps} and evaluate_every={evaluate_every} must be positive.")
    start = initial or SoftPrompt.initial(backbone, length, seed, initialisation)
    meta = {
        "task": task_data.task.name,
        "backbone": backbone.name,
        "seed": seed,
        "layout": layout,
        "label_words": label_words,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "initialisation": "another prompt" if initial else initialisation,
    }
    task = task_data.task
    matrix = nn.Parameter(start.matrix.clone().to(backbone.device))
    token_ids = label_token_ids(backbone, task, label_words).to(backbone.device)
    validation = encode(backbone, task_data.validation, task, layout)

    def loss(batch: Batch) -> Tensor:
        logits = backbone.answer_logits(answer_hidden(backbone, matrix, batch), token_ids)
        return nn.functional.cross_entropy(logits, batch.labels)

    evaluations = 0

    def evaluate() -> tuple[float, float]:
        nonlocal evaluations
        evaluations += 1
        now = SoftPrompt(matrix.detach().clone().cpu(), meta)
        if each is not None:
            each(evaluations, now)
        logits = label_logits(backbone, now, validation, task, batch_size=2 * batch_size)
        return accuracy(logits, validation.labels), nn.functional.cross_entropy(
            logits, validation.labels
        ).item()

    run = minimise(
        loss,
        [matrix],
        encode(backbone, task_data.train, task, layout),
        evaluate,
        Schedule(steps, batch_size, learning_rate, evaluate_every, patience, seed),
        device=backbone.device,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        description=f"{backbone.name} · {task.name} · seed {seed}",
        identity={**meta, "start": float(start.matrix.double().sum())},
    )
    prompt = SoftPrompt(run.best[0].cpu(), {**meta, "validation_accuracy": run.accuracy})
    return TunedPrompt(prompt, run.history, run.accuracy, run.seconds)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of examples whose largest logit is the label's."""
    return (logits.argmax(-1) == labels.cpu()).double().mean().item()


@dataclass(frozen=True)
class Schedule:
    """How long to tune, in what steps."""

    steps: int
    batch_size: int
    learning_rate: float
    evaluate_every: int
    patience: int | None
    seed: int


@dataclass
class Run:
    """What ``minimise`` found: copies of the parameters at their best, the learning curve, and wall time in seconds."""

    best: list[Tensor]
    history: pd.DataFrame
    accuracy: float
    seconds: float


def minimise(
    loss: Callable[[Batch], Tensor],
    parameters: list[nn.Parameter],
    train: Encoded,
    evaluate: Callable[[], tuple[float, float]],
    schedule: Schedule,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    description: str = "",
    identity: dict[str, Any] | None = None,
) -> Run:
    """The training loop shared by prompt tuning and the methods it is compared with.

    ``evaluate`` returns accuracy and loss on the validation split. ``identity`` names the run, so that a checkpoint of another one is
    refused.

    Raises:
        SkillkitError: a loss that is not finite, or a checkpoint of another run.
    """
    began = time.perf_counter()
    optimiser = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.0)
    identity = {**(identity or {}), "schedule": asdict(schedule), "texts": train.digest}
    state = _load(checkpoint, parameters, optimiser, identity) or _State(
        [p.detach().clone() for p in parameters]
    )
    bar = tqdm(total=schedule.steps, initial=state.step, desc=description, unit="step", leave=False)
    for step, batch in _batches(train, schedule, device, after=state.step):
        if schedule.patience is not None and state.stale >= schedule.patience:
            break
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * _share(step, schedule.steps)
        with _autocast(device):
            value = loss(batch)
        if not torch.isfinite(value):
            raise SkillkitError(
                f"The loss became {value.item()} at step {step} of {schedule.steps} ({description}). Use a lower learning rate than "
                f"{schedule.learning_rate}"
                + (
                    f"; the state before is kept in {checkpoint}."
                    if checkpoint and checkpoint.exists()
                    else "."
                )
            )
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimiser.step()
        state.losses.append(value.item())
        state.step = step
        bar.update()
        if step % schedule.evaluate_every == 0 or step == schedule.steps:
            state.note(*evaluate(), parameters)
            bar.set_postfix(accuracy=f"{state.history[-1]['accuracy']:.3f}")
            _save(checkpoint, state, parameters, optimiser, identity)
    bar.close()
    return Run(state.best, pd.DataFrame(state.history), state.accuracy, time.perf_counter() - began)


@dataclass
class _State:
    """What a run must remember to go on after a kill."""

    best: list[Tensor]
    step: int = 0
    accuracy: float = -1.0
    validation_loss: float = math.inf
    stale: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def note(self, accuracy: float, validation_loss: float, parameters: list[nn.Parameter]) -> None:
        self.history.append(
            {
                "step": self.step,
                "loss": float(np.mean(self.losses)),
                "accuracy": accuracy,
                "validation_loss": validation_loss,
            }
        )
        self.losses, self.stale = [], self.stale + 1
        if accuracy > self.accuracy:
            self.best = [p.detach().clone() for p in parameters]
            self.accuracy, self.validation_loss, self.stale = accuracy, validation_loss, 0


def _batches(
    train: Encoded, schedule: Schedule, device: torch.device, after: int
) -> Iterator[tuple[int, Batch]]:
    """Numbered batches, epoch after epoch. Epoch e is shuffled by (seed, e), so a resumed run meets the same batches."""
    step, per_epoch = 0, math.ceil(len(train) / schedule.batch_size)
    for epoch in range(math.ceil(schedule.steps / per_epoch)):
        if step + per_epoch <= after:
            step += per_epoch
            continue
        for batch in train.shuffled(
            schedule.batch_size, np.random.default_rng((schedule.seed, epoch)), device
        ):
            step += 1
            if step > schedule.steps:
                return
            if step > after:
                yield step, batch


def _share(step: int, steps: int) -> float:
    """Share of the full learning rate: up over the first tenth, then linearly down towards 0."""
    warm = max(1, round(WARM_UP * steps))
    return min(step / warm, (steps - step + 1) / max(1, steps - warm + 1))


def _autocast(device: torch.device) -> Any:
    """bfloat16 where a GPU does it well. On CPUs without it, bfloat16 is far slower than float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def _save(
    path: Path | None,
    state: _State,
    parameters: list[nn.Parameter],
    optimiser: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> None:
    if path is None:
        return
    content = {
        "identity": json.dumps(identity, sort_keys=True),
        "state": {**asdict(state)},
        "parameters": [p.detach() for p in parameters],
        "optimiser": optimiser.state_dict(),
    }
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


def _load(
    path: Path | None,
    parameters: list[nn.Parameter],
    optimiser: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> _State | None:
    if path is None or not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location=parameters[0].device)
        same = content["identity"] == json.dumps(identity, sort_keys=True)
    except Exception as error:
        raise SkillkitError(
            f"The checkpoint {path} is truncated or foreign ({error}). Delete it to start the run afresh."
        ) from error
    if not same:
        raise SkillkitError(
            f"The checkpoint {path} belongs to a run with other settings or texts. Delete it, or go back to those settings."
        )
    with torch.no_grad():
        for parameter, value in zip(parameters, content["parameters"], strict=True):
            parameter.copy_(value)
    optimiser.load_state_dict(content["optimiser"])
    return _State(**content["state"])
