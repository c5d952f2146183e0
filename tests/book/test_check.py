from importlib import metadata

from skillkit.book import check


def test_this_environment_is_as_pinned():
    assert check.wrong_versions() == []


def test_a_wrong_version_is_named(monkeypatch):
    monkeypatch.setattr(
        metadata, "requires", lambda name: ["pandas==0.1", "no-such-thing>=1", 'pytest==0; extra == "test"']
    )
    first, second = check.wrong_versions()
    assert first == f"pandas==0.1, installed: {metadata.version('pandas')}"
    assert second == "no-such-thing>=1, installed: nothing"


def test_a_folder_that_is_not_there_is_an_error(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SKILLKIT_DATA", str(tmp_path / "gone"))
    assert check.check_machine() == 1
    assert "is no folder" in capsys.readouterr().out
    (tmp_path / "gone" / "sst2").mkdir(parents=True)
    check.check_machine()
    assert "with 1 known tasks" in capsys.readouterr().out
