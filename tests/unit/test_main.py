"""The command line's edges: every end is one message and a status, whatever happens."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from graphs import TEXT

from pyrlab import __version__
from pyrlab.cli import main as cli
from pyrlab.cli import terminal, verbs
from pyrlab.commands import outdated
from pyrlab.steps import locking

Run = Callable[..., tuple[int, str]]
# In full: some of these programs start in another folder.
SOURCE = str(Path(cli.__file__).parents[2])


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a runner of the command line in a small project: it gives the status and the messages."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stay
    monkeypatch.setattr(terminal.err, "file", None)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["pyrlab", *arguments])
        status = cli.main()
        return status, capsys.readouterr().err.lstrip("\n")  # click's line break behind ^C

    return call


@pytest.fixture
def fails_with(an_engine: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Return a way to let `pyrlab lock` end in an exception."""
    del an_engine

    def arrange(error: BaseException) -> None:
        def lock(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(locking, "lock", lock)

    return arrange


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        pytest.param(KeyError("x"), "KeyError: 'x'", id="key"),
        pytest.param(ValueError("one\n two"), "ValueError: one two", id="two-lines"),
        pytest.param(RecursionError(), "RecursionError", id="no-words"),
    ],
)
def test_an_unknown_error_is_one_message_that_asks_for_a_report(
    run: Run, fails_with: Callable[[BaseException], None], error: Exception, shown: str
) -> None:
    """With the version; the traceback is there for --debug only."""
    fails_with(error)
    status, said = run("lock")
    assert status == 70
    message, remedy = said.splitlines()
    assert message == f"error: pyrlab lock failed by a fault of its own: {shown}"
    assert remedy.startswith("  try: run the same with --debug to see where, and please report it with what that shows")
    assert f"(pyrlab {__version__}, Python 3." in remedy

    status, said = run("lock", "--debug")
    assert (status, said.splitlines()[0]) == (70, "Traceback (most recent call last):")
    assert said.splitlines()[-2] == message


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device"),
            "make room on the disk of {project}/.pyrlab (docker builder prune, where Docker is on it, too); then run",
            id="full-where-it-works",
        ),
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device", "/cache/x"),
            "make room on the disk of /cache/x (docker builder prune, where Docker is on it, too); then run",
            id="full-elsewhere",
        ),
        pytest.param(
            OSError(errno.EDQUOT, "Disk quota exceeded", "/cache/x"), "make room on the disk of /cache/x (", id="quota"
        ),
        pytest.param(PermissionError(13, "Permission denied", "x"), "mend that, and run", id="denied"),
    ],
)
def test_what_the_system_refuses_is_told_with_a_way_on(
    run: Run, fails_with: Callable[[BaseException], None], project: Path, error: Exception, remedy: str
) -> None:
    fails_with(error)
    status, said = run("lock")
    assert status == 1
    message, tip = said.splitlines()
    assert message == f"error: {error}"
    assert tip.startswith(f"  try: {remedy.format(project=project)}")


def test_a_full_disk_without_a_place_is_told_with_a_way_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outdated, "outdated", full)
    status, said = run("outdated")
    assert (status, said.splitlines()) == (
        1,
        [
            "error: [Errno 28] No space left on device",
            "  try: make room: nox -s clean, docker builder prune; then run the same again",
        ],
    )


@pytest.mark.parametrize("option", [["--upgrade"], ["--upgrade-package", "numpy"]], ids=lambda option: str(option[0]))
def test_a_check_moves_nothing_and_says_so(run: Run, option: list[str]) -> None:
    """Before it looks at any lock: the option would be ignored silently."""
    status, said = run("lock", "--check", *option)
    assert (status, said.splitlines()) == (
        2,
        [
            f"error: --check only compares, so it cannot go with {option[0]}",
            "  try: nox -s lock -- --check, or without --check to move pins; nox -s outdated shows what is newer",
        ],
    )


def test_an_interrupt_says_what_it_knows(
    run: Run, fails_with: Callable[[BaseException], None], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the locks, which are replaced at once and last; of a build it knows nothing."""
    fails_with(KeyboardInterrupt())
    assert run("lock") == (130, "interrupted; the locks are as they were\n")

    def late(*_: object, **__: object) -> None:
        (project / "debs.lock").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(locking, "lock", late)
    assert run("lock") == (130, "interrupted; the new locks are written\n")

    def build(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "build_images", build)
    assert run("build") == (130, "interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_pyrlab_alone_ends_all_at_once(project: Path, number: signal.Signals) -> None:
    """The docker command it waits for as well."""
    docker = project / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho $$ > {project}/pid\nexec sleep 60\n", encoding="utf-8")
    docker.chmod(0o755)
    path = f"{docker.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(project), "PYTHONPATH": SOURCE}
    # Whoever runs the tests with nohup must not protect pyrlab here as well.
    before = signal.signal(number, signal.SIG_DFL)
    pyrlab = subprocess.Popen(
        [sys.executable, "-m", "pyrlab", "lock"], cwd=project, env=environment, stderr=subprocess.PIPE, text=True
    )
    signal.signal(number, before)
    while pyrlab.poll() is None and not (project / "pid").exists():
        time.sleep(0.02)
    time.sleep(0.1)  # until the number is in the file
    pid = int((project / "pid").read_text(encoding="utf-8"))
    pyrlab.send_signal(number)
    begun = time.monotonic()
    _, said = pyrlab.communicate(timeout=30)
    assert (pyrlab.returncode, said.splitlines()[-1]) == (130, "interrupted; the locks are as they were")
    assert time.monotonic() - begun < 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nohup_outlives_the_terminal(project: Path) -> None:
    """Whoever ignores SIGHUP for us means it."""
    script = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); sys.argv = ['pyrlab', '--help'];"
        "from pyrlab.cli.main import main; main(); print(signal.getsignal(signal.SIGHUP))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] in {"1", "Handlers.SIG_IGN"}


WITHOUT_HOME = """
import os, sys
from pyrlab.cli.main import main
os.chdir(sys.argv.pop())
os.setgid(54321); os.setuid(54321)
os.environ.pop("HOME", None); os.environ.pop("XDG_CACHE_HOME", None)
sys.exit(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody whom nobody knows")
def test_somebody_without_a_home_gets_a_message() -> None:
    """As in a container that runs under a number."""
    # pytest's own folders are closed to everybody but root.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "docker").mkdir()
        Path(folder, "docker/images.toml").write_text(TEXT, encoding="utf-8")
        command = [sys.executable, "-c", WITHOUT_HOME, "lock", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines() == [
        "error: there is no home folder for ~/.cache: this user has no entry in the user database, and HOME is not set",
        "  try: export HOME=…, or XDG_CACHE_HOME=… with a full path",
    ]
