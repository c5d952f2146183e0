"""A receipt tells every kind of damage to every file of a page, whatever the dates say."""

import os
import subprocess
import time

import pytest
from project import make_page, make_project

from skillkit.study import receipts
from skillkit.study.receipts import clear_unfinished, is_made, look_over
from skillkit.study.studies import load_study
from skillkit.study.table import find_notebook


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study whose pages are all made."""
    monkeypatch.chdir(make_project(tmp_path))
    study = load_study("tiny")
    for page in study.pages:
        make_page(study, page)
    assert look_over(study) == []
    return study


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    """Turn one bit over, and keep the date."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns and path.stat().st_size == before.st_size


FILES = {
    "prompt": ("01", "prompts/seed-0.safetensors"),
    "scores": ("02", "scores/seed-0.safetensors"),
    "table": ("02", "02_skill_neurons.parquet"),
    "provenance": ("01", "01_prompt_tuning.provenance.json"),
    "executed notebook": ("02", "notebooks/02_skill_neurons.ipynb"),
}


@pytest.mark.parametrize("damage", [remove, truncate, flip])
@pytest.mark.parametrize("kind", FILES)
def test_damage_is_told_and_takes_the_receipt_of_the_page_that_made_the_file(study, damage, kind):
    number, name = FILES[kind]
    page = study.page(find_notebook(number), "mini-t5", "imdb")
    damage(page.place.folder / name)
    assert not is_made(study, page) and page.receipt.is_file(), "to look is not to touch"
    [line] = look_over(study)
    what = "is missing" if damage is remove else "is damaged or was changed"
    assert line == f"results/tiny/mini-t5/imdb/{name} {what}: {page} has to be made again."
    assert [each for each in study.pages if not each.receipt.is_file()] == [page]
    assert look_over(study) == [], "it is said once"


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_receipt_vouches_for_nothing(study, damage):
    page = study.pages[0]
    damage(page.receipt)
    lines = look_over(study)
    assert lines and all(f"{page} has to be made again." in line for line in lines)
    assert not page.receipt.exists()


def test_a_receipt_that_was_cut_between_two_files_is_told(study):
    page = study.pages[0]
    page.receipt.write_text("".join(page.receipt.read_text().splitlines(keepends=True)[:-1]))
    [line] = look_over(study)
    assert "01_prompt_tuning.sha256 says nothing of 01_prompt_tuning.ipynb" in line


def test_a_new_seed_is_no_damage(study, tmp_path):
    path = tmp_path / "studies" / "tiny.yaml"
    path.write_text(path.read_text().replace("seeds:\n- 0", "seeds:\n- 0\n- 1"))
    more = load_study("tiny")
    assert more.seeds == (0, 1) and look_over(more) == []


def test_a_receipt_can_be_checked_by_sha256sum(study):
    page = study.pages[0]
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", page.receipt.name],
        cwd=page.receipt.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "prompts/seed-0.safetensors: OK" in done.stdout


def test_dates_in_the_future_are_said_and_put_right(study):
    for page, hours in zip(study.pages[:2], (2, 5), strict=True):
        os.utime(page.receipt, (time.time() + 3600 * hours,) * 2)
    [line] = look_over(study)
    assert line.startswith(f"Dated in the future: {study.pages[1].receipt} and 1 more (by 5 h 0 min).")
    assert "nothing is lost" in line and "set the clock" in line
    assert all(page.receipt.stat().st_mtime <= time.time() for page in study.pages)
    assert look_over(study) == []


def test_what_a_killed_page_left_half_written_is_cleared(study):
    folder = study.pages[0].place.folder
    half = [
        folder / ".01_prompt_tuning-x8s_2k0q.parquet",
        folder / "prompts" / ".seed-0-abcdefgh.safetensors",
    ]
    for path in half:
        path.write_text("half")
    ours = {path for path in folder.rglob("*") if path.is_file()} - {*half}
    clear_unfinished(study)
    assert {path for path in folder.rglob("*") if path.is_file()} == ours


def test_names_of_unfinished_files_are_those_that_atomic_writes_give(tmp_path):
    with receipts.atomic_write(tmp_path / "01_prompt_tuning.provenance.json") as beside:
        assert receipts._TEMPORARY.fullmatch(beside.name)
    assert not receipts._TEMPORARY.fullmatch("seed-0.safetensors")
