"""Bumps: what can only move together is one, and every choice that heeds their needs is a consistent lock."""

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.upgrade.bumps import Bound, Bump, Member, Package, bumps_of, moves


def versions(bumps: Iterable[Bump], take: Collection[str]) -> dict[Package, str]:
    """Return the version of each package that changes, where these bumps are taken; "" is: not installed."""
    return {member.package: member.new if moved else member.old for member, moved in moves(bumps, take).items()}


@dataclass
class Locks:
    """An old and a new lock of packages of one ecosystem, from 1 to 2 unless said otherwise."""

    ecosystem: str = "python"
    changes: list[Member] = field(default_factory=list)
    old: dict[Package, dict[Package, Bound]] = field(default_factory=dict)
    new: dict[Package, dict[Package, Bound]] = field(default_factory=dict)

    def package(self, name: str) -> Package:
        """Return a package of the ecosystem."""
        return Package(self.ecosystem, name)

    def change(self, *names: str, old: str = "1", new: str = "2") -> None:
        """Let packages be upgraded, added (from "") or removed (to "")."""
        self.changes += [Member(self.package(name), old, new) for name in names]

    def state(self, lock: str, name: str, other: str, *accepted: str) -> None:
        """Let a package of the old or the new lock accept these versions of another only."""
        bounds = self.old if lock == "old" else self.new
        bounds.setdefault(self.package(name), {})[self.package(other)] = accepted.__contains__

    def bumps(self, *asked: str, sources: Mapping[str, str] | None = None) -> tuple[Bump, ...]:
        """Return the bumps; ``asked`` are the packages that a list names."""
        return bumps_of(
            self.changes,
            self.old,
            self.new,
            asked={self.package(name) for name in asked},
            sources={self.package(name): source for name, source in (sources or {}).items()},
        )


@pytest.fixture
def locks() -> Locks:
    return Locks()


def shown(bumps: Iterable[Bump]) -> dict[str, tuple[list[str], set[str]]]:
    """Return the names of the members and the needs of each bump."""
    return {bump.name: ([member.package.name for member in bump.members], set(bump.needs)) for bump in bumps}


def test_packages_without_bounds_are_a_bump_each(locks: Locks) -> None:
    locks.change("b", "a")
    assert shown(locks.bumps()) == {"a": (["a"], set()), "b": (["b"], set())}


def test_a_lower_bound_of_the_new_version_needs_the_other_bump_which_comes_first(locks: Locks) -> None:
    locks.change("pandas", "zlib")
    locks.state("new", "pandas", "zlib", "2")
    bumps = locks.bumps()
    assert [bump.name for bump in bumps] == ["zlib", "pandas"]
    assert bumps[1].needs == {"zlib"}
    assert not bumps[0].needs


def test_an_upper_bound_of_the_old_version_is_a_need_of_the_other(locks: Locks) -> None:
    locks.change("numba", "llvmlite")
    locks.state("old", "numba", "llvmlite", "1")
    assert shown(locks.bumps()) == {"numba": (["numba"], set()), "llvmlite": (["llvmlite"], {"numba"})}


def test_needs_name_all_not_only_the_next(locks: Locks) -> None:
    locks.change("a", "b", "c")
    locks.state("new", "a", "b", "2")
    locks.state("new", "b", "c", "2")
    assert {bump.name: set(bump.needs) for bump in locks.bumps()} == {"a": {"b", "c"}, "b": {"c"}, "c": set()}


def test_a_family_with_equal_versions_is_one_bump_named_by_the_one_that_the_list_asks_for(locks: Locks) -> None:
    locks.change("jupyter-core", "jupyterlab", "notebook")
    for lock, version in (("old", "1"), ("new", "2")):
        locks.state(lock, "notebook", "jupyterlab", version)
        locks.state(lock, "jupyterlab", "jupyter-core", version)
    assert shown(locks.bumps("jupyterlab")) == {"jupyterlab": (["jupyter-core", "jupyterlab", "notebook"], set())}
    assert [bump.name for bump in locks.bumps()] == ["jupyter-core"]


def test_a_ring_of_needs_is_one_bump(locks: Locks) -> None:
    locks.change("a", "b", "c", "d")
    for first, second in ("ab", "bc", "ca", "da"):
        locks.state("new", first, second, "2")
    assert shown(locks.bumps()) == {"a": (["a", "b", "c"], set()), "d": (["d"], {"a"})}


def test_debs_of_one_source_are_one_bump(locks: Locks) -> None:
    locks.ecosystem = "debs"
    locks.change("libssl3", "openssl", "zlib1g")
    bumps = locks.bumps(sources={"openssl": "openssl", "libssl3": "openssl", "zlib1g": "zlib"})
    assert shown(bumps) == {"libssl3": (["libssl3", "openssl"], set()), "zlib1g": (["zlib1g"], set())}


def test_what_is_added_belongs_to_the_one_that_needs_it_with_its_needs(locks: Locks) -> None:
    locks.change("app", "base")
    locks.change("helper", "helpers-helper", old="")
    locks.state("new", "app", "helper", "2")
    locks.state("new", "helper", "helpers-helper", "2")
    locks.state("new", "helpers-helper", "base", "2")
    assert shown(locks.bumps()) == {"base": (["base"], set()), "app": (["app", "helper", "helpers-helper"], {"base"})}


def test_what_two_bumps_bring_is_there_with_either(locks: Locks) -> None:
    locks.change("a", "b")
    locks.change("shared", old="")
    locks.state("new", "a", "shared", "2")
    locks.state("new", "b", "shared", "2")
    bumps = locks.bumps()
    assert shown(bumps) == {"a": (["a", "shared"], set()), "b": (["b", "shared"], set())}
    there = {take: versions(bumps, take)[locks.package("shared")] for take in ("", "a", "b", "ab")}
    assert there == {"": "", "a": "2", "b": "2", "ab": "2"}


def test_what_two_bumps_no_longer_need_goes_with_the_last(locks: Locks) -> None:
    locks.change("a", "b")
    locks.change("six", new="")
    locks.state("old", "a", "six", "1")
    locks.state("old", "b", "six", "1")
    bumps = locks.bumps()
    assert shown(bumps) == {"a": (["a", "six"], set()), "b": (["b", "six"], set())}
    there = {take: versions(bumps, take)[locks.package("six")] for take in ("", "a", "b", "ab")}
    assert there == {"": "1", "a": "1", "b": "1", "ab": ""}


def test_what_a_list_adds_is_a_bump_of_its_own(locks: Locks) -> None:
    locks.change("a")
    locks.change("wanted", old="")
    locks.state("new", "a", "wanted", "2")
    assert shown(locks.bumps("wanted")) == {"wanted": (["wanted"], set()), "a": (["a"], {"wanted"})}


def test_new_packages_that_only_need_each_other_are_one_bump(locks: Locks) -> None:
    locks.change("egg", "hen", old="")
    locks.state("new", "egg", "hen", "2")
    locks.state("new", "hen", "egg", "2")
    assert shown(locks.bumps()) == {"egg": (["egg", "hen"], set())}


def test_a_conflict_with_what_goes_waits_for_all_that_keep_it(locks: Locks) -> None:
    locks.change("a", "b", "c")
    locks.change("pil", new="")
    locks.state("old", "a", "pil", "1")
    locks.state("old", "b", "pil", "1")
    locks.state("new", "c", "pil", "")
    assert {bump.name: set(bump.needs) for bump in locks.bumps()} == {"a": set(), "b": set(), "c": {"a", "b"}}


def test_equal_names_in_two_ecosystems_are_told_apart() -> None:
    changes = [Member(Package(ecosystem, "zip"), "1", "2") for ecosystem in ("r", "debs")]
    assert [bump.name for bump in bumps_of(changes, {}, {})] == ["zip (debs)", "zip (r)"]


def test_bounds_reach_into_other_ecosystems() -> None:
    r, deb = Package("r", "curl"), Package("debs", "libcurl4")
    bumps = bumps_of([Member(r, "1", "2"), Member(deb, "", "8")], {}, {r: {deb: bool}})
    assert shown(bumps) == {"curl": (["libcurl4", "curl"], set())}


NAMES = "abcdefg"
PAIRS = st.sampled_from([(first, second) for first in NAMES for second in NAMES if first != second])
ACCEPTED = st.sets(st.sampled_from(["", "1", "2"]), max_size=2)


@st.composite
def any_locks(draw: st.DrawFn) -> Locks:
    """Draw two locks, each consistent in itself."""
    locks = Locks()
    states = {name: draw(st.sampled_from([("1", "2"), ("1", "2"), ("", "2"), ("1", "")])) for name in NAMES}
    for name, (old, new) in states.items():
        locks.change(name, old=old, new=new)
    for lock, place in (("old", 0), ("new", 1)):
        for name, other in draw(st.lists(PAIRS, max_size=10)):
            if states[name][place]:
                locks.state(lock, name, other, states[other][place], *draw(ACCEPTED))
    return locks


def needed(locks: Locks, there: Mapping[Package, str]) -> dict[Package, Mapping[Package, Bound]]:
    """Return the bounds of what is installed."""
    old = {change.package: change.old for change in locks.changes}
    return {
        package: (locks.old if version == old[package] else locks.new).get(package, {})
        for package, version in there.items()
        if version
    }


def choices(bumps: tuple[Bump, ...]) -> Iterable[set[str]]:
    """Yield each choice of bumps that heeds their needs."""
    for count in range(len(bumps) + 1):
        for chosen in itertools.combinations(bumps, count):
            take = {bump.name for bump in chosen}
            if all(bump.needs <= take for bump in chosen):
                yield take


@given(locks=any_locks())
def test_every_choice_that_heeds_the_needs_is_consistent(locks: Locks) -> None:
    bumps = locks.bumps()
    for take in choices(bumps):
        there = versions(bumps, take)
        for bounds in needed(locks, there).values():
            assert all(bound(there[other]) for other, bound in bounds.items())


@given(locks=any_locks())
def test_nothing_is_added_or_kept_that_nothing_needs(locks: Locks) -> None:
    bumps = locks.bumps()
    chosen = {bump.name for bump in bumps}
    for take in choices(bumps):
        there = versions(bumps, take)
        users = list(needed(locks, there).values())
        for change in locks.changes:
            package = change.package
            if there[package] and "" in {change.old, change.new} and package.name not in chosen:
                assert any(package in bounds and not bounds[package]("") for bounds in users)


@given(locks=any_locks())
def test_every_prefix_heeds_the_needs_and_all_and_nothing_are_the_two_locks(locks: Locks) -> None:
    bumps = locks.bumps()
    for place, bump in enumerate(bumps):
        assert bump.needs <= {before.name for before in bumps[:place]}
    everything = [bump.name for bump in bumps]
    assert len(set(everything)) == len(everything)
    assert versions(bumps, everything) == {change.package: change.new for change in locks.changes}
    assert versions(bumps, []) == {change.package: change.old for change in locks.changes}


@given(locks=any_locks(), order=st.permutations(range(len(NAMES))))
def test_the_order_of_the_changes_means_nothing(locks: Locks, order: list[int]) -> None:
    before = locks.bumps()
    locks.changes = [locks.changes[place] for place in order]
    assert locks.bumps() == before
