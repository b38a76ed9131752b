"""Runs a package's code as a user of its own, who owns nothing but the package's folder, and leaves nothing behind."""

import contextlib
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# No system has users with these ids; each package gets one.
FIRST_ID = 200_000
# Seconds that killed processes may take to be gone.
REST = 10.0


class SlowError(Exception):
    """A command took longer than it may."""


def give(folder: Path, uid: int) -> None:
    """Let a user own a folder and all in it, and nobody else look into it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)
    folder.chmod(0o700)


def run(  # noqa: PLR0913 - each says what the program may have
    command: Sequence[str], *, uid: int, output: Path, variables: Mapping[str, str], timeout: float, cwd: Path
) -> bool:
    """Run a command as ``uid`` with its output in a file, and tell whether it ended well.

    All that it has started is ended with it, also what left its session. Raises SlowError after ``timeout`` seconds.
    """
    lowered = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs", "--", *command]
    with output.open("wb") as stream:
        process = subprocess.Popen(
            lowered,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=cwd,
            start_new_session=True,
        )
        try:
            return process.wait(timeout) == 0
        except subprocess.TimeoutExpired:
            raise SlowError from None
        finally:
            end_all(uid)
            process.wait()


def end_all(uid: int) -> None:
    """Kill every process of a user. Raises OSError when one does not go."""
    deadline = time.monotonic() + REST
    while left := list(_processes(uid)):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise OSError(f"processes of a package do not end: {left}")
        time.sleep(0.02)


def _processes(uid: int) -> Iterator[int]:
    """Yield the processes of a user that still run; those that only wait to be forgotten do not."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines() if ":" in line)
            if str(uid) in fields["Uid"].split() and not fields["State"].strip().startswith("Z"):
                yield int(entry.name)


def objection(tree: Path) -> str:
    """Return why what a package has installed must not be taken, or an empty text.

    It has to be folders, files without a second name, and links that stay in it.
    """
    for path in (tree, *tree.rglob("*")):
        status = path.lstat()
        name = path.relative_to(tree.parent)
        if stat.S_ISLNK(status.st_mode):
            target = Path(os.path.normpath(path.parent / path.readlink()))
            if path.readlink().is_absolute() or not target.is_relative_to(tree):
                return f"the link {name} leads to {path.readlink()}"
        elif not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
            return f"{name} is neither a file nor a folder nor a link"
        elif stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            return f"{name} is another file, too"
    return ""


def take(tree: Path) -> None:
    """Make an installed package root's: readable for all, written by nobody else, without special rights."""
    for path in (tree, *tree.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
