"""Old versions of R packages: what the archives of repositories list, and what was looked up there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pyrlab.model.cran.record import Record, Unread
from pyrlab.model.cran.universe import Source, Universe
from pyrlab.model.cran.version import RVersion


@dataclass(frozen=True, slots=True)
class Old:
    """A version that an archive lists; what it needs is not known before it is downloaded."""

    source: Source
    version: RVersion

    @property
    def repository(self) -> str:
        """The name of its repository in the settings."""
        return self.source.name


@dataclass(slots=True)
class Archives:
    """The archives of all repositories: each listing and each description is asked for once.

    ``exact`` are versions, by package, that somebody wants exactly: they are tried where a repository does not list
    them. It may list nothing at all, and R's own list of an archive, which is made now and then, may be behind.
    """

    universe: Universe
    exact: dict[str, set[str]] = field(default_factory=dict)
    listed: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    _described: dict[tuple[str, str, str], Record | Unread | None] = field(default_factory=dict)

    def versions(self, name: str, repositories: Collection[str]) -> list[Old]:
        """Return the old versions of a package in ``repositories``, in the order of these, newest first."""
        found = []
        for source in self.universe.sources:
            if source.name in repositories:
                listed = [RVersion.parse(text) for text in self.listing(source, name)]
                guessed = [one for one in map(RVersion.parse, self.exact.get(name, ())) if one not in listed]
                versions = sorted([*listed, *guessed], key=lambda one: (one, one.text), reverse=True)
                found += [Old(source, version) for version in versions]
        return found

    def lists(self, source: Source, name: str, version: RVersion) -> bool:
        """Tell whether the archive of one repository lists a version of a package, however it is written there."""
        return any(RVersion.parse(text) == version for text in self.listing(source, name))

    def listing(self, source: Source, name: str) -> Sequence[str]:
        """Return what the archive of one repository lists of a package, newest first."""
        key = (source.name, name)
        if key not in self.listed:
            self.listed[key] = [text for text in source.archived(name) if _is_version(text)]
        return self.listed[key]

    def left(self, name: str, repository: str = "") -> tuple[Source, Sequence[str]] | None:
        """Return the first repository that has a package in its archive only, and the versions there, newest first.

        With ``repository``, only that one is looked at.
        Not one that has a current version which is of no use: an older one would be no better, as a rule.
        """
        for source in self.universe.sources:
            if repository not in {"", source.name}:
                continue
            if name not in source.names and not source.broken(name):
                listed = self.listing(source, name)
                if listed:
                    return source, listed
        return None

    def lacks(self, name: str, version: RVersion, repositories: Collection[str]) -> bool:
        """Tell whether a repository that was asked for its old versions of a package did not name this one."""
        return any(
            source.name in repositories and (source.name, name) in self.listed and not self.lists(source, name, version)
            for source in self.universe.sources
        )

    def describe(self, source: Source, name: str, version: str) -> Record | Unread | None:
        """Return the record of an old version, or why it is of no use, or None where there is none."""
        key = (source.name, name, version)
        if key not in self._described:
            self._described[key] = source.describe(name, version)
        return self._described[key]


def _is_version(text: str) -> bool:
    try:
        RVersion.parse(text)
    except ValueError:
        return False
    return True
