"""Attacked texts and answers to them, for the tests about robustness."""

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from tiny import TASK, toy_dataset

from skillkit.neurons.scores import skill_neurons
from skillkit.robustness.pairs import pair_up


def examples_of(clean, adversarial, groups=None, **more):
    """A table such as `answer_pairs` gives, from 0/1 outcomes."""
    n = len(clean)
    frame = {
        "example": range(n),
        "group": range(n) if groups is None else groups,
        "label": [i % 2 for i in range(n)],
        "data_construction": "word",
        "method": "typo",
        "paired": True,
    }
    table = pd.DataFrame(frame).assign(**more)
    for name, correct in (("clean", clean), ("adversarial", adversarial)):
        table[f"{name}_correct"] = np.asarray(correct, dtype=float)
        table[f"{name}_prediction"] = np.where(
            table[f"{name}_correct"] == 1, table["label"], 1 - table["label"]
        )
        table[f"{name}_confidence"] = 0.8
        table[f"{name}_probability"] = np.where(table[f"{name}_correct"] == 1, 0.8, 0.2)
    return table


def value(table, metric, attack="all"):
    (row,) = table[(table["metric"] == metric) & (table["attack"] == attack)].to_dict("records")
    return row


def toy_pairs(examples=24, task=TASK, classes=2):
    """The attack puts the words of the other label into every other text."""
    clean = toy_dataset(examples, 5, classes=classes, low=3)
    labels = list(clean["label"])
    texts = list(clean["text"])
    other = [
        " ".join(f"word{10 + int(w[4:]) % 10 - 10 * (y % 2)}" for w in t.split())
        for t, y in zip(texts, labels, strict=True)
    ]
    attacked = [
        b + " middling" if i % 2 else a + " word30" for i, (a, b) in enumerate(zip(texts, other, strict=True))
    ]
    return pair_up(Dataset.from_dict({"text": attacked, "original_text": texts, "label": labels}), task)


def masks_of(selection, fraction=0.2):
    skill = skill_neurons(selection.predictivity, fraction)
    return {"skill": skill, "random": ~skill & (torch.arange(skill.shape[1]) % 3 == 0)}
