"""What neurons score when labels are lined up as in the released code of Ackermann & Ohmer (2024)."""

import pandas as pd
import torch
from torch import Tensor

from skillkit.checks import Size, check_arguments
from skillkit.models.backbones import Backbone
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import NeuronScores, score_neurons
from skillkit.neurons.significance import ThresholdBits
from skillkit.neurons.subtasks import subtask_baselines
from skillkit.robustness.overlap import first_subtask
from skillkit.robustness.pairs import Pairs
from skillkit.stats.measurement import without_interval


@check_arguments
def released_t5_predictivity(bits: ThresholdBits, batch_size: Size = 16) -> Tensor:
    """Predictivity as the released code computes it for T5 tasks with two target tokens, [sites, width].

    For these tasks (QNLI, MNLI) labels come as [batch, 2] (answer and end of sequence), are flattened, and
    are then indexed by example. Example i of a batch meets the label of example i / 2 when i is even, and a
    token id when i is odd, with which no 0/1 bit agrees. So accuracy cannot exceed one half, is near a
    quarter for *every* neuron, and max(accuracy, 1 - accuracy) near three quarters.
    """
    place = bits.rows % batch_size
    label_of = torch.empty_like(bits.labels)
    label_of[bits.rows] = bits.labels
    met = label_of[bits.rows - place + place // 2]
    signs = torch.where(place % 2 == 0, 2.0 * met - 1, 0.0).to(bits.device)
    zeros = ((met == 0) & (place % 2 == 0)).sum()
    found = []
    for site in range(bits.sites):
        per_prompt = []
        for prompt in range(bits.prompts):
            accuracy = torch.stack(
                [(signs @ each + zeros) / len(place) for each in bits.positions(prompt, site)]
            )
            per_prompt.append(torch.maximum(accuracy, 1 - accuracy).amax(0))
        found.append(torch.stack(per_prompt).mean(0))
    return torch.stack(found).cpu()


@check_arguments
def label_misalignment(
    backbone: Backbone, prompt: SoftPrompt, pairs: Pairs, selection: NeuronScores, *, batch_size: Size = 16
) -> pd.DataFrame:
    """Predictivity on the adversarial examples with the right labels, and with those of the released code.

    Returns:
        The columns of a measurement, metric ("median_predictivity": of the neurons of a site), labels
        ("aligned" or "as released"), stack, layer, least and most (predictivity of the site's least and most
        predictive neuron) and texts (how many were scored). The first subtask stands for a task of more
        classes.
    """
    bits = ThresholdBits(backbone)
    task_data, clean = first_subtask(pairs.as_task()), subtask_baselines(selection)[0]
    right = score_neurons(
        backbone, prompt, task_data, split="test", baseline=clean, watcher=bits.watcher
    ).predictivity
    rows = []
    for labels, values in (("aligned", right), ("as released", released_t5_predictivity(bits, batch_size))):
        for site, each in zip(backbone.sites, values, strict=True):
            measured = without_interval(each.median().item(), len(each), "neurons")
            spread = {"least": each.min().item(), "most": each.max().item(), "texts": len(bits.labels)}
            where = {"labels": labels, "stack": site.stack, "layer": site.layer}
            rows.append(measured.row("median_predictivity", **where, **spread))
    return pd.DataFrame(rows)
