"""The pages on attacks, patching and robust tuning run on tiny random models, with two and three classes."""

from pathlib import Path

import numpy as np
import pytest
from running import run_here, save_tiny_model, write_untuned_cells

from skillkit.results import Place, check_measurements, read_table


def prepared(workplace: Path, family: str, task: str) -> Place:
    """A tiny model with (untuned) prompts and scores where notebooks 01 and 02 put theirs."""
    model = str(save_tiny_model(workplace, family))
    write_untuned_cells(workplace, model, [task], limit=40)
    return Place("tiny", model, task, workplace / "results")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "task", "seeds"), [("t5", "film_sentiment", [0]), ("roberta", "home_inference", [0, 1])]
)
def test_the_pages_run_and_write_what_they_should(tmp_path, family, task, seeds):
    place = prepared(tmp_path, family, task)
    given = {
        "model": place.model,
        "task": task,
        "seeds": seeds,
        "examples": 30,
        "limit": 40,
        "extra_steps": 2,
        "batch_size": 8,
    }
    for name in ("04_adversarial", "13_patching", "14_robust_tuning"):
        run_here(name, tmp_path / "results", **given)
        check_measurements(read_table(place.table(name)))
    patching, tuning = read_table(place.table("13_patching")), read_table(place.table("14_robust_tuning"))
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
