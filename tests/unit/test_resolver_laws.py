"""The resolver's laws, on made-up repositories: what it finds is right, the same each time, and all there is."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from shelf import Shelf

from pyrlab.errors import ListError
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.resolver import Candidate, Solution, Universe, resolve
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

R = RVersion.parse("4.5.0")
VERSIONS = ["1.0", "1.5-1", "2.0", "2.10"]
SIGNS = {
    ">=": lambda one, other: one >= other,
    ">": lambda one, other: one > other,
    "==": lambda one, other: one == other,
    "<=": lambda one, other: one <= other,
    "<": lambda one, other: one < other,
}
BOUNDS = st.sampled_from(
    [("", ""), ("", ""), (">=", "1.0"), (">=", "1.5.1"), (">", "1.0"), ("<", "2.0"), ("<=", "1.5-1"), ("==", "2.0")]
)
GATES = st.sampled_from([(), (), (), (Dependency("R", ">=", "4.0"),), (Dependency("methods", ">=", "4.6"),)])

# What a package wants, by how many others there are: which of them. A strategy is made once, as making one takes longer
# than drawing from it.
NOTHING: st.SearchStrategy[list[int]] = st.just([])
WANTED = [NOTHING, *(st.lists(st.sampled_from(range(count)), max_size=3, unique=True) for count in range(1, 13))]
AVAILABLE = st.lists(st.sampled_from(VERSIONS), max_size=3, unique=True)
ORDERS = {size: st.permutations([f"p{letter}" for letter in "abcdefghijkl"[:size]]) for size in (4, 12)}
# An empty list is a question, too; but there is little to get wrong.
FEWEST = st.sampled_from([1, 1, 1, 2, 0])
REPOSITORIES = st.sampled_from(["", "", "", "first", "second"])


def drawn_record(draw: st.DrawFn, name: str, version: str, others: Sequence[str]) -> Record:
    """Draw one version of a package that wants some of ``others``."""
    wanted = [others[number] for number in draw(WANTED[len(others)])]
    dependencies = tuple(sorted(Dependency(one, *draw(BOUNDS)) for one in wanted))
    return Record(name, RVersion.parse(version), f"{name}_{version}.tar.gz", dependencies, gates=draw(GATES))


def drawn_shelf(draw: st.DrawFn, name: str, packages: Sequence[str], *, archive: bool) -> Shelf:
    """Draw a repository with some of ``packages``; with ``archive``, all but the newest versions are old."""
    current, old = {}, {}
    for number, package in enumerate(packages):
        # Only later packages, so that no ring comes up: those have a test of their own.
        found = [drawn_record(draw, package, version, packages[number + 1 :]) for version in draw(AVAILABLE)]
        found.sort(key=lambda one: one.version, reverse=True)
        kept = found[:1] if archive else found
        if kept:
            current[package], old[package] = kept, found[len(kept) :]
    return Shelf(name, current, old)


@st.composite
def questions(draw: st.DrawFn, *, size: int, archive: bool) -> tuple[list[RRequest], Universe]:
    """Return a list and the two repositories that it is asked of."""
    packages = draw(ORDERS[size])
    sources = [drawn_shelf(draw, name, packages, archive=archive) for name in ("first", "second")]
    known = sorted({name for source in sources for name in source.names})
    listed = draw(st.lists(st.sampled_from(known), min_size=draw(FEWEST), max_size=4)) if known else []
    requests = [
        RRequest(name, *draw(BOUNDS), f"r_packages.txt:{line}", draw(REPOSITORIES))
        for line, name in enumerate(listed, start=1)
    ]
    return requests, Universe(R, sources)


SMALL = questions(size=4, archive=False)
LARGE = questions(size=12, archive=True)
Question = tuple[list[RRequest], Universe]
Thing = TypeVar("Thing")


@given(question=LARGE)
def test_a_solution_satisfies_everybody(question: Question) -> None:
    """All bounds, R's among them, and the repository that a line names."""
    requests, universe = question
    solution = answer(requests, universe)
    if isinstance(solution, Solution):
        assert holds(solution.packages, requests)


@given(question=LARGE)
def test_a_solution_holds_what_is_wanted_and_no_more(question: Question) -> None:
    """Every package is one that the list or another package asks for."""
    requests, universe = question
    solution = answer(requests, universe)
    if isinstance(solution, Solution):
        assert list(solution.packages) == sorted(reached(solution.packages, requests))


@given(question=LARGE)
def test_its_own_solution_as_the_lock_is_the_solution(question: Question) -> None:
    """A second lock run moves nothing."""
    requests, universe = question
    solution = answer(requests, universe)
    if isinstance(solution, Solution):
        assert resolve(requests, replace(universe, locked=solution.packages)) == solution


@given(question=LARGE, data=st.data())
def test_order_changes_nothing(question: Question, data: st.DataObject) -> None:
    """Neither that of the list, nor that of an index, nor that of a package's dependencies.

    What has no solution has none in any order; of several reasons the error may tell another one then.
    """
    requests, universe = question
    others = [shuffled(source, data) for source in universe.sources if isinstance(source, Shelf)]
    expected = answer(requests, universe)
    found = answer(permuted(requests, data), replace(universe, sources=others))
    if isinstance(expected, Solution):
        assert versions(found) == versions(expected)
    else:
        assert isinstance(found, str)


@given(question=LARGE, data=st.data())
def test_a_suggestion_is_granted_or_left_out_and_refuses_nothing(question: Question, data: st.DataObject) -> None:
    """Whatever is suggested, what the list asks for is the same as without; and a second lock run moves nothing."""
    plain, universe = question
    requests = [replace(one, suggests=True) for one in plain]
    sources = [suggesting(source, data) for source in universe.sources if isinstance(source, Shelf)]
    universe = replace(universe, sources=sources)
    expected, found = answer(plain, universe), answer(requests, universe)
    if isinstance(expected, str):
        assert found == expected
        return
    assert isinstance(found, Solution)
    assert holds(found.packages, requests)
    again = answer(requests, replace(universe, locked=found.packages))
    assert versions(again) == versions(found)
    for name in {one.name for one in requests}:
        root = found.packages[name]
        assert root == expected.packages[name]
        for wish in root.record.suggests:
            granted = found.packages.get(wish.name)
            fits = granted and allows(wish.operator, wish.version, granted.record.version)
            assert fits or wish.name in found.left_out


@settings(max_examples=300)
@given(question=SMALL)
def test_what_has_a_solution_is_solved_and_nothing_else(question: Question) -> None:
    """Compared with all combinations, tried one by one; all versions are current ones."""
    requests, universe = question
    solvable = any(holds(one, requests) for one in combinations(universe))
    assert isinstance(answer(requests, universe), Solution) == solvable


def suggesting(shelf: Shelf, data: st.DataObject) -> Shelf:
    """Return a repository whose current packages suggest others, that there may be or not."""
    names = st.sampled_from([*sorted(shelf.names), "nobodyhasit"])
    current = {
        name: [
            replace(one, suggests=tuple(Dependency(data.draw(names), *data.draw(BOUNDS)) for _ in range(2)))
            for one in found
        ]
        for name, found in shelf.current.items()
    }
    return Shelf(shelf.name, current, shelf.old)


def answer(requests: Sequence[RRequest], universe: Universe) -> Solution | str:
    """Return the solution, or what the error says."""
    try:
        return resolve(requests, universe)
    except ListError as error:
        return f"{error}\n{error.remedy}"


def versions(found: Solution | str) -> str | list[tuple[str, str]]:
    """Return an answer without the order in which packages name their dependencies."""
    if isinstance(found, str):
        return found
    return [(str(one), one.repository) for one in found.packages.values()]


def allows(sign: str, bound: str, version: RVersion) -> bool:
    """Tell whether a version is within a bound."""
    return not sign or SIGNS[sign](version, RVersion.parse(bound))


def reached(packages: Mapping[str, Candidate], requests: Sequence[RRequest]) -> set[str]:
    """Return the names of what the list wants, directly or not; those that are missing, too."""
    found: set[str] = set()
    waiting = [one.name for one in requests]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [one.name for one in packages[name].record.dependencies] if name in packages else []
    return found


def holds(packages: Mapping[str, Candidate], requests: Sequence[RRequest]) -> bool:
    """Tell whether everybody who counts has what they want."""
    names = reached(packages, requests)
    if not names <= packages.keys():
        return False
    chosen = [packages[name] for name in names]
    return (
        all(allows(one.operator, one.version, packages[one.name].record.version) for one in requests)
        and all(one.repository in {"", packages[one.name].repository} for one in requests)
        and all(allows(gate.operator, gate.version, R) for one in chosen for gate in one.record.gates)
        and all(
            allows(wish.operator, wish.version, packages[wish.name].record.version)
            for one in chosen
            for wish in one.record.dependencies
        )
    )


def combinations(universe: Universe) -> Iterator[dict[str, Candidate]]:
    """Yield every choice of one version a package."""
    choices: dict[str, list[Candidate]] = {}
    for source in universe.sources:
        for name in source.names:
            choices.setdefault(name, []).extend(Candidate(source.name, one) for one in source.records(name))
    for chosen in itertools.product(*choices.values()):
        yield dict(zip(choices, chosen, strict=True))


def shuffled(shelf: Shelf, data: st.DataObject) -> Shelf:
    """Return the same repository with names, records and dependencies in another order."""

    def mixed(shelved: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
        return {
            name: [
                replace(one, dependencies=tuple(permuted(one.dependencies, data)))
                for one in permuted(shelved[name], data)
            ]
            for name in permuted(sorted(shelved), data)
        }

    return Shelf(shelf.name, mixed(shelf.current), mixed(shelf.old))


def permuted(found: Sequence[Thing], data: st.DataObject) -> Sequence[Thing]:
    """Draw another order."""
    return data.draw(st.permutations(found)) if len(found) > 1 else found
