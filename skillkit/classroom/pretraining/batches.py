"""Pretraining lines as token ids, one batch for each step.

A masked LM reads `<mask>` prefix text and answers at the mask; an encoder-decoder reads prefix text and
answers first. In half of the lines a tenth of the text's words are hidden too, and to be restored: masked
words in the one, removed spans in the other. No target stands at a prefix position. The batch of a step
depends on the seed and the step alone, so training resumes without stored generator state.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from skillkit.classroom.pretraining.corpus import Line, draw_lines
from skillkit.classroom.pretraining.curriculum import lesson
from skillkit.classroom.pretraining.tokenizer import SENTINELS

HIDDEN = 0.1  # share of words hidden in every other line, so that most answers can be told

IGNORED = -100
"""The target of a position at which nothing is to be predicted."""

_BLOCK = 16  # batches that are drawn together and sorted by length, so that little of a batch is padding


@dataclass(frozen=True)
class Batch:
    """Token ids of one step.

    Attributes:
        inputs: [lines, width].
        attention: [lines, width], 0 at padding.
        targets: `IGNORED` where nothing is to be predicted; [lines, width] for a masked LM,
            [lines, decoder positions] for an encoder-decoder.
        answers: [lines], the answer's token in the slot; `IGNORED` where nothing is asked.
    """

    inputs: Tensor
    attention: Tensor
    targets: Tensor
    answers: Tensor

    def to(self, device: str) -> Batch:
        """The batch on another device."""
        return Batch(
            self.inputs.to(device),
            self.attention.to(device),
            self.targets.to(device),
            self.answers.to(device),
        )


class Batches:
    """The batches of a pretraining run by step number, for a "masked-lm" or an "encoder-decoder"."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        family: str,
        *,
        seed: int,
        batch_size: int = 32,
    ) -> None:
        self._tokenizer = tokenizer
        self._family = family
        self._seed = seed
        self._batch_size = batch_size
        self._block = -1
        self._batches: list[list[tuple[Line, list[int]]]] = []

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step (counted from 0): the same one in whatever order batches are asked for."""
        block, place = divmod(step, _BLOCK)
        if block != self._block:
            self._batches, self._block = self._draw_block(block), block
        generator = np.random.default_rng([self._seed, zlib.crc32(b"masks"), step])
        lines = self._batches[place]
        if self._family == "masked-lm":
            return _masked_lm_batch(lines, self._tokenizer, generator)
        return _encoder_decoder_batch(lines, self._tokenizer, generator)

    def _draw_block(self, block: int) -> list[list[tuple[Line, list[int]]]]:
        generator = np.random.default_rng([self._seed, zlib.crc32(b"lines"), block])
        lines = draw_lines(generator, _BLOCK * self._batch_size, lesson(block * _BLOCK))
        firsts = [line.first for line in lines]
        encoded = [
            self._tokenizer(line.first, line.second)["input_ids"] if line.second is not None else ids
            for line, ids in zip(lines, self._tokenizer(firsts)["input_ids"], strict=True)
        ]
        pairs = sorted(zip(lines, encoded, strict=True), key=lambda pair: len(pair[1]) + len(pair[0].prefix))
        size = self._batch_size
        batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
        return [batches[index] for index in generator.permutation(len(batches))]


def _ids(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[str]) -> list[int]:
    found: Any = tokenizer.convert_tokens_to_ids(list(tokens))
    return list(found)


def _pad(rows: list[list[int]], value: int) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def _masked_lm_batch(
    lines: list[tuple[Line, list[int]]], tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> Batch:
    """`<mask>` prefix text: the answer is expected at the mask, and the hidden words where they were."""
    rows, targets = [], []
    for line, text in lines:
        ids = np.array(text)
        chosen = generator.random(len(ids)) < _hidden_share(generator)
        chosen &= ~np.isin(ids, tokenizer.all_special_ids)
        masked = chosen & (generator.random(len(ids)) < 0.9)
        asking = [tokenizer.mask_token_id, *_ids(tokenizer, line.prefix)]
        rows.append(asking + np.where(masked, tokenizer.mask_token_id, ids).tolist())
        targets.append([IGNORED] * len(asking) + np.where(chosen, ids, IGNORED).tolist())
    return _batch(rows, targets, lines, tokenizer)


def _encoder_decoder_batch(
    lines: list[tuple[Line, list[int]]], tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> Batch:
    """Prefix text: the answer is expected first, then the hidden spans."""
    rows, targets = [], []
    for line, text in lines:
        row, target = _hide_spans(text, _hidden_share(generator), tokenizer, generator)
        rows.append([*_ids(tokenizer, line.prefix), *row])
        targets.append([IGNORED, *target])
    return _batch(rows, targets, lines, tokenizer)


def _hidden_share(generator: np.random.Generator) -> float:
    return HIDDEN * float(generator.random() < 0.5)


def _batch(
    rows: list[list[int]],
    targets: list[list[int]],
    lines: list[tuple[Line, list[int]]],
    tokenizer: PreTrainedTokenizerFast,
) -> Batch:
    inputs = _pad(rows, tokenizer.pad_token_id)
    lengths = torch.tensor([len(row) for row in rows])
    attention = (torch.arange(inputs.shape[1]) < lengths[:, None]).long()
    answers = [IGNORED if line.answer is None else _ids(tokenizer, [line.answer])[0] for line, _ in lines]
    return Batch(inputs, attention, _pad(targets, IGNORED), torch.tensor(answers))


def _hide_spans(
    text: list[int], share: float, tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Replace spans of one to three words by sentinels.

    Returns:
        The text with sentinels in it, and the target: each sentinel followed by what it hides.
    """
    special = set(tokenizer.all_special_ids)
    sentinels = iter(_ids(tokenizer, SENTINELS))
    row: list[int] = []
    target: list[int] = []
    place = 0
    while place < len(text):
        hidden = text[place : place + int(generator.integers(1, 4))]
        sentinel = None
        if generator.random() < share / 2 and not special & set(hidden):
            sentinel = next(sentinels, None)
        if sentinel is None:
            row.append(text[place])
            place += 1
        else:
            row.append(sentinel)
            target += [sentinel, *hidden]
            place += len(hidden)
    return row, [*target, tokenizer.eos_token_id]
