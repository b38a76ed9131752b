"""Temporary folders that a killed run cannot leave behind for ever: their names tell whose they are."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"\.?tmp-(?P<pid>\d+)-.+")


@contextlib.contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """Make a folder in ``parent`` that only this user can read, and remove it at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".tmp-{os.getpid()}-") as name:
        yield Path(name)


def sweep(parent: Path) -> list[Path]:
    """Remove what runs that are dead by now left in ``parent``, and return it.

    Another run's folders stay. A dead run's id may belong to another process by now; then its folder stays as well,
    until that one ends.
    """
    swept = left(parent)
    for path in swept:
        shutil.rmtree(path, ignore_errors=True)
    return swept


def left(parent: Path) -> list[Path]:
    """Return what runs that are dead by now left in ``parent``: what ``sweep`` removes."""
    if not parent.is_dir():
        return []
    matches = {path: _NAME.fullmatch(path.name) for path in sorted(parent.iterdir())}
    return [path for path, match in matches.items() if match and not is_alive(int(match["pid"]))]


def is_alive(pid: int) -> bool:
    """Tell whether a process of this id runs, whosever it is."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
