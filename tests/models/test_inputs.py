"""Packed token lists come out as they went in, and what cannot be encoded is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

import skillkit.models.inputs as inputs
from skillkit.data.splits import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode, encode_task, labels_of
from skillkit.models.ragged import Ragged

LISTS = st.lists(st.lists(st.integers(0, 50_000), max_size=6), min_size=1, max_size=8)


@settings(deadline=None, max_examples=30)
@given(LISTS, st.data())
def test_packed_lists_are_lists(lists, data):
    packed = Ragged.of(lists)
    assert packed == lists and len(packed) == len(lists) and packed[-1] == lists[-1]
    assert packed.lengths.tolist() == [len(part) for part in lists]
    places = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=5))
    assert packed.select(places) == [lists[place] for place in places]
    assert Ragged.joined([packed, packed.ones()]) == lists + [[1] * len(part) for part in lists]


@pytest.mark.parametrize("left", [False, True])
def test_lists_are_filled_up_on_one_side(left):
    padded = Ragged.of([[1, 2], [], [3]]).padded(3, 9, left=left)
    rows = [[9, 1, 2], [9, 9, 9], [9, 9, 3]] if left else [[1, 2, 9], [9, 9, 9], [3, 9, 9]]
    assert padded.tolist() == rows
    assert padded.dtype == torch.long


def test_a_token_takes_four_bytes(backbone):
    encoded = encode(backbone, toy_dataset(50, 0), TASK)
    assert encoded.ids.values.nbytes == 4 * encoded.lengths.sum()


def test_texts_are_tokenised_in_parts_alike(backbone, monkeypatch):
    whole = encode(backbone, toy_dataset(50, 0), TASK)
    monkeypatch.setattr(inputs, "_CHUNK", 7)
    parts = encode(backbone, toy_dataset(50, 0), TASK)
    assert parts.ids == whole.ids and parts.types == whole.types and parts.digest == whole.digest


def test_the_digest_changes_with_texts_labels_and_where_texts_end():
    encoded = encode(tiny_backbone("roberta"), toy_dataset(10, 0), TASK)
    other_ends = encoded.ids.ends.copy()
    other_ends[0] += 1
    others = [
        encode(tiny_backbone("roberta"), toy_dataset(10, 1), TASK),
        replace(encoded, labels=1 - encoded.labels),
        replace(encoded, ids=Ragged(encoded.ids.values, other_ends)),
    ]
    assert encoded.digest not in {other.digest for other in others}


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("label", [0, 7], "Label 7 in row 2"),
        ("label", [0, -1], "Label -1 in row 2"),
        ("label", [0.0, 0.5], "Label 0.0 in row 1"),
        ("label", ["good", "bad"], "Label 'good' in row 1"),
        ("text", ["a", None], "holds None in row 2"),
        ("text", [1, 2], "holds 1 in row 1"),
    ],
)
def test_what_is_no_text_or_no_label_is_named(column, values, said):
    dataset = toy_dataset(2, 0).remove_columns(column).add_column(column, values)
    with pytest.raises(SkillkitError, match=said):
        encode(tiny_backbone("roberta"), dataset, TASK)


def test_other_things_than_data_are_refused():
    backbone, data = tiny_backbone("roberta"), toy_data()
    for call in (
        lambda: encode(backbone, None, TASK),
        lambda: encode(backbone, ["a text"], TASK),
        lambda: encode(backbone, data.test, "toy"),
        lambda: encode(backbone, data.test, TASK, None),
        lambda: encode_task(backbone, data.test),
        lambda: encode_task(backbone, None),
        lambda: labels_of([1, 0]),
        lambda: encode(backbone, data.test, TASK).batch([], backbone.device),
    ):
        with pytest.raises(SkillkitError):
            call()


def test_texts_encoded_for_another_model_are_refused():
    roberta, gpt2 = tiny_backbone("roberta"), tiny_backbone("gpt2")
    with pytest.raises(SkillkitError, match="encoded for another model than 'tiny-gpt2'"):
        encode(gpt2, encode(roberta, toy_dataset(4, 0), TASK), TASK)


def test_notes_stay_with_the_data():
    data = toy_data()
    noted = TaskData(data.task, data.splits, data.source, ("One row was left out.",))
    assert encode_task(tiny_backbone("roberta"), noted).notes == noted.notes
    assert np.array_equal(labels_of(noted.test), noted.labels("test"))
