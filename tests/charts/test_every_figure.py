"""Every figure can be drawn, says what it shows, and refuses a table that it cannot draw honestly."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import altair as alt
import pandas as pd
import pytest
from figure_tables import FIGURES, draw

from skillkit import SkillkitError, charts

PNG_HEADER = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def themed() -> Iterator[None]:
    with alt.theme.enable("skillkit"):
        yield


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a specification."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(child)


def test_every_public_figure_is_tried():
    drawn = {
        name
        for name in charts.__all__
        if callable(getattr(charts, name))
        and get_type_hints(getattr(charts, name)).get("return") == charts.Figure
    }
    assert drawn == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_valid_described_and_labelled(name):
    spec = draw(name).to_dict(validate=True)  # raises where the Vega-Lite schema is broken
    assert len(spec["description"]) > 40
    encodings = [node["encoding"] for node in objects(spec) if "encoding" in node]
    axes = [encoding[channel] for encoding in encodings for channel in ("x", "y") if channel in encoding]
    titles = [
        axis["title"]
        for axis in axes
        if "field" in axis and axis.get("type") == "quantitative" and "title" in axis
        if axis.get("axis", "") is not None
    ]
    if name not in ("confusion", "matrix_heatmap"):  # their axes are categories
        assert titles and all(title is None or len(title) > 3 for title in titles)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_draws_and_fits_the_page(name):
    picture = charts.png(draw(name), scale=1)
    assert picture.startswith(PNG_HEADER)
    width, height = (int.from_bytes(picture[at : at + 4]) for at in (16, 20))
    assert 150 < width <= charts.PAGE_WIDTH + 20
    assert 100 < height < 900


@pytest.mark.parametrize("name", FIGURES)
def test_bad_tables_get_a_clear_error(name):
    example, options = FIGURES[name]
    table = example()
    with pytest.raises(SkillkitError, match="no rows"):
        draw(name, table.iloc[:0])
    with pytest.raises(SkillkitError, match=f"{name} needs the column"):
        draw(name, table.rename(columns=lambda column: f"{column}?"))
    with pytest.raises(SkillkitError, match="DataFrame"):
        getattr(charts, name)(table.to_dict("records"), **options)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_never_carries_more_marks_than_a_page_can(name):
    table = FIGURES[name][0]()
    many = pd.concat([table] * (charts.MAX_ROWS // len(table) + 1), ignore_index=True)
    try:
        spec = draw(name, many).to_dict(validate=False)
    except SkillkitError as error:
        assert "aggregate, bin or sample" in str(error)
        return
    assert all(len(rows) <= charts.MAX_ROWS for rows in spec.get("datasets", {}).values())


@pytest.mark.parametrize("name", FIGURES)
def test_the_table_given_is_left_as_it_was(name):
    table = FIGURES[name][0]()
    before = table.copy(deep=True)
    draw(name, table)
    pd.testing.assert_frame_equal(table, before)


ODD_NAMES = ["a.b[c]", "<b>x</b>", "`$a$` _b_ **c**", "quote ' and \"", "back\\slash: {x}", "名前", "x" * 300]


@pytest.mark.parametrize("name", FIGURES)
def test_odd_names_missing_numbers_and_single_rows_are_drawn_or_told(name):
    table = FIGURES[name][0]()
    words = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    numbers = table.select_dtypes("float").columns
    odd = table.copy()
    for column in words:
        known = list(dict.fromkeys(odd[column]))
        odd[column] = odd[column].map({each: ODD_NAMES[i % 7] + str(i) for i, each in enumerate(known)})
    broken = table.astype({column: float for column in numbers})
    broken.loc[broken.index[0], numbers] = float("inf")
    for changed in (odd, table.iloc[:1], broken, table.assign(**dict.fromkeys(numbers, float("nan")))):
        try:
            draw(name, changed).to_dict(validate=True)
        except SkillkitError as error:
            assert name in str(error)


@pytest.mark.parametrize("name", ["accuracy_bars", "confusion", "interval_dots", "comparison_grid"])
@pytest.mark.slow
def test_forty_categories_are_drawn(name):
    table = FIGURES[name][0]()
    parts = [table.map(lambda cell, i=i: f"{cell} {i}" if isinstance(cell, str) else cell) for i in range(20)]
    assert charts.png(draw(name, pd.concat(parts, ignore_index=True)), scale=0.5).startswith(PNG_HEADER)
