"""Published accuracies: which examples they leave out, and what each prompt reaches on its own task here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from skillkit.checks import Size, check_arguments
from skillkit.data.loading import load_task
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import evaluate
from skillkit.models.prompts import SoftPrompt
from skillkit.stats.measurement import Measurement
from skillkit.transfer.released.releases import Array, Release

TASK_NAMES = {
    "IMDB": "imdb",
    "SST2": "sst2",
    "laptop": "laptop",
    "restaurant": "restaurant",
    "movierationales": "movie_rationales",
    "tweetevalsentiment": "tweet_eval_sentiment",
    "MNLI": "mnli",
    "QNLI": "qnli",
    "snli": "snli",
    "ethicsdeontology": "ethics_deontology",
    "ethicsjustice": "ethics_justice",
    "QQP": "qqp",
    "MRPC": "mrpc",
}
"""Their names for the tasks that skillkit has, and ours."""

EVALUATION_BATCH = 64
"""Their evaluation dropped the last partial batch of this size: it saw floor(N / 64) * 64 of N examples."""

EVALUATION_SIZES = {
    "SST2": 872,
    "MRPC": 408,
    "movierationales": 199,
    "restaurant": 1120,
    "tweetevalsentiment": 2000,
    "ethicsdeontology": 3596,
    "ethicsjustice": 2704,
}
"""Official sizes N of the splits they evaluated on, where N is small enough to be told from 4 decimals."""

_AS_SU = {"layout": "su", "label_words": "su"}


@check_arguments
def dropped_examples(release: Release) -> pd.DataFrame:
    """Is every published accuracy on a task with N examples a multiple of 1 / (floor(N / 64) * 64)?

    Returns:
        One row per task of `EVALUATION_SIZES`: release, task, examples (N), evaluated, share_dropped, results
        (how many accuracies), multiples (how many of them are multiples, within the 4 published decimals),
        multiples_of_all (the same for 1 / N).
    """
    rows = []
    for task, size in EVALUATION_SIZES.items():
        if task not in release.tasks:
            continue
        published = release.transfer[:, release.tasks.index(task)]
        published = published[~np.isnan(published)]
        evaluated = size // EVALUATION_BATCH * EVALUATION_BATCH
        rows.append(
            {
                "release": release.name,
                "task": task,
                "examples": size,
                "evaluated": evaluated,
                "share_dropped": 1 - evaluated / size,
                "results": len(published),
                "multiples": int(_multiples(published, evaluated).sum()),
                "multiples_of_all": int(_multiples(published, size).sum()),
            }
        )
    return pd.DataFrame(rows)


@check_arguments
def own_accuracy(
    backbone: Backbone,
    release: Release,
    *,
    data: str | os.PathLike[str] | None = None,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: Size = 32,
) -> pd.DataFrame:
    """Accuracy of each released prompt on its own task, read as Su et al. read it, beside the published one.

    Layout and label words are theirs (`su`), the examples the first floor(N / 64) * 64 of the split that they
    evaluated on. They are the same examples only where the data is the official split, whole and in its
    order.

    Args:
        backbone: the model that the release belongs to.
        release: the prompts, and the published accuracies.
        data: folder of task data, as `load_task` takes it.
        tasks: their names of the tasks to measure; None: all.
        limit: at most so many examples of each task.
        batch_size: of the forward passes.

    Returns:
        One row per task: release, task, examples (N), published_examples (0: not known), value (with n, unit,
        low, high, interval), published, note (why there is no value).
    """
    rows = []
    for task in release.tasks if tasks is None else tasks:
        index = release.tasks.index(task)
        row: dict[str, Any] = {
            "release": release.name,
            "task": task,
            "published_examples": EVALUATION_SIZES.get(task, 0),
            "published": release.transfer[index, index],
        }
        prompt = SoftPrompt(torch.tensor(release.prompts[index], dtype=torch.float32), _AS_SU)
        try:
            examples, measured = _measure(backbone, prompt, task, data, limit, batch_size)
            row |= {"examples": examples, **vars(measured)}
        except SkillkitError as error:
            row |= {"value": np.nan, "note": str(error)}
        rows.append(row)
    measurement = ["n", "unit", "value", "low", "high", "interval"]
    columns = ["release", "task", "examples", "published_examples", *measurement, "published", "note"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _measure(
    backbone: Backbone,
    prompt: SoftPrompt,
    task: str,
    data: str | os.PathLike[str] | None,
    limit: int | None,
    batch_size: int,
) -> tuple[int, Measurement]:
    """The size of the split that Su et al. evaluated on, and the prompt's accuracy on its full batches."""
    if task not in TASK_NAMES:
        raise SkillkitError(f"no such task here: {task!r}")
    task_data = load_task(TASK_NAMES[task], data=data)
    dataset = task_data.split("validation" if task == "MRPC" else "test")
    count = len(dataset) // EVALUATION_BATCH * EVALUATION_BATCH
    examples = dataset.select(range(min(count, limit) if limit else count))
    evaluation = evaluate(backbone, prompt, examples, task_data.task, batch_size=batch_size)
    return len(dataset), evaluation.measurement


def _multiples(values: Array, size: int) -> NDArray[np.bool_]:
    """Whether each value, known to 4 decimals, can be a multiple of 1 / size."""
    return cast(NDArray[np.bool_], np.abs(np.round(values * size) / size - values) <= 0.5e-4 + 1e-9)
