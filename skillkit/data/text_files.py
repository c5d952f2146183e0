"""Tables in text files: CSV and JSON, as people and programs write them.

Whatever such a file could mean is either clear, or refused with the line to look at. A reader that guesses
would take one wrong quotation mark, or one wrong encoding, for a text.
"""

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from skillkit.data.labels import label_number
from skillkit.data.tables import Column, Table, check_names, counted, short_name
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: Path, task: Task) -> Table:
    """A CSV file: fields separated by commas, texts in quotation marks where they hold commas or lines.

    Args:
        path: the file.
        task: its text columns, and the labels, are never read as numbers.

    Raises:
        SkillkitError: another encoding or separator, stray quotation marks, or lines of another length.
    """
    content = read_text(path)
    header, rows, spans = _records(content, path)
    if len(header) == 1 and (signs := [sign for sign in _SEPARATORS if sign in header[0]]):
        raise SkillkitError(
            f"The columns of {path} are separated by {_SEPARATORS[signs[0]]}. Save it with commas instead."
        )
    check_names(header, path)
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
    columns = columns or {name: [] for name in header}
    _refuse_swallowed_rows(header, content, spans, path, task)
    long = [span for span in spans if span[1] > span[0]]
    note = (
        f"{counted(len(long), 'text')} of {short_name(path)} with line breaks (first in lines "
        f"{long[0][0]} to {long[0][1]}): if that is not meant, a quotation mark is left open there."
        if long
        else ""
    )
    kept = {"label", *task.text_columns, *(f"original_{column}" for column in task.text_columns)}
    return Table(
        {name: values if name in kept else _numbers(values) for name, values in columns.items()},
        str(path),
        short_name(path),
        lines=[first for first, _ in spans],
        notes=(note,) if note else (),
    )


def read_json(path: Path) -> Table:
    """A list of objects, or one object on each line: each is a row.

    Raises:
        SkillkitError: another encoding, or something that is not JSON, or no such rows.
    """
    content = read_text(path)
    lines: list[int] | None = None
    if content.lstrip().startswith("["):
        records = _parsed(content, f"{path}")
    else:
        numbered = [(n, line) for n, line in enumerate(content.split("\n"), start=1) if line.strip()]
        records = [_parsed(line, f"line {n} of {path}") for n, line in numbered]
        lines = [n for n, _ in numbered]
    names = list(dict.fromkeys(name for record in records if isinstance(record, dict) for name in record))
    table = Table({name: [] for name in names}, str(path), short_name(path), lines)
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise SkillkitError(
                f"{table.place(row)} holds {record!r:.60}, not an object such as "
                '{"text": "…", "label": 0}. Write one object for each row.'
            )
    columns: dict[str, Column] = {name: [record.get(name) for record in records] for name in names}
    return Table(columns, table.name, table.short, lines)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark.

    Raises:
        SkillkitError: the file is empty or in another encoding, which is named as far as it can be told.
    """
    raw = path.read_bytes()
    if not raw.strip():
        raise SkillkitError(f"{path} is empty. Give a file with rows, or remove it.")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw:
        raise SkillkitError(f"{path} is in UTF-16 (or not a text file). Save it in UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SkillkitError(
            f"Line {line} of {path} is not in UTF-8 but in another encoding, perhaps Latin-1 or "
            "Windows-1252. Save the file in UTF-8."
        ) from error


def _records(content: str, path: Path) -> tuple[list[str], list[list[str]], list[tuple[int, int]]]:
    """Header, rows, and the first and last line of each row."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    header: list[str] = []
    rows, spans, first = [], [], 1
    try:
        for fields in reader:
            if not header:
                header = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(fields)]
            elif fields:
                rows.append(fields)
                spans.append((first, reader.line_num))
            first = reader.line_num + 1
    except csv.Error as error:
        raise SkillkitError(
            f"The row that begins in line {first} of {path} has a stray quotation mark ({error}). "
            'Put texts that hold quotation marks between quotation marks, and write theirs twice: "".'
        ) from error
    for fields, (line, _) in zip(rows, spans, strict=True):
        if len(fields) != len(header):
            raise SkillkitError(
                f"Line {line} of {path} has {len(fields)} fields, the header has {len(header)}. "
                "Put texts that hold commas between quotation marks."
            )
    return header, rows, spans


def _refuse_swallowed_rows(
    header: list[str], content: str, spans: list[tuple[int, int]], path: Path, task: Task
) -> None:
    """Refuse a row over several lines each of which would be a whole row, label included."""
    if "label" not in header:
        return
    at = header.index("label")
    lines = list(io.StringIO(content, newline=""))
    for first, last in spans:
        if first == last:
            continue
        parts = [next(csv.reader([line], quoting=csv.QUOTE_NONE), []) for line in lines[first - 1 : last]]
        if all(len(part) == len(header) and label_number(part[at], task) is not None for part in parts):
            raise SkillkitError(
                f'Lines {first} to {last} of {path} are one row, since a quotation mark (") opens in line '
                f"{first} and closes in line {last}, but each of them looks like a row of its own. "
                "Remove the quotation marks, or write them twice inside a text between quotation marks."
            )


def _numbers(values: list[str]) -> list[Any]:
    """The values as numbers where all of them are."""
    try:
        return pd.to_numeric(pd.Series(values, dtype=object)).tolist()
    except (ValueError, TypeError):
        return values


def _parsed(content: str, where: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=lambda pairs: _object(pairs, where))
    except (json.JSONDecodeError, RecursionError) as error:
        raise SkillkitError(
            f"{where} cannot be read as JSON ({error}). Write a list of objects, or one object on each line."
        ) from error


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = ", ".join(name for name, _ in pairs)
        raise SkillkitError(f"An object in {where} names a key twice: {names}. Remove one of them.")
    return record
