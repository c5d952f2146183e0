"""Build the book: hand-written pages from `book/`, executed notebooks from `results/`, and generated pages.

Everything is gathered in `build/book` and built from there by jupyter-book, with warnings as errors.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from skillkit.book.offline import mathjax, vega_bundle
from skillkit.book.overview import model_overview, overview_file, status, study_overview
from skillkit.book.pages import made_pages, models_of, page_file, shown_page
from skillkit.book.reference import reference_pages
from skillkit.book.toc import contents
from skillkit.errors import SkillkitError
from skillkit.study.fork.tether import tethered
from skillkit.study.studies import Page, Study, load_study

SOURCE, STAGE, OUTPUT = Path("book"), Path("build/book"), Path("book/_build")

# Added to the configuration that jupyter-book writes: no live code cells, which would need the network, no
# second search box, and no LaTeX. The sidebar opens only where the reader is: with all pages of the default
# book on each of them, it took two fifths of the build. sphinx_multitoc_numbering does not say that pages may
# be read side by side; they may, for all it does is number them afterwards. Quotes and dashes stay as they
# are written, for names may hold them.
CONFIGURATION = """
smartquotes = False
extensions = [name for name in extensions if name not in ("sphinx_thebe", "sphinx_jupyterbook_latex")]
html_theme_options["navbar_persistent"] = []
html_theme_options["collapse_navbar"] = True

def setup(app):
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
"""


def build_book(names: Sequence[str]) -> Path:
    """Build the book of the studies in `names`, and return the path of its first page.

    Raises:
        SkillkitError: Nothing was executed yet, or jupyter-book warns of something.
    """
    studies = [load_study(name) for name in names]
    made = {study.name: made_pages(study) for study in studies}
    if not any(made.values()):
        first = names[0] if names else "classroom"
        raise SkillkitError(f"No page of {', '.join(names)} was made yet. Run `skillkit run {first}` first.")
    _write_changed({**dict(_written_by_hand()), **dict(_generated(studies, made))})
    _run_jupyter_book()
    (OUTPUT / "studies.json").write_text(json.dumps(list(names)), encoding="utf-8")
    return OUTPUT / "html" / "index.html"


def shown() -> list[str]:
    """The studies that the book showed when it was built last; before that, the default one."""
    try:
        names = json.loads((OUTPUT / "studies.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        names = None
    fits = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return names if fits else ["classroom"]


# -------------------------------------------------------------------------------------- gathering the sources


def _written_by_hand() -> Iterator[tuple[Path, bytes]]:
    """The files of `book/` and where they lie in it, without what is built or gathered."""
    for path in sorted(SOURCE.rglob("*")):
        below = path.relative_to(SOURCE)
        left_out = below.parts[0] in ("_build", "_toc.yml", "pages") or ".ipynb_checkpoints" in below.parts
        if path.is_file() and not left_out:
            yield below, path.read_bytes()


def _generated(studies: Sequence[Study], made: Mapping[str, list[Page]]) -> Iterator[tuple[Path, bytes]]:
    """Everything else that the book consists of, by its place."""
    for study in studies:
        pages = made[study.name]
        yield overview_file(study).with_suffix(".md"), study_overview(study, pages).encode()
        for model in models_of(pages):
            text = model_overview(model, study, pages)
            yield overview_file(study, model).with_suffix(".md"), text.encode()
        for page in pages:
            yield page_file(page), shown_page(page, study).encode()
    for file, text in reference_pages().items():
        yield file.with_suffix(".md"), text.encode()
    yield Path("status.md"), status(studies, made).encode()
    toc = contents(SOURCE / "_toc.yml", studies, made)
    yield Path("_toc.yml"), yaml.safe_dump(toc, sort_keys=False).encode()
    yield Path("_static/vega-bundle.js"), vega_bundle().encode()
    yield Path("_extra/mathjax/tex-svg-full.js"), mathjax().read_bytes()


def _write_changed(wanted: Mapping[Path, bytes]) -> None:
    """Make the stage hold these files and no others.

    Files that did not change are left alone, so that a rebuild is quick.
    """
    for path in [path for path in STAGE.rglob("*") if path.is_file()]:
        if path.relative_to(STAGE) not in wanted:
            path.unlink()
    for below, content in wanted.items():
        target = STAGE / below
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)


# ------------------------------------------------------------------------------------------------ the builder


def _run_jupyter_book() -> None:
    """Run jupyter-book over the gathered sources.

    Jupyter-book writes the configuration for Sphinx, which is then called directly, to change the
    configuration in between and to build in several processes.

    Raises:
        SkillkitError: There were warnings; the message shows them.
    """
    OUTPUT.mkdir(parents=True, exist_ok=True)
    log = OUTPUT / "build.log"
    log.unlink(missing_ok=True)
    jobs = str(1 + min(8, os.cpu_count() or 1))  # one gathers, the others write
    sphinx = ["-b", "html", "-d", str(OUTPUT / ".doctrees"), "-W", "-n", "--keep-going", "-q", "-j", jobs]
    if _call(["jupyter-book", "config", "sphinx", str(STAGE)], log):
        with (STAGE / "conf.py").open("a", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        if _call(["sphinx-build", *sphinx, str(STAGE), str(OUTPUT / "html")], log):
            return
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace")).splitlines()
    warnings = [line for line in lines if re.search(r"WARNING|ERROR|Error", line)] or lines[-15:]
    raise SkillkitError(
        f"The book was not built; {log} has the whole story.\n" + "\n".join(dict.fromkeys(warnings))
    )


def _call(command: Sequence[str], log: Path) -> bool:
    """Run a program that came with this environment; what it prints goes to the end of `log`."""
    program, *rest = command
    with log.open("a", encoding="utf-8") as out:
        path = Path(sys.executable).parent / program
        done = subprocess.run(tethered([str(path), *rest]), stdout=out, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0
