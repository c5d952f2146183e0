"""The warm process: notebooks run in its forks as in a fresh kernel, and it leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

import skillkit.study.fork.process as warm
import skillkit.study.fork.start as start
from skillkit.study.environment import SOCKET_VARIABLE, WARM_VARIABLE
from skillkit.study.fork.client import ask
from skillkit.study.fork.provisioner import listens
from skillkit.study.fork.start import execute_warm, warm_process

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the warm process forks, which is for Linux"
)


def notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in ("x = 1", *sources)]
    cells[0].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture(scope="module")
def running():
    """A warm process that preloads little, as the environment of this test process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKILLKIT_PRELOAD", "ipykernel.kernelapp papermill")
        with warm_process() as environment:
            assert environment, "the warm process did not start"
            for name, value in environment.items():
                patch.setenv(name, value)
            yield environment


def test_a_notebook_runs_with_its_parameters_folder_and_environment(running, tmp_path, monkeypatch):
    monkeypatch.setenv("A_VARIABLE", "seen")
    monkeypatch.chdir(tmp_path)
    source = notebook(
        tmp_path / "page.ipynb", "import os\nopen('made', 'w').write(f\"{x} {os.environ['A_VARIABLE']}\")"
    )
    assert execute_warm(source, tmp_path / "done.ipynb", {"x": 7}, [tmp_path / "made"])
    assert (tmp_path / "made").read_text() == "7 seen"
    assert (
        json.loads((tmp_path / "done.ipynb").read_text())["metadata"]["skillkit"]["peak_bytes"] > 10_000_000
    )


def test_a_failing_notebook_fails_alone(running, tmp_path):
    bad = notebook(tmp_path / "bad.ipynb", "1 / 0")
    assert execute_warm(bad, tmp_path / "bad-done.ipynb", {}) is False
    assert "ZeroDivisionError" in (tmp_path / "bad-done.ipynb").read_text()
    assert execute_warm(notebook(tmp_path / "good.ipynb", "x"), tmp_path / "good-done.ipynb", {}) is True


def test_forks_do_not_share_state(running, tmp_path):
    source = notebook(
        tmp_path / "page.ipynb", "import sys\nassert not hasattr(sys, 'stained')\nsys.stained = True"
    )
    assert [execute_warm(source, tmp_path / f"{i}.ipynb", {}) for i in range(2)] == [True, True]


def test_examples_of_a_bundled_task_are_drawn_once_for_all_forks(running, tmp_path):
    source = notebook(
        tmp_path / "page.ipynb",
        "from skillkit.classroom import splits as tasks\n"
        "assert tasks._clean_split.cache_info().currsize == 3\n"  # already there in this fork
        "drawn = tasks.classroom_splits('film_sentiment')\n"
        "assert tasks._clean_split.cache_info().misses == 3 and len(drawn['test']) == 1000",
    )
    expected = {"x": 1, "task": "film_sentiment"}
    assert execute_warm(source, tmp_path / "done.ipynb", expected) is True


def test_a_task_that_is_not_bundled_is_left_to_the_page(running, tmp_path):
    source = notebook(tmp_path / "page.ipynb", "assert task == 'no_such_task'")
    assert execute_warm(source, tmp_path / "done.ipynb", {"task": "no_such_task"}) is True


def test_a_killed_client_takes_its_fork_along(running, tmp_path):
    pid = tmp_path / "pid"
    sleeper = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    paths = (notebook(tmp_path / "page.ipynb", sleeper), tmp_path / "done.ipynb")
    call = "execute_warm({}, {}, {{}})".format(*(f"Path({str(path)!r})" for path in paths))
    code = f"from pathlib import Path; from skillkit.study.fork.start import execute_warm; {call}"
    client = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: pid.exists() and pid.read_text())
    kernel = int(pid.read_text())
    client.send_signal(signal.SIGKILL)
    client.wait()
    wait_for(lambda: not psutil.pid_exists(kernel) or psutil.Process(kernel).status() == psutil.STATUS_ZOMBIE)


RUN = """
import json, os, sys, time
from pathlib import Path
from skillkit.study.fork.start import execute_page, warm_process
with warm_process() as variables:
    os.environ.update(variables)
    page, done = map(Path, sys.argv[1:])
    print(execute_page(page, done, {}), flush=True)
"""


@pytest.fixture(params=["1", "0"], ids=["warm", "fresh"])
def page_at_work(request, tmp_path):
    """A run with one page at work, with a warm process or without: the run, its kernel, and its folder."""
    environment = {**os.environ, "SKILLKIT_PRELOAD": "ipykernel.kernelapp papermill"}
    environment |= {WARM_VARIABLE: request.param}
    pid = tmp_path / "pid"
    sleeper = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    page = notebook(tmp_path / "page.ipynb", sleeper)
    command = [sys.executable, "-c", RUN, str(page), str(tmp_path / "done.ipynb")]
    run = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: pid.exists() and pid.read_text())
    yield run, int(pid.read_text()), tmp_path
    run.kill()
    run.communicate()


def at_work(folder):
    """Processes of a run that are alive."""
    found = psutil.process_iter(["cwd", "status"])
    here = [process for process in found if process.info["cwd"] == str(folder)]
    return [process for process in here if process.info["status"] != psutil.STATUS_ZOMBIE]


def error_of(folder):
    return json.loads((folder / "done.error.json").read_text())


def test_a_killed_group_leaves_nothing_running(page_at_work):
    run, _, folder = page_at_work
    os.killpg(run.pid, signal.SIGKILL)
    wait_for(lambda: not at_work(folder), patience=10)


def test_a_killed_run_leaves_nothing_running(page_at_work):
    run, _, folder = page_at_work
    run.kill()
    wait_for(lambda: not at_work(folder), patience=10)


def test_a_page_whose_kernel_is_killed_fails_and_says_why(page_at_work):
    run, kernel, folder = page_at_work
    os.kill(kernel, signal.SIGKILL)
    assert run.communicate(timeout=40)[0].endswith("False\n")
    assert "was killed: most often" in error_of(folder)["message"]
    assert not at_work(folder)


def test_a_page_whose_warm_process_is_killed_fails_and_says_why(page_at_work):
    run, _, folder = page_at_work
    servers = psutil.Process(run.pid).children()
    servers = [each for each in servers if "skillkit.study.fork.process" in each.cmdline()]
    if not servers:
        pytest.skip("this run has no warm process")
    servers[0].kill()
    assert run.communicate(timeout=40)[0].endswith("False\n")
    assert error_of(folder)["error"] == "Killed" and "SIGKILL" in error_of(folder)["message"]
    assert not at_work(folder)


def test_a_page_whose_fork_is_killed_fails_and_says_why(page_at_work):
    run, kernel, folder = page_at_work
    forks = [p for p in psutil.Process(run.pid).children(recursive=True) if p.pid != kernel]
    forks = [p for p in forks if "skillkit.study.fork.process" in p.cmdline() and p.ppid() != run.pid]
    if not forks:
        pytest.skip("this run has no warm process")
    forks[0].kill()
    assert run.communicate(timeout=40)[0].endswith("False\n")
    assert "was ended by SIGKILL" in error_of(folder)["message"]
    assert not at_work(folder)


@pytest.mark.parametrize("full", [False, True])
def test_the_socket_lies_where_its_path_is_short_and_there_is_room(monkeypatch, tmp_path, full):
    folder = tmp_path if full else tmp_path / ("long" * 30)
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(start.tempfile, "tempdir", str(folder))
    if full:
        real = start.tempfile.mkdtemp
        full_disk = OSError(28, "No space left on device")

        def mkdtemp(prefix, dir):
            if dir == str(folder):
                raise full_disk
            return real(prefix=prefix, dir=dir)

        monkeypatch.setattr(start.tempfile, "mkdtemp", mkdtemp)
    monkeypatch.setenv("SKILLKIT_PRELOAD", "json")
    with warm_process() as environment:
        assert listens(environment[SOCKET_VARIABLE]) and not environment[SOCKET_VARIABLE].startswith(
            str(folder)
        )


def wait_for(condition, patience: float = 40.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            pytest.fail("it did not happen in time")
        time.sleep(0.1)


def test_without_a_warm_process_notebooks_run_as_usual(monkeypatch, tmp_path):
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    assert execute_warm(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {}) is None
    assert not listens("")
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "gone"))
    assert execute_warm(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {}) is None
    assert not listens(str(tmp_path / "gone"))
    with pytest.raises(OSError):
        ask(str(tmp_path / "gone"), "execute")


def test_a_process_that_cannot_import_is_done_without(monkeypatch, tmp_path):
    monkeypatch.setenv("SKILLKIT_PRELOAD", "time no_such_module")
    with warm_process() as environment:
        # It may be gone before anybody asked (no variables), or while somebody asks: then run as usual.
        monkeypatch.setenv(SOCKET_VARIABLE, environment.get(SOCKET_VARIABLE, str(tmp_path / "gone")))
        assert execute_warm(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {}) is None
        wait_for(lambda: not listens(os.environ[SOCKET_VARIABLE]))


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(WARM_VARIABLE, "0")
    with warm_process() as environment:
        assert environment == {}


def test_a_kernel_is_a_fork_of_the_warm_process(running, tmp_path):
    source = notebook(tmp_path / "page.ipynb", "import sys\nassert 'papermill' in sys.modules")
    assert execute_warm(source, tmp_path / "done.ipynb", {}) is True
    assert json.loads((tmp_path / "done.ipynb").read_text())["metadata"]["kernelspec"]["name"] == "python3"


def test_the_socket_is_gone_afterwards(monkeypatch):
    monkeypatch.setenv("SKILLKIT_PRELOAD", "json")
    with warm_process() as environment:
        path = environment[SOCKET_VARIABLE]
        assert Path(path).is_socket()
    assert not os.path.exists(path)
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)


def test_it_ends_when_its_run_was_killed():
    code = (
        "import psutil, time; from skillkit.study.fork.start import warm_process\n"
        "with warm_process(): print(psutil.Process().children()[0].pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "SKILLKIT_PRELOAD": "json"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        server = psutil.Process(int(run.stdout.readline()))
        run.kill()
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)


def test_everything_preloaded_exists():
    """A renamed module would silently make every page slow."""
    from importlib.util import find_spec

    assert all(find_spec(module) for module in warm.PRELOADED)
