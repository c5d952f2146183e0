"""The training loop that prompt tuning shares with everything it is compared with.

AdamW without weight decay, a learning rate that warms up and then falls, gradient clipping. The best state on
the validation split is kept, and a run that was killed goes on where it was last evaluated.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm  # tqdm.auto would draw widgets in notebooks, whatever TQDM_DISABLE says

from skillkit.checks import check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.finite import REMEDY, Beginning, first_not_finite
from skillkit.models.inputs import Encoded
from skillkit.models.passes import Batch
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.checkpoints import Checkpoint

WARM_UP = 0.1
"""Share of all steps over which the learning rate rises."""

CLIP = 1.0
"""Largest norm of the gradient."""

Sample = TypeVar("Sample")


@dataclass
class Run:
    """What ``minimise`` found.

    Attributes:
        best: copies of the parameters at their best, or after the last step where nothing was evaluated.
        history: a row per evaluation: step, loss (mean training loss since the last row), accuracy and
            validation_loss (both NaN where nothing was evaluated).
        accuracy: the best on the validation split, NaN where nothing was evaluated.
        seconds: wall time.
    """

    best: list[Tensor]
    history: pd.DataFrame
    accuracy: float
    seconds: float


def warm_up_and_decay(step: int, steps: int) -> float:
    """Share of the full learning rate: up over the first tenth of the steps, then linearly down towards 0."""
    warm = max(1, round(WARM_UP * steps))
    return min(step / warm, (steps - step + 1) / max(1, steps - warm + 1))


def epochs(
    train: Encoded, batch_size: int, seed: int, device: torch.device
) -> Callable[[int], Iterator[Batch]]:
    """The batches of a split, epoch after epoch, as ``minimise`` asks for them: those after some steps.

    Epoch e is shuffled by (seed, e), so a resumed run meets the same batches.
    """
    per_epoch = math.ceil(len(train) / batch_size)

    def after(steps: int) -> Iterator[Batch]:
        done, begun = divmod(steps, per_epoch)
        for epoch in count(done):
            for place, batch in enumerate(
                train.shuffled(batch_size, np.random.default_rng((seed, epoch)), device)
            ):
                if epoch > done or place >= begun:
                    yield batch

    return after


@check_arguments
def minimise(
    loss: Callable[[Sample], Tensor],
    parameters: list[nn.Parameter],
    batches: Callable[[int], Iterable[Sample]],
    budget: TuningBudget,
    *,
    evaluate: Callable[[], tuple[float, float]] | None = None,
    rate: Callable[[int, int], float] = warm_up_and_decay,
    checkpoint: Checkpoint | None = None,
    description: str = "",
) -> Run:
    """Minimise a loss over some parameters within a budget.

    Args:
        loss: of one batch, differentiable with respect to ``parameters``.
        parameters: changed in place; they end as the last step left them, ``Run.best`` holds the best.
        batches: gives the batches that come after some number of steps, at least as many as are left
            (``epochs``).
        evaluate: returns accuracy and loss on the validation split; None keeps the last step's parameters.
        rate: share of the learning rate at a step (from 1) of so many steps.
        checkpoint: holds the state after every evaluation, so that a killed run goes on from there. One that
            cannot be used (damaged, or of another run) is replaced, with a warning.
        description: names the run in the progress bar and in errors.

    Raises:
        SkillkitError: a loss that is not finite, patience without an evaluation, or a checkpoint of another
            run.
    """
    if evaluate is None and budget.patience is not None:
        raise SkillkitError("Patience waits for a better evaluation. Give evaluate=, or patience=None.")
    began = time.perf_counter()
    optimiser = torch.optim.AdamW(parameters, lr=budget.learning_rate, weight_decay=0.0)
    state = _resume(checkpoint, parameters, optimiser) or _State(_copies(parameters))
    bar = tqdm(total=budget.steps, initial=state.step, desc=description, unit="step", leave=False)
    for step, batch in zip(range(state.step + 1, budget.steps + 1), batches(state.step), strict=False):
        if budget.patience is not None and state.stale >= budget.patience:
            break
        for group in optimiser.param_groups:
            group["lr"] = budget.learning_rate * rate(step, budget.steps)
        value = _step(loss, batch, parameters, optimiser)
        if not math.isfinite(value):
            beginning = first_not_finite(partial(loss, batch))
            raise _diverged(beginning, step, budget, checkpoint, description)
        state.losses.append(value)
        state.step = step
        bar.update()
        if step % budget.evaluate_every == 0 or step == budget.steps:
            state.note(evaluate() if evaluate else None, parameters)
            bar.set_postfix(accuracy=f"{state.history[-1]['accuracy']:.3f}")
            if checkpoint is not None:
                held = {"state": asdict(state), "parameters": _copies(parameters)}
                checkpoint.save({**held, "optimiser": optimiser.state_dict()})
    bar.close()
    best_accuracy = state.accuracy if evaluate else math.nan
    return Run(state.best, pd.DataFrame(state.history), best_accuracy, time.perf_counter() - began)


@dataclass
class _State:
    """What a run must remember to go on after a kill."""

    best: list[Tensor]
    step: int = 0
    accuracy: float = -1.0
    stale: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def note(self, evaluated: tuple[float, float] | None, parameters: list[nn.Parameter]) -> None:
        accuracy, validation_loss = evaluated or (math.nan, math.nan)
        self.history.append(
            {
                "step": self.step,
                "loss": float(np.mean(self.losses)),
                "accuracy": accuracy,
                "validation_loss": validation_loss,
            }
        )
        self.losses, self.stale = [], self.stale + 1
        if evaluated is None or accuracy > self.accuracy:
            self.best, self.accuracy, self.stale = _copies(parameters), accuracy, 0


def _copies(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def _step(
    loss: Callable[[Sample], Tensor],
    batch: Sample,
    parameters: list[nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> float:
    """One step down; the loss before it. Where it or its gradient is not finite: NaN, and no change."""
    with _autocast(parameters[0].device):
        value = loss(batch)
    found = value.item()
    if not math.isfinite(found):
        return math.nan
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    if not torch.isfinite(nn.utils.clip_grad_norm_(parameters, CLIP)):
        return math.nan
    optimiser.step()
    return found


def _autocast(device: torch.device) -> Any:
    """Use bfloat16 where a GPU does it well. On CPUs it is far slower than float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def _diverged(
    beginning: Beginning | None,
    step: int,
    budget: TuningBudget,
    checkpoint: Checkpoint | None,
    description: str,
) -> SkillkitError:
    """The error for a loss that is not finite. At the first step, nothing that was learnt can be at fault."""
    where = f"in {beginning}" if beginning else "in the loss or its gradient"
    what = f"at step {step} of {budget.steps} ({description}), beginning {where}"
    if step == 1 or (beginning and beginning.by_weights):
        return SkillkitError(
            f"The loss is not finite {what}. It is the model or the start, not the learning rate. {REMEDY}"
        )
    kept = (
        f" The state before is kept in {checkpoint.path}." if checkpoint and checkpoint.path.exists() else ""
    )
    return SkillkitError(
        f"The loss stopped being finite {what}. Use a lower learning rate than {budget.learning_rate}.{kept}"
    )


def _resume(
    checkpoint: Checkpoint | None, parameters: list[nn.Parameter], optimiser: torch.optim.Optimizer
) -> _State | None:
    """The state that a checkpoint holds, None where there is nothing to go on from."""
    held = checkpoint.load(parameters[0].device) if checkpoint else None
    if held is None:
        return None
    with torch.no_grad():
        for parameter, value in zip(parameters, held["parameters"], strict=True):
            parameter.copy_(value)
    optimiser.load_state_dict(held["optimiser"])
    return _State(**held["state"])
