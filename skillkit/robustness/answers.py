"""What a prompted model answers to adversarial examples and to their originals: one table, one row each.

`answer_pairs` runs the model; accuracy, calibration and the comparison of objectives work on its table.
"""

from typing import Annotated

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Size, check_arguments, known, table_with
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import label_margin
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.robustness.pairs import Pairs

TEXTS = ("clean", "adversarial")


Answers = Annotated[
    pd.DataFrame,
    table_with(
        "example", "group", "label", "paired", "adversarial_correct", "clean_correct", made_by="answer_pairs"
    ),
    known("adversarial_correct"),
]
"""The table of `answer_pairs`."""


@check_arguments
def answer_pairs(
    backbone: Backbone, prompt: SoftPrompt | None, pairs: Pairs, *, batch_size: Size = 32
) -> pd.DataFrame:
    """What the prompted model answers to each adversarial example and to its original.

    Returns:
        One row per adversarial example. Columns: example, group (number of the original), label,
        data_construction, method, paired; and with the prefixes `clean_` and `adversarial_`: prediction,
        correct (0 or 1), confidence (probability of the prediction), probability (of the label) and margin
        (logit of the label minus the highest other one). The clean ones are missing where there is no
        original.
    """
    adversarial = label_logits(backbone, prompt, pairs.adversarial, pairs.task, batch_size=batch_size)
    labels = torch.tensor(list(pairs.adversarial["label"]))
    table = pd.DataFrame(
        {
            "example": np.arange(len(pairs.adversarial)),
            "group": pairs.groups,
            "label": labels.numpy(),
            "data_construction": _words(pairs.adversarial, "data_construction"),
            "method": _words(pairs.adversarial, "method"),
            "paired": np.isin(np.arange(len(pairs.adversarial)), pairs.rows),
        }
    )
    clean = torch.full_like(adversarial, torch.nan)
    if len(pairs):
        clean[pairs.rows] = label_logits(backbone, prompt, pairs.clean, pairs.task, batch_size=batch_size)
    for name, logits in (("clean", clean), ("adversarial", adversarial)):
        for column, values in _answers(logits, labels).items():
            table[f"{name}_{column}"] = values
    return table


@check_arguments
def paired_answers(examples: Answers) -> pd.DataFrame:
    """The rows of `answer_pairs` whose original is known.

    Raises:
        SkillkitError: there is none, or one whose clean answer is missing.
    """
    part = examples[examples["paired"]]
    if part.empty:
        raise SkillkitError(
            "No example has a clean original, so clean and adversarial text cannot be compared. Raise limit."
        )
    if lacking := int(part["clean_correct"].isna().sum()):
        raise SkillkitError(
            f"{lacking} of {len(part)} pairs lack the answer to the clean text. "
            "Give the whole table of answer_pairs."
        )
    return part


def _answers(logits: Tensor, labels: Tensor) -> dict[str, NDArray[np.float64]]:
    """Columns of `answer_pairs` for logits [examples, labels]; rows of NaN give NaN."""
    known = ~torch.isnan(logits[:, 0])
    probabilities = logits.double().softmax(-1)
    confidence, prediction = probabilities.max(-1)
    columns = {
        "prediction": prediction.float(),
        "correct": (prediction == labels).float(),
        "confidence": confidence,
        "probability": probabilities.gather(1, labels[:, None])[:, 0],
        "margin": label_margin(logits, labels),
    }
    return {name: values.masked_fill(~known, torch.nan).double().numpy() for name, values in columns.items()}


def _words(dataset: Dataset, column: str) -> list[str]:
    if column not in dataset.column_names:
        return ["unknown"] * len(dataset)
    return [value if isinstance(value, str) else "unknown" for value in dataset[column][:]]
