"""The locks of a project, read from their files."""

from pathlib import Path

from pyrlab.adapters import files
from pyrlab.model.locks import debs, python, r
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock


def read_debs(project: Path) -> DebsLock:
    """Read the project's debs.lock. Raises StaleLockError."""
    return DebsLock.parse(files.read(project / debs.FILE, remedy=debs.REMEDY))


def read_python(project: Path) -> PythonLock:
    """Read the project's requirements.lock. Raises StaleLockError."""
    return PythonLock.parse(files.read(project / python.FILE, remedy=python.REMEDY))


def read_r(project: Path) -> RLock:
    """Read the project's r_packages.lock. Raises StaleLockError."""
    return RLock.parse(files.read(project / r.FILE, remedy=r.REMEDY))


def read_locks(project: Path) -> Locks:
    """Read all locks of the project. Raises StaleLockError."""
    return Locks(read_debs(project), read_python(project), read_r(project))
