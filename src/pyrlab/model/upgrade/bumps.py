"""An upgrade's changes, grouped into bumps: what can only move together is one, and each says which others it needs.

A package that is not installed has the version "". So "A's new version needs B, which is added" and "A's new version
does not fit B's old one" are the same rule.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyrlab.model.wish import KINDS


class Package(NamedTuple):
    """A package's name in its ecosystem: debs, r or python."""

    ecosystem: str
    name: str


# Tells whether a version of the other package will do; "" is: not installed.
Bound = Callable[[str], bool]
# What each package of a lock says of others. What is not known is not there, and everything will do.
Bounds = Mapping[Package, Mapping[Package, Bound]]


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One package's way from the old locks to the new ones: ``old`` is "" where it is added, ``new`` where removed."""

    package: Package
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Bump:
    """What is taken or held back as one. ``needs`` are the names of all bumps without which it cannot be taken.

    ``name`` is that of its most telling member, and no other bump's. A package that several bumps bring, or that
    several no longer need, is a member of each: see ``moves``.
    """

    name: str
    members: tuple[Member, ...]
    needs: frozenset[str] = frozenset()


def moves(bumps: Iterable[Bump], take: Collection[str]) -> dict[Member, bool]:
    """Return whether each member moves, where these bumps are taken.

    A package that several bumps bring is there as soon as one of them is; one that several no longer need goes with
    the last of them.
    """
    taken: dict[Member, list[bool]] = {}
    for bump in bumps:
        for member in bump.members:
            taken.setdefault(member, []).append(bump.name in take)
    return {member: any(votes) if member.new else all(votes) for member, votes in taken.items()}


def bumps_of(
    changes: Iterable[Member],
    old: Bounds,
    new: Bounds,
    *,
    asked: Collection[Package] = (),
    sources: Mapping[Package, str] | None = None,
) -> tuple[Bump, ...]:
    """Group changes into bumps. Each stands after those that it needs, so every prefix is a consistent lock.

    ``old`` and ``new`` are what the packages of the old and of the new locks say of each other. ``asked`` are those
    that a list names, ``sources`` the source packages of debs, as far as they are known. Of two bumps the one that
    more others need comes first: what is last can be held back alone.
    """
    units = _units(changes, sources or {})
    edges = _edges(units, old, new)
    carriers = _carriers(units, edges, asked)
    needs = _closure(len(units), _between_carriers(edges, carriers, units))
    groups = _groups(needs, [unit for unit in range(len(units)) if carriers[unit] == {unit}])
    return _bumps(units, groups, needs, carriers, asked)


Unit = tuple[Member, ...]
# "The first of two units cannot be new without the second", by their numbers.
Edge = tuple[int, int]


def _units(changes: Iterable[Member], sources: Mapping[Package, str]) -> list[Unit]:
    """Return what moves together from the start: the debs of one source package, else a package each."""
    units: dict[tuple[str, str, bool], list[Member]] = {}
    for member in sorted(changes, key=lambda member: _place(member.package)):
        source = sources.get(member.package)
        key = (member.package.ecosystem, source or member.package.name, source is not None)
        units.setdefault(key, []).append(member)
    return [tuple(members) for members in units.values()]


def _place(package: Package) -> tuple[int, str]:
    return KINDS.index(package.ecosystem), package.name


def _edges(units: Sequence[Unit], old: Bounds, new: Bounds) -> set[Edge]:
    """Return which unit needs which: a new version that refuses an old one, an old version that refuses a new one."""
    number = {member.package: place for place, unit in enumerate(units) for member in unit}
    changes = {member.package: member for unit in units for member in unit}
    edges = set()
    for package, own in number.items():
        for other, bound in new.get(package, {}).items():
            if other in changes and not bound(changes[other].old):
                edges.add((own, number[other]))
        for other, bound in old.get(package, {}).items():
            if other in changes and not bound(changes[other].new):
                edges.add((number[other], own))
    return {(first, second) for first, second in edges if first != second}


def _is_added(unit: Unit) -> bool:
    return not any(member.old for member in unit)


def _is_removed(unit: Unit) -> bool:
    return not any(member.new for member in unit)


def _carriers(units: Sequence[Unit], edges: Iterable[Edge], asked: Collection[Package]) -> list[set[int]]:
    """Return by which units each is taken: itself; or, where nothing but others' needs adds or keeps it, those others.

    What is added is there for what is new and needs it; what is removed was there for what is old and needed it.
    """
    carried: list[set[int]] = [set() for _ in units]
    for first, second in edges:
        if _is_added(units[second]) and not _is_asked(units[second], asked):
            carried[first].add(second)
        if _is_removed(units[first]):
            carried[second].add(first)
    passengers = set().union(*carried)
    carriers: list[set[int]] = [set() for _ in units]
    for unit in range(len(units)):
        if unit not in passengers:
            _board(unit, carried, carriers)
    # What is left are rings of packages that need each other, and nothing else needs.
    for unit in [place for place, found in enumerate(carriers) if not found]:
        carriers[unit] = {unit}
    return carriers


def _is_asked(unit: Unit, asked: Collection[Package]) -> bool:
    return any(member.package in asked for member in unit)


def _board(carrier: int, carried: Sequence[set[int]], carriers: Sequence[set[int]]) -> None:
    """Mark all that a unit brings along, directly or not."""
    waiting = [carrier]
    while waiting:
        unit = waiting.pop()
        if carrier not in carriers[unit]:
            carriers[unit].add(carrier)
            waiting += carried[unit]


def _between_carriers(edges: Iterable[Edge], carriers: Sequence[set[int]], units: Sequence[Unit]) -> set[Edge]:
    """Return the edges between units that can be chosen: what is carried hands on its needs to each carrier."""
    found = set()
    for first, second in edges:
        comes_along = _is_added(units[second]) and carriers[second] != {second}
        goes_along = _is_removed(units[first]) and carriers[first] != {first}
        if not comes_along and not goes_along:
            found |= {(one, other) for one in carriers[first] for other in carriers[second]}
    return found


def _closure(count: int, edges: Iterable[Edge]) -> list[int]:
    """Return all that each unit needs, directly or not, as the bits of an integer; by Warshall's algorithm."""
    needs = [0] * count
    for first, second in edges:
        needs[first] |= 1 << second
    for through in range(count):
        if needs[through]:
            for unit in range(count):
                if needs[unit] >> through & 1:
                    needs[unit] |= needs[through]
    return needs


def _bits(number: int) -> Iterator[int]:
    """Yield the places of a number's bits."""
    while number:
        yield number.bit_length() - 1
        number ^= 1 << (number.bit_length() - 1)


def _groups(needs: Sequence[int], chosen: Iterable[int]) -> list[list[int]]:
    """Return the units that need each other, together; the others alone."""
    groups: dict[int, list[int]] = {}
    for unit in chosen:
        mates = (other for other in groups if needs[unit] >> other & 1 and needs[other] >> unit & 1)
        groups.setdefault(next(mates, unit), []).append(unit)
    return list(groups.values())


def _bumps(
    units: Sequence[Unit],
    groups: Sequence[Sequence[int]],
    needs: Sequence[int],
    carriers: Sequence[set[int]],
    asked: Collection[Package],
) -> tuple[Bump, ...]:
    """Return a bump for each group, those first that more others need: these include all that a bump needs."""
    tellers = [_most_telling([member for unit in group for member in units[unit]], asked) for group in groups]
    names = _names(tellers)
    place_of = {name: _place(teller) for name, teller in zip(names, tellers, strict=True)}
    name_of = {unit: name for name, group in zip(names, groups, strict=True) for unit in group}
    members: dict[str, list[Member]] = {name: [] for name in names}
    for unit, found in zip(units, carriers, strict=True):
        for name in {name_of[carrier] for carrier in found}:
            members[name] += unit
    bumps = []
    for name, group in zip(names, groups, strict=True):
        needed = {name_of[unit] for unit in _bits(needs[group[0]]) if unit in name_of}
        bumps.append(Bump(name, tuple(sorted(members[name])), frozenset(needed - {name})))
    dependants = Counter(other for bump in bumps for other in bump.needs)
    return tuple(sorted(bumps, key=lambda bump: (-dependants[bump.name], place_of[bump.name])))


def _most_telling(members: Sequence[Member], asked: Collection[Package]) -> Package:
    """Return the package that a list asks for, else the first; rather one that stays than one that comes or goes."""
    return min(
        members,
        key=lambda member: (member.package not in asked, not (member.old and member.new), _place(member.package)),
    ).package


def _names(packages: Sequence[Package]) -> list[str]:
    """Return a name for each package; with its ecosystem where another has the same."""
    counts = Counter(package.name for package in packages)
    return [
        f"{package.name} ({package.ecosystem})" if counts[package.name] > 1 else package.name for package in packages
    ]
