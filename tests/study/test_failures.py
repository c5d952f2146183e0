import shlex
import subprocess

import pytest

from skillkit.results import Place
from skillkit.study.failures import rerun_command
from skillkit.study.given import read_given
from skillkit.study.studies import Page
from skillkit.study.table import find_notebook

ODD = [
    "/m/a b",
    "/m/it's",
    '/m/say "x"',
    "/m/$(touch PWNED)",
    "/m/`id`",
    "/m/back\\slash",
    "/m/模型",
    "/m/*",
    "01",
]


@pytest.mark.parametrize("model", ODD)
def test_the_shell_reads_the_command_as_it_was_meant(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = rerun_command(Page(find_notebook("02"), Place("tiny", model, "sst2")))
    words = shlex.split(command)
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\0")[:-1] == words and not list(tmp_path.iterdir())
    assert read_given(words[4:7:2]) == {"model": model, "task": "sst2"}
