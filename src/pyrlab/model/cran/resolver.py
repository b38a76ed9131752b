"""From wanted R packages to one version of each: the best that satisfies everybody, and why when there is none.

What is best: walk through the packages, first those of the list, by name, then what the first of these needs, by name,
what the second needs, and so on, each package once. Where two solutions differ first on this walk, the better choice
there decides. Of one package, the version that the earlier lock has is best; then, unless the list names the package,
that of the image below; then the current ones, repository by repository in the user's order, newest first; then the
archived ones, in the same order. So the list gets the best it can have, whatever that means for what it needs.

Archives: of a package they are looked at when nothing current is left for it, version by version, and OLDER versions at
most; the others then count as not there. No archive is opened for a package all current versions of which lack another
one, directly or not, unless the list or a current version of some package bounds it from above. Within these limits the
search is complete: it finds the best solution of all that it looked at, or proves that there is none.

A package that no repository has now, but an archive, is known like any other; only the list has to name its version.

Packages that need each other cannot be installed one after the other: no solution has such a ring.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyrlab.model.cran.archives import Archives, Old
from pyrlab.model.cran.choices import OLDER, Choices, Package
from pyrlab.model.cran.conflict import Ring, explain
from pyrlab.model.cran.record import Dependency
from pyrlab.model.cran.roots import check_known
from pyrlab.model.cran.search import NOT_NEEDED, RefutedError, Search
from pyrlab.model.cran.suggestions import add_suggestions
from pyrlab.model.cran.universe import Candidate, Requirement, Source, Universe
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

__all__ = ["Candidate", "Solution", "Source", "Universe", "resolve"]


@dataclass(frozen=True, slots=True)
class Solution:
    """One candidate a package, by name.

    ``left_out`` are suggested packages that cannot be had, and why. ``warnings`` name packages that nobody listed and
    only an archive still has.
    """

    packages: Mapping[str, Candidate]
    left_out: Mapping[str, str]
    warnings: Sequence[str] = ()


def resolve(requests: Iterable[RRequest], universe: Universe) -> Solution:
    """Return one version for each wanted package and for all that they need.

    Of all solutions the best is taken, as this module has it. The order of ``requests`` does not matter. Raises
    ListError that names who wants what.
    """
    wanted = sorted(set(requests), key=lambda one: (one.name, str(one), one.where))
    archives = Archives(universe)
    for request in wanted:
        check_known(request, universe, archives)
    lines = [Requirement(one.wanted, where=one.where, repository=one.repository) for one in wanted]

    def solve(suggested: Sequence[Requirement], universe: Universe) -> dict[str, Candidate]:
        packages = None
        while packages is None:
            packages = _Way(universe, archives, [*lines, *suggested]).solve()
        return packages

    names = {request.name for request in wanted}
    suggesting = {request.name for request in wanted if request.suggests}
    packages, left_out = add_suggestions(suggesting, solve([], universe), names, archives, solve)
    return Solution(packages, left_out, _warnings(packages, names, universe))


def _warnings(packages: Mapping[str, Candidate], listed: Collection[str], universe: Universe) -> tuple[str, ...]:
    """Return what is to be said of packages that no repository has any more, and the list does not name either."""
    warnings = []
    for name, candidate in packages.items():
        if name in listed or universe.lists(name) or candidate == universe.installed.get(name):
            continue
        needing = [
            str(other) for other in packages.values() if any(wish.name == name for wish in other.record.dependencies)
        ]
        by = f"{', '.join(needing)} {'needs' if len(needing) == 1 else 'need'}" if needing else "a package suggests"
        warnings.append(
            f"{by} {name}, which {candidate.repository} archived: its old version {candidate.record.version} is taken"
        )
    return tuple(warnings)


class _ExactError(Exception):
    """A version is wanted exactly that was not known of when its archive, which does not list it, was opened."""


class _Way:
    """The walk of one search: the packages on it, in order, and how far they are decided."""

    def __init__(self, universe: Universe, archives: Archives, wishes: Sequence[Requirement]) -> None:
        self._search = Search()
        self._archives = archives
        self._roots: dict[str, list[Requirement]] = {}
        for wish in wishes:
            self._roots.setdefault(wish.wanted.name, []).append(wish)
        self._choices = Choices(universe, archives, self._roots)
        # The packages on the way, each with its place; as many of them are decided.
        # What is suggested comes after the list: it takes the best that the list leaves.
        listed = {wish.wanted.name for wish in wishes if wish.where}
        order = sorted(self._roots, key=lambda name: (name not in listed, name))
        self._order = [self._choices.package(name) for name in order]
        self._place = {package.name: place for place, package in enumerate(self._order)}
        self._decided = 0
        # How long the way was, and how far decided, before each decision.
        self._marks: list[tuple[int, int]] = []

    def solve(self) -> dict[str, Candidate] | None:
        """Return a candidate for each package that is needed, by name; None to be asked again. Raises ListError."""
        try:
            for wishes in self._roots.values():
                for wish in wishes:
                    self._want(wish, None)
            while self._step():
                pass
        except _ExactError:
            return None
        except RefutedError as error:
            raise explain(error.proof, self._choices) from error
        return {package.name: package.chosen() for package in sorted(self._order, key=lambda one: one.name)}

    def _step(self) -> bool:
        """Go one step on, or back. Return False at the end of the way."""
        if not self._search.follow():
            self._go_back(self._search.learn())
            return True
        if self._prepare_needed():
            return True
        if self._decided == len(self._order):
            return False
        package = self._order[self._decided]
        value = package.best()
        if self._prepare(package, value):
            return True
        if package.variable.domain == value:
            self._go_on(package)
        else:
            self._marks.append((len(self._order), self._decided))
            self._search.decide(package.variable, value)
        return True

    def _go_back(self, level: int) -> None:
        length, self._decided = self._marks[level]
        del self._marks[level:]
        for package in self._order[length:]:
            del self._place[package.name]
        del self._order[length:]

    def _go_on(self, package: Package) -> None:
        """Put what a decided package needs on the way, unless that closes a ring."""
        ring = self._ring(package)
        if ring:
            first = ring.index(min(ring, key=lambda one: one.name))
            self._exclude([*ring[first:], *ring[:first]])
            return
        self._decided += 1
        for name in sorted({one.name for one in package.chosen().record.dependencies}):
            if name not in self._place:
                self._place[name] = len(self._order)
                self._order.append(self._choices.package(name))

    def _ring(self, package: Package) -> list[Package]:
        """Return the packages of a ring that this one closes, each before one that it needs; none without a ring."""
        waiting = [package]
        wanted_by = {package.name: package}
        while waiting:
            above = waiting.pop()
            for wish in above.chosen().record.dependencies:
                if wish.name == package.name:
                    return _back(above, wanted_by)
                if wish.name not in wanted_by and self._place.get(wish.name, self._decided) < self._decided:
                    wanted_by[wish.name] = above
                    waiting.append(self._choices.package(wish.name))
        return []

    def _exclude(self, ring: Sequence[Package]) -> None:
        """Tell the search that no values of these packages that need each other can be had together."""
        terms = {}
        for package, following in zip(ring, (*ring[1:], ring[0]), strict=True):
            terms[package.variable] = sum(
                1 << number
                for number, value in enumerate(package.values, start=1)
                if isinstance(value, Candidate) and following.name in {one.name for one in value.record.dependencies}
            )
        self._search.tell(terms, Ring(tuple(package.name for package in (*ring, ring[0]))))

    def _prepare_needed(self) -> bool:
        """Look up what is needed anyway, however the search goes on from here; tell whether that was anything."""
        changed = self._search.changed
        while changed:
            variable, _ = changed.popitem()
            package = self._choices.packages[variable.name]
            if variable.domain & NOT_NEEDED:
                continue
            value = package.best()
            if (variable.domain == value or value & package.above) and self._prepare(package, value):
                changed[variable] = None
                return True
        return False

    def _prepare(self, package: Package, value: int) -> bool:
        """Make a value ready to be chosen: found, described, its needs told. Tell whether anything was to be done."""
        if package.ready & value:
            return False
        if value & package.above:
            self._open(package)
            return True
        candidate = package.at(value)
        if isinstance(candidate, Old):
            described = self._describe(package, candidate)
            if not described:
                self._search.forbid(package.variable, value)
                return True
            package.values[value.bit_length() - 2] = candidate = described
        package.ready |= value
        for wish in candidate.record.dependencies:
            self._want(Requirement(wish, parent=candidate), (package, value))
        return True

    def _describe(self, package: Package, old: Old) -> Candidate | None:
        """Return an old version as a candidate, or None. After the last that may be looked at, the others are out.

        What was only guessed and is not there counts for nothing.
        """
        if self._archives.describe(old.source, package.name, old.version.text) is None:
            return self._choices.describe(package, old)
        package.looked_at += 1
        if package.looked_at == OLDER:
            unseen = sum(
                1 << number
                for number, value in enumerate(package.values, start=1)
                if isinstance(value, Old) and value is not old
            )
            package.cut = bool(unseen & package.variable.domains[0])
            self._search.forbid(package.variable, unseen)
        return self._choices.describe(package, old)

    def _open(self, package: Package) -> None:
        """Open the archives of a package, and look again at what is wanted of it."""
        package.add(self._choices.open(package))
        self._search.forbid(package.variable, package.above)
        for rule, wanted in package.rules:
            self._search.widen(rule, package.variable, package.refused(wanted))

    def _want(self, wanted: Requirement, parent: tuple[Package, int] | None) -> None:
        """Tell the search what a line of the list wants, or one value of another package."""
        package = self._choices.package(wanted.wanted.name)
        self._check_exact(package, wanted.wanted)
        if not parent:
            terms = {package.variable: package.refused(wanted)}
            package.rules.append((self._search.tell(terms, wanted), wanted))
            return
        above, value = parent
        if above is package:
            self._search.tell({above.variable: value}, Ring((above.name, above.name)))
        elif wanted.wanted in above.needs:
            self._search.widen(above.needs[wanted.wanted], above.variable, value, wanted)
        else:
            terms = {above.variable: value, package.variable: package.refused(wanted)}
            above.needs[wanted.wanted] = rule = self._search.tell(terms, wanted)
            package.rules.append((rule, wanted))

    def _check_exact(self, package: Package, wanted: Dependency) -> None:
        """Remember a version that is wanted exactly, for archives that do not list it.

        Raises _ExactError if one of them was opened already.
        """
        if wanted.operator != "==":
            return
        exact = self._archives.exact.setdefault(package.name, set())
        if wanted.version not in exact:
            exact.add(wanted.version)
            version = RVersion.parse(wanted.version)
            if package.opened and self._archives.lacks(package.name, version, package.repositories):
                raise _ExactError


def _back(last: Package, wanted_by: Mapping[str, Package]) -> list[Package]:
    """Return the way that led to ``last``, from its beginning on."""
    way = [last]
    while wanted_by[way[-1].name] is not way[-1]:
        way.append(wanted_by[way[-1].name])
    return way[::-1]
