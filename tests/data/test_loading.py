"""Splits from folders, the Hub's absence, subtasks, and one clear error for each kind of bad data."""

import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import toy_dataset

import skillkit.data.hub as hub_module
from skillkit.data.loading import TaskData, binary_subtasks, load_task
from skillkit.data.tasks import SCHEMES, TASKS, Task, all_tasks, get_task
from skillkit.errors import SkillkitError


def write(folder: Path, task: str, suffix: str = ".parquet", **splits: pd.DataFrame) -> Path:
    (folder / task).mkdir(parents=True, exist_ok=True)
    for split, frame in splits.items():
        path = folder / task / f"{split}{suffix}"
        if suffix == ".parquet":
            frame.to_parquet(path)
        elif suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_json(path, orient="records", lines=suffix == ".jsonl")
    return folder


def frame(examples: int, seed: int = 0, classes: int = 2, column: str = "sentence") -> pd.DataFrame:
    return toy_dataset(examples, seed, classes).to_pandas().rename(columns={"text": column})


class TestFolder:
    @pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json", ".jsonl"])
    def test_every_file_kind_gives_the_same_rows(self, tmp_path, suffix):
        frames = {s: frame(10, i) for i, s in enumerate(("train", "validation", "test"))}
        loaded = load_task("sst2", data=write(tmp_path, "sst2", suffix, **frames))
        for split, expected in frames.items():
            assert loaded.split(split)["sentence"][:] == expected["sentence"].tolist()
            assert loaded.split(split)["label"][:] == expected["label"].tolist()

    def test_the_environment_variable_names_the_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SKILLKIT_DATA", str(write(tmp_path, "sst2", train=frame(10), test=frame(4))))
        assert len(load_task("sst2").test) == 4

    def test_a_missing_validation_split_is_cut_from_train(self, tmp_path):
        folder = write(tmp_path, "sst2", train=frame(50), test=frame(5, 1))
        one, same, other = (load_task("sst2", data=folder, seed=seed) for seed in (0, 0, 1))
        assert (len(one.train), len(one.validation)) == (45, 5)
        assert one.validation["sentence"][:] == same.validation["sentence"][:]
        assert one.validation["sentence"][:] != other.validation["sentence"][:]
        assert sorted(one.train["sentence"][:] + one.validation["sentence"][:]) == sorted(
            frame(50)["sentence"]
        )

    def test_validation_serves_as_test_where_there_is_none(self, tmp_path):
        loaded = load_task("sst2", data=write(tmp_path, "sst2", train=frame(50), validation=frame(7, 1)))
        assert loaded.test["sentence"][:] == frame(7, 1)["sentence"].tolist()
        assert len(loaded.validation) == 5

    def test_limit_takes_a_seeded_sample_in_the_original_order(self, tmp_path):
        table = frame(50).assign(idx=range(50))
        folder = write(tmp_path, "sst2", train=table, validation=table, test=table)
        one, same, other = (load_task("sst2", data=folder, limit=9, seed=seed) for seed in (0, 0, 1))
        rows = one.test["idx"][:]
        assert len(rows) == 9
        assert rows == sorted(rows) == same.test["idx"][:]
        assert rows != other.test["idx"][:]

    def test_adversarial_rows_carry_their_originals(self, tmp_path):
        test = frame(3).assign(idx=range(3))
        notes = pd.DataFrame(
            {
                "idx": range(3),
                "original_sentence": ["a", "b", None],
                "method": ["m"] * 3,
                "label": test["label"],
            }
        )
        write(tmp_path, "adv_sst2", test=test, annotations=notes)
        loaded = load_task("adv_sst2", data=tmp_path)
        assert loaded.test["original_sentence"][:] == ["a", "b", None]
        assert list(loaded.splits) == ["test"]
        with pytest.raises(SkillkitError, match="Tune on 'sst2'"):
            _ = loaded.train
        write(tmp_path, "adv_sst2", annotations=notes.assign(label=1 - notes["label"]))
        with pytest.raises(SkillkitError, match="has another label than row 1"):
            load_task("adv_sst2", data=tmp_path)

    def test_numbers_written_as_text_are_understood(self, tmp_path):
        named = frame(10).assign(label=["0", "1"] * 5)
        folder = write(tmp_path, "sst2", train=named, test=named)
        assert load_task("sst2", data=folder).test["label"][:] == [0, 1] * 5

    def test_label_names_are_understood(self, tmp_path):
        named = frame(10).assign(label=["negative", "positive"] * 5)
        assert (
            load_task("sst2", data=write(tmp_path, "sst2", train=named, test=named)).test["label"][:]
            == [0, 1] * 5
        )


class TestBadData:
    def check(self, tmp_path, message, **splits):
        good = {"train": frame(10), "validation": frame(6), "test": frame(6)}
        with pytest.raises(SkillkitError, match=message):
            load_task("sst2", data=write(tmp_path, "sst2", **{**good, **splits}))

    def test_each_kind_is_named(self, tmp_path):
        self.check(tmp_path, r"Missing column 'sentence' in .*test\.parquet", test=frame(5, column="body"))
        self.check(tmp_path, "Missing column 'label'", train=frame(5).drop(columns="label"))
        self.check(tmp_path, r"No examples in .*test\.parquet", test=frame(5).iloc[:0])
        self.check(tmp_path, r"Label 7 in row 1 of .*train\.parquet", train=frame(5).assign(label=7))
        self.check(
            tmp_path, r"No label in row 3 of .*test\.parquet", test=frame(5).assign(label=[0, 1, None, 1, 0])
        )
        self.check(tmp_path, "Label 'good'", test=frame(5).assign(label="good"))
        self.check(
            tmp_path,
            r"No text in column 'sentence', row 3 of .*validation\.parquet",
            validation=frame(5).assign(sentence=["a", "b", None, "c", "d"]),
        )

    def test_labels_that_are_none_are_named_with_their_row(self, tmp_path):
        for label, said in ((float("inf"), "inf"), (0.5, "0.5")):
            test = frame(5).assign(label=[0, 1, label, 1, 0])
            self.check(tmp_path, f"Label {said} in row 3 of ", test=test)
        lists = frame(5).assign(label=[[0]] * 5)
        self.check(tmp_path, r"Label \[0\] in row 1 of .*test\.parquet", test=lists)
        names = ["negative", "positive", None, "positive", "negative"]
        self.check(tmp_path, "No label in row 3 of ", test=frame(5).assign(label=names))
        self.check(tmp_path, r"All 10 labels in .*train\.parquet", train=frame(10).assign(label=1))

    def test_values_of_several_kinds_in_a_column_are_named(self, tmp_path):
        mixed = frame(5).assign(label=[0, 1, "x", 1, 0])
        folder = write(tmp_path, "sst2", ".jsonl", train=frame(10), test=mixed)
        with pytest.raises(SkillkitError, match=r"Label 'x' in line 3 of .*test\.jsonl"):
            load_task("sst2", data=folder)

    def test_an_adversarial_test_without_labels(self, tmp_path):
        notes = pd.DataFrame({"method": ["m"] * 3, "label": [0, 1, 0]})
        write(tmp_path, "adv_sst2", test=frame(3).drop(columns="label"), annotations=notes)
        with pytest.raises(SkillkitError, match="both need a column 'label'"):
            load_task("adv_sst2", data=tmp_path)

    def test_broken_files_are_named(self, tmp_path):
        folder = write(tmp_path, "sst2", train=frame(10), test=frame(5))
        (folder / "sst2" / "test.parquet").write_bytes(b"PAR1 half a file")
        with pytest.raises(SkillkitError, match=r"test\.parquet cannot be read"):
            load_task("sst2", data=folder)

    def test_missing_folders_tasks_and_splits_are_named(self, tmp_path):
        with pytest.raises(SkillkitError, match="does not exist"):
            load_task("sst2", data=tmp_path / "nowhere")
        write(tmp_path, "qqp", test=frame(3).assign(question1="a", question2="b"))
        with pytest.raises(SkillkitError, match=r"no folder 'sst2' \(it has: qqp\)"):
            load_task("sst2", data=tmp_path)
        with pytest.raises(SkillkitError, match="no train split"):
            load_task("qqp", data=tmp_path)
        (tmp_path / "rte").mkdir()
        with pytest.raises(SkillkitError, match="holds no train/validation/test file"):
            load_task("rte", data=tmp_path)

    def test_unknown_tasks_get_the_nearest_name(self):
        with pytest.raises(SkillkitError, match="Did you mean 'sst2'"):
            load_task("sst-2")

    def test_no_network_is_one_clear_error(self, monkeypatch):
        monkeypatch.delenv("SKILLKIT_DATA", raising=False)

        def refuse(*args, **kwargs):
            raise ConnectionError("no route to host")

        monkeypatch.setattr(hub_module, "load_dataset", refuse)
        with pytest.raises(SkillkitError, match=r"nyu-mll/glue.*no route to host.*SKILLKIT_DATA"):
            load_task("sst2")
        with pytest.raises(SkillkitError, match="not on the Hub"):
            load_task("laptop")

    def test_a_limit_of_nothing_is_refused(self):
        with pytest.raises(SkillkitError, match="limit is 0; expected"):
            load_task("sst2", limit=0)


def test_hub_tasks_are_asked_for_by_their_row(monkeypatch):
    """The Hub call for every task: repository, config, split, revision, with a stand-in for the network."""
    monkeypatch.delenv("SKILLKIT_DATA", raising=False)
    asked = []

    def answer(repository, config=None, split=None, data_files=None, revision=None):
        asked.append((repository, config, split))
        assert revision or repository == "hendrycks/ethics"
        key = (repository, config, data_files or {})
        task = next(
            t for t in TASKS.values() if t.hub and (t.hub.repository, t.hub.config, t.hub.files) == key
        )
        columns = {column: ["some text", "another text", "a third text"] * 10 for column in task.text_columns}
        renamed = {old: columns.pop(new) for old, new in task.hub.rename.items()}
        dataset = hub_module.Dataset.from_dict({**columns, **renamed, "label": [0, 1, -1] * 10})
        return {s: dataset for s in data_files} if data_files else dataset

    monkeypatch.setattr(hub_module, "load_dataset", answer)
    for name, task in TASKS.items():
        if task.hub:
            loaded = load_task(name)
            assert -1 not in loaded.test["label"][:]
            assert task.clean or set(loaded.splits) == {"train", "validation", "test"}
    assert ("nyu-mll/glue", "sst2", "validation") in asked
    assert ("AI-Secure/adv_glue", "adv_qqp", "validation") in asked


class TestSubtasks:
    def data(self, classes):
        words = ("bad", "middling", "good", "word1", "word2")[:classes]
        task = Task("many", "topic", ("text",), tuple("abcde"[:classes]), words)
        return TaskData(
            task, {s: toy_dataset(47, i, classes) for i, s in enumerate(("train", "test"))}, "the test"
        )

    def test_three_classes_give_ends_and_middle(self):
        whole = self.data(3)
        parts = binary_subtasks(whole)
        assert list(parts) == ["many-pn", "many-neu"]
        assert parts["many-pn"].task.words == ("bad", "good")
        assert parts["many-neu"].task.words == ("bad", "middling")
        texts = dict(zip(whole.train["text"][:], whole.train["label"][:], strict=True))
        for text, label in zip(
            parts["many-pn"].train["text"][:], parts["many-pn"].train["label"][:], strict=True
        ):
            assert {0: 0, 2: 1}[texts[text]] == label

    @settings(deadline=None, max_examples=10)
    @given(st.integers(3, 5), st.integers(0, 100))
    def test_both_answers_are_equally_frequent(self, classes, seed):
        for part in binary_subtasks(self.data(classes), seed).values():
            for split in part.splits.values():
                assert sum(split["label"][:]) * 2 == len(split)

    def test_two_classes_stay_as_they_are(self):
        whole = self.data(2)
        assert binary_subtasks(whole) == {"many": whole}


def test_bundled_tasks_and_their_twins_load():
    clean, twin = load_task("film_sentiment"), load_task("adv_film_sentiment")
    assert set(clean.splits) == {"train", "validation", "test"}
    assert set(twin.splits) == {"test"}
    assert (clean.task.twin, twin.task.clean) == ("adv_film_sentiment", "film_sentiment")
    assert {"original_sentence", "data_construction", "method"} <= set(twin.test.column_names)


class TestTable:
    def test_every_row_is_whole(self):
        tasks = all_tasks()
        for task in tasks.values():
            assert len(task.text_columns) in (1, 2)
            assert len(task.words) == len(task.labels) == len(set(task.words))
            assert all(len(words) == len(task.labels) for words in task.su_words.values())
            assert all(
                tasks[twin].labels == task.labels and tasks[twin].text_columns == task.text_columns
                for twin in task.twins
            )
            assert task.clean is None or tasks[task.clean].labels == task.labels

    def test_label_words_come_in_schemes(self):
        assert get_task("sst2").label_words("wang") == ("negative", "positive")
        assert get_task("mnli").label_words("su", "encoder-decoder") == (3, 7163, 27252)
        assert get_task("qnli").label_words("su") == (10932, 2362)
        with pytest.raises(SkillkitError, match="no words for task 'dbpedia_14'"):
            get_task("dbpedia_14").label_words("wang")
        with pytest.raises(SkillkitError, match="Unknown label-word scheme"):
            get_task("sst2").label_words("mine")
        assert SCHEMES == ("own", "wang", "su")


@pytest.mark.skipif(
    not os.environ.get("SKILLKIT_DATA"), reason="SKILLKIT_DATA is not set: no real tasks here"
)
def test_every_real_task_loads():
    folder = Path(os.environ["SKILLKIT_DATA"])
    names = [name for name in TASKS if (folder / name).is_dir()]
    assert len(names) >= 20
    for name in names:
        if get_task(name).clean is None:
            loaded = load_task(name, limit=20)
            assert {len(split) for split in loaded.splits.values()} == {20}
        else:
            assert len(load_task(name).test) > 50
