"""The rows of a split as they were found, and where a person finds each of them again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from skillkit.errors import SkillkitError

Column: TypeAlias = list[Any] | pa.ChunkedArray


@dataclass(frozen=True)
class Table:
    """The columns of one split, before texts and labels are looked at.

    Attributes:
        columns: name -> values, as the file has them.
        name: where they come from, for errors: a path, or words.
        short: the same for a page, without the folders above the task's.
        lines: the line of the file on which each row begins; None where rows are counted from 1.
        label_names: the names that the file itself gives to the label numbers, if any.
        notes: what there is to say about how it was read.
    """

    columns: Mapping[str, Column]
    name: str
    short: str
    lines: Sequence[int] | None = None
    label_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def values(self, column: str) -> list[Any]:
        """The values of a column as Python objects."""
        values = self.columns[column]
        return values if isinstance(values, list) else values.to_pylist()

    def place(self, row: int) -> str:
        """Where a row stands, as a person counts: `line 3 of …/test.csv`."""
        return f"{self.number(row)} of {self.name}"

    def number(self, row: int) -> str:
        """The row's line, or its number from 1."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"

    def need(self, columns: Sequence[str]) -> None:
        """Raise SkillkitError when there is no row, or a column is missing."""
        missing = [column for column in columns if column not in self.columns]
        if missing and self.columns:
            raise SkillkitError(
                f"Missing column {', '.join(map(repr, missing))} in {self.name}; "
                f"it has {', '.join(map(repr, self.columns))}. "
                "Rename the columns of the file to those of skillkit/data/tasks.py."
            )
        if len(self) == 0:
            raise SkillkitError(f"No examples in {self.name}. Give a file with rows, or remove it.")


def read_parquet(path: Path) -> Table:
    """A parquet file, with the label names that `datasets` writes into it."""
    table = pq.ParquetFile(path).read()  # `read_table` would take columns from the names of folders
    check_names(table.column_names, path)
    plain = [name for name in table.column_names if not name.startswith("__index_level_")]
    columns: dict[str, Column] = {name: _plain(table[name]) for name in plain}
    return Table(columns, str(path), short_name(path), label_names=_carried_names(table.schema))


def arrow_table(table: Table, replaced: Mapping[str, Column]) -> pa.Table:
    """All columns as one Arrow table, some of them with other values.

    Raises:
        SkillkitError: a column that holds values of several kinds.
    """
    columns: dict[str, Column] = {**table.columns, **replaced}
    return pa.table({name: _array(table, name, values) for name, values in columns.items()})


def short_name(path: Path) -> str:
    """A file's name with the task's folder: no page shows where on a disk the data lie."""
    return f"{path.parent.name}/{path.name}"


def counted(number: int, thing: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def check_names(names: Sequence[str], path: Path) -> None:
    """Raise SkillkitError when two columns have one name."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise SkillkitError(
            f"{path} has more than one column {', '.join(map(repr, twice))}. Rename or remove all but one."
        )


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with its values in place of places in a dictionary (pandas' categories)."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _carried_names(schema: pa.Schema) -> tuple[str, ...] | None:
    """The names of a ClassLabel column `label` in the metadata that `datasets` writes."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]["label"]
        return tuple(map(str, feature["names"])) if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None


def _array(table: Table, name: str, values: Column) -> Column | pa.Array:
    if not isinstance(values, list):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        known: list[tuple[int, Any]] = [(row, value) for row, value in enumerate(values) if value is not None]
        kind = type(known[0][1])
        row, value = next((each for each in known if type(each[1]) is not kind), known[0])
        raise SkillkitError(
            f"Column {name!r} holds {value!r} in {table.place(row)}, which does not fit the rows before. "
            "Write one kind of value in each column, or remove this one."
        ) from error
