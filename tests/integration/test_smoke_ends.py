"""Smoke tests that are ended, or lose a worker: no lab of theirs stays on the engine."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PREFIX, SOURCE, Project
from docker.models.containers import Container

from pyrlab.adapters.docker import engine
from pyrlab.adapters.temporary import is_alive

PATIENCE = 90.0
# pytest's: interrupted, and an error of its own.
INTERRUPTED, BROKEN = 2, 3


@pytest.fixture
def smoked(built_project: Project, tmp_path: Path) -> Project:
    """Return a built project with the smoke tests."""
    project = built_project.copy(tmp_path / "project")
    for folder in ("smoke", "notebooks"):
        shutil.copytree(SOURCE / "tests" / folder, project.path / "tests" / folder)
    return project


def under_test() -> list[Container]:
    """Return the containers of smoke tests of this project's images."""
    found = engine.client().containers.list(all=True, filters={"label": "io.pyrlab.smoke"}, ignore_removed=True)
    return [container for container in found if container.attrs["Config"]["Image"].startswith(PREFIX)]


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


@contextlib.contextmanager
def running(project: Project) -> Iterator["subprocess.Popen[str]"]:
    """Run the smoke tests of both labs, until each has its container."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pyrlab", "smoke", "-k", "kernels or notebooks"],
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until("both labs", lambda: len(under_test()) == 2)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers(process: "subprocess.Popen[str]") -> list[int]:
    """Return the ids of the processes that run the tests."""
    files = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [int(child) for file in files for child in file.read_text("utf-8").split()]
    # As execnet starts them.
    return [child for child in children if b"sys.stdin.readline" in Path(f"/proc/{child}/cmdline").read_bytes()]


def terminate(process: "subprocess.Popen[str]") -> None:
    process.terminate()


def close_the_terminal(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGHUP)


def terminate_all(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGTERM)


def press_ctrl_c(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGINT)


def kill_a_worker(process: "subprocess.Popen[str]") -> None:
    os.kill(workers(process)[0], signal.SIGKILL)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        pytest.param(press_ctrl_c, INTERRUPTED, id="Ctrl-C"),
        pytest.param(terminate, INTERRUPTED, id="SIGTERM"),
        pytest.param(terminate_all, INTERRUPTED, id="SIGTERM-to-all"),
        pytest.param(close_the_terminal, INTERRUPTED, id="terminal-closed"),
        pytest.param(kill_a_worker, BROKEN, id="a-worker-is-killed"),
    ],
)
def test_no_lab_outlives_the_smoke_tests(
    smoked: Project, end: Callable[["subprocess.Popen[str]"], None], status: int
) -> None:
    with running(smoked) as process:
        end(process)
        printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == status, printed
    assert under_test() == []


def test_what_a_killed_run_has_left_goes_with_the_next_one(smoked: Project) -> None:
    with running(smoked) as process:
        left = workers(process)
        assert len(left) == 2
        process.kill()
        process.wait()
        wait_until("its workers to end", lambda: not any(map(is_alive, left)))
    # No test is called so.
    smoked.run("smoke", "-k", "nothing")
    assert under_test() == []
