"""The three locks of a project, and how they hang together."""

from collections.abc import Collection
from dataclasses import dataclass

from pyrlab.model.lists import Lists
from pyrlab.model.locks import debs, python, r
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock
from pyrlab.model.settings import Settings

KINDS = ("debs", "r", "python")


@dataclass(frozen=True, slots=True)
class Locks:
    """The three locks of a project."""

    debs: DebsLock
    python: PythonLock
    r: RLock

    def check(
        self,
        lists: Lists,
        settings: Settings,
        *,
        kinds: Collection[str] = KINDS,
        architecture: str | None = None,
    ) -> None:
        """Raise StaleLockError unless the locks were made from these lists and settings. Needs no network."""
        suite = settings.suite
        if "debs" in kinds:
            debs.check(self.debs, lists, suite=suite, apt_sources=settings.apt_sources, architecture=architecture)
        if "r" in kinds:
            r.check(self.r, lists, suite=suite, repositories=names_of(settings), r=r_of(self.debs))
        if "python" in kinds:
            python.check(self.python, lists, suite=suite, python=python_of(self.debs))


def python_of(lock: DebsLock) -> str:
    """Return the root's Python as in ``3.13``."""
    return ".".join((lock.version_of("python3") or "").split(".")[:2])


def r_of(lock: DebsLock) -> str:
    """Return R's own version as in ``4.5.0``, of what rlab-base installs."""
    return r_version(lock.version_of("r-base-core") or "")


def r_version(deb: str) -> str:
    """Return R's own version: that of Debian's r-base-core without epoch and revision."""
    return deb.rpartition(":")[2].partition("-")[0]


def names_of(settings: Settings) -> tuple[str, ...]:
    """Return the names of the R repositories, in the user's order."""
    return tuple(repository.name for repository in settings.r_repositories)
