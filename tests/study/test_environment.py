"""A home folder that cannot be written is done without."""

from pathlib import Path

from skillkit.study.environment import homeless


def test_a_home_that_can_be_written_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert homeless() == {}


def test_without_a_home_libraries_write_into_the_project(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/proc/nobody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("IPYTHONDIR", "/mine")
    variables = homeless()
    assert Path(variables["XDG_CACHE_HOME"]).is_relative_to(tmp_path / ".snakemake")
    assert "IPYTHONDIR" not in variables  # the reader's own choice holds
    assert "HF_HOME" not in variables


def test_models_that_are_there_already_are_read(monkeypatch, tmp_path):
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert homeless()["HF_HOME"] == str(tmp_path / ".cache" / "huggingface")
