"""Why R packages cannot be had together: what a search learnt, and the one line that says so."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyrlab.errors import ListError
from pyrlab.model.cran import advice, debian
from pyrlab.model.cran.choices import UPPER_BOUNDS, Choices
from pyrlab.model.cran.search import Incompatibility
from pyrlab.model.cran.universe import Candidate, Requirement, Source, Unfit
from pyrlab.model.cran.version import RVersion

# More old versions, or more reasons, than these say nothing more to a reader.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ring:
    """Packages that need each other, the first again at the end."""

    names: tuple[str, ...]


def explain(proof: Incompatibility, choices: Choices) -> ListError:
    """Return why there is no solution.

    The shortest reason first: what is wanted of a package none of whose versions will do. Of several such packages, one
    that the fewest other lines of the list have to do with. Then packages that need each other; and then all that takes
    part in the proof.
    """
    reasons = [reason for rule in proof.told() for reason in rule.why]
    wanted: dict[str, list[Requirement]] = {}
    for reason in reasons:
        if isinstance(reason, Requirement):
            wanted.setdefault(reason.wanted.name, []).append(reason)
    for name, wishes in wanted.items():
        wishes += [line for line in choices.restricting(name) if line not in wishes]
    conflict = Conflict(choices, wanted)
    clashes = [wishes for name, wishes in wanted.items() if _is_clash(wishes, choices.packages[name].values)]
    if clashes:
        return conflict.about(min(clashes, key=lambda wishes: len(conflict.besides(wishes))))
    causes = [wish for wishes in wanted.values() for wish in wishes]
    rings = [reason for reason in reasons if isinstance(reason, Ring)]
    return conflict.around(rings[0], causes) if rings else conflict.among(causes)


def _is_clash(wishes: Sequence[Requirement], values: Iterable[object]) -> bool:
    """Tell whether no version of a package will do: for the list, and for any version of each of the others."""
    by_parent: dict[str, list[Requirement]] = {}
    for wish in wishes:
        by_parent.setdefault(wish.parent.name if wish.parent else str(wish), []).append(wish)
    return not any(
        all(any(wish.allows(value) for wish in group) for group in by_parent.values())
        for value in values
        if isinstance(value, Candidate)
    )


class Conflict:
    """What there is of the packages that a search met, and who wants what of them, in a proof and at all."""

    def __init__(self, choices: Choices, proof: Mapping[str, Collection[Requirement]]) -> None:
        self._proof = proof
        self._universe = choices.universe
        self._packages = choices.packages
        self._archived = choices.archives.listed
        self._unfit = {package.name: dict(package.unfit) for package in choices.packages.values()}
        self._wanted_by: dict[str, set[Requirement]] = {}
        for package in choices.packages.values():
            told = [reason for rule, _ in package.rules for reason in rule.why]
            self._wanted_by[package.name] = {wish for wish in told if isinstance(wish, Requirement)}

    def about(self, causes: Collection[Requirement]) -> ListError:
        """Return the error for wishes that no version of a package grants: who wants what, and what there is."""
        besides = self.besides(causes)
        wishes = _newest_of_each(causes)
        names = sorted({wish.wanted.name for wish in wishes})
        chains = sorted({" → ".join(map(str, self._way(wish))) for wish in wishes})
        message = f"{', and '.join(chains)} cannot be had{' together' if len(chains) > 1 else ''}"
        unfit = [found for name in names for found in self._newest_unfit(name, wishes)]
        reasons = [found.reason for _, found in unfit]
        reasons += [reason for name in names for reason in self._refused(name, wishes)]
        there = "; ".join(filter(None, map(self._versions, names)))
        if reasons:
            message += f": {'; '.join(reasons)}"
        if there:
            message += f"; there is {there}"
        elif not reasons:
            message += ": no repository has any version of it"
        for name in sorted({wish.parent.name for wish in wishes if wish.parent}):
            if self._packages[name].cut:
                count = self._packages[name].looked_at
                message += f"; of {name} the newest {count} archived versions were looked at"
        if besides:
            message += f"; other versions do not go with {', '.join(_some(besides))}"
        remedy = self._remedy([*wishes, *besides], unfit, usable=not reasons)
        return ListError(message, remedy=remedy + self._hint(wishes))

    def besides(self, causes: Collection[Requirement]) -> list[Requirement]:
        """Return the lines of the list that take part in the proof, and that nothing leads from to these wishes.

        They are why older or newer versions of the packages on the way will not do.
        """
        told = {self._way(wish)[0] for wish in _newest_of_each(causes)}
        names = {line.wanted.name for line in told}
        lines = {wish for wishes in self._proof.values() for wish in wishes if not wish.parent} - told
        return sorted((line for line in lines if _is_choosy(line) or line.wanted.name not in names), key=str)

    def _hint(self, wishes: Sequence[Requirement]) -> str:
        """Return what helps with bounds from above, where a repository does not show what old versions it has."""
        bounded = {wish.wanted.name for wish in wishes if wish.wanted.operator in {"<", "<="}}
        for source, name in sorted(self._archived):
            if name in bounded and source != debian.NAME and not self._archived[source, name]:
                exactly = f"if you know one that it has, write {name} == VERSION"
                return f"; {source} lists no old versions of {name}: {exactly}"
        return ""

    def among(self, causes: Collection[Requirement]) -> ListError:
        """Return the error for packages of which each has versions, but no versions of all go together."""
        names = sorted({wish.wanted.name for wish in causes})
        newest = sorted(str(wish) for wish in _newest_of_each(causes) if wish.parent and not wish.suggested)
        message = f"{self._lines(causes)}: no versions of {', '.join(names)} go together"
        if newest:
            message += f"; of the newest, {', '.join(_some(newest))}"
        return ListError(message, remedy=self._remedy(_roots(causes), [], usable=True, moved=causes))

    def around(self, ring: Ring, causes: Collection[Requirement]) -> ListError:
        """Return the error for packages of which none can be installed first."""
        names = " → ".join(ring.names)
        drop = " or ".join(sorted({self._way(root)[0].wanted.name for root in _roots(causes)}))
        return ListError(
            f"{self._lines(causes)}: these packages need each other, so none can be installed first: {names}",
            remedy=f"ask for another version of one of them in {advice.LIST}, or drop {drop} from it",
        )

    def _lines(self, causes: Collection[Requirement]) -> str:
        """Return that what the list and suggestions want among these causes cannot be had, each with its way."""
        lines = sorted(" → ".join(map(str, self._way(root))) for root in _roots(causes))
        return f"{', and '.join(lines)} cannot be had{' together' if len(lines) > 1 else ''}"

    def _newest_unfit(self, name: str, wishes: Sequence[Requirement]) -> list[tuple[str, Unfit]]:
        """Return why versions that are asked for are of no use: of each repository the newest speaks for all."""
        asking = [wish for wish in wishes if wish.wanted.name == name]
        newest: dict[str, Candidate] = {}
        for candidate in self._unfit.get(name, {}):
            if all(wish.allows(candidate) for wish in asking):
                held = newest.setdefault(candidate.repository, candidate)
                newest[candidate.repository] = max(held, candidate, key=lambda each: each.record.version)
        return [(repository, self._unfit[name][found]) for repository, found in sorted(newest.items())]

    def _refused(self, name: str, wishes: Sequence[Requirement]) -> list[str]:
        """Return why there is no record of versions that are asked for: of old ones the newest speaks for all."""
        asking = [wish for wish in wishes if wish.wanted.name == name]
        newest: dict[str, RVersion] = {}
        for repository, version in self._packages[name].unread:
            if all(wish.allows_version(repository, version) for wish in asking):
                newest[repository] = max(newest.get(repository, version), version)
        old = [
            f"{name} {version} of {repository} cannot be used: {self._packages[name].unread[repository, version]}"
            for repository, version in sorted(newest.items())
        ]
        return [*self._universe.refused(name), *old]

    def _way(self, wish: Requirement) -> list[Requirement]:
        """Return the shortest way from a line of the list to a wish: ``list:1: a → a 1.0 wants b >= 2``.

        Through the proof if possible, as other lines are not to blame.
        """
        way = _shortest(wish, self._proof)
        return way if not way[0].parent else _shortest(wish, self._wanted_by)

    def _versions(self, name: str) -> str:
        """Return the versions that could be used, and where they are: ``b 2.0 (cran), 1.0 (cran, archived)``."""
        found = [one for source in self._universe.sources for one in self._versions_in(source, name)]
        held = self._universe.installed.get(name)
        if held and not any(one.startswith(f"{held.record.version} ") for one in found):
            found.append(f"{held.record.version} (the image)")
        return f"{name} {', '.join(found)}" if found else ""

    def _versions_in(self, source: Source, name: str) -> Iterator[str]:
        useless = {str(one.record.version) for one in self._unfit.get(name, {}) if one.repository == source.name}
        unread = {str(version) for place, version in self._packages[name].unread if place == source.name}
        current = [str(one.version) for one in source.records(name)]
        old = [
            text for text in self._archived.get((source.name, name), ()) if text not in {*current, *useless, *unread}
        ]
        yield from (f"{one} ({source.name})" for one in current if one not in useless)
        yield from (f"{one} ({source.name}, archived)" for one in old[:_SHOWN])
        if len(old) > _SHOWN:
            yield f"older ones down to {old[-1]} ({source.name}, archived)"

    def _remedy(
        self,
        wishes: Sequence[Requirement],
        unfit: Sequence[tuple[str, Unfit]],
        *,
        usable: bool,
        moved: Collection[Requirement] = (),
    ) -> str:
        """Return what to do; ``usable`` tells whether all that is asked for could be used.

        ``moved`` is what packages want beside these wishes.
        """
        lacking = sorted({name for _, found in unfit for name in found.lacking})
        if lacking:
            return advice.another_repository(self._universe, lacking)
        gates = [(repository, found.gate) for repository, found in unfit if found.gate]
        if gates:
            return advice.another_r(self._universe, gates)
        snapshot = self._snapshot([*wishes, *moved])
        if snapshot:
            return f"{advice.ANOTHER_VERSION}; or take all packages {snapshot}"
        ways = [self._way(wish) for wish in wishes]
        if any(line.wanted.operator or line.repository for line, *_ in ways):
            return advice.ANOTHER_VERSION
        names = " or ".join(sorted({line.wanted.name for line, *_ in ways}))
        drop = f"drop {names} from {advice.LIST}"
        if len(wishes) > 1:
            return drop
        wanted = f"{'' if usable else 'another '}{wishes[0].wanted}"
        return f"{drop}, or add a repository that has {wanted} to {advice.REPOSITORIES}"

    def _snapshot(self, wishes: Sequence[Requirement]) -> str:
        """Return from which time all could be taken, where that helps, or nothing.

        It helps where the list wants a package as it was, which an archive has, and newer ones of that repository,
        whose versions the list leaves open, have moved on.
        """
        lines = [wish for wish in wishes if not wish.parent]
        moved = [wish for wish in wishes if wish.parent]
        bounded = {line.wanted.name for line in lines if line.wanted.operator}
        if not moved or len(bounded) != 1 or not any(line.wanted.operator in UPPER_BOUNDS for line in lines):
            return ""
        (name,) = bounded
        if any(first.wanted.operator and first.wanted.name != name for first, *_ in map(self._way, moved)):
            return ""
        lines = [line for line in lines if line.wanted.name == name]
        for source in self._universe.sources:
            if any(wish.parent and wish.parent.repository != source.name for wish in moved):
                continue
            for text in self._archived.get((source.name, name), ()):
                if all(line.allows_version(source.name, RVersion.parse(text)) for line in lines):
                    return (
                        f"as they were when {name} {text} was new: "
                        f"a dated snapshot in {advice.REPOSITORIES} ({advice.DOCS})"
                    )
        return ""


def _roots(causes: Iterable[Requirement]) -> list[Requirement]:
    """Return what the list and suggestions want."""
    return [wish for wish in causes if wish.suggested or not wish.parent]


def _is_choosy(wish: Requirement) -> bool:
    """Tell whether not any version from anywhere will do."""
    return bool(wish.wanted.operator or wish.repository)


def _some(wishes: Iterable[object]) -> list[str]:
    """Return as many of them as a reader can use, as text."""
    texts = [str(wish) for wish in wishes]
    return texts if len(texts) <= _SHOWN else [*texts[:_SHOWN], f"and {len(texts) - _SHOWN} more"]


def _newest_of_each(causes: Collection[Requirement]) -> list[Requirement]:
    """Return the causes, without what older versions of a package want of another when a newer one wants that too.

    Who takes any version of a package is no cause beside others who do not.
    """
    newest: dict[tuple[str, str], Requirement] = {}
    choosy = {one.wanted.name for one in causes if _is_choosy(one)}
    for one in sorted(causes, key=str):
        if one.wanted.name in choosy and not _is_choosy(one):
            continue
        key = (one.parent.name if one.parent else str(one), one.wanted.name)
        held = newest.get(key)
        if not held or not held.parent or not one.parent or held.parent.record.version < one.parent.record.version:
            newest[key] = one
    return list(newest.values())


def _shortest(wish: Requirement, wanted_by: Mapping[str, Collection[Requirement]]) -> list[Requirement]:
    """Return the shortest way to a wish, from one without a parent on if there is any."""
    ways, seen = deque([[wish]]), {wish}
    way = [wish]
    while ways:
        way = ways.popleft()
        parent = way[-1].parent
        if not parent:
            return way[::-1]
        above = sorted(
            (one for one in wanted_by.get(parent.name, ()) if one not in seen and one.allows(parent)), key=str
        )
        seen.update(above)
        ways.extend([*way, one] for one in above)
    return way[::-1]
