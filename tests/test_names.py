import unicodedata
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from skillkit.names import (
    has_hidden_signs,
    look,
    markdown_code,
    markdown_text,
    shown_name,
    slug,
    source_of,
    told_apart,
)

ODD = [
    *("模型", "数据", "модель", "नमूना", "my bert", "my-bert", "my--bert", "my/bert", "a$b$c", "_runs_"),
    *("a*b*", "back\\slash", "{model}", "{x}", "<name>", "a|b", "[a](b)", "`code`", "{{ x }}", "&amp;"),
    *("$(touch PWNED)", "it's", 'say "x"', "a~b", "#1", ".hidden", "..", "...", "a;b", "a&b", "a%20b"),
    *("-p", "&", "<", "a@3fa2c1"),
]


def test_a_folder_is_shown_by_its_last_part_and_any_other_model_by_its_name():
    assert shown_name("/a/long/path/models/english-roberta") == "english-roberta"
    assert shown_name("./mine") == shown_name("~/x/mine/") == "mine"
    assert shown_name("google/t5-v1_1-base") == "google/t5-v1_1-base"
    assert shown_name("mini-roberta") == "mini-roberta"


@pytest.mark.parametrize("name", ODD)
def test_what_is_shown_is_shown_again_as_it_is(name):
    assert shown_name(shown_name(f"/models/{name}")) == shown_name(f"/models/{name}")


def test_folders_with_the_same_last_part_are_told_apart_by_their_path():
    first, second = told_apart("/a/roberta"), told_apart("/b/roberta")
    assert first != second and source_of(first) == "/a/roberta"
    assert shown_name(first).startswith("roberta@") and slug(shown_name(first)) == shown_name(first)
    assert source_of("/a/roberta@3fa2c1") == "/a/roberta@3fa2c1", "a folder of that name, and no digest"


def test_names_that_a_file_system_may_take_for_one_look_alike():
    assert look("/a/Bert") == look("bert")
    assert look(unicodedata.normalize("NFD", "modèle")) == look("modèle")
    assert look("bert") != look("bert2")


def test_plain_names_keep_their_folders():
    for name in ("mini-roberta", "google/t5-v1_1-base", "film_sentiment", "模型", "नमूना", "roberta@3fa2c1"):
        assert slug(name) == name.replace("/", "--")


@pytest.mark.parametrize("name", ODD)
def test_a_folder_name_is_one_harmless_word(name):
    folder = slug(name)
    assert folder and folder not in (".", "..") and not set(folder) & set("/\\{}<>$`\"'*|&;()[]# \n")


def test_no_two_names_share_a_folder():
    for one, other in combinations(ODD, 2):
        assert slug(one) != slug(other)


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_names_at_all_share_a_folder(one, other):
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (slug(one) == slug(other)) == same


def test_signs_that_no_line_can_show_are_found():
    assert all(map(has_hidden_signs, ("a\nb", "a\x00", "\udcff", "\u2028")))
    assert not any(map(has_hidden_signs, ODD))


def words(markdown):
    """What MyST, with the extensions of the book, makes of a line: the kinds of its parts, and the text."""
    extensions = {"colon_fence", "dollarmath", "linkify", "substitution", "tasklist"}
    parser = create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)
    [inline] = [token for token in parser.parse(markdown) if token.type == "inline"]
    return {part.type for part in inline.children}, "".join(part.content for part in inline.children)


@pytest.mark.parametrize("name", ODD)
def test_markdown_shows_a_name_sign_by_sign(name):
    for line in (f"# Page: {markdown_text(name)}", f"**{markdown_text(name)}**: text"):
        kinds, text = words(line)
        assert kinds <= {"text", "strong_open", "strong_close", "text_special"}
        assert name in text
    kinds, text = words(f"- {markdown_code(name)} was made")
    assert "code_inline" in kinds and name in text


@pytest.mark.parametrize("name", ODD)
def test_a_name_stays_in_its_table_cell(name):
    parser = create_md_parser(MdParserConfig(), RendererHTML)
    table = f"| model | value |\n|---|---|\n| {markdown_text(name)} | 3 |\n"
    cells = [token.content for token in parser.parse(table) if token.type == "inline"]
    assert len(cells) == 4 and cells[-1] == "3"
