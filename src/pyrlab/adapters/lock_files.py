"""The locks of a project, read from their files."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pyrlab.adapters import files
from pyrlab.model.graph import DEBS_LOCK, lock_of
from pyrlab.model.locks import debs, python, r
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import Earlier, Locks
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock
from pyrlab.model.settings import Settings

Lock = TypeVar("Lock")


def read_locks(settings: Settings) -> Locks:
    """Read all locks of a project. Raises StaleLockError for one that is missing, cannot be read or was edited."""
    project, graph = settings.project, settings.graph
    return Locks(
        debs=DebsLock.parse(files.read(project / DEBS_LOCK, remedy=debs.REMEDY)),
        python={
            image.name: PythonLock.parse(
                files.read(project / lock_of(image.python), remedy=python.REMEDY), name=lock_of(image.python)
            )
            for image in graph.with_python
        },
        r=RLock.parse(files.read(project / lock_of(graph.with_r.r), remedy=r.REMEDY)) if graph.with_r else None,
    )


def read_earlier(settings: Settings, *, warn: Callable[[str], None]) -> Earlier:
    """Read what there is of a project's locks, for making new ones that keep its pins. Raises StaleLockError.

    ``warn`` is told of locks that were edited: their pins are taken as they are.
    """
    project, graph = settings.project, settings.graph
    python_locks = {
        image.name: _earlier(
            project / lock_of(image.python),
            lambda text, name=lock_of(image.python): PythonLock.earlier(text, warn=warn, name=name),
        )
        for image in graph.with_python
    }
    return Earlier(
        debs=_earlier(project / DEBS_LOCK, lambda text: DebsLock.earlier(text, warn=warn)),
        python={name: lock for name, lock in python_locks.items() if lock},
        r=_earlier(project / lock_of(graph.with_r.r), lambda text: RLock.earlier(text, warn=warn))
        if graph.with_r
        else None,
    )


def _earlier(path: Path, parse: Callable[[str], Lock]) -> Lock | None:
    return parse(files.read(path, remedy="")) if path.exists() else None
