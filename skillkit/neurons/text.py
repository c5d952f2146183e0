"""What neurons do at the text's own positions: are skill neurons mere word detectors? (Wang et al. 2022, 4.1)

If a neuron told the label because it fires on certain words, its activation on the words would tell the label as
well as its activation on the prompt. So predictivity is computed from activations pooled over the text (mean or
maximum over its tokens) and compared with predictivity at prompt positions; and the words that excite a neuron most
are listed.
"""

from collections.abc import Sequence

import pandas as pd
import torch
from datasets import Dataset
from torch import Tensor

from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import Watcher, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run

POOLS = ("mean", "max")


def text_accuracy(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    task_data: TaskData | EncodedTask,
    *,
    pool: str = "mean",
    split: str = "validation",
    batch_size: int = 32,
) -> Tensor:
    """Each neuron's accuracy from activations pooled over the text tokens, [sites, width]; NaN in a T5 decoder, which has no text.

    The definition is that of ``score_neurons`` with one position: the label is 1 where the activation is above the training mean.
    Padding is left out; the tokenizer's own marks (``<s>``, ``</s>``) count as text, as in the released code.

    Raises:
        SkillkitError: unknown pool, or a task with more than two classes.
    """
    if pool not in POOLS:
        raise unknown("pool", pool, POOLS)
    task = task_data.task
    if len(task.labels) != 2:
        raise SkillkitError(
            f"Task {task.name!r} has {len(task.labels)} classes; predictivity is about two. Use binary_subtasks."
        )
    shape = (len(backbone.sites), backbone.width)
    mean, correct = (torch.zeros(shape, dtype=torch.float64, device=backbone.device) for _ in range(2))
    train, scored = (
        encode(backbone, d, task, layout_of(prompt)) for d in (task_data.train, task_data.split(split))
    )

    def add(site: int, pooled: Tensor, current: Pass) -> None:
        mean[site] += pooled.double().sum(0) / len(train)

    def count(site: int, pooled: Tensor, current: Pass) -> None:
        above = pooled > mean[site].float()
        correct[site] += (above == current.batch.labels.bool()[:, None]).sum(0)

    _each_pooled(backbone, prompt, train, pool, add, batch_size)
    _each_pooled(backbone, prompt, scored, pool, count, batch_size)
    return (correct / len(scored)).masked_fill(~_has_text(backbone)[:, None], torch.nan).float().cpu()


def exciting_words(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    neurons: Sequence[tuple[int, int]],
    *,
    top: int = 8,
    at_least: int = 3,
    batch_size: int = 32,
) -> pd.DataFrame:
    """The tokens on whose position a neuron is most active on average.

    Args:
        neurons: pairs (site, neuron).
        top: tokens to list for each.
        at_least: leave out tokens seen less often: the mean of one or two occurrences says little.

    Returns:
        One row per neuron and token, most exciting first: site, stack, layer, neuron, rank (from 1), token, value
        (mean activation), count.

    Raises:
        SkillkitError: a site without text, or no token seen often enough.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    silent = [site for site, _ in neurons if not _has_text(backbone)[site]]
    if silent:
        raise SkillkitError(
            f"Site {silent[0]} ({backbone.sites[silent[0]]}) sees no text. Choose encoder neurons."
        )
    vocabulary = backbone.embeddings.weight.shape[0]
    total = torch.zeros(len(neurons), vocabulary, dtype=torch.float64, device=backbone.device)
    seen = torch.zeros(vocabulary, dtype=torch.long, device=backbone.device)
    wanted = {site: [i for i, (s, _) in enumerate(neurons) if s == site] for site, _ in neurons}

    def add(site: int, activation: Tensor, current: Pass) -> None:
        span, real = current.text_span(backbone.sites[site].stack), current.batch.mask.bool()
        if span is None or site not in wanted:
            return
        ids, columns = current.batch.ids[real], [neurons[i][1] for i in wanted[site]]
        values = activation[:, span][real][:, columns].double()
        rows = torch.tensor(wanted[site], device=total.device)
        total[rows] = total[rows].index_add(1, ids, values.T)

    with watch(backbone, add):
        for batch, _ in run(backbone, prompt, encoded, batch_size=batch_size):
            seen += torch.bincount(batch.ids[batch.mask.bool()], minlength=vocabulary)
    mean = (total / seen).masked_fill(seen < at_least, -torch.inf)
    if not (seen >= at_least).any():
        raise SkillkitError(
            f"No token occurs {at_least} times in the {len(encoded)} examples. Use more, or a smaller at_least."
        )
    best = mean.topk(min(top, int((seen >= at_least).sum())), dim=1)
    return pd.DataFrame(
        {
            "site": site,
            "stack": backbone.sites[site].stack,
            "layer": backbone.sites[site].layer,
            "neuron": neuron,
            "rank": rank + 1,
            "token": str(backbone.tokenizer.decode([token])).strip()
            or str(backbone.tokenizer.convert_ids_to_tokens(token)),
            "value": value,
            "count": int(seen[token]),
        }
        for (site, neuron), tokens, values in zip(
            neurons, best.indices.tolist(), best.values.tolist(), strict=True
        )
        for rank, (token, value) in enumerate(zip(tokens, values, strict=True))
    )


def _each_pooled(
    backbone: Backbone, prompt: SoftPrompt | None, encoded: Encoded, pool: str, use: Watcher, batch_size: int
) -> None:
    """Show ``use`` the pooled activations [examples, width] of every site that sees the text."""

    def show(site: int, activation: Tensor, current: Pass) -> None:
        span, real = current.text_span(backbone.sites[site].stack), current.batch.mask.bool()[..., None]
        if span is None:
            return
        text = activation[:, span].float()
        if pool == "max":
            use(site, text.masked_fill(~real, -torch.inf).amax(1), current)
        else:
            use(site, text.masked_fill(~real, 0.0).sum(1) / real.sum(1), current)

    with watch(backbone, show):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass


def _has_text(backbone: Backbone) -> Tensor:
    """Which sites see the text, bool [sites]."""
    return torch.tensor(
        [not (backbone.family == "encoder-decoder" and site.stack == "decoder") for site in backbone.sites],
        device=backbone.device,
    )
