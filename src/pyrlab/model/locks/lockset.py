"""The locks of a project, and how they hang together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pyrlab.errors import StaleLockError
from pyrlab.model import changes
from pyrlab.model.changes import Change
from pyrlab.model.graph import DEBS_LOCK, Graph, lock_of
from pyrlab.model.lists import Lists
from pyrlab.model.locks import debs, python, r
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.locks.r import RLock
from pyrlab.model.settings import Settings
from pyrlab.model.wish import KINDS

Lock = DebsLock | PythonLock | RLock


@dataclass(frozen=True)
class Earlier:
    """What there is of a project's locks: Python's by image."""

    debs: DebsLock | None
    python: Mapping[str, PythonLock] = field(default_factory=dict)
    r: RLock | None = None

    def by_file(self, graph: Graph) -> dict[str, Lock]:
        """Return the locks by file name."""
        found: dict[str, Lock] = {}
        if self.debs:
            found[DEBS_LOCK] = self.debs
        if self.r and graph.with_r:
            found[lock_of(graph.with_r.r)] = self.r
        return found | {lock_of(graph.images[name].python): lock for name, lock in self.python.items()}

    def names(self) -> list[str]:
        """Return the names in all locks, as their differences show them."""
        locks = (self.debs, self.r, *self.python.values())
        return [name for lock in locks if lock for name in lock.versions()]


def differences(before: Mapping[str, Lock], after: Mapping[str, Lock]) -> dict[str, list[Change]]:
    """Return what changed in each lock of ``after``, by file name: all of one that was not there is added."""
    return {file: _difference(before.get(file), lock) for file, lock in after.items()}


def _difference(before: Lock | None, after: Lock) -> list[Change]:
    if before is None:
        return changes.diff({}, after.versions(), after.order)
    return changes.diff(before.versions(), after.versions(), after.order, hashes=(before.hashes(), after.hashes()))


@dataclass(frozen=True)
class Locks:
    """All locks of a project: Python's by image; R's where an image has R packages."""

    debs: DebsLock
    python: Mapping[str, PythonLock]
    r: RLock | None

    def shared_python(self, graph: Graph) -> tuple[PythonPin, ...]:
        """Return the pins that all images share."""
        return self.python[graph.shared_image].closure(graph.shared_roots)

    @property
    def all_debs(self) -> tuple[DebPin, ...]:
        """The pins of all debs: of the images, of R packages, and of what compiles them."""
        return (*self.debs.pins(), *(self.r.all_debs if self.r else ()))

    def by_file(self, graph: Graph) -> dict[str, Lock]:
        """Return the locks by file name."""
        return Earlier(self.debs, self.python, self.r).by_file(graph)

    def bodies(self, graph: Graph) -> dict[str, str]:
        """Return the digest of each lock, by file name."""
        return {name: lock.body for name, lock in self.by_file(graph).items()}

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
            debs.check(
                self.debs,
                lists,
                suite=suite,
                image=settings.base_image,
                apt_sources=settings.apt_sources,
                architecture=architecture,
            )
        if "r" in kinds and self.r:
            r.check(self.r, lists, suite=suite, repositories=names_of(settings), r=r_of(self.debs))
            if self.r.debs_body != self.debs.body:
                raise StaleLockError(
                    f"{r.FILE} stands on another {DEBS_LOCK} than this one: was one of them merged?",
                    remedy=r.REMEDY,
                )
        if "python" in kinds:
            for image, lock in self.python.items():
                python.check(lock, lists.python[image], suite=suite, python=python_of(self.debs))
                self._check_python(lock)

    def _check_python(self, lock: PythonLock) -> None:
        if lock.glibc != glibc_of(self.debs):
            raise StaleLockError(
                f"{lock.name} is for glibc {lock.glibc}, and {DEBS_LOCK} has glibc {glibc_of(self.debs)}",
                remedy=python.REMEDY,
            )
        architecture = self.debs.architecture
        lacking = [pin.name for pin in lock.pins if not pin.marker and pin.file_for(architecture) is None]
        if lacking:
            raise StaleLockError(
                f"{lock.name} names no file for {architecture} of {', '.join(lacking)}", remedy=python.REMEDY
            )


def python_of(lock: DebsLock) -> str:
    """Return the root's Python as in ``3.13``. A base image has its own, whatever Debian's it carries besides."""
    version = lock.base.python if lock.base else lock.version_of("python3") or ""
    return ".".join(version.split(".")[:2])


def glibc_of(lock: DebsLock) -> str:
    """Return the root's C library as in ``2.41``."""
    upstream = (lock.version_of("libc6") or "").rpartition(":")[2].partition("-")[0]
    return ".".join(upstream.split(".")[:2])


def r_of(lock: DebsLock) -> str:
    """Return R's own version as in ``4.5.0``, of what the image below the R packages installs."""
    return r_version(lock.version_of("r-base-core") or "")


def r_version(deb: str) -> str:
    """Return R's own version: that of Debian's r-base-core without epoch and revision."""
    return deb.rpartition(":")[2].partition("-")[0]


def names_of(settings: Settings) -> tuple[str, ...]:
    """Return the names of the R repositories, in the user's order."""
    return tuple(repository.name for repository in settings.r_repositories)
