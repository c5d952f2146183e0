"""Labels lined up as in the released code give every neuron three quarters."""

import numpy as np
import torch
from tiny import tiny_backbone

from skillkit.neurons.significance import ThresholdBits
from skillkit.robustness.released_labels import label_misalignment, released_t5_predictivity


def test_released_labels_lift_the_median_to_three_quarters(setting):
    backbone, prompt, pairs, selection = setting
    table = (
        label_misalignment(backbone, prompt, pairs, selection, batch_size=4).groupby("labels")["value"].mean()
    )
    assert table["as released"] > 0.7 > table["aligned"]


def test_misaligned_labels_give_every_neuron_three_quarters():
    """The released T5 code on a perfect neuron: its accuracy is about a quarter, so its predictivity three
    quarters, like anyone's.
    """
    backbone = tiny_backbone("t5")
    bits = ThresholdBits(backbone)
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 2, 640))
    order = torch.from_numpy(rng.permutation(640))

    class Current:
        class Batch:
            pass

        batch = Batch()

    Current.batch.rows, Current.batch.labels = order, labels[order]
    chance = torch.from_numpy(rng.integers(0, 2, (640, 1, backbone.width))).bool()
    perfect = chance.clone()
    perfect[:, 0, 0] = labels[order].bool()
    for site in range(len(backbone.sites)):
        bits.watcher(0, site, perfect, Current)
    right = bits.predictivity(bits.labels[None])[:, 0]
    wrong = released_t5_predictivity(bits, batch_size=16)
    assert (right[:, 0] == 1).all() and (right[:, 1:] < 0.6).all()
    torch.testing.assert_close(wrong, torch.full_like(wrong, 0.75), atol=0.05, rtol=0)

    # and against a loop over batches, as the code goes
    in_order = torch.empty_like(chance[:, 0])
    in_order[order] = perfect[:, 0]
    correct = torch.zeros(backbone.width)
    for start in range(0, 640, 16):
        flat = torch.stack([labels[start : start + 16], torch.full((16,), 1000)], 1).flatten()
        for i in range(16):
            correct += (in_order[start + i].long() == flat[i]).float()
    torch.testing.assert_close(wrong[0], torch.maximum(correct / 640, 1 - correct / 640))
