"""A command ends in words, whatever becomes of its streams."""

import io
import os
import subprocess
import sys

import pytest

from skillkit.terminal import at_terminal

COMMAND = """
import os, signal, sys
from skillkit.terminal import at_terminal
@at_terminal
def main(arguments):
    {body}
    return 0
sys.exit(main(None))
"""


def run(body, words="", **environment):
    """Run a command in a shell, with `words` after it; its exit status, output and errors."""
    command = 'set -o pipefail; "$PYTHON" -c "$CODE" ' + words
    variables = {**os.environ, "PYTHON": sys.executable, "CODE": COMMAND.format(body=body), **environment}
    done = subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_an_interrupt_is_one_line():
    status, _, said = run("os.kill(os.getpid(), signal.SIGINT); signal.pause()")
    assert (status, said) == (130, "Stopped. The same command goes on from here.\n")


def test_a_reader_who_stops_reading_is_one_line():
    status, _, said = run("print('x' * 10**6)", "| true")
    assert status == 130 and said.startswith("Stopped, since nobody reads") and said.count("\n") == 1


def test_a_closed_output_is_written_to_nowhere():
    status, _, said = run("print('x'); assert open(os.devnull).fileno() > 2", ">&- <&-")
    assert (status, said) == (0, "")


def test_every_text_can_be_written_where_only_ascii_can():
    status, out, _ = run(
        "print('st\\u00fcdy')", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii"
    )
    assert (status, out) == (0, "st\\xfcdy\n")


@pytest.mark.parametrize("status", [0, 1, 2])
def test_other_endings_stay_as_they_are(monkeypatch, status):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert at_terminal(lambda arguments: status)(None) == status
