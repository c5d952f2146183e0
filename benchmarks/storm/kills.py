"""Kills: a process of a run, or all of them, ends at a random moment; the same command must go on."""

import os
import random
import signal
import time
from contextlib import ExitStack, suppress

import psutil

from storm.project import STUDY, Project
from storm.runs import Run, expect, expect_no_traceback, running

VICTIMS = ("main", "Snakemake", "page", "client", "kernel", "fork", "warm process", "group", "TERM", "INT")
"""Whom a round ends: by SIGKILL one process or the whole group, or by a signal that `run` may answer."""

#: The command line needs so many seconds before it can answer Ctrl-C: Python is still starting.
DEAF = 0.5


def kill(project: Project, draw: random.Random, victim: str, did: list[str]) -> None:
    """Start a run, end the victim at a moment drawn, and go on; what was done is noted in `did`."""
    moment = draw.uniform(0.0, 1.05)
    warm = victim in ("warm process", "fork", "client") or (victim != "kernel" and draw.random() < 0.8)
    beside = draw.random() < 0.15
    project.clear()
    changes = {} if warm else {"SKILLKIT_WARM": "0"}
    with ExitStack() as stack:
        if beside:  # whose locks must stay, and must not be in the way
            project.write_study("beside", notebooks={"01_prompt_tuning": {"examples": 40}})
            other = stack.enter_context(running(project.folder, "run", "beside"))
            did.append("beside a run of another study")
            time.sleep(draw.uniform(0.0, 3.0))
        run = stack.enter_context(running(project.folder, "run", STUDY, **changes))
        time.sleep(max(DEAF if victim in ("TERM", "INT") else 0.0, moment * project.seconds))
        done = _end(run, victim, draw)
        did.append(f"{done} after {time.monotonic() - run.began:.1f} s{'' if warm else ', SKILLKIT_WARM=0'}")
        status = run.wait()
        run.expect_gone()
        expect_no_traceback(run.output())
        if victim in ("TERM", "INT"):
            fit = (0, 130, -signal.SIGTERM) if victim == "TERM" else (0, 130)  # 0: it had ended, or nearly
            expect(status in fit, f"interrupted, it ended with exit code {status} instead of 130")
        did.append("then the same command")
        project.run_again()
        project.expect_as_undisturbed()
        if beside:
            expect(other.wait() == 0, "the run of another study failed")
            expect_no_traceback(other.output())


def _end(run: Run, victim: str, draw: random.Random) -> str:
    """End the victim; where there is none such yet, wait a little, then take any."""
    if victim in ("TERM", "INT"):
        with suppress(ProcessLookupError):
            run.main.send_signal(getattr(signal, f"SIG{victim}"))
        return f"SIG{victim} to main"
    if victim == "group":
        with suppress(ProcessLookupError):
            os.killpg(run.main.pid, signal.SIGKILL)
        return "SIGKILL to the group"
    end = time.monotonic() + 20.0
    while True:
        alive = run.processes()
        fit = sorted(process.pid for process, role in alive.items() if role == victim)
        if not alive:
            return "nothing (it had ended)"
        if not fit and time.monotonic() > end:
            fit = sorted(process.pid for process in alive)
        if fit:
            break
        time.sleep(0.05)
    chosen = psutil.Process(draw.choice(fit))
    with suppress(psutil.Error):
        role = run.role(chosen)
        chosen.kill()
        return f"SIGKILL to {role}"
    return f"nothing ({victim} had just ended)"
