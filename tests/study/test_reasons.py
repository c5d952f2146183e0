"""Snakemake's reasons, in words."""

import pytest

from skillkit.study.reasons import changed_files, explain

PARAMS = (
    "Params have changed since last execution: Union of exclusive params before and now across all output: "
)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Missing output files: a, b; Input files updated by another job: c", "not made yet"),
        (
            "Updated input files: notebooks/01_prompt_tuning.ipynb, results/a.parquet",
            "changed: notebooks/01_prompt_tuning.ipynb, results/a.parquet",
        ),
        (
            PARAMS + "before: 'skillkit/a.py=1 skillkit/b.py=2' now: 'skillkit/a.py=1 skillkit/b.py=3' ",
            "code changed: skillkit/b.py",
        ),
        (
            PARAMS + "before: 'skillkit/a.py=1','{\"steps\": 1}' now: 'skillkit/b.py=1','{\"steps\": 2}' ",
            "code changed: skillkit/a.py, skillkit/b.py, and other parameters than last time",
        ),
        (
            PARAMS + "before: 'notebook:n/1.ipynb=1 data:sst2/a%20b.csv=2' "
            "now: 'notebook:n/1.ipynb=1 data:sst2/a%20b.csv=3' ",
            "data changed: sst2/a b.csv",
        ),
        (
            PARAMS + "before: 'notebook:n/1.ipynb=1 model:mine/model.safetensors=2','skillkit/a.py=1' "
            "now: 'notebook:n/1.ipynb=2 model:mine/model.safetensors=3','skillkit/a.py=2' ",
            "changed: n/1.ipynb, and code changed: skillkit/a.py, and model changed: mine/model.safetensors",
        ),
        (PARAMS + "before: <nothing exclusive> now: 'skillkit/a.py=1' ", "code changed"),
        (PARAMS + "before: '{\"steps\": 1}' now: '{\"steps\": 2}' ", "other parameters than last time"),
        ("Params have changed since last execution: before: 1 now: 2", "other parameters than last time"),
        ("Input files updated by another job: a.parquet", "reads a page that is made anew"),
        ("Something that Snakemake may say one day", "Something that Snakemake may say one day"),
    ],
)
def test_reasons_in_plain_words(reason, words):
    assert explain(reason) == words


def test_a_page_that_was_made_and_lost_its_receipt_is_told_from_a_new_one(tmp_path):
    receipt = tmp_path / "01_prompt_tuning.sha256"
    assert explain(f"Missing output files: {receipt}") == "not made yet"
    receipt.with_suffix(".parquet").touch()
    assert explain(f"Missing output files: {receipt}") == "its files are not those that it wrote"


def test_changes_are_told_by_kind_whatever_their_names():
    before = "notebook:n/1.ipynb=1 data:sst2/train.csv=2 data:it%27s/%C3%BC%3A.csv=3"
    now = "notebook:n/1.ipynb=1 data:sst2/train.csv=4 model:mine/config.json=5"
    assert changed_files(before, now) == {
        "data": ["it's/ü:.csv", "sst2/train.csv"],
        "model": ["mine/config.json"],
    }
