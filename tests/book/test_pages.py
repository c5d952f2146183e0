"""Names as the book shows them, and executed notebooks that something has broken."""

import json
import re
from html import unescape

import pytest
import yaml
from project import ROOT, make_project, notebook

from skillkit.book import build as book
from skillkit.book.overview import model_overview, status, study_overview
from skillkit.book.pages import made_pages, shown_page
from skillkit.errors import SkillkitError
from skillkit.provenance import CODE_VARIABLE
from skillkit.results import measurements, provenance_of, write_table
from skillkit.study.receipts import write_receipt
from skillkit.study.studies import load_study

ODD = [
    *("a$b$c", "_runs_", "back\\slash", "模型", "数据", "{model}", "<name>", "a|b", "it's `code`", "[x](y)"),
    *("a--b", 'say "x"', "$(touch PWNED)", "{{ x }}", "*"),
]


def execute_by_hand(study, page):
    """Put a page's executed notebook and its table where the study would."""
    content = json.loads(notebook("pass", "A page"))
    content["metadata"] |= {"papermill": {"parameters": {"model": page.place.model}, "duration": 3.0}}
    page.executed.parent.mkdir(parents=True, exist_ok=True)
    page.executed.write_text(json.dumps(content))
    write_table(measurements(page.place, [{"metric": "accuracy", "value": 0.5}]), page.table)
    for prompt in set(study.files(page)) - {page.table, page.executed, provenance_of(page.table)}:
        prompt.parent.mkdir(parents=True, exist_ok=True)
        prompt.touch()
    write_receipt(page.receipt, study.files(page))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A study of model folders with odd names, of which two have the same last part."""
    monkeypatch.setenv(CODE_VARIABLE, "skillkit/results.py=1")  # as a run sets it; digests take long
    models = [tmp_path / "models" / name for name in ODD]
    models += [tmp_path / part / "roberta" for part in ("one", "two")]
    for model in models:
        model.mkdir(parents=True)
        (model / "config.json").touch()
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(
        make_project(folder, models=list(map(str, models)), tasks=["sst2"], notebooks=["01_prompt_tuning"])
    )
    study = load_study("tiny")
    for page in study.pages:
        execute_by_hand(study, page)
    return folder


def test_every_model_has_a_folder_of_its_own_and_is_shown_by_its_last_part(project):
    study = load_study("tiny")
    places = [page.place for page in study.pages]
    assert len({place.folder for place in places}) == len(ODD) + 2 == len(made_pages(study))
    assert [place.shown for place in places[: len(ODD)]] == ODD
    assert all(re.fullmatch("roberta@[0-9a-f]{6}", str(place.shown)) for place in places[-2:])
    for page in study.pages:
        parameters = study.parameters(page)
        assert study.page(page.notebook, page.place.folder.parent.name, "sst2") == page
        assert parameters["model"] == page.place.model and str(project.parent) in parameters["model"]


def test_no_title_or_link_shows_a_whole_path(project):
    study = load_study("tiny")
    texts = [study_overview(study, study.pages), status([study], {"tiny": list(study.pages)})]
    for page in study.pages:
        texts.append(json.loads(shown_page(page, study))["cells"][0]["source"])
        texts += model_overview(str(page.place.model), study, study.pages).splitlines()[:3]
    assert not any(str(project.parent) in text for text in texts)


@pytest.mark.slow
def test_the_book_shows_every_name_sign_by_sign(project):
    (project / "book" / "_static").mkdir(parents=True)
    for name in ("_config.yml", "_static/favicon.svg"):
        (project / "book" / name).write_bytes((ROOT / "book" / name).read_bytes())
    (project / "book" / "index.md").write_text("# A small book\n")
    parts = [{"caption": "Results", "chapters": []}, {"caption": "About", "chapters": [{"file": "status"}]}]
    toc = {"format": "jb-book", "root": "index", "parts": parts}
    (project / "book" / "_toc.yml").write_text(yaml.safe_dump(toc))
    built = book.build_book(["tiny"]).parent
    for page in load_study("tiny").pages:
        html = (built / book.page_file(page).with_suffix(".html")).read_text()
        headings = re.findall(r"<h1>(.*?)(?:<a class|</h1>)", html, flags=re.DOTALL)
        assert {unescape(heading) for heading in headings} == {f"A page: {page.place.shown} · sst2"}
        sidebar = unescape(re.sub("<[^>]+>", "", re.sub(r"<(\w+)[^>]*>", r"<\1>", html)))
        assert str(page.place.shown) in sidebar
        assert 'class="math' not in html


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b"{}", b'{"cells": 5, "metadata": {}}'),
        *(b'{"cells": [5], "metadata": {}}', b'{"cells": [{}], "metadata": {}}', b'{"cells": []}'),
        b'{"cells": [{"cell_type": "code", "source": "", "metadata": {}}], "metadata": {}}',
        b'{"cells": [{"cell_type": "markdown", "source": [5], "metadata": {}}], "metadata": {}}',
        b"[" * 5000,
    ],
)
def test_a_broken_executed_notebook_is_named_in_one_line(project, content):
    page = load_study("tiny").pages[0]
    page.executed.write_bytes(content)
    if not content:
        assert page not in made_pages(load_study("tiny"))
        return
    with pytest.raises(SkillkitError, match="run its page again") as error:
        shown_page(page, load_study("tiny"))
    assert str(page.executed) in str(error.value) and "\n" not in str(error.value)
