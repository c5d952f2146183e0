"""Provenance is what ran: parameters, code, and everything that was read."""

import json

import pandas as pd
import papermill
import pytest
import torch
from project import notebook

from skillkit import load_task
from skillkit.files import code_digest, file_digest
from skillkit.models.prompts import SoftPrompt
from skillkit.provenance import READS, executed_parameters, note_read, provenance
from skillkit.results import Place, measurements, read_table, write_table

DECLARED = "steps = 10  # of tuning\nseeds: list[int] = [0]\nrate = -0.5\ndata = None"


@pytest.fixture
def ledger():
    READS.clear()
    yield READS
    READS.clear()


def test_the_injected_cell_holds_over_the_parameters_cell():
    cells = ["import os", DECLARED, "# Parameters\nsteps = 3\ndata = 'x'\n", "steps = 99\nseeds = [4]"]
    assert executed_parameters(cells) == {"steps": 3, "seeds": [0], "rate": -0.5, "data": "x"}


def test_without_an_injected_cell_the_first_plain_cell_counts_as_it_was_run_last():
    cells = ["import os", DECLARED, "place = 1 + steps", DECLARED.replace("10", "20"), "unit = 'texts'"]
    assert executed_parameters(cells) == {"steps": 20, "seeds": [0], "rate": -0.5, "data": None}
    assert executed_parameters([]) == executed_parameters(["%matplotlib inline", "x = f()"]) == {}


WRITES = """
from skillkit import load_task
from skillkit.results import Place, measurements, read_table, write_table
place = Place("s", root="results")
steps = 1000  # a later value is no parameter
write_table(measurements(place, [{"metric": "m", "value": steps}]), place.table("first"))
read_table(place.table("first"))
load_task("film_sentiment")
write_table(measurements(place, [{"metric": "m", "value": 1.0}]), place.table("01_page"))
"""


def made_by(folder, code, parameters, monkeypatch):
    """The provenance that a notebook's table gets."""
    monkeypatch.chdir(folder)
    (folder / "page.ipynb").write_text(notebook(code, parameters=DECLARED))
    papermill.execute_notebook("page.ipynb", "done.ipynb", parameters, progress_bar=False)
    return json.loads((folder / "results/s/01_page.provenance.json").read_text())


def test_a_notebook_writes_down_what_it_ran_and_read(tmp_path, monkeypatch):
    made = made_by(tmp_path, WRITES, {"steps": 3}, monkeypatch)
    assert made["parameters"] == {"steps": 3, "seeds": [0], "rate": -0.5, "data": None}
    assert made["read"]["table"] == {
        "results/s/first.parquet": file_digest(tmp_path / "results/s/first.parquet")
    }
    assert set(made["read"]["data"]) == {
        f"film_sentiment {split} from the bundled tasks" for split in ("train", "validation", "test")
    }
    assert len(made["code"]["skillkit/results.py"]) == 64
    again = made_by(tmp_path, WRITES.replace("# a later value", "# any value"), {"steps": 4}, monkeypatch)
    assert again["notebook"] == made["notebook"], "neither comments nor what was injected count"
    other = made_by(tmp_path, WRITES + "\nx = 1\n" + WRITES, {"steps": 3}, monkeypatch)
    assert other["notebook"] != made["notebook"]


def test_the_code_is_what_the_study_says_where_there_is_one(monkeypatch):
    monkeypatch.setenv("SKILLKIT_CODE", "results.py=12ab neurons/scores.py=34cd")
    assert provenance()["code"] == {"results.py": "12ab", "neurons/scores.py": "34cd"}


def test_a_cell_with_a_slip_of_the_keyboard_does_no_harm(monkeypatch):
    cells = [DECLARED, "x = = 1", "y = {[]: 1}"]
    monkeypatch.setattr("skillkit.provenance.executed_cells", lambda: cells)
    made = provenance()
    assert made["parameters"]["steps"] == 10 and made["notebook"]


def test_every_artifact_that_is_read_gets_into_the_ledger(ledger, tmp_path):
    from skillkit.models.backbones import load_backbone
    from skillkit.neurons.scores import NeuronScores

    prompt = SoftPrompt(torch.ones(2, 3)).save(tmp_path / "prompt.safetensors")
    SoftPrompt.load(prompt)
    shapes = {
        "baseline": (1, 2, 3),
        "accuracy": (1, 2, 3),
        "predictivity": (1, 3),
        "deviation": (1, 3),
        "mean": (1, 3),
    }
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    scores = NeuronScores(**tensors, examples=4, positive=2).save(tmp_path / "scores.safetensors")
    NeuronScores.load(scores)
    assert ledger["prompt"] == {str(prompt): file_digest(prompt)}
    assert ledger["scores"] == {str(scores): file_digest(scores)}
    backbone = load_backbone("mini-t5")
    [(name, digest)] = ledger["model"].items()
    assert name == "mini-t5 model.safetensors" and len(digest) == 64 and backbone.name == "mini-t5"


def test_data_is_known_by_its_content(ledger, tmp_path):
    def written(folder, text):
        frame = pd.DataFrame({"sentence": [text, "bad", "good", "fine"] * 5, "label": [1, 0, 1, 1] * 5})
        for split in ("train", "validation", "test"):
            path = tmp_path / folder / "sst2" / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(path)
        load_task("sst2", data=tmp_path / folder, limit=3)
        return ledger["data"][f"sst2 train from folder {tmp_path / folder}"]

    assert written("a", "great") == written("b", "great") != written("c", "grand")


def test_a_ledger_is_only_what_was_noted(ledger):
    assert provenance()["read"] == {}
    note_read("table", "b", "2")
    note_read("table", "a", "1")
    assert provenance()["read"] == {"table": {"a": "1", "b": "2"}}


def test_code_is_known_by_what_it_does():
    code = '"""About."""\nX = 1\n"""Says what X is."""\ndef f():\n    "Docs."\n'
    assert code_digest(code) == code_digest("# c\nX   = 1\ndef f():\n    '''Other.'''  # d\n")
    assert code_digest(code) != code_digest(code.replace("1", "2"))
    assert code_digest("x = 'a'") != code_digest("x = 'b'")


def test_a_table_can_be_written_outside_of_a_notebook(ledger, tmp_path):
    place = Place("s", root=tmp_path)
    path = write_table(measurements(place, [{"metric": "m", "value": 1.0}]), place.table("01_page"))
    assert len(read_table(path)) == 1
