"""Where results lie and how they are written: tidy tables with provenance, each file whole or not there.

    results/<study>/<model>/<task>/notebooks/<notebook>.ipynb        the executed notebook
                                  /<notebook>.parquet                its table, one row per measurement
                                  /<notebook>.provenance.json        what made the table
                                  /<notebook>.sha256                 the page's receipt: digests of its files
                                  /prompts/seed-0.safetensors        a tuned prompt
                                  /scores/seed-0.safetensors         its neurons' scores

A notebook that looks at all tasks of one model leaves out the `<task>` level, one that looks at the whole
study leaves out `<model>` too. No torch here: tables can be read and drawn without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skillkit.errors import MissingFile, SkillkitError
from skillkit.files import atomic_write, file_digest
from skillkit.names import shown_name, slug
from skillkit.provenance import note_read, provenance

COLUMNS = ("study", "model", "task", "seed", "metric", "value", "n", "unit", "low", "high", "interval")
"""The first columns of every table; what an analysis adds comes after them."""

RECEIPT = ".sha256"
"""The suffix of a page's receipt, a file of digests that is written once the page has succeeded."""


_WILDCARDS = ("{model}", "{task}")
"""What stands in the Snakefile for any model and any task."""


@dataclass(frozen=True)
class Place:
    """One place of a study: a model and a task, one model (`task=None`), or the study (`model=None`)."""

    study: str
    model: str | None = None
    task: str | None = None
    root: str | Path = "results"

    def __post_init__(self) -> None:
        """Refuse a task without a model, for which there is no folder."""
        if self.task is not None and self.model is None:
            raise SkillkitError(
                f"Place: task {self.task!r} is given without a model; name the model it was run with."
            )

    @property
    def shown(self) -> str | None:
        """The model's name as readers see it: of a local folder the last part."""
        return shown_name(self.model) if self.model else None

    @property
    def folder(self) -> Path:
        """The folder that holds everything of this place."""
        names = [name for name in (self.model, self.task) if name]
        levels = [name if name in _WILDCARDS else slug(shown_name(name)) for name in names]
        return Path(self.root, self.study, *levels)

    def prompt(self, seed: int) -> Path:
        """File of the prompt tuned with `seed`."""
        return self.folder / "prompts" / f"seed-{seed}.safetensors"

    def scores(self, seed: int) -> Path:
        """File of the neuron scores of the prompt tuned with `seed`."""
        return self.folder / "scores" / f"seed-{seed}.safetensors"

    def table(self, notebook: str) -> Path:
        """File of the table that `notebook` (such as `02_skill_neurons`) wrote for this place."""
        return self.folder / f"{notebook}.parquet"

    def provenance(self, notebook: str) -> Path:
        """File that says what made the table."""
        return provenance_of(self.table(notebook))

    def receipt(self, notebook: str) -> Path:
        """File with the digests of all files of the page (see `skillkit.study.receipts`)."""
        return self.table(notebook).with_suffix(RECEIPT)

    def notebook(self, notebook: str) -> Path:
        """File of the executed notebook."""
        return self.folder / "notebooks" / f"{notebook}.ipynb"


def measurements(place: Place, rows: Iterable[Mapping[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """A tidy table of `rows`, one per measurement, with the columns of `COLUMNS` first and others after them.

    Each row has at least `metric` and `value`; `seed`, and what a `Measurement` says of the value, are
    missing where a row does not give them. `study`, `model`, `task` come from the place unless a row says
    otherwise.

    Raises:
        SkillkitError: rows without `metric` or `value`, no rows at all, or rows that do not say what they
            measured (see `check_measurements`).
    """
    frame = pd.DataFrame(rows) if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    missing = [name for name in ("metric", "value") if name not in frame.columns]
    if missing or frame.empty:
        lack = f"lack {' and '.join(missing)}" if len(frame.columns) else "are empty"
        raise SkillkitError(
            f"measurements: the rows {lack}; give one mapping per measurement with metric=… and value=…."
        )
    for name, value in (("study", place.study), ("model", place.shown), ("task", place.task)):
        frame[name] = frame[name].where(frame[name].notna(), value) if name in frame.columns else value
    for name in ("unit", "interval"):
        frame[name] = frame[name] if name in frame.columns else pd.NA
    for name in ("study", "model", "task", "metric", "unit", "interval"):
        frame[name] = frame[name].astype("string")
    for name, dtype in (
        ("seed", "Int64"),
        ("value", "float64"),
        ("n", "Int64"),
        ("low", "float64"),
        ("high", "float64"),
    ):
        given = frame[name] if name in frame.columns else pd.Series(pd.NA, index=frame.index)
        frame[name] = pd.to_numeric(given).astype(dtype)
    check_measurements(frame)
    return frame[[*COLUMNS, *(name for name in frame.columns if name not in COLUMNS)]].reset_index(drop=True)


def check_measurements(frame: pd.DataFrame) -> None:
    """Refuse rows that do not say what they measured.

    Each row must hold a whole `Measurement`, or neither an n nor an interval.

    Raises:
        SkillkitError: an n without unit, one end of an interval alone, an interval without its name, or a
            name without its interval. The message lists the metrics concerned.
    """
    count, unit, low, high, interval = (
        frame[name].notna() if name in frame else pd.Series(False, index=frame.index)
        for name in ("n", "unit", "low", "high", "interval")
    )
    named = interval & (frame["interval"] != "").fillna(False) if "interval" in frame else interval
    faults = {
        "an n without unit (texts, pairs, neurons…)": count & ~unit,
        "one end of an interval": low != high,
        "an interval without its name": low & high & ~named,
        "the name of an interval, but not its ends": named & ~(low | high),
    }
    found = [
        f"{fault}: {', '.join(sorted(frame.loc[rows, 'metric'].astype(str).unique()))}"
        for fault, rows in faults.items()
        if rows.any()
    ]
    if found:
        raise SkillkitError(
            f"The table has rows with {'; '.join(found)}. Make rows with the functions of "
            "skillkit.stats.measurement, whose row() says all of it."
        )


def write_table(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write `frame` to the parquet file `path`, and how it came about to `<stem>.provenance.json`.

    The provenance is what ran (see `skillkit.provenance`), with a digest of the table, by which `read_table`
    knows it again.
    """
    path = Path(path)
    with atomic_write(path) as table:
        frame.to_parquet(table, index=False, compression="zstd")
        with atomic_write(provenance_of(path)) as beside:
            facts = {**provenance(), "sha256": file_digest(table)}
            beside.write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def read_table(path: str | Path) -> pd.DataFrame:
    """Read one table. A table without provenance, such as one made by hand, is read as it is.

    Raises:
        MissingFile: it was not made yet.
        SkillkitError: it is no table, it is not the one that was written, or its provenance is broken.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFile(
            f"There is no table {path}: the notebook {path.stem} has not been run for this place. "
            + _remedy(path)
        )
    digest, written = file_digest(path), _written_digest(path)
    if written not in (None, digest):
        raise SkillkitError(
            f"The table {path} is damaged or foreign: it is not the one of its provenance. {_remedy(path)}"
        )
    try:
        frame = pd.read_parquet(path)
    except Exception as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SkillkitError(f"{path} is not a readable table ({cause}). {_remedy(path)}") from error
    note_read("table", path, digest)
    return frame


def check_folder(folder: Path, *, writing: bool = True) -> None:
    """Raise SkillkitError unless `folder` is one to keep results in, or can be made."""
    here = next((each for each in (folder, *folder.parents) if each.exists() or each.is_symlink()), Path("."))
    if not here.is_dir():
        what = "a file" if here.exists() else f"a link to {here.readlink()}, which is not there"
        raise SkillkitError(
            f"{here} is {what}, but results are to lie in a folder of that name. Move it away, or restore it."
        )
    if writing and not os.access(here, os.W_OK | os.X_OK):
        raise SkillkitError(
            f"No result can be written: the folder {here.absolute()} is read-only for you. "
            "Change its permissions, or work in a copy of the project."
        )


def provenance_of(table: Path) -> Path:
    """File that says what made a table."""
    return table.with_suffix(".provenance.json")


def _written_digest(table: Path) -> str | None:
    """The digest of the table that was written here, by its provenance; None where that does not say."""
    path = provenance_of(table)
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        digest = facts.get("sha256")
    except (ValueError, AttributeError) as error:
        raise SkillkitError(
            f"{path} is damaged, so what made {table.name} is not known. {_remedy(table)}"
        ) from error
    return None if digest is None else str(digest)


def _remedy(table: Path) -> str:
    """What makes a table again: its page, and the command that sees to it."""
    _, found, inside = f"/{table.parent.as_posix()}".rpartition("/results/")
    if not found:
        return "Run that notebook again."
    study, *place = inside.split("/")
    return f"`skillkit run {study}` makes its page again: {' '.join([table.stem, *place])}."


def read_tables(
    root: str | Path,
    study: str,
    notebook: str,
    *,
    models: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
) -> pd.DataFrame:
    """All tables that `notebook` wrote in `study`, one below the other, in the order of their paths.

    `models` and `tasks` leave out cells that lie in the folder from an earlier, larger study. Raises
    FileNotFoundError when no table is left.
    """
    folder = Path(root) / study
    paths = sorted(
        {path for level in ("", "*/", "*/*/") for path in folder.glob(f"{level}{notebook}.parquet")}
    )
    frames = [_with_places(read_table(path), path) for path in paths]
    if models is not None:
        shown = [shown_name(model) for model in models]
        frames = [frame[frame["model"].isin(shown) | frame["model"].isna()] for frame in frames]
    if tasks is not None:
        frames = [frame[frame["task"].isin(tasks) | frame["task"].isna()] for frame in frames]
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        raise MissingFile(
            f"No table of {notebook} under {folder}. Run the study first: `skillkit run {study}` makes them."
        )
    return pd.concat([frame.dropna(axis="columns", how="all") for frame in frames], ignore_index=True).pipe(
        _in_order
    )


def _with_places(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table, unless it does not say whose results it holds."""
    if lack := [name for name in ("model", "task") if name not in frame.columns]:
        raise SkillkitError(f"{path} is no table of a page: it has no column {lack[0]!r}. {_remedy(path)}")
    return frame


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Put back the common columns that dropping empty ones took away, and their order."""
    for name in COLUMNS:
        if name not in frame.columns:
            frame[name] = pd.NA
    return frame[[*COLUMNS, *(name for name in frame.columns if name not in COLUMNS)]]


def collect_tables(
    root: str | Path, study: str, pages: Sequence[str], models: Sequence[str], tasks: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The tables of a study's pages for each model and task, by page.

    Pages that nobody ran are left out (a study need not have adversarial tasks).

    Raises:
        SkillkitError: no page was run at all.
    """
    tables = {}
    for page in pages:
        try:
            tables[page] = read_tables(root, study, page, models=list(models), tasks=list(tasks))
        except MissingFile:
            continue
    if not tables:
        raise SkillkitError(
            f"There are no tables of {', '.join(pages)} under {root}/{study}. Run the study first."
        )
    return tables
