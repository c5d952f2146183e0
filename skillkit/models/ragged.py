"""Lists of whole numbers of different lengths, packed end to end.

Tokenised texts are kept for as long as a page works on them. A Python list takes 8 bytes for each of its
places, and about 28 more for each number in it; here a token takes 4 bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Ragged:
    """A sequence of lists of whole numbers; each comes out as a list again when it is asked for.

    Attributes:
        values: all numbers, one list after the other, int32 [numbers].
        ends: where each list ends in `values`, [lists].
    """

    def __init__(self, values: NDArray[np.int32], ends: NDArray[np.int64]) -> None:
        self.values, self.ends = values, ends

    @classmethod
    def of(cls, lists: Iterable[Sequence[int]]) -> "Ragged":
        """Pack some lists."""
        lists = list(lists)
        ends = np.cumsum([len(numbers) for numbers in lists], dtype=np.int64)
        return cls(np.fromiter(chain.from_iterable(lists), np.int32), ends)

    @classmethod
    def joined(cls, parts: Sequence["Ragged"]) -> "Ragged":
        """The lists of all parts, one part after the other."""
        lengths = np.concatenate([part.lengths for part in parts])
        return cls(np.concatenate([part.values for part in parts]), np.cumsum(lengths, dtype=np.int64))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many numbers each list has, [lists]."""
        return np.diff(self.ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, place: int) -> list[int]:
        return self._part(range(len(self))[place]).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Ragged):
            return np.array_equal(self.values, other.values) and np.array_equal(self.ends, other.ends)
        return list(self) == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def select(self, places: Sequence[int]) -> "Ragged":
        """Some of the lists, in the order asked for."""
        parts = [self._part(range(len(self))[place]) for place in places]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return Ragged(np.concatenate([*parts, self.values[:0]]), ends)

    def padded(self, width: int, fill: int, *, left: bool) -> Tensor:
        """The lists as the rows of a matrix, filled up on the left or on the right: int64 [lists, width]."""
        columns, lengths = np.arange(width), self.lengths[:, None]
        matrix = np.full((len(self), width), fill, dtype=np.int64)
        matrix[columns >= width - lengths if left else columns < lengths] = self.values
        return torch.from_numpy(matrix)

    def ones(self) -> "Ragged":
        """Lists of the same lengths, of ones."""
        return Ragged(np.ones_like(self.values), self.ends)

    def _part(self, place: int) -> NDArray[np.int32]:
        return self.values[self.ends[place - 1] if place else 0 : self.ends[place]]
