"""Attacked copies of training texts."""

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from skillkit.classroom.drawing import bucket
from skillkit.data.loading import load_task
from skillkit.data.tasks import get_task
from skillkit.errors import SkillkitError
from skillkit.robustness.augmentation import attacked_copy


def test_copies_of_bundled_texts_stay_in_their_split():
    data = load_task("park_entailment", limit=120)
    copy = attacked_copy(data.train, data.task)
    texts = list(zip(*(copy[c] for c in data.task.text_columns), strict=True))
    originals = list(zip(*(data.train[c] for c in data.task.text_columns), strict=True))
    changed = [a != b for a, b in zip(texts, originals, strict=True)]
    assert np.mean(changed) > 0.9
    assert [m != "none" for m in copy["method"]] == changed
    assert {bucket(t) for t in texts} == {"train"}
    assert list(copy["label"]) == list(data.train["label"])
    assert list(attacked_copy(data.train, data.task)["premise"]) == list(
        copy["premise"]
    )  # the same seed, the same attacks


def test_copies_of_other_texts_get_slips_and_tautologies():
    rows = Dataset.from_dict(
        {"sentence": ["an entirely wonderful comedy , truly"] * 40, "label": [0, 1] * 20}
    )
    copy = attacked_copy(rows, get_task("sst2"))
    texts = pd.Series(list(copy["sentence"]), index=list(copy["method"]))
    assert set(texts.index) == {"typo", "distractor"}
    assert texts["distractor"].str.startswith("an entirely wonderful comedy , truly and").all()
    slipped = texts["typo"]
    assert (slipped != "an entirely wonderful comedy , truly").all()
    assert (slipped.str.split().str.len() == 6).all()
    with pytest.raises(SkillkitError, match="attack"):
        attacked_copy(rows, get_task("sst2"), methods=("magic",))
