"""Tuning prompts to withstand attacks, and what it costs.

If robustness came from skill neurons that stay the same under attack, then asking just that of a prompt
should make it robust. Four ways to go on tuning from the same prompt, for the same number of steps:

- ``plain``: the clean texts alone, as before: the control for the extra steps
- ``augmented``: half of the loss on attacked copies of the training texts (typos and distracting sentences)
- ``skill``: clean texts alone, plus a penalty on how far the attack moves the *skill neurons* at the slot and
  the prompt rows
- ``random``: the same penalty on as many random neurons: the control for asking any neurons to stay

The penalty sees the attacked copies but not their labels. Nothing is selected on the way: the last step's
prompt is kept, so no objective profits from a criterion that suits it. The test twin also holds attacks that
were never seen in tuning.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from torch import Tensor, nn

from skillkit.classroom.attacks import ATTACKS, TRIES, misspell
from skillkit.classroom.drawing import Draw, Example, bucket
from skillkit.classroom.lexicon.attacks import TAUTOLOGIES
from skillkit.classroom.splits import SIZES, draw_examples
from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import Watcher, present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Batch, Pass
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_token_ids, layout_of, scheme_of
from skillkit.neurons.scores import shift_unit
from skillkit.stats.intervals import cluster_bootstrap, difference_interval
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.loop import epochs, minimise

OBJECTIVES = ("plain", "augmented", "skill", "random")
METHODS = ("typo", "distractor")


@dataclass(frozen=True)
class Robust:
    """A prompt tuned by one objective, with the mean loss over all steps."""

    prompt: SoftPrompt
    loss: float
    seconds: float


def attacked_copy(
    dataset: Dataset, task: Task, *, methods: tuple[str, ...] = METHODS, split: str = "train", seed: int = 0
) -> Dataset:
    """The same rows, each text attacked by one method drawn at random; a row that it does not fit stays as it
    is.

    Bundled tasks are attacked by their own rules (which know what keeps the label), and only to texts that
    belong to ``split``, so that no text of another split is met. Other tasks get misspelt words, or a
    tautology at the end. A column ``method`` says what was done, "none" where nothing was.

    Raises:
        SkillkitError: an unknown method.
    """
    for method in methods:
        if method not in METHODS:
            raise unknown("attack for augmentation", method, METHODS)
    examples = _bundled_examples(task, split)
    columns: dict[str, list[str]] = {name: [] for name in (*task.text_columns, "method")}
    for row, texts in enumerate(zip(*(dataset[c][:] for c in task.text_columns), strict=True)):
        draw = Draw("augment", task.name, split, seed, row)
        method = draw.choice(methods)
        new = (
            _bundled_attack(examples[texts], task, method, split, draw)
            if texts in examples
            else _plain_attack(texts, method, draw)
        )
        changed = new is not None and new != texts
        for column, text in zip(task.text_columns, new if changed and new else texts, strict=True):
            columns[column].append(text)
        columns["method"].append(method if changed else "none")
    kept = dataset.remove_columns([c for c in columns if c in dataset.column_names])
    for column, values in columns.items():
        kept = kept.add_column(column, values)  # type: ignore[call-arg]
    return kept


def tune_robustly(
    backbone: Backbone,
    task_data: TaskData,
    start: SoftPrompt,
    objective: str,
    *,
    neurons: Tensor | None = None,
    deviation: Tensor | None = None,
    weight: float = 1.0,
    steps: int = 60,
    batch_size: int = 32,
    learning_rate: float = 0.01,
    seed: int = 0,
    attacked: Dataset | None = None,
) -> Robust:
    """Go on tuning a prompt by one of ``OBJECTIVES`` for some steps.

    Args:
        start: the prompt to start from, normally the one tuned on clean text; its layout and label words are
            kept.
        neurons, deviation: for the penalties: which neurons must stay, bool [sites, width], and every
            neuron's standard deviation over clean training texts [sites, width], the unit of its shift.
        weight: of the penalty (mean squared shift, in squared standard deviations) beside the cross-entropy.
        attacked: the attacked copies of the training rows, in the same order; default: ``attacked_copy`` of
            them.

    Raises:
        SkillkitError: unknown objective, missing or empty neurons for a penalty, or another number of
            attacked rows.
    """
    penalised = _check(objective, neurons, deviation)
    task, layout = task_data.task, layout_of(start)
    copies = attacked_copy(task_data.train, task, seed=seed) if attacked is None else attacked
    if len(copies) != len(task_data.train):
        raise SkillkitError(
            f"{len(copies)} attacked rows for {len(task_data.train)} training rows: give one for each, in order."
        )
    clean, attacks = encode(backbone, task_data.train, task, layout), encode(backbone, copies, task, layout)
    token_ids = label_token_ids(backbone, task, scheme_of(start)).to(backbone.device)
    matrix = nn.Parameter(start.matrix.clone().to(backbone.device))
    losses: list[float] = []

    def loss(batch: Batch) -> Tensor:
        value = _loss(
            backbone,
            matrix,
            batch,
            _same_rows(attacks, batch, backbone),
            token_ids,
            objective,
            neurons,
            deviation,
            weight,
        )
        losses.append(value.item())
        return value

    budget = TuningBudget(steps=steps, batch_size=batch_size, learning_rate=learning_rate)
    run = minimise(
        loss,
        [matrix],
        epochs(clean, batch_size, seed, backbone.device),
        budget,
        description=f"{task.name} · {objective}",
    )
    meta = {
        **start.meta,
        "objective": objective,
        "robust_steps": steps,
        "weight": weight if penalised else 0.0,
    }
    return Robust(SoftPrompt(run.best[0].cpu(), meta), float(np.mean(losses)), run.seconds)


def compare_answers(
    answers: Mapping[str, pd.DataFrame], reference: str = "plain", *, seed: int = 0
) -> pd.DataFrame:
    """What each objective changes against a reference, on the same pairs.

    Args:
        answers: tables of ``robustness.answer_pairs`` by objective.

    Returns:
        Columns objective, attack ("all" or a method), metric, value (objective minus reference), n, low, high
        (over originals, paired).
        Metrics: clean_accuracy, adversarial_accuracy, drop (negative: the objective loses less) and margin
            (of the adversarial answers).

    Raises:
        SkillkitError: the reference is missing, or the tables are of different pairs.
    """
    if reference not in answers:
        raise SkillkitError(
            f"There are no answers for the reference {reference!r}, only for {', '.join(answers)}."
        )
    base = answers[reference]
    rows = []
    for objective, table in answers.items():
        if list(table["example"]) != list(base["example"]):
            raise SkillkitError(
                f"{objective!r} and {reference!r} answered different examples. Use the same pairs and seeds."
            )
        if objective == reference:
            continue
        methods = {"all": base["paired"]} | {
            m: base["paired"] & (base["method"] == m) for m in sorted(set(base["method"]))
        }
        for method, chosen in methods.items():
            rows += [
                {"objective": objective, "attack": method, **row}
                for row in _changes(table[chosen], base[chosen], seed)
            ]
    return pd.DataFrame(rows)


def _changes(table: pd.DataFrame, base: pd.DataFrame, seed: int) -> list[dict[str, object]]:
    if table.empty:
        return []
    clean, adversarial = (table[f"{t}_correct"] - base[f"{t}_correct"] for t in ("clean", "adversarial"))
    margin = table["adversarial_margin"] - base["adversarial_margin"]
    measured = {
        "clean_accuracy": clean,
        "adversarial_accuracy": adversarial,
        "drop": clean - adversarial,
        "margin": margin,
    }
    rows = []
    groups = base["group"].to_numpy()
    for metric, values in measured.items():
        interval = cluster_bootstrap if metric == "margin" else difference_interval
        low, high = interval(values.to_numpy(dtype=float), groups, seed=seed)
        rows.append(
            {
                "metric": metric,
                "value": values.mean(),
                "n": table["example"].nunique(),
                "low": low,
                "high": high,
            }
        )
    return rows


def shift_penalty(
    before: Mapping[int, Tensor], after: Mapping[int, Tensor], neurons: Tensor, deviation: Tensor
) -> Tensor:
    """Mean squared shift of some neurons, in squared units of ``attacked_neurons.shift_unit``, averaged over examples, positions and
    neurons of each site and then over the sites that have any.

    Args:
        before, after: by site, activations [examples, positions, width] on clean and attacked texts.
        neurons, deviation: [sites, width].
    """
    parts, units = [], shift_unit(deviation)
    for site in before:
        columns = torch.nonzero(neurons[site]).flatten().to(before[site].device)
        if len(columns):
            unit = units[site].to(before[site].device)[columns]
            parts.append((((after[site] - before[site])[..., columns].float() / unit) ** 2).mean())
    return torch.stack(parts).mean()


def _loss(
    backbone: Backbone,
    matrix: Tensor,
    clean: Batch,
    attacked: Batch,
    token_ids: Tensor,
    objective: str,
    neurons: Tensor | None,
    deviation: Tensor | None,
    weight: float,
) -> Tensor:
    def cross_entropy(batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(
            backbone.answer_logits(answer_hidden(backbone, matrix, batch), token_ids), batch.labels
        )

    if objective == "plain":
        return cross_entropy(clean)
    if objective == "augmented":
        return (cross_entropy(clean) + cross_entropy(attacked)) / 2
    assert neurons is not None and deviation is not None  # _check has seen to it
    before: dict[int, Tensor] = {}
    after: dict[int, Tensor] = {}
    with watch(backbone, _keeper(backbone, before)):
        value = cross_entropy(clean)
    with watch(backbone, _keeper(backbone, after)):
        answer_hidden(backbone, matrix, attacked)
    return value + weight * shift_penalty(before, after, neurons, deviation)


def _keeper(backbone: Backbone, kept: dict[int, Tensor]) -> Watcher:
    def keep(site: int, activation: Tensor, current: Pass) -> None:
        kept[site] = take(activation, present_positions(backbone, site, current)[1])

    return keep


def _same_rows(attacks: Encoded, batch: Batch, backbone: Backbone) -> Batch:
    return attacks.batch(batch.rows.tolist(), backbone.device)


def _check(objective: str, neurons: Tensor | None, deviation: Tensor | None) -> bool:
    """Whether the objective has a penalty."""
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    if objective in ("plain", "augmented"):
        return False
    if neurons is None or deviation is None or not neurons.any():
        raise SkillkitError(
            f"Objective {objective!r} needs neurons= (a mask that is not empty) and deviation=, [sites, width]."
        )
    return True


def _bundled_examples(task: Task, split: str) -> dict[tuple[str, ...], Example]:
    """The bundled task's examples of a split by their texts; none for other tasks."""
    if task.name not in BUNDLED_TASKS:
        return {}
    return {
        example.texts: example for example in draw_examples(BUNDLED_TASKS[task.name], split, SIZES[split], 0)
    }


def _bundled_attack(
    example: Example, task: Task, method: str, split: str, draw: Draw
) -> tuple[str, ...] | None:
    (attack,) = [each for each in ATTACKS if each.method == method]
    for _ in range(TRIES):
        texts = attack.apply(example, BUNDLED_TASKS[task.name], draw)
        if texts is not None and texts != example.texts and bucket(texts) == split:
            return texts
    return None


def _plain_attack(texts: tuple[str, ...], method: str, draw: Draw) -> tuple[str, ...] | None:
    """For tasks of which nothing is known: a slip in up to two long words, or a tautology at the end."""
    column = draw.below(len(texts))
    if method == "distractor":
        new = f"{texts[column]} {draw.choice(TAUTOLOGIES.seen)} ."
    else:
        words = texts[column].split(" ")
        long = [
            i
            for i, word in enumerate(words)
            if len(word) >= 5 and word.isascii() and word.isalpha() and word.islower()
        ]
        for place in draw.shuffled(long)[: 1 + draw.below(2)]:
            words[place] = misspell(words[place], draw)
        new = " ".join(words)
    return tuple(new if i == column else text for i, text in enumerate(texts))
