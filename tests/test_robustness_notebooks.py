"""The pages on patching and on tuning for robustness run on tiny random models, for two and for three classes."""

from pathlib import Path

import numpy as np
import pytest
from test_notebooks import run_here, save_tiny_model

from skillkit.backbones import load_backbone
from skillkit.data import load_task
from skillkit.neurons import score_task
from skillkit.prompts import SoftPrompt
from skillkit.results import Cell, read_table
from skillkit.subtasks import combine_subtasks


def prepared(workplace: Path, family: str, task: str, seeds: list[int]) -> Cell:
    """A tiny model with (untuned) prompts and scores where notebooks 01 and 02 put theirs."""
    model = str(save_tiny_model(workplace, family))
    backbone, data = load_backbone(model, device="cpu"), load_task(task, limit=40)
    cell = Cell("tiny", model, task, workplace / "results")
    for seed in seeds:
        prompt = SoftPrompt.initial(backbone, 2, seed, "normal")
        prompt.save(cell.prompt(seed))
        combine_subtasks(score_task(backbone, prompt, data)).save(cell.scores(seed))
    return cell


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "task", "seeds"), [("t5", "film_sentiment", [0]), ("roberta", "home_inference", [0, 1])]
)
def test_the_pages_run_and_write_what_they_should(tmp_path, family, task, seeds):
    cell = prepared(tmp_path, family, task, seeds)
    given = {
        "model": cell.model,
        "task": task,
        "seeds": seeds,
        "examples": 30,
        "limit": 40,
        "extra_steps": 2,
        "batch_size": 8,
    }
    for name in ("13_patching", "14_robust_tuning"):
        run_here(name, tmp_path / "results", **given)
    patching, tuning = read_table(cell.table("13_patching")), read_table(cell.table("14_robust_tuning"))
    assert (patching.loc[patching["metric"] == "exactness", "value"] < 1e-4).all()
    shares = patching[patching["metric"] == "patched_share"]
    assert set(shares["neurons"]) == {"skill", "random", "matched", "least"} and set(shares["direction"]) == {
        "restore",
        "damage",
    }
    assert np.isfinite(shares["value"].astype(float)).all()
    assert set(tuning.loc[tuning["metric"] == "shift", "objective"]) == {
        "start",
        "plain",
        "augmented",
        "skill",
        "random",
    }
    for table in (patching, tuning):
        verdicts = table.loc[table["metric"] == "claim", "verdict"]
        assert len(verdicts) >= 7 and set(verdicts) <= {"held", "did not hold", "undecided"}
