"""A small book, built from pages that were 'executed' by hand, and opened in a browser."""

import json
import re

import altair as alt
import pandas as pd
import pytest
import yaml
from project import ROOT, make_project, notebook

from skillkit.book import browser
from skillkit.book import build as book
from skillkit.book.browser import check_book, find_chromium
from skillkit.book.overview import status
from skillkit.charts.theme import stored_output
from skillkit.errors import SkillkitError
from skillkit.results import measurements, write_table
from skillkit.study.receipts import write_receipt
from skillkit.study.studies import load_study

INDEX = "# A small book\n\nSee {doc}`concepts/math`.\n"
MATH = "# Mathematics\n\nInline $a > b$, and\n\n$$ \\bar a = \\frac{1}{n} \\sum_i a_i $$\n"


def chart_output():
    """What a notebook keeps of one of our figures."""
    points = alt.Chart(pd.DataFrame({"x": [1, 2], "y": [2, 3]}), description="two points").mark_point()
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": stored_output(points.encode(x="x", y="y").to_dict()),
    }


def execute_by_hand(page, seconds=3.0):
    """Put a page's executed notebook and its table where the study would."""
    content = json.loads(notebook("pass", "A page with a figure"))
    picture = chart_output()
    content["cells"][-1]["outputs"] = [picture]
    content["metadata"] |= {
        "skillkit": {"seconds": seconds, "peak_bytes": 2**30},
        "papermill": {"parameters": {}},
    }
    page.executed.parent.mkdir(parents=True, exist_ok=True)
    page.executed.write_text(json.dumps(content))
    write_table(measurements(page.place, [{"metric": "accuracy", "value": 0.5}]), page.table)
    provenance = page.place.provenance(page.notebook.name)
    write_receipt(page.receipt, [page.table, provenance, page.executed])


def plain(html):
    """A page's text without its tags, with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", "", html).split())


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a book of hand-written pages and six of its nine pages made; one failed."""
    folder = make_project(tmp_path_factory.mktemp("book"))
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    (folder / "book" / "concepts").mkdir(parents=True)
    (folder / "book" / "_static").mkdir()
    for name in ("_config.yml", "_static/favicon.svg"):
        (folder / "book" / name).write_bytes((ROOT / "book" / name).read_bytes())
    (folder / "book" / "index.md").write_text(INDEX)
    (folder / "book" / "concepts" / "math.md").write_text(MATH)
    parts = [
        {"caption": "Concepts", "chapters": [{"file": "concepts/math"}]},
        {"caption": "Results", "chapters": []},
        {"caption": "Reference", "chapters": []},
        {"caption": "About", "chapters": [{"file": "status"}]},
    ]
    (folder / "book" / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "index", "parts": parts})
    )
    *made, failed = [
        page for page in load_study("tiny").pages if page.notebook.number != "02" or page.place.task == "sst2"
    ]
    for page in made:
        execute_by_hand(page)
    execute_by_hand(failed)
    failed.error.write_text(json.dumps({"error": "ValueError", "message": "nothing to compare"}))
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def built(project):
    return book.build_book(["tiny"]).parent


@pytest.mark.slow
def test_every_page_that_was_made_is_in_the_book_and_no_other(built):
    pages = {
        path.relative_to(built / "pages/tiny").with_suffix("").as_posix()
        for path in built.rglob("pages/tiny/**/*.html")
    }
    places = [f"{model}/{task}" for model in ("mini-roberta", "mini-t5") for task in ("sst2", "imdb")]
    wanted = {f"{place}/01_prompt_tuning" for place in places} | {
        f"{model}/sst2/02_skill_neurons" for model in ("mini-roberta", "mini-t5")
    }
    assert pages == wanted | {"overview", "mini-roberta/overview", "mini-t5/overview"}


@pytest.mark.slow
def test_a_page_names_its_place_shows_its_parameters_and_how_to_run_it_again(built):
    text = (built / "pages/tiny/mini-t5/sst2/01_prompt_tuning.html").read_text()
    assert "<title>A page with a figure: mini-t5 · sst2" in text
    assert "skillkit page 01 -p model=mini-t5 -p task=sst2 --study tiny" in plain(text)
    assert "It took 3 s." in plain(text)
    assert 'study = "tiny"' not in plain(text), "the cell with default parameters is not shown"


@pytest.mark.slow
def test_the_status_page_says_what_ran_and_what_failed(built):
    words = plain((built / "status.html").read_text())
    assert "Prompt tuning 4 3 s 3 s 1.0 GB" in words and "Skill neurons 2" in words
    assert "10_comparison: ValueError. Run again: skillkit page 10 --study tiny" in words
    assert "Not made: 2 pages" in words and "Packages: skillkit" in words


def test_the_reference_has_a_page_for_each_package_with_links_into_it(built):
    assert "load_backbone" in plain((built / "reference" / "models.html").read_text())
    interface = (built / "reference" / "index.html").read_text()
    assert 'href="models.html#skillkit.models.backbones.load_backbone"' in interface


@pytest.mark.slow
def test_the_book_remembers_what_it_shows(built, project):
    assert book.shown() == ["tiny"]


@pytest.mark.slow
def test_nothing_in_the_book_loads_a_script_or_style_from_elsewhere(built):
    for path in built.rglob("*.html"):
        tags = re.findall(
            r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?://[^"]+)"', path.read_text()
        )
        assert not tags, f"{path}: {tags}"
    assert (built / "mathjax" / "tex-svg-full.js").stat().st_size > 2_000_000
    assert (built / "_static" / "vega-bundle.js").stat().st_size > 500_000


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium and chromedriver")
def test_every_page_opens_in_a_browser_with_all_figures_and_formulas(built):
    assert check_book(built) == []


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium and chromedriver")
def test_the_browser_check_finds_what_is_broken(tmp_path, monkeypatch):
    (tmp_path / "broken.html").write_text(
        '<link rel="icon" href="data:,"><div role="figure" aria-label="a lost figure"></div>'
        '<script src="http://elsewhere.invalid/vega.js"></script><img src="gone.png">'
        '<script>throw Error("ouch")</script>'
        '<div role="figure"><svg width="50" height="50"></svg></div><span class="math">\\(x\\)</span>'
    )
    monkeypatch.setattr(browser, "PATIENCE", 1.0)
    faults = check_book(tmp_path)
    assert all(fault.startswith("broken.html: ") for fault in faults)
    said = "\n".join(faults)
    for words in (
        "figure not drawn: a lost figure",
        "formula not set: \\(x\\)",
        "loads from another host: http://elsewhere.invalid/vega.js",
        "status 404: http://127.0.0.1",
        "ouch",
    ):
        assert words in said
    assert said.count("figure not drawn") == 1


@pytest.mark.slow
def test_a_warning_stops_the_book_and_is_shown(built, project):
    page = project / "book" / "concepts" / "math.md"
    page.write_text(MATH + "\nSee {doc}`nowhere`.\n")
    with pytest.raises(SkillkitError, match=r"math\.md:7: WARNING: unknown document: 'nowhere'"):
        book.build_book(["tiny"])
    page.write_text(MATH)
    book.build_book(["tiny"])


def test_a_book_of_nothing_is_refused(project, monkeypatch, tmp_path):
    monkeypatch.chdir(make_project(tmp_path))
    with pytest.raises(SkillkitError, match="No page of tiny was made yet"):
        book.build_book(["tiny"])


def test_files_that_were_cut_off_are_named(monkeypatch, tmp_path):
    monkeypatch.chdir(make_project(tmp_path))
    study = load_study("tiny")
    page = study.pages[0]
    execute_by_hand(page)
    for path in (page.executed, page.table.with_suffix(".provenance.json")):
        whole = path.read_text()
        path.write_text(whole[:100])
        with pytest.raises(SkillkitError, match=rf"{path} is cut off .*Delete it and run its page again"):
            status([study], {"tiny": [page]})
        path.write_text(whole)
    remembered = book.OUTPUT / "studies.json"
    remembered.parent.mkdir(parents=True)
    for text in ("[", "{}", "5", "[5]"):
        remembered.write_text(text)
        assert book.shown() == ["classroom"]
