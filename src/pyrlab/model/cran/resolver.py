"""From wanted R packages to one version of each: resolvelib, with R's rules and the order of the repositories."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import RequirementInformation, Resolution

from pyrlab.errors import ListError
from pyrlab.model.cran.conflict import Notes, Unfit
from pyrlab.model.cran.record import is_r
from pyrlab.model.cran.suggestions import add_suggestions
from pyrlab.model.cran.thorough import search
from pyrlab.model.cran.universe import Candidate, Requirement, Source, Universe
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

__all__ = ["Candidate", "Solution", "Source", "Universe", "in_order", "resolve"]

_ROUNDS = 5_000
# So many older versions of a package are tried: each costs a download.
_OLDER = 20
_UPPER_BOUNDS = {"==", "<", "<=", "!="}


@dataclass(frozen=True, slots=True)
class Solution:
    """One candidate a package, by name. ``left_out`` are suggested packages that cannot be had, and why."""

    packages: Mapping[str, Candidate]
    left_out: Mapping[str, str] = field(default_factory=dict)


def resolve(requests: Iterable[RRequest], universe: Universe) -> Solution:
    """Return one version for each wanted package and for all that they need.

    The newest version of the first repository that has a fitting one is taken; one of an archive only when no current
    one will do. The order of ``requests`` does not matter. Raises ListError that names who wants what.
    """
    wanted = sorted(set(requests), key=lambda one: (one.name, str(one), one.where))
    for request in wanted:
        _check_known(request, universe)
    roots = [Requirement(one.wanted, where=one.where, repository=one.repository) for one in wanted]

    def solve(suggested: Sequence[Requirement], universe: Universe) -> dict[str, Candidate]:
        packages = _solve([*roots, *suggested], _Provider(universe, wanted))
        in_order(packages)
        return packages

    names = {request.name for request in wanted}
    suggesting = {request.name for request in wanted if request.suggests}
    return Solution(*add_suggestions(suggesting, solve([], universe), names, universe, solve))


def in_order(packages: Mapping[str, Candidate]) -> list[str]:
    """Return the names, each after all that it needs. Raises ListError for packages that need each other."""
    graph = {
        name: sorted({one.name for one in packages[name].record.dependencies if one.name in packages})
        for name in sorted(packages)
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        ring = " → ".join(reversed(error.args[1]))
        raise ListError(
            f"these R packages need each other, so none can be installed first: {ring}",
            remedy="ask for another version of one of them, or leave them out of r_packages.txt",
        ) from error


def _check_known(request: RRequest, universe: Universe) -> None:
    if is_r(request.name):
        raise ListError(f"{request.where}: {request.name} is a part of R itself", remedy="delete the line")
    repositories = [source.name for source in universe.sources]
    if request.repository and request.repository not in repositories:
        raise ListError(
            f"{request.where}: there is no repository called {request.repository!r}",
            remedy=f"r.repositories in pyrlab.toml has: {', '.join(repositories)}",
        )
    if not universe.knows(request.name) and not _is_archived(request, universe):
        where = f"{repositories[0]} has no" if len(repositories) == 1 else "no repository has an"
        raise ListError(f"{request.where}: {where} R package {request.name!r}", remedy=universe.near(request.name))


def _is_archived(request: RRequest, universe: Universe) -> bool:
    """Tell whether the very version that is wanted is in an archive: CRAN takes whole packages out of its index."""
    return request.operator == "==" and any(
        source.describe(request.name, request.version)
        for source in universe.sources
        if request.repository in {"", source.name}
    )


def _solve(roots: list[Requirement], provider: "_Provider") -> dict[str, Candidate]:
    """Return a candidate for each package that is needed, by name. Raises ListError."""
    # Not resolvelib's Resolver: it would look for what is still wanted, and follow rings of packages without end.
    resolution = Resolution(provider, BaseReporter[Requirement, Candidate, str]())
    causes: list[Requirement] = []
    try:
        packages, wishes = _closure(roots, provider, resolution.resolve(provider.remember(roots), _ROUNDS).mapping)
        causes = [one for one in wishes if not one.allows(packages[one.wanted.name])]
        if not causes:
            return packages
    except ResolutionImpossible as error:
        causes = [cause.requirement for cause in error.causes]
    except ResolutionTooDeep:
        pass
    # In rare cases resolvelib forgets a wish, or keeps rejecting what only an earlier choice ruled out.
    found = search(roots, provider.met, provider.get_dependencies)
    if found is None:
        raise provider.notes.error(causes) if causes else _too_deep()
    return dict(sorted(found.items()))


def _too_deep() -> ListError:
    return ListError(
        f"no versions of the R packages in r_packages.txt that fit together were found in {_ROUNDS} steps",
        remedy="pin some of them there, so that there is less to try",
    )


def _closure(
    roots: Sequence[Requirement], provider: "_Provider", found: Mapping[str, Candidate]
) -> tuple[dict[str, Candidate], list[Requirement]]:
    """Return what the roots need of what was found, by name, and all wishes that count."""
    packages: dict[str, Candidate] = {}
    wishes = list(roots)
    # The list grows while it is read.
    for wish in wishes:
        name = wish.wanted.name
        if name not in packages:
            packages[name] = found[name]
            wishes += provider.get_dependencies(found[name])
    return dict(sorted(packages.items())), wishes


class _Provider(AbstractProvider[Requirement, Candidate, str]):
    """What resolvelib asks for, answered from a Universe; it notes why candidates fell out, for the message."""

    def __init__(self, universe: Universe, requests: Sequence[RRequest]) -> None:
        self.universe = universe
        self.notes = Notes(universe)
        self.roots = {request.name for request in requests}
        self._fit: dict[Candidate, bool] = {}
        self._described: dict[str, list[Candidate]] = {}
        # Packages of which no current version is of use, for want of another package.
        self._stuck: set[str] = set()

    def identify(self, requirement_or_candidate: Requirement | Candidate) -> str:
        """Return the package that something is about."""
        if isinstance(requirement_or_candidate, Candidate):
            return requirement_or_candidate.record.name
        return requirement_or_candidate.wanted.name

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[RequirementInformation[Requirement, Candidate]]],
        backtrack_causes: Sequence[RequirementInformation[Requirement, Candidate]],
    ) -> tuple[bool, bool, str]:
        """Return the order in which packages are decided: what just clashed, then what has little choice."""
        del resolutions, candidates
        clashed = any(cause.requirement.wanted.name == identifier for cause in backtrack_causes)
        bounded = any(one.requirement.wanted.operator in _UPPER_BOUNDS for one in information[identifier])
        return (not clashed, not bounded, identifier)

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Requirement]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> Callable[[], Iterator[Candidate]]:
        """Return the candidates that satisfy everybody, best first; those of an archive are looked up when reached."""
        wanted = list(requirements[identifier])
        rejected = set(incompatibilities[identifier])

        def matches() -> Iterator[Candidate]:
            seen = set(rejected)
            for candidate in self._current(identifier):
                if candidate not in seen and all(one.allows(candidate) for one in wanted):
                    seen.add(candidate)
                    yield candidate
            # Whoever comes here after one that would do could not use it.
            for candidate in self._archived(identifier, wanted, clashed=len(seen) > 0):
                if candidate not in seen and all(one.allows(candidate) for one in wanted):
                    seen.add(candidate)
                    yield candidate

        return matches

    def is_satisfied_by(self, requirement: Requirement, candidate: Candidate) -> bool:
        """Tell whether a candidate will do for one requirement."""
        return requirement.allows(candidate)

    def get_dependencies(self, candidate: Candidate) -> list[Requirement]:
        """Return what a candidate needs."""
        return self.remember([Requirement(one, parent=candidate) for one in candidate.record.dependencies])

    def remember(self, requirements: list[Requirement]) -> list[Requirement]:
        """Return ``requirements``, and note who wanted them."""
        for requirement in requirements:
            self.notes.wanted_by.setdefault(requirement.wanted.name, set()).add(requirement)
        return requirements

    def met(self, name: str) -> list[Candidate]:
        """Return the usable candidates of a package, best first; of old versions those that were described before."""
        return [*self._current(name), *self._described.get(name, ())]

    def _current(self, name: str) -> Iterator[Candidate]:
        """Yield what there is of a package outside archives, best first; nothing that is of no use."""
        held = self.universe.installed.get(name)
        found = [self.universe.locked.get(name), held if name not in self.roots else None]
        for source in self.universe.sources:
            found += [Candidate(source.name, record) for record in source.records(name)]
        fit = [one for one in (*found, held) if one and self._is_fit(one)]
        if not fit and any(one.lacking for one in self.notes.unfit.get(name, {}).values()):
            self._stuck.add(name)
        yield from fit

    def _archived(self, name: str, wanted: Sequence[Requirement], *, clashed: bool) -> Iterator[Candidate]:
        """Yield old versions, described one by one: where a bound, this R or a clash of versions asks for them."""
        bounded = any(one.wanted.operator in _UPPER_BOUNDS for one in wanted)
        gated = any(not one.lacking for one in self.notes.unfit.get(name, {}).values())
        # When a package is lacking, no older version of those that want it is a likely cure, only many downloads.
        if not (bounded or gated or (clashed and not self._stuck)):
            return
        for source in self.universe.sources:
            if all(one.repository in {"", source.name} for one in wanted):
                for version in self._versions(source, name, wanted)[:_OLDER]:
                    record = source.describe(name, version)
                    if record and self._is_fit(candidate := Candidate(source.name, record)):
                        self._described.setdefault(name, []).append(candidate)
                        yield candidate

    def _versions(self, source: Source, name: str, wanted: Sequence[Requirement]) -> list[str]:
        """Return the old versions within all bounds; where a source lists none, what is asked for exactly."""
        key = (source.name, name)
        if key not in self.notes.archived:
            self.notes.archived[key] = source.archived(name)
        exact = [one.wanted.version for one in wanted if one.wanted.operator == "=="]
        return [one for one in self.notes.archived[key] or exact if _within(one, wanted)]

    def _is_fit(self, candidate: Candidate) -> bool:
        """Tell whether a candidate can be used with this R and these repositories, and note the reason if not."""
        if candidate not in self._fit:
            unfit = self._unfit(candidate)
            if unfit:
                self.notes.unfit.setdefault(candidate.name, {})[candidate] = unfit
            self._fit[candidate] = not unfit
        return self._fit[candidate]

    def _unfit(self, candidate: Candidate) -> Unfit | None:
        named = f"{candidate} of {candidate.repository} needs"
        for gate in candidate.record.gates:
            if not gate.allows(self.universe.r):
                return Unfit(f"{named} {gate}, and the image has R {self.universe.r}")
        needed = {one.name for one in candidate.record.dependencies} - self.roots
        lacking = sorted(name for name in needed if not self.universe.knows(name))
        if lacking:
            return Unfit(f"{named} {' and '.join(lacking)}, which no repository has", tuple(lacking))
        return None


def _within(version: str, wanted: Sequence[Requirement]) -> bool:
    try:
        parsed = RVersion.parse(version)
    except ValueError:
        return False
    return all(one.wanted.allows(parsed) for one in wanted)
