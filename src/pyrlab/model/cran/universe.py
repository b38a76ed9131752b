"""What R packages can be had: repositories, the image and the earlier lock, as the resolver sees them."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyrlab.model.cran.record import Dependency, Record
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

    def describe(self, name: str, version: str) -> Record | None:
        """Return one older version, or None."""


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
class Requirement:
    """What somebody wants: a line of the list (``where``) or another package (``parent``), perhaps as a suggestion."""

    wanted: Dependency
    where: str = ""
    parent: Candidate | None = None
    repository: str = ""
    suggested: bool = False

    def allows(self, candidate: Candidate) -> bool:
        """Tell whether a candidate will do."""
        return self.repository in {"", candidate.repository} and self.wanted.allows(candidate.record.version)

    def __str__(self) -> str:
        place = f" @ {self.repository}" if self.repository else ""
        verb = "suggests" if self.suggested else "wants"
        return f"{self.parent} {verb} {self.wanted}" if self.parent else f"{self.where}: {self.wanted}{place}"


@dataclass(frozen=True, slots=True)
class Universe:
    """All that can be had, for one version of R: ``sources`` in the user's order.

    ``installed`` are the packages that the image below has already, and ``locked`` those of the earlier lock that need
    not move: they are preferred, the first as dependencies only.
    """

    r: RVersion
    sources: Sequence[Source]
    installed: Mapping[str, Candidate] = field(default_factory=dict)
    locked: Mapping[str, Candidate] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        """Tell whether any version of a package can be had."""
        return name in self.installed or name in self.locked or any(name in source.names for source in self.sources)

    def near(self, name: str) -> str:
        """Return a remedy for a name that nobody has: its right case first, or the nearest ones."""
        names = {one for source in self.sources for one in source.names} | set(self.installed)
        same = sorted(one for one in names if one.lower() == name.lower())
        if same:
            return f"R tells upper from lower case: write {same[0]}"
        near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.75)
        return f"did you mean {' or '.join(near)}?" if near else "check the name, and r.repositories in pyrlab.toml"
