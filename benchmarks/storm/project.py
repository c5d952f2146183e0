"""The scratch project that the storm rages over: a tiny study, and what it gives undisturbed."""

import shutil
import time
from pathlib import Path

import pandas as pd
import yaml
from safetensors.numpy import load_file

from storm.runs import ROOT, Fault, expect, expect_no_traceback, running

STUDY = "tiny"
CELL = Path("results", STUDY, "mini-roberta", "film_sentiment")

CONTENT = {
    "title": "Tiny study",
    "models": ["mini-roberta"],
    "tasks": ["film_sentiment"],
    "seeds": [0],
    "budget": {"length": 2, "steps": 8, "batch_size": 8, "evaluate_every": 2, "limit": 60},
    "notebooks": {
        "01_prompt_tuning": {"examples": 40},
        "02_skill_neurons": {"examples": 40, "permutations": 20},
        "03_perturbation": {"examples": 30, "fractions": [0.1], "modes": ["zero"], "checked": 5},
    },
}
"""Three pages that read each other, of a few seconds each."""


class Project:
    """A copy of the project in a temporary folder, and what its study gives when nobody disturbs it."""

    def __init__(self, place: Path) -> None:
        """Copy Snakefile and notebooks to `place`, and write the tiny study."""
        self.folder, self.finished, self.interrupted = place / "project", place / "finished", place / "begun"
        self.folder.mkdir(parents=True)
        shutil.copy(ROOT / "Snakefile", self.folder)
        shutil.copytree(ROOT / "notebooks", self.folder / "notebooks")
        self.write_study(STUDY)

    def write_study(self, name: str, **changes: object) -> Path:
        """Write `studies/<name>.yaml`: the tiny study with other values for some keys."""
        path = self.folder / "studies" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({**CONTENT, **changes}, sort_keys=False), encoding="utf-8")
        return path

    def make(self) -> None:
        """Make the study undisturbed, keep what it gives, and note the seconds that it takes."""
        began = time.monotonic()
        self.run_again()
        self.seconds = time.monotonic() - began
        self._keep(self.finished)
        self.tables, self.tensors = self.read_tables(), self.read_tensors()
        expect(len(self.tables) == 3, f"the undisturbed run made the tables {sorted(self.tables)}")
        self._make_interrupted()

    def _make_interrupted(self) -> None:
        """Keep a study whose first page was killed once it had written a checkpoint."""
        self.clear()
        with running(self.folder, "run", STUDY) as run:
            while not list(self.folder.glob("results/**/*.checkpoint")):
                expect(run.main.poll() is None, "the first page ended without a checkpoint")
                time.sleep(0.01)
        expect(bool(list(self.folder.glob("results/**/*.checkpoint"))), "the checkpoint was gone too soon")
        self._keep(self.interrupted)
        self.clear()

    def clear(self) -> None:
        """Take away all that was made."""
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def restore(self, kept: Path) -> None:
        """Put back what was kept, with its dates."""
        self.clear()
        shutil.copytree(kept, self.folder, dirs_exist_ok=True, symlinks=True)

    def _keep(self, place: Path) -> None:
        for name in ("results", ".snakemake"):
            shutil.copytree(self.folder / name, place / name, symlinks=True)

    def run_again(self, **changes: str | None) -> str:
        """The plain command, which must go on without help and end well; returns what it said."""
        with running(self.folder, "run", STUDY, **changes) as run:
            status = run.wait()
            expect(status == 0, f"`skillkit run {STUDY}` ended with exit code {status}")
            expect_no_traceback(run.output())
            run.expect_gone()
            return run.output()

    def expect_as_undisturbed(self) -> None:
        """Raise Fault where a table, prompt or scores file is missing, or is not the undisturbed run's."""
        compare_tables(self.read_tables(), self.tables)
        tensors = self.read_tensors()
        for name, wanted in self.tensors.items():
            expect(name in tensors, f"{name} is missing")
            same = {key: value.tobytes() for key, value in tensors[name].items()} == {
                key: value.tobytes() for key, value in wanted.items()
            }
            expect(same, f"{name} differs from that of the undisturbed run")

    def read_tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the study, by its path inside its folder."""
        top = self.folder / "results" / STUDY
        try:
            return {str(path.relative_to(top)): pd.read_parquet(path) for path in top.rglob("[!.]*.parquet")}
        except (OSError, ValueError) as error:
            raise Fault(f"a table cannot be read: {error}") from error

    def read_tensors(self) -> dict[str, dict]:
        """Every prompt and scores file, by its path inside the study's folder."""
        top = self.folder / "results" / STUDY
        try:
            return {str(path.relative_to(top)): load_file(path) for path in top.rglob("[!.]*.safetensors")}
        except Exception as error:  # each library raises its own
            raise Fault(f"a prompt or scores file cannot be read: {error}") from error

    def expect_up_to_date(self) -> None:
        """Raise Fault where the finished study would be made again, in part or in whole."""
        with running(self.folder, "run", STUDY, "--dry-run") as run:
            status = run.wait()
            expect(status == 0, f"`skillkit run {STUDY} --dry-run` ended with exit code {status}")
            expect("up to date" in run.output(), "the study was made, yet some of it would be made again")


def compare_tables(found: dict[str, pd.DataFrame], wanted: dict[str, pd.DataFrame]) -> None:
    """Raise Fault where a table is missing, or holds other values."""
    for name, table in wanted.items():
        expect(name in found, f"{name} is missing")
        try:
            pd.testing.assert_frame_equal(found[name], table, check_exact=True)
        except AssertionError as error:
            told = " ".join(str(error).split())[:200]
            raise Fault(f"{name} differs from that of the undisturbed run: {told}") from None
