"""What was left out or mapped is said once, in words that Markdown leaves alone, and nothing is said else."""

import pytest
from tiny import toy_data

from skillkit.data.loading import TaskData, binary_subtasks, load_task
from skillkit.data.notes import reading_notes
from skillkit.models.evaluation import sample_splits


@pytest.mark.parametrize("name", ["film_sentiment", "adv_film_sentiment", "home_inference"])
def test_the_bundled_tasks_have_none(name):
    data = load_task(name, limit=5)
    assert data.notes == () and reading_notes(data) is None


def test_they_are_shown_as_a_list():
    data = toy_data()
    noted = TaskData(data.task, data.splits, data.source, ("No row has 'not_a*b*'.", "Two rows."))
    shown = reading_notes(noted)
    assert shown is not None
    assert shown.data.splitlines()[2:] == [r"- No row has 'not\_a\*b\*'.", "- Two rows."]


def test_they_stay_with_samples_and_subtasks():
    data = load_task("home_inference", limit=60)
    noted = TaskData(data.task, data.splits, data.source, ("Two rows were left out.",))
    assert sample_splits(noted, 5).notes == noted.notes
    assert all(part.notes == noted.notes for part in binary_subtasks(noted).values())
