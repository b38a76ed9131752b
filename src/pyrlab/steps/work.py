"""The work folder of a project, which one run has at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from pyrlab.model.settings import Settings

WORK = ".pyrlab"


def work_of(settings: Settings) -> Path:
    """Return the folder that builds and questions of this project work in."""
    return settings.project / WORK


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Wait until no other pyrlab builds or locks in this project: both work in the same folder."""
    work = work_of(settings)
    work.mkdir(exist_ok=True)
    with FileLock(work / "busy"):
        yield
