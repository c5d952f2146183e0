"""How the benchmarks measure: two ways of doing something, in turns in one process, and their ratio.

Absolute times depend on the machine and on what else it does; ratios of neighbouring ones hardly do.
On a CPU the CPU time of one thread counts, on a GPU the time on the wall.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from skillkit.data.loading import TaskData, load_task
from skillkit.models.backbones import Backbone, load_backbone


def arguments(description: str) -> argparse.Namespace:
    """Model, task and size, the same for all benchmarks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--task", default="film_sentiment")
    parser.add_argument(
        "--examples", type=int, default=300, help="validation examples; five times as many to train on"
    )
    parser.add_argument("--length", type=int, default=16, help="rows of the prompt")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def load(options: argparse.Namespace) -> tuple[Backbone, TaskData]:
    """Model and data, with five training examples for each validation example; one thread from here on."""
    torch.set_num_threads(1)
    data = load_task(options.task, limit=5 * options.examples)
    data.splits["validation"] = data.validation.select(range(min(options.examples, len(data.validation))))
    return load_backbone(options.model), data


def compare(
    base: Callable[[], object], other: Callable[[], object], rounds: int, on_gpu: bool
) -> tuple[float, float, float]:
    """Time of `other` over that of `base`: median, least and largest ratio, but for the first round."""

    def timed(what: Callable[[], object]) -> float:
        clock = time.perf_counter if on_gpu else time.process_time
        began = clock()
        what()
        if on_gpu:
            torch.cuda.synchronize()
        return clock() - began

    timed(base), timed(other)
    ratios = []
    for index in range(rounds):  # alternate which goes first
        if index % 2:
            second, first = timed(other), timed(base)
        else:
            first, second = timed(base), timed(other)
        ratios.append(second / first)
    return float(np.median(ratios)), min(ratios), max(ratios)


def report(what: str, ratio: tuple[float, float, float], target: float) -> None:
    verdict = "within" if ratio[0] <= target else "ABOVE"
    print(f"{what}: {ratio[0]:.3f} (from {ratio[1]:.3f} to {ratio[2]:.3f}), {verdict} the target of {target}")
