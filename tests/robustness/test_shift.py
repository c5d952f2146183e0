"""How far attacks move neurons."""

import numpy as np
import pandas as pd
import pytest
import torch
from attacks import masks_of
from datasets import Dataset
from tiny import TASK, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.robustness.agreement import agreement, agreement_table
from skillkit.robustness.pairs import pair_up
from skillkit.robustness.shift import activation_shift, shift_difference, shift_table


def test_identical_texts_neither_shift_nor_drop(setting):
    backbone, prompt, _, selection = setting
    texts = toy_dataset(10, 3)
    rows = Dataset.from_dict(
        {"text": list(texts["text"]), "original_text": list(texts["text"]), "label": list(texts["label"])}
    )
    pairs, masks = pair_up(rows, TASK), masks_of(selection)
    assert activation_shift(backbone, prompt, pairs, selection.deviation, masks)["value"].abs().max() < 1e-4
    assert (
        agreement_table(agreement(backbone, prompt, pairs, selection, masks)).query("text == 'drop'")["value"]
        == 0
    ).all()


def test_shift_agrees_with_a_loop(setting):
    backbone, prompt, pairs, selection = setting
    masks = masks_of(selection)
    rows = activation_shift(backbone, prompt, pairs, selection.deviation, masks, batch_size=7)
    difference = record(backbone, prompt, pairs.attacked, TASK) - record(backbone, prompt, pairs.clean, TASK)
    deviation = selection.deviation
    unit = torch.maximum(deviation, 0.1 * deviation.square().mean(1, keepdim=True).sqrt())
    for row in rows.sample(30, random_state=0).to_dict("records"):
        (site,) = [
            i for i, s in enumerate(backbone.sites) if (s.stack, s.layer) == (row["stack"], row["layer"])
        ]
        distance = difference[row["pair"], site].square().nanmean(0).sqrt() / unit[site]
        assert row["value"] == pytest.approx(distance[masks[row["neurons"]][site]].mean().item(), rel=1e-4)
    table = shift_table(rows).set_index("neurons")
    gap = table.loc["skill - random"]
    assert gap["value"] == pytest.approx(table.loc["skill", "value"] - table.loc["random", "value"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert set(shift_table(rows, by_site=True)["layer"]) == {0, 1}


def test_two_prompts_are_compared_pair_by_pair():
    """Pairs differ far more than prompts do: the paired interval is narrow where separate ones are wide."""
    rng = np.random.default_rng(0)
    pairs = np.arange(80)
    base = rng.uniform(1, 9, 80)
    rows = pd.DataFrame(
        {"pair": pairs, "group": pairs // 2, "neurons": "skill", "stack": "encoder", "layer": 0, "weight": 3}
    )
    plain, still = (rows.assign(value=base + shift + 0.01 * rng.normal(size=80)) for shift in (0.2, 0.0))
    gap = shift_difference(plain, still, "skill")
    assert 0.19 < gap.low <= gap.value <= gap.high < 0.21 and (gap.n, gap.unit) == (80, "pairs")
    one, other = (shift_table(each).iloc[0] for each in (plain, still))
    assert gap.value == pytest.approx(one["value"] - other["value"])
    assert one["low"] < other["high"]  # from separate intervals nothing could be said
    with pytest.raises(SkillkitError, match="same pairs"):
        shift_difference(plain, still.iloc[:40], "skill")
    with pytest.raises(SkillkitError, match="same pairs"):
        shift_difference(plain, still, "random")
