"""The locks of a project, read from their files."""

from collections.abc import Callable
from pathlib import Path

from pyrlab.adapters import files
from pyrlab.model import locks
from pyrlab.model.graph import DEBS_LOCK, lock_of
from pyrlab.model.locks import debs, python, r
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import Earlier, Locks
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock
from pyrlab.model.settings import Settings


def read_locks(settings: Settings) -> Locks:
    """Read all locks of a project. Raises StaleLockError for one that is missing, cannot be read or was edited."""
    folder, graph = settings.workspace.locks, settings.graph
    return Locks(
        debs=DebsLock.parse(files.read(folder / DEBS_LOCK, remedy=debs.REMEDY)),
        python={
            image.name: PythonLock.parse(
                files.read(folder / lock_of(image.python), remedy=python.REMEDY), name=lock_of(image.python)
            )
            for image in graph.with_python
        },
        r=RLock.parse(files.read(folder / lock_of(graph.with_r.r), remedy=r.REMEDY)) if graph.with_r else None,
    )


def read_earlier(settings: Settings, *, warn: Callable[[str], None]) -> Earlier:
    """Read what there is of a project's locks, for making new ones that keep its pins. Raises StaleLockError.

    ``warn`` is told of locks that were edited: their versions are taken as they are.
    """
    return parse_earlier(settings, lambda name: _text(settings.workspace.locks / name), warn=warn)


def architecture_of(project: Path) -> str:
    """Return the architecture that the locks in a project's folder are for; empty where nothing says that."""
    text = _text(project / DEBS_LOCK) or ""
    return locks.parse_header(text, (), name=DEBS_LOCK).get("architecture", "")


def parse_earlier(settings: Settings, text_of: Callable[[str], str | None], *, warn: Callable[[str], None]) -> Earlier:
    """Parse what there is of a project's locks; ``text_of`` gives a lock's text by its name, or None.

    ``warn`` is told of locks that were edited. Raises StaleLockError.
    """
    graph = settings.graph
    debs_text = text_of(DEBS_LOCK)
    r_text = text_of(lock_of(graph.with_r.r)) if graph.with_r else None
    python_texts = {image.name: text_of(lock_of(image.python)) for image in graph.with_python}
    return Earlier(
        debs=DebsLock.earlier(debs_text, warn=warn) if debs_text is not None else None,
        python={
            name: PythonLock.earlier(text, warn=warn, name=lock_of(graph.images[name].python))
            for name, text in python_texts.items()
            if text is not None
        },
        r=RLock.earlier(r_text, warn=warn) if r_text is not None else None,
    )


def _text(path: Path) -> str | None:
    """Return a lock's text, or None where there is none."""
    return files.read(path, remedy="") if path.exists() else None
