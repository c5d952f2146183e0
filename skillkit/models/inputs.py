"""From texts to padded batches of token ids.

``encode_task`` tokenises a task once; what it returns can stand wherever a task is asked for (as ``Encoded``
can for a data set), so that nothing is tokenised twice. Layouts decide how texts are written:

- ``standard``: the tokenizer's own form for one text or a pair; for causal models the two texts on two lines.
- ``wang``: Wang et al.'s code: pairs joined with nothing in between (masked LMs).
- ``su``: Su et al.'s code, also used by Ackermann & Ohmer: ``<s> a </s> b </s>`` for RoBERTa, task-specific
  strings for T5, the hypothesis before the premise.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.data.splits import Splits, TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.backbones import Backbone
from skillkit.models.passes import Batch

LAYOUTS = ("standard", "wang", "su")

# Su et al. cut texts to 128 tokens and, for T5, pad every sequence to 230 - 100 positions and attend to the
# padding.
_SU_TEXT_TOKENS = 128
_SU_T5_WIDTH = 130


@dataclass(frozen=True)
class Encoded:
    """A tokenised data set.

    Attributes:
        ids: token ids of each example.
        types: token types of each example, None for models without them.
        labels: label numbers, [examples].
        layout: how the texts are written (one of ``LAYOUTS``).
        pad: the token id that fills up a batch.
        pad_left: whether it goes before the text.
        fixed_width: pad every batch to so many tokens, and attend to the padding; None: to the longest text.
    """

    ids: list[list[int]]
    types: list[list[int]] | None
    labels: Tensor
    layout: str
    pad: int
    pad_left: bool = False
    fixed_width: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example."""
        return np.array([len(ids) for ids in self.ids])

    @cached_property
    def digest(self) -> str:
        """A name for these texts and labels: another one if any of them changes."""
        content = json.dumps([self.ids, self.labels.tolist()], separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def select(self, rows: Sequence[int]) -> "Encoded":
        """Some of the examples, renumbered from 0."""
        types = None if self.types is None else [self.types[i] for i in rows]
        labels = self.labels[torch.as_tensor(rows, dtype=torch.long)]
        return Encoded(
            [self.ids[i] for i in rows], types, labels, self.layout, self.pad, self.pad_left, self.fixed_width
        )

    def batch(self, rows: Sequence[int], device: torch.device) -> Batch:
        """The examples of these rows as one padded batch on a device."""
        width = self.fixed_width or max(1, max(len(self.ids[i]) for i in rows))
        ids = self._pad([self.ids[i] for i in rows], width, self.pad)
        mask = self._pad([[1] * len(self.ids[i]) for i in rows], width, 1 if self.fixed_width else 0)
        types = None if self.types is None else self._pad([self.types[i] for i in rows], width, 0).to(device)
        places = torch.as_tensor(list(rows), dtype=torch.long)
        return Batch(
            places, ids.to(device), mask.to(device), types, self.labels[places].to(device), self.layout
        )

    def batches(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """All examples once, those of like length together so that little is padded."""
        if batch_size < 1:
            raise SkillkitError(f"batch_size={batch_size} is not a positive number.")
        order = np.argsort(self.lengths, kind="stable").tolist()
        for start in range(0, len(order), batch_size):
            yield self.batch(order[start : start + batch_size], device)

    def shuffled(self, batch_size: int, rng: np.random.Generator, device: torch.device) -> Iterator[Batch]:
        """All examples once, in random order.

        They are shuffled, sorted by length inside pools of 20 batches, and the batches shuffled again: less
        padding than plain shuffling, and no order of batches that follows text length.
        """
        order = rng.permutation(len(self))
        lengths, chunks = self.lengths, []
        pool = 20 * batch_size
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(lengths[part], kind="stable")]
            chunks += [part[i : i + batch_size].tolist() for i in range(0, len(part), batch_size)]
        for index in rng.permutation(len(chunks)):
            yield self.batch(chunks[index], device)

    def _pad(self, lists: list[list[int]], width: int, value: int) -> Tensor:
        padded = torch.full((len(lists), width), value, dtype=torch.long)
        for row, values in enumerate(lists):
            start = width - len(values) if self.pad_left else 0
            padded[row, start : start + len(values)] = torch.tensor(values, dtype=torch.long)
        return padded


@dataclass(frozen=True)
class EncodedTask(Splits[Encoded]):
    """A task whose splits are tokenised: it can stand wherever a ``TaskData`` is asked for."""

    def labels(self, split: str) -> NDArray[np.int64]:
        """The labels of a split, [examples]."""
        return self.split(split).labels.numpy()

    def relabelled(self, split: str, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> Encoded:
        """Some rows of a split, with new labels [rows]."""
        return replace(self.split(split).select(rows.tolist()), labels=torch.from_numpy(labels))


def encode_task(
    backbone: Backbone, task_data: TaskData | EncodedTask, layout: str = "standard"
) -> EncodedTask:
    """Tokenise all splits of a task for a backbone, once, to pass on to whatever works on that backbone.

    Raises:
        SkillkitError: as ``encode``.
    """
    splits = {
        name: encode(backbone, split, task_data.task, layout) for name, split in task_data.splits.items()
    }
    return EncodedTask(task_data.task, splits, task_data.source, task_data.notes)


def labels_of(dataset: Dataset | Encoded) -> NDArray[np.int64]:
    """The labels of a split, encoded or not, [examples]."""
    return np.asarray(dataset.labels if isinstance(dataset, Encoded) else dataset["label"], dtype=np.int64)


def encode(backbone: Backbone, dataset: Dataset | Encoded, task: Task, layout: str = "standard") -> Encoded:
    """Tokenise a data set for a backbone. What is encoded already comes back as it is.

    Texts are cut to ``backbone.max_text_tokens``, the longer of a pair first.

    Raises:
        SkillkitError: empty data set, missing column, or a layout that the model family does not have.
    """
    if isinstance(dataset, Encoded):
        if dataset.layout != layout:
            raise SkillkitError(
                f"The data set was encoded in layout {dataset.layout!r}, the prompt asks for {layout!r}: "
                "encode it again."
            )
        return dataset
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    if len(dataset) == 0:
        raise SkillkitError(f"The data set for task {task.name!r} is empty.")
    missing = [c for c in (*task.text_columns, "label") if c not in dataset.column_names]
    if missing:
        raise SkillkitError(
            f"Task {task.name!r} needs column {missing[0]!r}; the data set has "
            f"{', '.join(dataset.column_names)}."
        )
    texts = list(zip(*(dataset[column][:] for column in task.text_columns), strict=True))
    labels = torch.tensor(dataset["label"][:], dtype=torch.long)
    write = {"standard": _standard, "wang": _wang, "su": _su}[layout]
    ids, types = write(backbone, task, texts)
    return Encoded(
        ids,
        types,
        labels,
        layout,
        pad=backbone.tokenizer.pad_token_id,  # type: ignore[arg-type]
        pad_left=backbone.family == "causal-lm",
        fixed_width=_SU_T5_WIDTH if layout == "su" and backbone.family == "encoder-decoder" else None,
    )


_Ids = list[list[int]]
_Texts = list[tuple[str, ...]]


def _standard(backbone: Backbone, task: Task, texts: _Texts) -> tuple[_Ids, _Ids | None]:
    columns = [list(column) for column in zip(*texts, strict=True)]
    if backbone.family == "causal-lm":  # these tokenizers have no form for pairs
        columns = [["\n".join(pair) for pair in texts]]
    has_types = getattr(backbone.model.config, "type_vocab_size", 0) > 1
    encoded = backbone.tokenizer(
        *columns, truncation=True, max_length=backbone.max_text_tokens, return_token_type_ids=has_types
    )
    types = encoded["token_type_ids"] if has_types else None
    return encoded["input_ids"], types  # type: ignore[return-value]


def _wang(backbone: Backbone, task: Task, texts: _Texts) -> tuple[_Ids, None]:
    if backbone.family != "masked-lm":
        raise SkillkitError(
            f"Layout 'wang' is for masked LMs; {backbone.name!r} is {backbone.family}. Use layout='standard'."
        )
    joined = ["".join(pair) for pair in texts]
    encoded = backbone.tokenizer(joined, truncation=True, max_length=backbone.max_text_tokens)
    return encoded["input_ids"], None  # type: ignore[return-value]


def _su(backbone: Backbone, task: Task, texts: _Texts) -> tuple[_Ids, None]:
    if "hypothesis" in task.text_columns:
        texts = [(hypothesis, premise) for premise, hypothesis in texts]
    if "aspect" in task.text_columns:
        texts = [(f"{text} {aspect}",) for text, aspect in texts]
    if backbone.family == "masked-lm":
        return [_su_roberta(backbone, parts) for parts in texts], None
    if backbone.family == "encoder-decoder":
        return [_su_t5(backbone, task, parts) for parts in texts], None
    raise SkillkitError(
        f"Layout 'su' is for RoBERTa and T5; {backbone.name!r} is {backbone.family}. Use layout='standard'."
    )


def _su_roberta(backbone: Backbone, parts: tuple[str, ...]) -> list[int]:
    tokenizer = backbone.tokenizer
    start, end = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    ids: list[int] = [start]  # type: ignore[list-item]
    for part in parts:
        ids += [*tokenizer(part, add_special_tokens=False)["input_ids"], end]  # type: ignore[misc]
    if len(ids) <= _SU_TEXT_TOKENS:
        return ids
    return [*ids[: _SU_TEXT_TOKENS - 1], end]  # type: ignore[list-item]


def _su_t5(backbone: Backbone, task: Task, parts: tuple[str, ...]) -> list[int]:
    if task.type == "inference":
        text, close = f"hypothesis: {parts[0]} [SEP] sentence: premise: {parts[1]}", False
    else:
        text, close = " <extra_id_0> ".join(parts), True
    ids: list[int] = backbone.tokenizer(text, add_special_tokens=False)["input_ids"][
        : _SU_TEXT_TOKENS - close
    ]  # type: ignore[assignment]
    return [*ids, backbone.tokenizer.eos_token_id] if close else ids  # type: ignore[list-item]
