"""From texts to padded batches of token ids.

``encode_task`` tokenises a task once; what it returns can stand wherever a task is asked for (as ``Encoded``
can for a data set), so that nothing is tokenised twice. Layouts decide how texts are written:

- ``standard``: the tokenizer's own form for one text or a pair; for causal models the two texts on two lines.
- ``wang``: Wang et al.'s code: pairs joined with nothing in between (masked LMs).
- ``su``: Su et al.'s code, also used by Ackermann & Ohmer: ``<s> a </s> b </s>`` for RoBERTa, task-specific
  strings for T5, the hypothesis before the premise.
"""

import hashlib
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
from skillkit.models.ragged import Ragged

LAYOUTS = ("standard", "wang", "su")

# Su et al. cut texts to 128 tokens and, for T5, pad every sequence to 230 - 100 positions and attend to the
# padding.
_SU_TEXT_TOKENS = 128
_SU_T5_WIDTH = 130

_CHUNK = 1000
"""Texts that are tokenised at a time."""


@dataclass(frozen=True)
class Encoded:
    """A tokenised data set.

    Attributes:
        ids: token ids of each example, packed; `ids[row]` is a list.
        types: token types of each example, None for models without them.
        labels: label numbers, [examples].
        layout: how the texts are written (one of ``LAYOUTS``).
        pad: the token id that fills up a batch.
        pad_left: whether it goes before the text.
        fixed_width: pad every batch to so many tokens, and attend to the padding; None: to the longest text.
    """

    ids: Ragged
    types: Ragged | None
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
        return self.ids.lengths

    @cached_property
    def digest(self) -> str:
        """A name for these texts and labels: another one if any of them changes."""
        digest = hashlib.sha256()
        for part in (self.ids.values, self.ids.ends, self.labels.numpy()):
            digest.update(f"{part.dtype.str}{len(part)}:".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def select(self, rows: Sequence[int]) -> "Encoded":
        """Some of the examples, renumbered from 0."""
        types = None if self.types is None else self.types.select(rows)
        labels = self.labels[torch.as_tensor(rows, dtype=torch.long)]
        return replace(self, ids=self.ids.select(rows), types=types, labels=labels)

    def batch(self, rows: Sequence[int], device: torch.device) -> Batch:
        """The examples of these rows as one padded batch on a device.

        Raises:
            SkillkitError: no row.
        """
        if len(rows) == 0:
            raise SkillkitError("A batch needs at least one row.")
        chosen, left = self.ids.select(rows), self.pad_left
        width = self.fixed_width or max(1, int(chosen.lengths.max()))
        ids = chosen.padded(width, self.pad, left=left)
        mask = chosen.ones().padded(width, 1 if self.fixed_width else 0, left=left)
        types = None if self.types is None else self.types.select(rows).padded(width, 0, left=left)
        places = torch.as_tensor(list(rows), dtype=torch.long)
        return Batch(
            places,
            ids.to(device),
            mask.to(device),
            None if types is None else types.to(device),
            self.labels[places].to(device),
            self.layout,
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
    if not isinstance(task_data, Splits):
        raise SkillkitError(f"encode_task takes what load_task returns, not {task_data!r:.60}.")
    splits = {
        name: encode(backbone, split, task_data.task, layout) for name, split in task_data.splits.items()
    }
    return EncodedTask(task_data.task, splits, task_data.source, task_data.notes)


def labels_of(dataset: Dataset | Encoded) -> NDArray[np.int64]:
    """The labels of a split, encoded or not, [examples].

    Raises:
        SkillkitError: no data set, or one without labels.
    """
    if isinstance(dataset, Encoded):
        return dataset.labels.numpy()
    if not isinstance(dataset, Dataset) or "label" not in dataset.column_names:
        raise SkillkitError(f"Labels are asked of a data set with a column 'label', not of {dataset!r:.80}.")
    return np.asarray(dataset["label"], dtype=np.int64)


def encode(backbone: Backbone, dataset: Dataset | Encoded, task: Task, layout: str = "standard") -> Encoded:
    """Tokenise a data set for a backbone. What is encoded already comes back as it is.

    Texts are cut to ``backbone.max_text_tokens``, the longer of a pair first.

    Raises:
        SkillkitError: empty data set, missing column, something that is no text or no label of the task, a
            layout that the model family does not have, or texts encoded for another model.
    """
    if isinstance(dataset, Encoded):
        return _same_encoding(backbone, dataset, layout)
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    _check_columns(dataset, task)
    labels = _checked_labels(dataset, task)
    write = {"standard": _standard, "wang": _wang, "su": _su}[layout]
    ids, types = [], []
    for start in range(0, len(dataset), _CHUNK):  # the lists that a tokenizer returns are large
        columns = dataset[start : start + _CHUNK]
        parts = [_texts(columns[column], column, start) for column in task.text_columns]
        texts = list(zip(*parts, strict=True))
        written, kinds = write(backbone, task, texts)
        ids.append(Ragged.of(written))
        types += [] if kinds is None else [Ragged.of(kinds)]
    return Encoded(
        Ragged.joined(ids),
        Ragged.joined(types) if types else None,
        labels,
        layout,
        pad=backbone.tokenizer.pad_token_id,  # type: ignore[arg-type]
        pad_left=backbone.family == "causal-lm",
        fixed_width=_SU_T5_WIDTH if layout == "su" and backbone.family == "encoder-decoder" else None,
    )


def _same_encoding(backbone: Backbone, encoded: Encoded, layout: str) -> Encoded:
    """The encoded texts, if they can be meant for this backbone and layout."""
    if encoded.layout != layout:
        raise SkillkitError(
            f"The data set was encoded in layout {encoded.layout!r}, the prompt asks for {layout!r}: "
            "encode it again."
        )
    words = backbone.embeddings.weight.shape[0]
    if encoded.pad_left != (backbone.family == "causal-lm") or encoded.ids.values.max(initial=0) >= words:
        raise SkillkitError(
            f"The data set was encoded for another model than {backbone.name!r}: encode it again."
        )
    return encoded


def _check_columns(dataset: Dataset, task: Task) -> None:
    if not isinstance(task, Task):
        raise SkillkitError(f"A task is a row of the task table (get_task), not {task!r:.60}.")
    if not isinstance(dataset, Dataset):
        raise SkillkitError(
            f"Texts are encoded from a split of a task (load_task), not from {dataset!r:.60}."
        )
    if len(dataset) == 0:
        raise SkillkitError(f"The data set for task {task.name!r} is empty.")
    missing = [c for c in (*task.text_columns, "label") if c not in dataset.column_names]
    if missing:
        raise SkillkitError(
            f"Task {task.name!r} needs column {missing[0]!r}; the data set has "
            f"{', '.join(dataset.column_names)}."
        )


def _texts(values: list[object], column: str, start: int) -> list[str]:
    """The values of a column from row `start` on, if all are texts."""
    row = next((row for row, value in enumerate(values) if not isinstance(value, str)), None)
    if row is not None:
        raise SkillkitError(
            f"Column {column!r} holds {values[row]!r:.60} in row {start + row + 1} of the data set, which is "
            "not a text. Write a text in each row, or drop such rows."
        )
    return values  # type: ignore[return-value]


def _checked_labels(dataset: Dataset, task: Task) -> Tensor:
    """The labels of a data set as int64, [examples], all of them the task's."""
    labels, most = dataset["label"][:], len(task.labels) - 1
    row = next((i for i, n in enumerate(labels) if type(n) is not int or not 0 <= n <= most), None)
    if row is not None:
        raise SkillkitError(
            f"Label {labels[row]!r} in row {row + 1} of the data set for task {task.name!r}; expected the "
            f"numbers 0 to {most}. load_task reads label names and leaves hidden labels out."
        )
    return torch.tensor(labels, dtype=torch.long)


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
