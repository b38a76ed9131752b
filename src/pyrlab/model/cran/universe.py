"""What R packages can be had: repositories, the image and the earlier lock, as the resolver sees them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyrlab.model.cran.record import Dependency, Record, Unread
from pyrlab.model.cran.version import RVersion


class Source(Protocol):
    """A repository as the resolver sees it. ``archived`` and ``describe`` are asked only when an old version may do."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    @property
    def names(self) -> Collection[str]:
        """All packages that it has now."""

    def records(self, name: str) -> Sequence[Record]:
        """Return what it has now of one package, newest first."""

    def archived(self, name: str) -> Sequence[str]:
        """Return the older versions of a package that it is known to keep, newest first."""

    def describe(self, name: str, version: str) -> Record | Unread | None:
        """Return one older version, or why it is of no use, or None where there is none."""

    def broken(self, name: str) -> Sequence[str]:
        """Return why what it says now of one package is of no use, as far as it is: a reason each."""

    def needs(self, name: str) -> bool:
        """Tell whether any of its current packages cannot be had without the package ``name``."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One version of one package, and the name of the repository that has it."""

    repository: str
    record: Record

    @property
    def name(self) -> str:
        """R's name of the package."""
        return self.record.name

    def __str__(self) -> str:
        return f"{self.record.name} {self.record.version}"


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a candidate is of no use at all: this R (``gate``), or packages that no repository has (``lacking``)."""

    reason: str
    lacking: tuple[str, ...] = ()
    gate: Dependency | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """What somebody wants: a line of the list (``where``) or another package (``parent``), perhaps as a suggestion."""

    wanted: Dependency
    where: str = ""
    parent: Candidate | None = None
    repository: str = ""
    suggested: bool = False

    def allows(self, candidate: Candidate) -> bool:
        """Tell whether a candidate will do."""
        return self.allows_version(candidate.repository, candidate.record.version)

    def allows_version(self, repository: str, version: RVersion) -> bool:
        """Tell whether a version of a repository will do."""
        return self.repository in {"", repository} and self.wanted.allows(version)

    def __str__(self) -> str:
        place = f" @ {self.repository}" if self.repository else ""
        verb = "suggests" if self.suggested else "wants"
        return f"{self.parent} {verb} {self.wanted}" if self.parent else f"{self.where}: {self.wanted}{place}"


@dataclass(frozen=True, slots=True)
class Universe:
    """All that can be had, for one version of R: ``sources`` in the user's order.

    ``installed`` are the packages that the image below has already, and ``locked`` those of the earlier lock that need
    not move: they are preferred, the first as dependencies only. ``bioconductor`` are names, in lower case, that are
    known to be Bioconductor's, whether a source has them or not.
    """

    r: RVersion
    sources: Sequence[Source]
    installed: Mapping[str, Candidate] = field(default_factory=dict)
    locked: Mapping[str, Candidate] = field(default_factory=dict)
    bioconductor: Collection[str] = ()

    def knows(self, name: str) -> bool:
        """Tell whether any version of a package can be had, those in archives left out."""
        return name in self.installed or name in self.locked or self.lists(name)

    def lists(self, name: str) -> bool:
        """Tell whether a repository has a package now."""
        return any(name in source.names for source in self.sources)

    def refused(self, name: str) -> list[str]:
        """Return why what repositories say now of a package is of no use, as far as it is."""
        return [
            f"{source.name} has {name}, but it cannot be used: {reason}"
            for source in self.sources
            for reason in source.broken(name)
        ]
