"""Why R packages cannot be had together: what a search met on its way, and the one line that says so."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pyrlab.errors import ListError
from pyrlab.model.cran import debian
from pyrlab.model.cran.universe import Candidate, Requirement, Source, Universe

# More old versions than these say nothing more to a reader.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a candidate is of no use at all: this R, or packages that no repository has (``lacking``)."""

    reason: str
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ring:
    """Packages that need each other, the first again at the end."""

    names: tuple[str, ...]

    def error(self) -> ListError:
        """Return the error for packages of which none can be installed first."""
        return ListError(
            f"these R packages need each other, so none can be installed first: {' → '.join(self.names)}",
            remedy="ask for another version of one of them, or leave them out of r_packages.txt",
        )


@dataclass(frozen=True, slots=True)
class Notes:
    """What was met, by package: who wants it, which candidates are of no use, and what archives list (by source)."""

    universe: Universe
    wanted_by: dict[str, set[Requirement]] = field(default_factory=dict)
    unfit: dict[str, dict[Candidate, Unfit]] = field(default_factory=dict)
    archived: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def error(self, causes: Collection[Requirement]) -> ListError:
        """Return the error for wishes that cannot be granted: the chains of who wants what, and what there is."""
        wishes = _newest_of_each(causes)
        names = sorted({one.wanted.name for one in wishes})
        unfit = [found for name in names for found in self._unfit(name, wishes)]
        chains = sorted({self._chain(one) for one in wishes})
        message = f"{', and '.join(chains)} cannot be had{' together' if len(chains) > 1 else ''}"
        there = "; ".join(filter(None, map(self._versions, names)))
        if unfit:
            message += f": {'; '.join(one.reason for one in unfit)}"
        if there:
            message += f"; there is {there}"
        elif not unfit:
            message += ": what the repositories say of it cannot be read"
        return ListError(message, remedy=_remedy(unfit) + self._hint(wishes))

    def _hint(self, wishes: Sequence[Requirement]) -> str:
        """Return what helps with bounds from above, where a repository does not show what old versions it has."""
        bounded = {wish.wanted.name for wish in wishes if wish.wanted.operator in {"<", "<="}}
        for source, name in sorted(self.archived):
            if name in bounded and source != debian.NAME and not self.archived[source, name]:
                exactly = f"if you know one that it has, write {name} == VERSION"
                return f"; {source} lists no old versions of {name}: {exactly}"
        return ""

    def _unfit(self, name: str, wishes: Sequence[Requirement]) -> list[Unfit]:
        """Return why what would be right is of no use: of each repository the newest version speaks for all."""
        asking = [one for one in wishes if one.wanted.name == name]
        newest: dict[str, Candidate] = {}
        for one in self.unfit.get(name, {}):
            if all(wish.allows(one) for wish in asking):
                held = newest.setdefault(one.repository, one)
                newest[one.repository] = max(held, one, key=lambda each: each.record.version)
        return [self.unfit[name][one] for _, one in sorted(newest.items())]

    def _chain(self, wish: Requirement) -> str:
        """Return the shortest way from a line of the list to a wish: ``list:1: a → a 1.0 wants b >= 2``."""
        ways, seen = deque([[wish]]), {wish}
        way = [wish]
        while ways:
            way = ways.popleft()
            parent = way[-1].parent
            if not parent:
                break
            above = sorted((one for one in self.wanted_by[parent.name] - seen if one.allows(parent)), key=str)
            seen.update(above)
            ways.extend([*way, one] for one in above)
        return " → ".join(map(str, reversed(way)))

    def _versions(self, name: str) -> str:
        """Return the versions that could be used, and where they are: ``b 2.0 (cran), 1.0 (cran, archived)``."""
        found = [one for source in self.universe.sources for one in self._versions_in(source, name)]
        held = self.universe.installed.get(name)
        if held and not any(one.startswith(f"{held.record.version} ") for one in found):
            found.append(f"{held.record.version} (the image)")
        return f"{name} {', '.join(found)}" if found else ""

    def _versions_in(self, source: Source, name: str) -> Iterator[str]:
        useless = {str(one.record.version) for one in self.unfit.get(name, {}) if one.repository == source.name}
        current = [str(one.version) for one in source.records(name)]
        old = [one for one in self.archived.get((source.name, name), ()) if one not in {*current, *useless}]
        yield from (f"{one} ({source.name})" for one in current if one not in useless)
        yield from (f"{one} ({source.name}, archived)" for one in old[:_SHOWN])
        if len(old) > _SHOWN:
            yield f"older ones ({source.name}, archived)"


def _newest_of_each(causes: Collection[Requirement]) -> list[Requirement]:
    """Return the causes, without what older versions of a package want of another when a newer one wants that too.

    Who takes any version of a package is no cause beside others who do not.
    """
    newest: dict[tuple[str, str], Requirement] = {}
    choosy = {one.wanted.name for one in causes if one.wanted.operator or one.repository}
    for one in sorted(causes, key=str):
        if one.wanted.name in choosy and not (one.wanted.operator or one.repository):
            continue
        key = (one.parent.name if one.parent else str(one), one.wanted.name)
        held = newest.get(key)
        if not held or not held.parent or not one.parent or held.parent.record.version < one.parent.record.version:
            newest[key] = one
    return list(newest.values())


def _remedy(unfit: Sequence[Unfit]) -> str:
    lacking = sorted({name for one in unfit for name in one.lacking})
    if lacking:
        return f"add a repository that has {', '.join(lacking)} to r.repositories in pyrlab.toml"
    if unfit:
        return "take a newer R, with base.suite in pyrlab.toml, or drop what asks for it from r_packages.txt"
    return "ask for another version or repository in r_packages.txt, or leave it open"
