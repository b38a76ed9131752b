"""A repository of R packages that is just text, for the resolver's tests: what it has now, and its archive."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pyrlab.model.cran.record import Record, Unread


@dataclass(frozen=True)
class Shelf:
    """A Source for the resolver. ``asked`` is what was looked up in the archive, in order.

    ``refused`` are reasons, by name, for which current records are of no use; ``damaged`` are those of archived files,
    by what is asked for, such as ``zoo 1.8-12``, and empty for files that are not there. ``unlisted`` are files that
    the archive has and does not list, called so as well.
    """

    name: str
    current: Mapping[str, Sequence[Record]]
    old: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    lists_archive: bool = True
    asked: list[str] = field(default_factory=list)
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    unlisted: Collection[str] = ()

    @property
    def names(self) -> Collection[str]:
        """All packages that it has now."""
        return self.current.keys()

    def records(self, name: str) -> Sequence[Record]:
        """Return what it has now of one package, newest first."""
        return sorted(self.current.get(name, ()), key=lambda one: one.version, reverse=True)

    def archived(self, name: str) -> Sequence[str]:
        """Return the older versions that it lists, newest first."""
        self.asked.append(name)
        old = sorted(self.old.get(name, ()), key=lambda one: one.version, reverse=True)
        versions = [str(one.version) for one in old if f"{name} {one.version}" not in self.unlisted]
        return versions if self.lists_archive else []

    def broken(self, name: str) -> Sequence[str]:
        """Return why current records are of no use."""
        return self.refused.get(name, ())

    def needs(self, name: str) -> bool:
        """Tell whether a current package needs another one."""
        wanted = {wish.name for found in self.current.values() for one in found for wish in one.dependencies}
        return name in wanted

    def describe(self, name: str, version: str) -> Record | Unread | None:
        """Return an old version by its name in full, as that of a file."""
        self.asked.append(f"{name} {version}")
        if f"{name} {version}" in self.damaged:
            reason = self.damaged[f"{name} {version}"]
            return Unread(reason) if reason else None
        return next((one for one in self.old.get(name, ()) if str(one.version) == version), None)
