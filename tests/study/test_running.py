"""Snakemake is followed to its end, whatever holds its pipes, and ended when we are told to stop."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from skillkit.study import running
from skillkit.study.fork.tether import lives
from skillkit.study.progress import Event, Progress
from skillkit.study.running import Run, end, follow


@pytest.mark.parametrize("was_told", [True, False])
@pytest.mark.parametrize(
    ("on_interrupt", "status"), [("signal.SIG_DFL", -signal.SIGINT), ("signal.SIG_IGN", -signal.SIGKILL)]
)
def test_an_interrupted_snakemake_is_ended_even_if_only_we_were_told(
    monkeypatch, on_interrupt, status, was_told
):
    monkeypatch.setattr(running, "PATIENCE", (0.2, 0.5))
    code = f"import signal, time; signal.signal(signal.SIGINT, {on_interrupt}); "
    code += "print('on', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "on\n"
        end(process, was_told)
        assert process.returncode == status


def test_a_run_ends_with_its_process_even_if_an_orphan_holds_its_pipes(monkeypatch):
    """As a kernel does whose warm process was killed."""
    code = """
import json, os, subprocess, sys
pipe = int(os.environ['SKILLKIT_EVENTS'])
orphan = subprocess.Popen(['sleep', '60'], pass_fds=[pipe], start_new_session=True)
os.write(pipe, b'{"kind": "total", "job": null, "number": 3}\\n{"kind": "sta')
print(orphan.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    run = Run([sys.executable, "-c", code])
    assert list(run.events()) == [Event("total", number=3)]
    assert run.process.wait() == -signal.SIGKILL
    os.kill(int(run.said()[-1]), signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_being_told_to_stop_stops_snakemake(monkeypatch, number):
    monkeypatch.setattr(running, "PATIENCE", (0.2, 5.0))
    # As at a terminal; where tests run in the background, Ctrl-C is switched off.
    usual = signal.signal(number, signal.default_int_handler)
    code = "import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(0.5);"
    try:
        run = Run([sys.executable, "-c", f"{code} os.kill(os.getppid(), {int(number)}); time.sleep(60)"])
        status, _ = follow(run, Progress(io.StringIO(), 1))
        assert status == 130 and run.process.returncode == -signal.SIGINT
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, usual)


def test_when_nobody_reads_what_we_say_snakemake_is_ended(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(running, "PATIENCE", (0.2, 0.5))
    code = """
import os, time
os.write(int(os.environ['SKILLKIT_EVENTS']), b'{"kind": "total", "job": null, "number": 3}\\n')
time.sleep(60)
"""
    run = Run([sys.executable, "-c", code])
    shown = Progress(Closed(), 1)
    shown.live = True
    with pytest.raises(BrokenPipeError):
        follow(run, shown)
    assert run.process.returncode is not None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tether is for Linux")
def test_snakemake_ends_with_a_run_that_is_killed():
    code = "from skillkit.study.running import Run; import sys, time\n"
    code += "print(Run(['sleep', '60']).process.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as us:
        snakemake = int(us.stdout.readline())
        us.kill()
    until = time.monotonic() + 10
    while lives(snakemake) and time.monotonic() < until:
        time.sleep(0.05)
    assert not lives(snakemake)
