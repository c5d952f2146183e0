"""What neurons do at the text's own positions: are skill neurons mere word detectors? (Wang et al. 2022, 4.1)

If a neuron told the label because it fires on certain words, its activation on the words would tell the label
as well as its activation on the prompt. So predictivity is computed from activations pooled over the text
(mean or maximum over its tokens) and compared with predictivity at prompt positions; and the words that
excite a neuron most are listed.
"""

from collections.abc import Sequence

import pandas as pd
import torch
from datasets import Dataset
from torch import Tensor

from skillkit.checks import Share, Size, check_arguments
from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import Watcher, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode, encode_task
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.best import Neuron
from skillkit.neurons.scores import NeuronScores, score_neurons, skill_neurons
from skillkit.neurons.stability import held_out
from skillkit.stats.measurement import without_interval

POOLS = ("mean", "max")
AT_PROMPT = "answer slot and prompt"


@check_arguments
def text_accuracy(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    task_data: TaskData | EncodedTask,
    *,
    pool: str = "mean",
    split: str = "validation",
    batch_size: Size = 32,
) -> Tensor:
    """Each neuron's accuracy from activations pooled over the text tokens.

    The definition is that of `score_neurons` with one position: the label is 1 where the activation is above
    the training mean. Padding is left out; the tokenizer's own marks (`<s>`, `</s>`) count as text, as in the
    released code.

    Args:
        backbone: the model.
        prompt: before (or after) each text; None: the bare model.
        task_data: a two-class task.
        pool: `mean` or `max` over the tokens of the text.
        split: the examples to score; thresholds come from the training split.
        batch_size: examples in one pass.

    Returns:
        [sites, width]; NaN in a T5 decoder, which has no text.

    Raises:
        SkillkitError: unknown pool, or a task with more than two classes.
    """
    if pool not in POOLS:
        raise unknown("pool", pool, POOLS)
    task = task_data.task
    if len(task.labels) != 2:
        raise SkillkitError(
            f"Task {task.name!r} has {len(task.labels)} classes; predictivity is about two. "
            "Use binary_subtasks."
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
    return (correct / len(scored)).masked_fill(~sees_text(backbone)[:, None], torch.nan).float().cpu()


@check_arguments
def predictive_where(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    task_data: TaskData | EncodedTask,
    scores: NeuronScores,
    *,
    fraction: Share = 0.05,
) -> pd.DataFrame:
    """Are neurons more predictive at the prompt than over the text?

    For each place to read activations, every site's top neurons are chosen on validation by their score
    there, and keep their direction (and position) on test, so that 0.5 is what a useless neuron has on
    balanced labels.

    Args:
        backbone: the model.
        prompt: that the neurons were scored with.
        task_data: a two-class task.
        scores: `score_neurons` of the prompt on the validation split.
        fraction: the share of each site that is chosen.

    Returns:
        The mean accuracy on test of each site's top neurons: measurements over texts with columns where
        (`AT_PROMPT`, or `over_text` of a pool), stack and layer. Sites that do not see the text have rows for
        the prompt only.
    """
    task_data = encode_task(backbone, task_data, layout_of(prompt))
    tested = score_neurons(backbone, prompt, task_data, split="test")
    places = {AT_PROMPT: (scores.predictivity, held_out(scores, tested))}
    for pool in POOLS:
        chosen, there = (
            text_accuracy(backbone, prompt, task_data, pool=pool, split=split)
            for split in ("validation", "test")
        )
        kept = torch.where(chosen >= 0.5, there, 1 - there)
        places[over_text(pool)] = torch.maximum(chosen, 1 - chosen), kept
    rows = []
    for where, (choice, accuracy) in places.items():
        for index in range(len(backbone.sites)):
            if torch.isnan(choice[index]).any():
                continue
            site, top = backbone.sites[index], skill_neurons(choice[index : index + 1], fraction)[0]
            measured = without_interval(float(accuracy[index][top].mean()), tested.examples, "texts")
            place = {"where": where, "stack": site.stack, "layer": site.layer}
            rows.append(measured.row("top_predictivity_by_position", **place))
    return pd.DataFrame(rows)


@check_arguments
def over_text(pool: str) -> str:
    """What `predictive_where` calls activations pooled over the text."""
    return f"text ({pool})"


@check_arguments
def exciting_words(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    neurons: Sequence[Neuron],
    *,
    top: int = 8,
    at_least: int = 3,
    batch_size: Size = 32,
) -> pd.DataFrame:
    """The tokens on whose position a neuron is most active on average.

    Args:
        backbone: the model.
        prompt: before (or after) each text; None: the bare model.
        dataset: the texts.
        task: what they ask.
        neurons: pairs (site, coordinate).
        top: tokens to list for each.
        at_least: leave out tokens seen less often: the mean of one or two occurrences says little.
        batch_size: texts in one pass.

    Returns:
        One row per neuron and token, most exciting first: site, stack, layer, neuron, rank (from 1), token,
        value (mean activation), count.

    Raises:
        SkillkitError: a site without text, or no token seen often enough.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    silent = [site for site, _ in neurons if not sees_text(backbone)[site]]
    if silent:
        raise SkillkitError(
            f"Site {silent[0]} ({backbone.sites[silent[0]]}) sees no text. Choose encoder neurons."
        )
    total, seen = _sums_by_token(backbone, prompt, encoded, neurons, batch_size)
    if not (seen >= at_least).any():
        raise SkillkitError(
            f"No token occurs {at_least} times in the {len(encoded)} examples. "
            "Use more, or a smaller at_least."
        )
    mean = (total / seen).masked_fill(seen < at_least, -torch.inf)
    best = mean.topk(min(top, int((seen >= at_least).sum())), dim=1)
    rows = []
    for (site, neuron), tokens, values in zip(
        neurons, best.indices.tolist(), best.values.tolist(), strict=True
    ):
        stack, layer = backbone.sites[site].stack, backbone.sites[site].layer
        where = {"site": site, "stack": stack, "layer": layer, "neuron": neuron}
        for rank, (token, value) in enumerate(zip(tokens, values, strict=True), start=1):
            word = _as_word(backbone, token)
            rows.append({**where, "rank": rank, "token": word, "value": value, "count": int(seen[token])})
    return pd.DataFrame(rows)


def _sums_by_token(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    neurons: Sequence[Neuron],
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Sums of activations on each token [neurons, vocabulary], and how often it occurs [vocabulary]."""
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
    return total, seen


def _as_word(backbone: Backbone, token: int) -> str:
    """A token as it is written; the vocabulary's name for it where that is nothing but space."""
    written = str(backbone.tokenizer.decode([token])).strip()
    return written or str(backbone.tokenizer.convert_ids_to_tokens(token))


def _each_pooled(
    backbone: Backbone, prompt: SoftPrompt | None, encoded: Encoded, pool: str, use: Watcher, batch_size: int
) -> None:
    """Show `use` the pooled activations [examples, width] of every site that sees the text."""

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


@check_arguments
def sees_text(backbone: Backbone) -> Tensor:
    """Which sites see the text, bool [sites]."""
    return torch.tensor(
        [not (backbone.family == "encoder-decoder" and site.stack == "decoder") for site in backbone.sites],
        device=backbone.device,
    )
