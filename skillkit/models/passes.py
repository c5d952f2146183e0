"""A padded batch of token ids, and what lies where while it is in the model."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Token ids of some examples, padded to the longest.

    ``rows`` [examples]: their places in the data set. ``ids``, ``mask`` [examples, tokens]; ``types`` likewise, or None for models
    without token types. ``labels`` [examples].
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
    """What lies where while a batch is in the model: hooks read it from ``backbone.current``."""

    batch: Batch
    length: int
    family: str

    def positions(self, stack: str) -> list[int | None]:
        """Where each entry of the positions axis (answer slot, then prompt rows) lies in a stack's sequence, None for nowhere."""
        rows = range(self.length)
        if self.family == "encoder-decoder":
            return [None, *rows] if stack == "encoder" else [0, *(None for _ in rows)]
        if self.family == "causal-lm":
            return [None, *(self.batch.ids.shape[1] + i for i in rows)]
        if self.batch.layout == "su":
            return [0, *(None if i == 0 else i for i in rows)]
        return [0, *(1 + i for i in rows)]

    def text_span(self, stack: str) -> slice | None:
        """The part of a stack's sequence that holds the text (padding included: see ``batch.mask``), None in a T5 decoder."""
        width = self.batch.ids.shape[1]
        if self.family == "encoder-decoder":
            return slice(self.length, self.length + width) if stack == "encoder" else None
        if self.family == "causal-lm":
            return slice(0, width)
        start = max(1, self.length) if self.batch.layout == "su" else 1 + self.length
        return slice(start, start + width)
