"""Files as people have them: each is read as it was meant, with a note where that matters, or refused in one
sentence that says where and what to do."""

import codecs
import json
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from tiny import toy_data

from skillkit.classroom.splits import classroom_splits, draw_examples, draw_task
from skillkit.classroom.tasks import find_task
from skillkit.data.loading import TaskData, binary_subtasks, load_task, texts_of
from skillkit.data.tasks import get_task
from skillkit.errors import MissingFile, SkillkitError

TRAIN = "sentence,label\n" + "a great film,1\na dull film,0\n" * 5
LINES = "\n".join(json.dumps({"sentence": s, "label": i % 2}) for i, s in enumerate(["dull", "great"] * 5))
LIST = "[" + LINES.replace("\n", ",") + "]"
HIDDEN = TRAIN.replace(",1", ",-1").replace(",0", ",-1")


def load(folder: Path, files: dict, task: str = "sst2", **options) -> TaskData:
    """A task whose folder holds these files, and a good train.csv if no other is given."""
    here = folder / task
    here.mkdir()
    if task == "sst2" and not any(name.lower().startswith("train") for name in files):
        files = {"train.csv": TRAIN, **files}
    for name, content in files.items():
        if isinstance(content, pd.DataFrame | Dataset):
            content.to_parquet(here / name)
        else:
            (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_task(task, data=folder, **options)


def labelled(labels: object) -> pd.DataFrame:
    return pd.DataFrame({"sentence": ["a", "b"], "label": labels})


def nli(names: list[str]) -> Dataset:
    columns = {"premise": ["a"] * 9, "hypothesis": ["b"] * 9, "label": [0, 1, 2] * 3}
    label = ClassLabel(names=names)
    features = Features({"premise": Value("string"), "hypothesis": Value("string"), "label": label})
    return Dataset.from_dict(columns, features=features)


class TestNamesOfLabels:
    @pytest.mark.parametrize(
        ("names", "read", "noted"),
        [
            (["entailment", "neutral", "contradiction"], [0, 1, 2], False),
            (["contradiction", "entailment", "neutral"], [2, 0, 1], True),
            ([" Contradiction", "ENTAILMENT", "neutral"], [2, 0, 1], True),
            (["0", "1", "2"], [0, 1, 2], False),
        ],
    )
    def test_names_that_a_file_carries_decide(self, tmp_path, names, read, noted):
        data = load(tmp_path, {f"{s}.parquet": nli(names) for s in ("train", "test")}, "mnli")
        assert data.test["label"][:3] == read
        assert bool(data.notes) == noted
        if noted:
            assert "9 labels of mnli/test.parquet numbered in another order" in data.notes[1]

    @pytest.mark.parametrize("names", [["x", "y", "z"], ["1", "2", "3"], ["entailment", "neutral", "other"]])
    def test_other_names_are_refused(self, tmp_path, names):
        with pytest.raises(SkillkitError, match=r"row [13] of .*train\.parquet; the file carries the label"):
            load(tmp_path, {f"{s}.parquet": nli(names) for s in ("train", "test")}, "mnli")

    @pytest.mark.parametrize(
        "labels",
        [[1.0, 0.0], ["1", "0"], ["1.0", " 0"], pd.Categorical(["positive", "negative"])],
    )
    def test_plain_labels_are_read_without_a_note(self, tmp_path, labels):
        data = load(tmp_path, {"test.parquet": labelled(labels)})
        assert (data.test["label"][:], data.notes) == ([1, 0], ())

    @pytest.mark.parametrize("labels", [[" positive ", "Negative"], ["pos", "neg"], ["POSITIVE", "negative"]])
    def test_labels_written_in_another_way_are_noted(self, tmp_path, labels):
        data = load(tmp_path, {"test.parquet": labelled(labels)})
        assert data.test["label"][:] == [1, 0]
        assert "sst2/test.parquet written in another way" in data.notes[0]

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            ([True, False], "Label True in row 1 .* does not say which"),
            (["good", "bad"], "Label 'good' in row 1"),
            ([1, 0.5], "Label 0.5 in row 2"),
            ([1, 2], "Label 2 in row 2"),
            ([1, float("nan")], "No label in row 2"),
            (["positive", None], "No label in row 2"),
            (["positive", " "], "No label in row 2"),
        ],
    )
    def test_what_is_no_label_is_refused_with_its_row(self, tmp_path, labels, said):
        with pytest.raises(
            SkillkitError, match=rf"{said}.*expected the numbers 0 to 1 or the names negative"
        ):
            load(tmp_path, {"test.parquet": labelled(labels)})

    def test_a_label_that_no_row_has_is_noted(self, tmp_path):
        data = load(tmp_path, {"test.csv": "sentence,label\na,1\nb,1\n"})
        assert data.notes == ("No row of sst2/test.csv has the label 'negative'.",)


class TestHiddenLabels:
    def test_validation_serves_where_the_test_labels_are_hidden(self, tmp_path):
        data = load(tmp_path, {"validation.csv": TRAIN, "test.csv": HIDDEN})
        assert data.test["sentence"][:2] == ["a great film", "a dull film"]
        assert data.notes == (
            "All labels of sst2/test.csv are hidden (-1), so this split was not used.",
            "The validation split serves as test split.",
        )

    def test_without_validation_there_is_nothing_to_report_on(self, tmp_path):
        with pytest.raises(SkillkitError, match=r"All labels in .*test\.csv are hidden .*validation file"):
            load(tmp_path, {"test.csv": HIDDEN})

    def test_hidden_training_labels_are_refused(self, tmp_path):
        with pytest.raises(SkillkitError, match=r"All labels in .*train\.csv are hidden"):
            load(tmp_path, {"train.csv": HIDDEN, "test.csv": TRAIN})

    def test_rows_with_a_hidden_label_are_left_out_and_counted(self, tmp_path):
        data = load(tmp_path, {"test.csv": TRAIN + "who knows,-1\n"})
        assert len(data.test) == 10
        assert data.notes == ("Left out of sst2/test.csv: 1 row of 11 whose label is hidden (-1).",)


class TestEncodings:
    @pytest.mark.parametrize(("name", "text"), [("csv", TRAIN), ("json", LIST), ("jsonl", LINES)])
    def test_a_byte_order_mark_is_no_text(self, tmp_path, name, text):
        data = load(tmp_path, {f"test.{name}": codecs.BOM_UTF8 + text.encode()})
        assert (len(data.test), data.notes) == (10, ())

    @pytest.mark.parametrize(("name", "text"), [("csv", TRAIN), ("json", LIST), ("jsonl", LINES)])
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
    def test_utf_16_is_named(self, tmp_path, name, text, encoding):
        with pytest.raises(SkillkitError, match=r"is in UTF-16 .* Save it in UTF-8"):
            load(tmp_path, {f"test.{name}": text.encode(encoding)})

    def test_latin_1_is_named_with_its_line(self, tmp_path):
        with pytest.raises(SkillkitError, match=r"Line 3 of .*test\.csv is not in UTF-8 .* Latin-1"):
            load(tmp_path, {"test.csv": "sentence,label\nok,1\ncafé,0\n".encode("latin-1")})


class TestTextFiles:
    @pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (['"the so-called hero,0', "dull,0", 'lovely "cast,1'], "begins in line 3 .* stray quotation"),
            (['"the so-called hero,0', "dull,0", 'lovely ",1'], "Lines 3 to 5 of .* are one row"),
            (['"the so-called hero,0', "dull,0"], "begins in line 3 .* stray quotation mark"),
        ],
    )
    def test_stray_quotation_marks_swallow_no_rows(self, tmp_path, rows, said, ends):
        with pytest.raises(SkillkitError, match=said):
            load(tmp_path, {"test.csv": ends.join(["sentence,label", "good,1", *rows, ""])})

    def test_texts_with_line_breaks_are_counted(self, tmp_path):
        data = load(tmp_path, {"test.csv": 'sentence,label\ngood,1\n"the hero\nis dull, bad",0\n'})
        assert data.test["sentence"][1] == "the hero\nis dull, bad"
        assert "1 text of sst2/test.csv with line breaks (first in lines 3 to 4)" in data.notes[0]

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("csv", "sentence;label\na;1\n", "separated by semicolons"),
            ("csv", "sentence,label\na,1\nb,c,1\n", "Line 3 of .* has 3 fields, the header has 2"),
            ("csv", "sentence,label,label\na,1,0\n", "more than one column 'label'"),
            ("csv", "", "is empty"),
            ("csv", "sentence,label\n", "No examples"),
            ("csv", "sentence,label\na,1\nhm,\n", "No label in line 3"),
            ("jsonl", "", "is empty"),
            ("json", "[]", "No examples"),
            ("json", '{\n"a": 1}', "line 1 of .* cannot be read as JSON"),
            ("json", '[["a", 1]]', "row 1 of .* not an object"),
            ("jsonl", LINES + '\n\n{"sentence": null, "label": 1}', "No text in column 'sentence', line 12"),
            ("jsonl", LINES + '\n{"sentence": 1.5, "label": 1}', "holds 1.5 in line 11 .* not a text"),
            ("jsonl", LINES + '\n{"sentence": "a"}', "No label in line 11"),
            ("jsonl", '{"sentence": "b", "label": 1, "label": 0}', "names a key twice"),
            (
                "jsonl",
                '{"sentence": "b", "label": 1, "x": 1}\n{"sentence": "a", "label": 0, "x": "y"}',
                "Column 'x' holds 'y' in line 2",
            ),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, tmp_path, name, content, said):
        with pytest.raises(SkillkitError, match=said):
            load(tmp_path, {f"test.{name}": content})

    def test_texts_of_digits_stay_texts(self, tmp_path):
        data = load(tmp_path, {"test.csv": "sentence,label\n1984,1\n007,0\n"})
        assert (data.test["sentence"][:], data.notes) == (["1984", "007"], ())
        (tmp_path / "other").mkdir()
        data = load(tmp_path / "other", {"test.jsonl": LINES + '\n{"sentence": 1984, "label": 1}'})
        assert data.test["sentence"][-1] == "1984"
        assert data.notes == (
            "1 number in column 'sentence' of sst2/test.jsonl, read as text (first in line 11).",
        )

    def test_empty_texts_are_counted(self, tmp_path):
        data = load(tmp_path, {"test.csv": TRAIN + ",1\n"})
        assert data.notes == ("1 empty text in column 'sentence' of sst2/test.csv (first in line 12).",)

    def test_spaces_around_the_names_of_columns_do_not_matter(self, tmp_path):
        data = load(tmp_path, {"test.csv": "sentence, label, factor_x\na, 1, 3\nb,0,4\n"})
        assert (data.test["label"][:], data.test["factor_x"][:]) == ([1, 0], [3, 4])


class TestNamesOfFiles:
    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            ("dev.csv", "Rename it to validation.csv"),
            ("val.jsonl", "Rename it to validation.jsonl"),
            ("Test.CSV", "Rename it to test.csv"),
            ("Train.csv", "Rename it to train.csv"),
            ("test.ndjson", "Rename it to test.jsonl"),
            ("test.tsv", "Save it as test.csv, separated by commas"),
            ("test.csv.gz", "Save it as test.csv, unpacked"),
            ("test-00000-of-00001.parquet", "Rename it to test.parquet"),
            ("test-00000-of-00002.parquet", "Join the pieces into one file, test.parquet"),
        ],
    )
    def test_a_file_that_means_a_split_is_refused_with_its_right_name(self, tmp_path, name, remedy):
        with pytest.raises(SkillkitError, match=f"{name} is not read under this name. {remedy}"):
            load(tmp_path, {name: TRAIN})

    @pytest.mark.parametrize("second", ["test.json", "test.parquet", "Test.csv", "test.tsv"])
    def test_two_files_for_one_split_are_refused(self, tmp_path, second):
        with pytest.raises(SkillkitError, match=r"holds two files for the test|a split is one file"):
            load(tmp_path, {"test.csv": TRAIN, second: labelled([0, 1]) if "parquet" in second else LIST})

    def test_other_files_are_noted_where_they_hold_data(self, tmp_path):
        data = load(tmp_path, {"test.csv": TRAIN, "test_hidden.csv": TRAIN, "README.md": "what this is"})
        assert data.notes == ("Not read, since no split has such a name: sst2/test_hidden.csv.",)

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(MissingFile, match="is a file, not a folder"):
            load_task("sst2", data=tmp_path / "file")


class TestAnnotations:
    TEST = labelled([1, 0])
    NOTES = pd.DataFrame({"original_sentence": ["a", None], "method": ["m", "m"], "label": [1, 0]})

    @pytest.mark.parametrize("labels", [[1, 0], ["positive", "negative"]])
    def test_they_are_compared_by_what_the_labels_mean(self, tmp_path, labels):
        files = {"test.parquet": self.TEST, "annotations.parquet": self.NOTES.assign(label=labels)}
        data = load(tmp_path, files, "adv_sst2")
        assert (data.test["original_sentence"][:], data.notes) == (["a", None], ())

    @pytest.mark.parametrize(
        ("annotations", "said"),
        [
            (NOTES[:1], r"annotations\.parquet has 1 rows, .*test\.parquet has 2"),
            (NOTES.assign(label=[1, 1]), "row 2 of .*annotations.parquet has another label"),
            (NOTES.drop(columns="label"), r"annotations\.parquet has no column 'label'"),
            (b"PAR1", r"annotations\.parquet cannot be read"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tmp_path, annotations, said):
        with pytest.raises(SkillkitError, match=said):
            load(tmp_path, {"test.parquet": self.TEST, "annotations.parquet": annotations}, "adv_sst2")


@pytest.mark.parametrize(
    "options",
    [
        {"limit": "10"},
        {"limit": 2.5},
        {"limit": True},
        {"limit": 0},
        {"seed": "x"},
        {"seed": None},
        {"data": 3},
    ],
)
def test_arguments_of_a_wrong_kind_are_named(options):
    with pytest.raises(SkillkitError, match=f"{next(iter(options))} is .*expected"):
        load_task("film_sentiment", **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda data: binary_subtasks(None),
        lambda data: binary_subtasks(data.test),
        lambda data: binary_subtasks(data, seed="x"),
        lambda data: data.split(["test"]),
        lambda data: texts_of(data.test, get_task("mnli")),
        lambda data: classroom_splits("film_sentiment", seed="x"),
        lambda data: classroom_splits(None),
        lambda data: draw_task([]),
        lambda data: draw_examples(find_task("film_sentiment"), "dev", 4),
        lambda data: draw_examples(find_task("film_sentiment"), "test", 0),
    ],
)
def test_every_function_refuses_what_it_cannot_use(call):
    with pytest.raises(SkillkitError):
        call(toy_data())


@pytest.mark.parametrize("name", [None, 3, [], b"sst2"])
def test_a_task_is_asked_for_by_its_name(name):
    with pytest.raises(SkillkitError, match=r"name is .*expected text"):
        load_task(name)
