import json
import stat
import subprocess
import sys

import pandas as pd
import pytest

from skillkit.errors import SkillkitError
from skillkit.files import atomic_write
from skillkit.results import (
    COLUMNS,
    Place,
    check_folder,
    check_measurements,
    measurements,
    read_table,
    read_tables,
    write_table,
)
from skillkit.stats.measurement import proportion, without_interval


def test_every_path_of_a_cell_lies_in_its_folder(tmp_path):
    place = Place("paper", "google/t5-v1_1-base", "sst2", tmp_path)
    assert place.folder == tmp_path / "paper" / "google--t5-v1_1-base" / "sst2"
    assert place.prompt(3) == place.folder / "prompts" / "seed-3.safetensors"
    assert place.scores(3) == place.folder / "scores" / "seed-3.safetensors"
    assert place.table("02_skill_neurons") == place.folder / "02_skill_neurons.parquet"
    assert place.notebook("02_skill_neurons") == place.folder / "notebooks" / "02_skill_neurons.ipynb"


def test_cells_of_a_model_and_of_a_study_lie_above():
    assert Place("s", "m").table("05").as_posix() == "results/s/m/05.parquet"
    assert Place("s").table("10").as_posix() == "results/s/10.parquet"
    with pytest.raises(ValueError, match="without a model"):
        Place("s", task="sst2")


def test_measurements_puts_the_common_columns_first_with_fixed_types():
    frame = measurements(
        Place("s", "m", "t"),
        [
            {"metric": "accuracy", "value": 0.5, "split": "test", "seed": 0, "n": 10, "unit": "texts"},
            {"metric": "accuracy", "value": 1, "task": "u"},
        ],
    )
    assert tuple(frame.columns) == (*COLUMNS, "split")
    assert frame["task"].tolist() == ["t", "u"] and frame["study"].tolist() == ["s", "s"]
    assert frame["seed"].dtype == "Int64" and frame["seed"].isna().tolist() == [False, True]
    assert frame["value"].tolist() == [0.5, 1.0] and frame["low"].isna().all()


def test_a_table_of_whole_measurements_passes_the_check():
    rows = [
        proportion(3, 4, "pairs").row("accuracy", seed=0),
        without_interval(7, 12, "neurons").row("shared"),
        {"metric": "setting", "value": 0.1},
    ]
    check_measurements(measurements(Place("s"), rows))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"n": 10}, "an n without unit.*: accuracy"),
        ({"n": 10, "unit": "texts", "low": 0.4}, "one end of an interval: accuracy"),
        ({"n": 10, "unit": "texts", "low": 0.4, "high": 0.6}, "without its name: accuracy"),
        ({"n": 10, "unit": "texts", "interval": "Wilson"}, "not its ends: accuracy"),
    ],
)
def test_a_row_that_does_not_say_what_it_measured_is_named(row, message):
    rows = [proportion(3, 4, "pairs").row("drop"), {"metric": "accuracy", "value": 0.5, **row}]
    with pytest.raises(SkillkitError, match=message):
        check_measurements(measurements(Place("s"), rows))


def test_measurements_does_not_touch_the_frame_it_is_given():
    given = pd.DataFrame({"metric": ["a"], "value": [1]})
    measurements(Place("s"), given)
    assert list(given.columns) == ["metric", "value"]


@pytest.mark.parametrize("rows", [[], [{"value": 1.0}], [{"metric": "accuracy"}]])
def test_measurements_says_what_the_rows_lack(rows):
    with pytest.raises(ValueError, match="one mapping per measurement"):
        measurements(Place("s", "m", "t"), rows)


def test_a_table_survives_the_round_trip_with_its_provenance(tmp_path):
    place = Place("s", "m", "t", tmp_path)
    frame = measurements(place, [{"metric": "accuracy", "value": 0.25, "seed": 1, "prompt": "tuned"}])
    path = write_table(frame, place.table("01_prompt_tuning"))
    pd.testing.assert_frame_equal(read_table(path), frame)
    made = json.loads((place.folder / "01_prompt_tuning.provenance.json").read_text())
    assert made["parameters"] == {} and made["notebook"] is None, "there is no notebook here"
    assert made["packages"]["pandas"] == pd.__version__ and made["device"] and made["seconds"] >= 0
    assert sorted(file.name for file in place.folder.iterdir()) == [
        "01_prompt_tuning.parquet",
        "01_prompt_tuning.provenance.json",
    ]


def test_the_same_table_gives_the_same_bytes(tmp_path):
    frame = measurements(Place("s"), [{"metric": "m", "value": 1.0}])
    one, two = write_table(frame, tmp_path / "one.parquet"), write_table(frame, tmp_path / "two.parquet")
    assert one.read_bytes() == two.read_bytes()


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "table.parquet"
    with atomic_write(path) as beside:
        assert beside.suffix == ".parquet" and beside.parent == path.parent
        beside.write_text("old")
    assert stat.S_IMODE(path.stat().st_mode) & 0o444  # readable by others, unlike mkstemp's files
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_reading_tells_a_missing_table_from_a_broken_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="has not been run"):
        read_table(tmp_path / "02_skill_neurons.parquet")
    (tmp_path / "02_skill_neurons.parquet").write_bytes(b"half a file")
    with pytest.raises(ValueError, match="not a readable table"):
        read_table(tmp_path / "02_skill_neurons.parquet")


def flip(content: bytes) -> bytes:
    """The same but for one bit in the middle."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGES = {
    "truncated": truncate,
    "flipped": flip,
    "foreign": lambda _: b"[]",
    "emptied": lambda _: b"",
}


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        *((".parquet", damage) for damage in DAMAGES),
        # A bit of provenance that leaves it readable is not the table's: the page's receipt tells it.
        *((".provenance.json", damage) for damage in DAMAGES if damage != "flipped"),
    ],
)
def test_a_damaged_table_or_provenance_names_the_page_that_makes_it_again(
    tmp_path, monkeypatch, damage, suffix
):
    monkeypatch.chdir(tmp_path)
    place = Place("atlas", "mini-t5", "film_sentiment")
    path = write_table(
        measurements(place, [{"metric": "m", "value": 0.5}] * 20), place.table("01_prompt_tuning")
    )
    file = path.with_suffix(suffix)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    page = "`skillkit run atlas` makes its page again: 01_prompt_tuning mini-t5 film_sentiment"
    with pytest.raises(SkillkitError, match=page):
        read_table(path)


def test_a_table_of_another_page_is_refused_and_one_without_provenance_is_read(tmp_path):
    place = Place("s", "m", "t", tmp_path / "results")
    one, two = (
        write_table(measurements(place, [{"metric": "m", "value": value}]), place.table(name))
        for name, value in (("01_prompt_tuning", 0.5), ("02_skill_neurons", 0.6))
    )
    one.write_bytes(two.read_bytes())
    with pytest.raises(SkillkitError, match="damaged or foreign"):
        read_table(one)
    one.with_suffix(".provenance.json").unlink()
    assert read_table(one)["value"].tolist() == [0.6]


def test_read_tables_gathers_every_level_and_can_leave_out_old_cells(tmp_path):
    for model, task in (("a", "x"), ("a", "y"), ("b", "x")):
        place = Place("s", model, task, tmp_path)
        write_table(measurements(place, [{"metric": "accuracy", "value": 0.5}]), place.table("01"))
    write_table(
        measurements(Place("s", "a", root=tmp_path), [{"metric": "m", "value": 1.0}]),
        Place("s", "a", root=tmp_path).table("05"),
    )
    frame = read_tables(tmp_path, "s", "01")
    assert list(zip(frame["model"], frame["task"], strict=True)) == [("a", "x"), ("a", "y"), ("b", "x")]
    assert tuple(frame.columns) == COLUMNS
    assert read_tables(tmp_path, "s", "01", models=["b"], tasks=["x"])["model"].tolist() == ["b"]
    assert len(read_tables(tmp_path, "s", "05")) == 1
    with pytest.raises(FileNotFoundError, match="Run the study first"):
        read_tables(tmp_path, "s", "09")


def test_a_process_counts_its_own_seconds():
    code = (
        "import time; time.sleep(0.3); from skillkit.provenance import provenance; "
        "print(provenance()['seconds'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) >= 0.3  # however busy the machine: it slept for so long


def test_a_table_that_does_not_say_whose_it_is_is_refused(tmp_path):
    path = tmp_path / "results" / "s" / "m" / "01_prompt_tuning.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"value": [1.0]}).to_parquet(path)
    with pytest.raises(SkillkitError, match=r"no column 'model'\. `skillkit run s` makes its page again"):
        read_tables(tmp_path / "results", "s", "01_prompt_tuning", models=["m"])


def test_results_need_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "results" / "s"
    check_folder(folder)
    folder.parent.write_text("not a folder")
    with pytest.raises(SkillkitError, match=r"results is a file.* Move it away"):
        check_folder(folder)
    folder.parent.unlink()
    folder.parent.symlink_to(tmp_path / "gone")
    with pytest.raises(SkillkitError, match=r"results is a link to .*gone, which is not there"):
        check_folder(folder, writing=False)
    folder.parent.unlink()
    folder.mkdir(parents=True)
    monkeypatch.setattr("skillkit.results.os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(SkillkitError, match="read-only for you"):
        check_folder(folder)
    check_folder(folder, writing=False)
