"""A padded batch of token ids, and what lies where while it is in the model.

The pass in progress is a context variable, set by ``answer_hidden`` for the time of one forward pass and read by hooks
through ``current_pass``. A hook gets only a module and its inputs from torch, so this is how it learns which examples it
sees and where the prompt lies. Nothing outlives the pass, and threads do not see each other's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Token ids of some examples, padded to the longest.

    Attributes:
        rows: places in the data set, [examples].
        ids: token ids, [examples, tokens].
        mask: 1 where there is text, [examples, tokens].
        types: token types, [examples, tokens], or None for models without them.
        labels: label numbers, [examples].
        layout: how the texts are written (``skillkit.models.inputs``).
    """

    rows: Tensor
    ids: Tensor
    mask: Tensor
    types: Tensor | None
    labels: Tensor
    layout: str

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Pass:
    """What lies where while a batch is in a model of some family behind a prompt of ``length`` rows."""

    batch: Batch
    length: int
    family: str

    def positions(self, stack: str) -> list[int | None]:
        """Where each entry of the positions axis (answer slot, then prompt rows) lies in a stack's sequence, or None."""
        rows = range(self.length)
        if self.family == "encoder-decoder":
            return [None, *rows] if stack == "encoder" else [0, *(None for _ in rows)]
        if self.family == "causal-lm":
            return [None, *(self.batch.ids.shape[1] + i for i in rows)]
        if self.batch.layout == "su":
            return [0, *(None if i == 0 else i for i in rows)]
        return [0, *(1 + i for i in rows)]

    def text_span(self, stack: str) -> slice | None:
        """The part of a stack's sequence that holds the text, padding included (see ``batch.mask``); None in a T5 decoder."""
        width = self.batch.ids.shape[1]
        if self.family == "encoder-decoder":
            return slice(self.length, self.length + width) if stack == "encoder" else None
        if self.family == "causal-lm":
            return slice(0, width)
        start = max(1, self.length) if self.batch.layout == "su" else 1 + self.length
        return slice(start, start + width)

    @property
    def input_length(self) -> int:
        """Positions that answer slot, prompt and text take together in the sequence that holds the text."""
        width = self.batch.ids.shape[1]
        if self.family in ("encoder-decoder", "causal-lm"):
            return self.length + width
        return width + (max(1, self.length) if self.batch.layout == "su" else 1 + self.length)


_CURRENT: ContextVar[Pass | None] = ContextVar("pass in progress", default=None)


def current_pass() -> Pass | None:
    """The pass in progress, None between passes."""
    return _CURRENT.get()


@contextmanager
def in_progress(current: Pass) -> Iterator[None]:
    """Make this the pass in progress inside the block."""
    token = _CURRENT.set(current)
    try:
        yield
    finally:
        _CURRENT.reset(token)
