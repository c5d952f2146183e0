"""The pages about the package say what its files say."""

import pytest

import skillkit
from skillkit import SkillkitError
from skillkit.book.reference import PACKAGE, PACKAGES, reference_files, reference_pages


@pytest.fixture(scope="module")
def pages():
    return {file.name: text for file, text in reference_pages().items()}


def test_every_package_has_a_page(pages):
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(PACKAGES) <= set(pages)
    assert [file.name for file in reference_files()] == list(pages)


def test_the_first_page_lists_the_whole_interface_with_a_sentence_each(pages):
    entries = [line for line in pages["index"].splitlines() if line.startswith("- ")]
    for name in skillkit.__all__:
        [entry] = [line for line in entries if f"`{name} <skillkit." in line]
        assert len(entry.split("`: ", 1)[1]) > 10, f"{name} has no docstring"


def test_a_function_has_its_signature_its_parameters_and_its_errors(pages):
    text = pages["charts"]
    assert "````{py:function} neuron_table(sites: Sequence[Any], **values: Any) -> pd.DataFrame" in text
    assert ":param sites: Things with a `stack` and a `layer`" in text
    assert f":raises {SkillkitError.__name__}: The arrays differ in shape" in text
    assert "_site_quantiles" not in text


def test_a_result_described_with_a_colon_is_a_sentence(pages):
    assert ":returns: *" not in "".join(pages.values())
    assert ":returns: Columns site, start and end" in pages["charts"]


def test_a_dataclass_has_its_fields_and_methods_lose_self(pages):
    assert "`````{py:class} Panels(column: str, across: int = 2)" in pages["charts"]
    assert "(self" not in "".join(pages.values())
