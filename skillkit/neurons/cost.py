"""What a model costs: parameters, operations, and time against another model."""

import time
from typing import Any

import torch
from datasets import Dataset
from scipy import stats
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from skillkit.checks import check_arguments
from skillkit.data.tasks import Task
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Batch
from skillkit.models.prompts import SoftPrompt, answer_hidden, layout_of, run
from skillkit.stats.measurement import NAN, Measurement


@check_arguments
def parameter_count(backbone: Backbone) -> int:
    """Parameters of the whole model; tied ones count once."""
    return sum(parameter.numel() for parameter in backbone.model.parameters())


@check_arguments
def forward_flops(
    backbone: Backbone, prompt: SoftPrompt | None, dataset: Dataset | Encoded, task: Task
) -> float:
    """Floating-point operations of one prompted forward pass per text, averaged over the first 32 texts.

    Matrix products as torch counts them (a multiplication and an addition each); element-wise work is left
    out.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    rows = range(min(32, len(encoded)))
    counter = FlopCounterMode(display=False)
    with counter:
        for _ in run(backbone, prompt, encoded.select(rows), batch_size=1):
            pass
    return counter.get_total_flops() / len(rows)


@torch.no_grad()
def speed_up(
    backbone: Backbone,
    faster: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    *,
    batch_size: int,
    rounds: int = 15,
    seconds: float = 0.05,
) -> Measurement:
    """How many times faster one backbone is than another, on the same batch.

    The two are measured in turns within one run, so that a busy machine slows both.

    Args:
        backbone: the one to compare with.
        faster: the one that is hoped to be faster, such as a pruned copy.
        prompt: before (or after) each text.
        encoded: the texts; the batch is made of the first ones, repeated if there are too few.
        batch_size: texts in the batch.
        rounds: pairs of measurements.
        seconds: each measurement repeats the forward pass for about so long.

    Returns:
        The median over rounds of the ratio of times, with the exact interval of a median (binomial), which is
        known for 6 rounds or more.
    """
    batch = encoded.batch([i % len(encoded) for i in range(batch_size)], backbone.device)
    matrix = None if prompt is None else prompt.matrix.to(backbone.device)
    shortest = min(_seconds(backbone, matrix, batch, 2) for _ in range(2))
    repeats = max(1, round(seconds / shortest))
    _seconds(faster, matrix, batch, 2)  # warm up
    ratios = [
        _seconds(backbone, matrix, batch, repeats) / _seconds(faster, matrix, batch, repeats)
        for _ in range(rounds)
    ]
    return median_of(ratios)


@check_arguments
def median_of(ratios: list[float]) -> Measurement:
    """The median of one number per run, with its exact binomial interval (NaN for fewer than 6 runs)."""
    middle = float(torch.tensor(ratios, dtype=torch.float64).quantile(0.5))
    found: Any = stats.quantile_test(ratios, q=middle, p=0.5).confidence_interval(0.95)
    low, high = float(found.low), float(found.high)
    if low != low or high != high:
        return Measurement(middle, len(ratios), "runs", NAN, NAN)
    return Measurement(middle, len(ratios), "runs", low, high, "binomial, of the median")


def _seconds(backbone: Backbone, matrix: Tensor | None, batch: Batch, repeats: int) -> float:
    """Seconds that one forward pass takes, the mean over some repeats."""
    began = time.perf_counter()
    for _ in range(repeats):
        answer_hidden(backbone, matrix, batch)
    if backbone.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / repeats
