"""Files that only this user can read: keys, tokens, and pages that hold one."""

import os
from collections.abc import Callable
from pathlib import Path

from pyrlab.adapters import temporary


def ensure(path: Path, make: Callable[[], str]) -> str:
    """Return a file's text; where there is none, or an empty one, it gets the text that ``make`` returns.

    Of two runs that are the first ones, both take what one of them made.
    """
    found = read(path)
    if found:
        return found
    with temporary.folder(path.parent) as folder:
        own = _written(folder / path.name, make())
        try:
            os.link(own, path)
        except OSError:
            # Somebody else's is there, unless it is an empty one, or the file system has no hard links.
            if not read(path):
                own.replace(path)
    return read(path)


def replace(path: Path, text: str) -> None:
    """Write a file anew, as a whole."""
    with temporary.folder(path.parent) as folder:
        _written(folder / path.name, text).replace(path)


def read(path: Path) -> str:
    """Return a file's text, or nothing where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path
