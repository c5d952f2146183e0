"""What figures share: tables are checked, and the same thing looks the same everywhere."""

import pandas as pd
import pytest
from figure_tables import accuracies, draw

from skillkit import SkillkitError
from skillkit.charts import parts


def test_a_missing_column_is_named_beside_those_that_are_there():
    table = pd.DataFrame({"value": [1.0], "n": [3]})
    with pytest.raises(
        SkillkitError, match=r"my_figure needs the column\(s\) low, high; the table has value, n"
    ):
        parts.checked(table, ["value", "low", "high"], "my_figure")


def test_missing_numbers_of_a_result_table_are_drawn_as_absent():
    table = accuracies().astype({"seed": "Int64", "n": "Int64", "value": "Float64"})
    spec = draw("accuracy_bars", table).to_dict(validate=True)
    rows = next(rows for rows in spec["datasets"].values() if "row" in rows[0])
    assert [row["row"] for row in rows][:3] == ["majority", "none", "random, seed 0"]


def test_the_same_role_has_the_same_colour_whatever_else_is_drawn():
    one = parts.colour_scale(["skill", "random"]).to_dict()
    other = parts.colour_scale(["something", "random", "skill"]).to_dict()
    for name in ("skill", "random"):
        assert one["range"][one["domain"].index(name)] == other["range"][other["domain"].index(name)]
    assert len(set(other["range"])) == 3


def test_encoder_sites_come_first_and_layers_in_their_order():
    table = pd.DataFrame({"stack": ["decoder", "encoder", "encoder"], "layer": [0, 10, 9]})
    labelled, sites = parts.with_sites(table)
    assert labelled["site"].tolist() == ["decoder 0", "encoder 10", "encoder 9"]
    assert sites == ["encoder 9", "encoder 10", "decoder 0"]


@pytest.mark.parametrize(("panels", "across"), [(1, 1), (3, 3), (4, 4), (6, 3), (7, 4), (8, 4), (10, 5)])
def test_rows_of_panels_are_full_if_possible(panels, across):
    assert parts.full_rows(panels) == across
