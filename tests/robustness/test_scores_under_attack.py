"""Scores on pairs, by the clean thresholds."""

import torch
from tiny import TASK

from skillkit.models.activations import record
from skillkit.robustness.scores_under_attack import score_under_attack


def test_pairs_are_scored_by_the_clean_thresholds(setting):
    backbone, prompt, pairs, selection = setting
    scores = score_under_attack(backbone, prompt, pairs, selection)
    for name, dataset in (("originals", pairs.clean), ("attacked", pairs.attacked)):
        activations = record(backbone, prompt, dataset, TASK)
        right = (activations > selection.baseline).float() == torch.tensor(list(dataset["label"]))[
            :, None, None, None
        ]
        expected = right.float().mean(0).masked_fill(torch.isnan(selection.baseline), torch.nan)
        torch.testing.assert_close(getattr(scores, name).accuracy, expected, equal_nan=True)
    assert scores.selection is selection and scores.adversarial.examples == len(pairs.adversarial)
