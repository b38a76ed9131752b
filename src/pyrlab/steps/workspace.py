"""Opens a workspace: its work folder, and one run at a time in it."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import filelock

from pyrlab.adapters import files, temporary
from pyrlab.errors import UsageError
from pyrlab.model.workspace import Workspace

# Longer than any one step takes on a slow machine; whoever waits longer wants to know why.
TIMEOUT = 600.0
LOCK = "busy"
# Who holds the lock. A file of its own: what is in the lock file itself is filelock's.
NOTE = "busy.json"
Say = Callable[[str], None]


class BusyError(UsageError):
    """Another run has the workspace for itself, and is not done."""


def prepare(workspace: Workspace) -> None:
    """Make the work folder if it is missing, and sweep what killed runs left in it.

    Raises UsageError with what to do when this user cannot write there, as when root made it.
    """
    try:
        workspace.work.mkdir(parents=True, exist_ok=True)
        ignore = _top(workspace) / ".gitignore"
        if not ignore.exists():
            files.write({ignore: "*\n"})
        mine = [workspace.work, *workspace.work.iterdir()]
    except PermissionError as error:
        raise _not_ours(_top(workspace)) from error
    if any(not os.access(path, os.W_OK) for path in mine if not path.is_symlink()):
        raise _not_ours(_top(workspace))
    temporary.sweep(workspace.work)


@contextlib.contextmanager
def busy(workspace: Workspace, what: str, *, say: Say, timeout: float = TIMEOUT) -> Iterator[None]:
    """Wait until no other run works in this workspace, and keep others out until the end.

    ``what`` tells those who wait what this run does. ``say`` is told once that, and for whom, this one waits.
    Raises BusyError after ``timeout`` seconds, and UsageError when this user cannot write there.
    """
    prepare(workspace)
    lock = filelock.FileLock(workspace.work / LOCK)
    try:
        _acquire(lock, workspace, say=say, timeout=timeout)
    except PermissionError as error:
        raise _not_ours(_top(workspace)) from error
    try:
        note = {"pid": os.getpid(), "since": time.time(), "what": what}
        # What is written elsewhere, as into the cache, says so itself.
        with files.filling(workspace.work):
            files.write({workspace.work / NOTE: json.dumps(note)})
            yield
    finally:
        (workspace.work / NOTE).unlink(missing_ok=True)
        lock.release()


def _acquire(lock: filelock.BaseFileLock, workspace: Workspace, *, say: Say, timeout: float) -> None:
    with contextlib.suppress(filelock.Timeout):
        lock.acquire(timeout=0)
        return
    say(f"waiting for another run in this project: {_holder(workspace)}")
    try:
        lock.acquire(timeout=timeout, poll_interval=0.2)
    except filelock.Timeout as error:
        raise BusyError(
            f"another run still works in {workspace.project} after {timeout:.0f} s: {_holder(workspace)}",
            remedy="wait for it, or end it; then run the same again",
        ) from error


def _holder(workspace: Workspace) -> str:
    """Return who holds the lock, as a message says it: the other run notes it right after it got the lock."""
    try:
        note = json.loads((workspace.work / NOTE).read_text(encoding="utf-8"))
        since = datetime.fromtimestamp(note["since"]).astimezone()
        return f"{note['what']}, process {note['pid']}, since {since:%H:%M:%S}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not yet said what it does"


def _top(workspace: Workspace) -> Path:
    """Return the project's own work folder, which holds those of its variants."""
    return workspace.work.parents[1] if workspace.name else workspace.work


def _not_ours(folder: Path) -> UsageError:
    there = folder if folder.exists() else folder.parent
    # Not only the folder: a run of root leaves files of root's in it.
    return UsageError(
        f"this user cannot write in {there}",
        remedy=f"sudo chown -R {os.getuid()}:{os.getgid()} {there}"
        if there == folder
        else f"make {there} a folder that you can write in, or work in a copy of it",
    )
