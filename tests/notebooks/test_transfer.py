"""The pages on transfer run on tiny random models, and on the papers' released prompts where these are."""

import os
from pathlib import Path

import pytest
import torch
from running import markdown, outputs, run, save_tiny_model, write_untuned_cells

from skillkit.results import Place, read_table

TASKS = ["film_sentiment", "food_sentiment", "gadget_sentiment", "home_inference"]
VERDICTS = ("**held**", "**did not hold**", "**undecided**")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transfer")


@pytest.fixture(scope="module")
def models(workplace: Path) -> list[str]:
    """Two tiny models of different families, with untuned prompts and scores where notebooks 01 and 02 put
    them."""
    torch.manual_seed(0)
    folders = [str(save_tiny_model(workplace, family)) for family in ("roberta", "t5")]
    for folder in folders:
        write_untuned_cells(workplace, folder, TASKS, limit=40)
    return folders


def figures(shown):
    return [data for data in shown if 'role="figure"' in data.get("text/html", "")]


@pytest.mark.slow
def test_transfer_between_tasks(workplace, models):
    budget = {"length": 2, "steps": 4, "looks": 2, "batch_size": 8, "limit": 40, "examples": 20}
    notebook, results = run(
        workplace,
        "08_transfer",
        model=models[0],
        tasks=TASKS,
        seeds=[0, 1],
        start_targets=1,
        resamples=50,
        **budget,
    )
    shown = outputs(notebook)
    assert len(figures(shown)) == 6
    assert any(verdict in markdown(data) for data in shown for verdict in VERDICTS)
    table = read_table(Place("tiny", models[0], root=results).table("08_transfer"))
    accuracies = table[table["metric"] == "accuracy"]
    assert len(accuracies) == (len(TASKS) + 1) * 2 * len(TASKS) + len(
        TASKS
    )  # prompts and untuned ones, 2 seeds; majority
    assert accuracies[["n", "low", "high"]].notna().all().all()
    assert {"ON", "ON skill neurons", "same-type", "C_average"} <= set(table["similarity"].dropna())
    assert {"start_accuracy", "validation_curve", "claim", "type_effect", "relative_transfer"} <= set(
        table["metric"]
    )


@pytest.mark.slow
def test_transfer_between_models(workplace, models):
    budget = {"length": 2, "steps": 4, "evaluate_every": 2, "batch_size": 8, "limit": 40, "examples": 20}
    notebook, results = run(
        workplace,
        "09_projection",
        models=models,
        tasks=TASKS,
        seeds=[0, 1],
        bottleneck=8,
        distance_steps=3,
        **budget,
    )
    shown = outputs(notebook)
    assert len(figures(shown)) == 2
    assert any(verdict in markdown(data) for data in shown for verdict in VERDICTS)
    table = read_table(Place("tiny", root=results).table("09_projection"))
    accuracies = table[table["metric"] == "accuracy"]
    assert accuracies["direction"].nunique() == 2  # both ways
    assert accuracies.groupby(["direction", "method", "task", "seed"]).size().eq(1).all()
    assert {"trained on", "same type", "other type"} == set(accuracies["tried_on"])
    controls = {"untrained projector", "used as it is", "untuned prompt", "own prompt"}
    assert controls < set(accuracies["method"])


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("SKILLKIT_REFERENCE"), reason="SKILLKIT_REFERENCE names no folder of released prompts"
)
def test_released_prompts(workplace):
    notebook, results = run(workplace, "11_released_prompts", resamples=50)
    shown = outputs(notebook)
    assert len(figures(shown)) == 5
    assert any("ON reaches **50.3**" in markdown(data) for data in shown)
    assert any("| **S3** |" in markdown(data) for data in shown)
    table = read_table(Place("tiny", root=results).table("11_released_prompts"))
    assert set(table.loc[table["metric"] == "claim", "verdict"]) <= {"held", "did not hold", "undecided"}
