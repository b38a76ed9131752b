"""The best choice of R packages, found in another way: by a SAT solver, over all that there is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from pysat.solvers import Solver
from shelf import Shelf

from pyrlab.model.cran.record import Dependency
from pyrlab.model.cran.resolver import Candidate, Universe
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

UPPER = {"==", "<", "<="}


def best(requests: Sequence[RRequest], universe: Universe) -> dict[str, Candidate] | None:
    """Return what the resolver should choose, or None where nothing can be.

    ``universe`` has shelves only, and of archives all counts that these hold.
    """
    roots = {request.name for request in requests}
    if not all(known(request, universe) for request in requests):
        return None
    wanted = names(universe) | archived(universe) | roots
    return Oracle(requests, universe, {name: values(name, universe, roots) for name in wanted}).walk()


def names(universe: Universe) -> set[str]:
    """Return all names that are there now."""
    found = {*universe.installed, *universe.locked}
    return found | {name for source in shelves(universe) for name in source.names}


def archived(universe: Universe) -> set[str]:
    """Return all names that an archive lists: what needs them can be had."""
    listing = [source for source in shelves(universe) if source.lists_archive]
    return {name for source in listing for name in source.old}


def shelves(universe: Universe) -> list[Shelf]:
    """Return the repositories."""
    return [source for source in universe.sources if isinstance(source, Shelf)]


def known(request: RRequest, universe: Universe) -> bool:
    """Tell whether the name of a line is in an index, or the very version that it wants in an archive."""
    if request.name in names(universe):
        return True
    return request.operator == "==" and any(
        request.version == str(record.version)
        or (source.lists_archive and RVersion.parse(request.version) == record.version)
        for source in shelves(universe)
        if request.repository in {"", source.name}
        for record in source.old.get(request.name, ())
    )


def values(name: str, universe: Universe, roots: set[str]) -> tuple[list[Candidate], list[Candidate]]:
    """Return what there is of a package, current and archived, each in order of preference, unfit ones too."""
    installed = universe.installed.get(name)
    locked = universe.locked.get(name)
    first = [locked, None if name in roots else installed]
    listed = [Candidate(one.name, record) for one in shelves(universe) for record in one.records(name)]
    current = [one for one in (*first, *listed, installed) if one]
    old = [
        Candidate(one.name, record)
        for one in shelves(universe)
        for record in sorted(one.old.get(name, ()), key=lambda record: record.version, reverse=True)
    ]
    versions = {(one.repository, one.record.version) for one in current}
    return current, [one for one in old if (one.repository, one.record.version) not in versions]


@dataclass
class Oracle:
    """A question in clauses: a variable is "this candidate is chosen", by name and place in ``usable``."""

    requests: Sequence[RRequest]
    universe: Universe
    all: Mapping[str, tuple[list[Candidate], list[Candidate]]]
    usable: dict[str, list[Candidate]] = field(default_factory=dict)
    variables: dict[tuple[str, int], int] = field(default_factory=dict)

    def walk(self) -> dict[str, Candidate] | None:
        """Decide one package after the other, each as well as can be."""
        closed = self.lacking()
        for name, (current, old) in self.all.items():
            self.usable[name] = [one for one in (*current, *(() if name in closed else old)) if self.fits(one)]
        for name, found in self.usable.items():
            for place in range(len(found)):
                self.variables[name, place] = len(self.variables) + 1
        with Solver(name="cadical153") as solver:
            solver.append_formula(list(self.clauses()))
            if not self.solve(solver, []):
                return None
            chosen: dict[str, Candidate] = {}
            literals: list[int] = []
            order = sorted({request.name for request in self.requests})
            for name in order:
                for place, candidate in enumerate(self.usable[name]):
                    if self.solve(solver, [*literals, self.variables[name, place]]):
                        literals.append(self.variables[name, place])
                        chosen[name] = candidate
                        break
                wanted = sorted({wish.name for wish in chosen[name].record.dependencies})
                order += [one for one in wanted if one not in order]
        return chosen

    def fits(self, candidate: Candidate) -> bool:
        """Tell whether a candidate suits this R, and nothing that it needs is unknown."""
        return not self.gated(candidate) and self.unknown(candidate) == set()

    def gated(self, candidate: Candidate) -> bool:
        """Tell whether this R is the wrong one."""
        return not all(gate.allows(self.universe.r) for gate in candidate.record.gates)

    def unknown(self, candidate: Candidate) -> set[str]:
        """Return what a candidate needs and nobody has."""
        return {one.name for one in candidate.record.dependencies} - self.all.keys()

    def lacking(self) -> set[str]:
        """Return the packages whose archives stay closed, because all current versions lack a package."""
        reached = {request.name for request in self.requests}
        bounds = [request.wanted for request in self.requests]
        waiting = list(reached)
        while waiting:
            for candidate in filter(self.fits, self.all[waiting.pop()][0]):
                bounds += candidate.record.dependencies
                fresh = {one.name for one in candidate.record.dependencies} - reached
                reached |= fresh
                waiting += fresh
        bounded = {one.name for one in bounds if one.operator in UPPER}
        found: set[str] = set()
        before = -1
        while before < len(found):
            before = len(found)
            for name, (current, _) in self.all.items():
                if current and name not in bounded and all(self.is_lost(one, found) for one in current):
                    found.add(name)
        return found

    def is_lost(self, candidate: Candidate, lacking: set[str]) -> bool:
        """Tell whether it is for want of a package that a candidate is of no use."""
        wanted = {one.name for one in candidate.record.dependencies}
        return not self.gated(candidate) and bool(self.unknown(candidate) or wanted & lacking)

    def clauses(self) -> Iterator[list[int]]:
        """Yield: one candidate a package at most, what each wants, what the list wants."""
        for name, found in self.usable.items():
            for place, candidate in enumerate(found):
                own = self.variables[name, place]
                yield from ([-own, -self.variables[name, other]] for other in range(place))
                yield from ([-own, *self.granting(wish)] for wish in candidate.record.dependencies)
        for request in self.requests:
            yield self.granting(request.wanted, request.repository)

    def granting(self, wish: Dependency, repository: str = "") -> list[int]:
        """Return the candidates that a wish allows."""
        return [
            self.variables[wish.name, place]
            for place, one in enumerate(self.usable[wish.name])
            if repository in {"", one.repository} and wish.allows(one.record.version)
        ]

    def solve(self, solver: Solver, assumptions: list[int]) -> bool:
        """Tell whether there is a solution; rings that come up are forbidden, and it is asked again."""
        while solver.solve(assumptions=assumptions):
            model = set(solver.get_model())
            ring = self.ring({key for key, number in self.variables.items() if number in model})
            if not ring:
                return True
            solver.add_clause([-self.variables[key] for key in ring])
        return False

    def ring(self, chosen: set[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return the candidates of a ring among those that the list needs."""
        places = dict(chosen)
        graph: dict[str, list[str]] = {}
        waiting = [request.name for request in self.requests]
        while waiting:
            name = waiting.pop()
            if name not in graph:
                graph[name] = [one.name for one in self.usable[name][places[name]].record.dependencies]
                waiting += graph[name]
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return [(name, places[name]) for name in set(error.args[1])]
        return []
