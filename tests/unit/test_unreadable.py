"""What stands in the place of a file and is none, and streams that are closed: one message, and never a wait."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from graphs import SOURCE

Run = Callable[..., tuple[int, str]]
# What reading takes more than this process has, in bytes: a device without an end is soon beyond it. And in seconds.
MEMORY, PATIENCE = 2**30, 10.0


class WaitsError(Exception):
    """A run waits for what will never come."""


@pytest.fixture
def limits() -> Iterator[None]:
    """Let what waits, or takes all memory, be an error: without these limits nobody would hear of it."""

    def end(*_: object) -> None:
        raise WaitsError

    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, before[1]))
    handler = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def run(
    project: Path,
    an_engine: None,
    limits: None,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[..., tuple[int, str, str]],
) -> Run:
    """Return a runner of pyrlab in the project: status and messages."""
    del an_engine, limits
    monkeypatch.chdir(project)

    def call(*arguments: str) -> tuple[int, str]:
        status, _, said = command_line(*arguments)
        return status, said

    return call


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    ("name", "verb", "status"),
    [
        pytest.param("debs.lock", ["lock", "--check"], 4, id="lock"),
        pytest.param("requirements.in", ["lock"], 3, id="list"),
        pytest.param("pyrlab.toml", ["lock"], 2, id="settings"),
        pytest.param("docker/images.toml", ["lock"], 2, id="graph"),
    ],
)
def test_what_is_no_regular_file_is_said_at_once(
    project: Path, run: Run, name: str, verb: list[str], status: int, kind: str
) -> None:
    """Reading a pipe waits for a writer, and /dev/zero has no end."""
    path = project / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    ended, said = run(*verb)
    message, remedy = said.splitlines()
    assert (ended, message) == (status, f"error: {name} cannot be read: it is not a regular file")
    assert remedy.startswith(("  try: make it a file that you can read", "  try: restore it from version control"))


def test_a_pipe_that_is_called_like_a_lock_is_none_of_ours(project: Path, run: Run) -> None:
    """`lock` looks at all locks before it starts; this one belongs to somebody else."""
    os.mkfifo(project / "other.lock")
    (project / "requirements.in").write_text("!", encoding="utf-8")
    assert "requirements.in:1" in run("lock")[1]


def test_an_image_graph_that_is_no_text_is_said(project: Path, run: Run) -> None:
    (project / "docker/images.toml").write_bytes("[root]".encode("utf-16"))
    status, said = run("lock")
    message, remedy = said.splitlines()
    assert (status, remedy) == (
        2,
        "  try: restore it from version control: git checkout -- docker/images.toml",
    )
    assert message.startswith("error: docker/images.toml cannot be read: 'utf-8' codec can't decode byte 0xff")


def test_nobody_need_listen(project: Path) -> None:
    """After `>&-` there is no stream to write to: what fails says so all the same, and what works works."""

    def pyrlab(*arguments: str, streams: str) -> "subprocess.CompletedProcess[str]":
        words = " ".join([sys.executable, "-m", "pyrlab", *arguments])
        return subprocess.run(
            ["/bin/sh", "-c", f"exec {words} {streams}"],
            cwd=project,
            env={**os.environ, "HOME": str(project), "PYTHONPATH": str(SOURCE / "src")},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    silent = pyrlab("lock", "--check", streams=">&-")
    assert (silent.returncode, silent.stderr.splitlines()[0]) == (4, "error: there is no debs.lock")
    assert pyrlab("lock", "--check", streams=">&- 2>&-").returncode == 4
    assert pyrlab("--help", streams=">&-").returncode == 0
