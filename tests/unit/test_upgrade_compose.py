"""Locks of an upgrade that take some of it: what is held is as it was, all else is new, and each lock is whole."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from lock_samples import debs_locks, python_locks

from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.locks.r import RLock, RPin
from pyrlab.model.upgrade.bumps import Member, Package
from pyrlab.model.upgrade.compose import compose, members


def deb(name: str, version: str) -> DebPin:
    return DebPin(name, version, "all", "0" * 63 + version[0], 1, f"pool/{name}.deb")


def wheel(name: str, version: str, *via: str) -> PythonPin:
    return PythonPin(name, version, "", (f"sha256:{version[0] * 64}",), via or ("list",))


def locks(debs: list[DebPin], python: list[PythonPin], r: list[RPin] | None = None) -> Locks:
    made = DebsLock("sha256:0", "trixie", "amd64", {"root": tuple(debs)})
    pythons = {"pylab": PythonLock("requirements.lock", "sha256:0", "3.13", "2.41", tuple(python))}
    r_lock = RLock("sha256:0", made.body, "4.5.0", ("debian",), tuple(r), ()) if r is not None else None
    return Locks(made, pythons, r_lock)


OLD = locks(
    [deb("gone", "1"), deb("tool", "1")],
    [wheel("a", "1"), wheel("b", "1", "a")],
    [RPin("zoo", "1", "cran", requested=True)],
)
NEW = locks(
    [deb("come", "1"), deb("tool", "2")],
    [wheel("a", "2"), wheel("b", "1", "list")],
    [RPin("zoo", "2", "cran", requested=True)],
)
TOOL, GONE, COME, A, ZOO = (
    Package("debs", "tool"),
    Package("debs", "gone"),
    Package("debs", "come"),
    Package("python", "a"),
    Package("r", "zoo"),
)


def test_what_moves_is_told_with_both_versions() -> None:
    assert members(OLD, NEW) == [
        Member(COME, "", "1"),
        Member(GONE, "1", ""),
        Member(TOOL, "1", "2"),
        Member(A, "1", "2"),
        Member(ZOO, "1", "2"),
    ]
    assert members(OLD, OLD) == []


def test_other_bytes_of_the_same_version_move_too() -> None:
    again = locks([replace(deb("tool", "1"), sha256="f" * 64), deb("gone", "1")], list(OLD.python["pylab"].pins), [])
    assert Member(TOOL, "1", "1") in members(OLD, again)


def test_what_is_held_is_as_it_was() -> None:
    made = compose(OLD, NEW, {TOOL, A})
    assert [(pin.name, pin.version) for pin in made.debs.pins()] == [("come", "1"), ("tool", "1")]
    assert [(pin.name, pin.version) for pin in made.python["pylab"].pins] == [("a", "1"), ("b", "1")]
    assert made.r
    assert [pin.version for pin in made.r.packages] == ["2"]


def test_what_goes_stays_and_what_comes_stays_away_where_they_are_held() -> None:
    made = compose(OLD, NEW, {GONE, COME})
    assert [pin.name for pin in made.debs.pins()] == ["gone", "tool"]


def test_each_parent_wants_what_its_own_version_wants() -> None:
    assert compose(OLD, NEW, {A}).python["pylab"].pins[1].via == ("a", "list")
    assert compose(OLD, NEW, {ZOO}).python["pylab"].pins[1].via == ("list",)


def test_r_stands_on_the_composed_debs() -> None:
    made = compose(OLD, NEW, {TOOL})
    assert made.r
    assert made.r.debs_body == made.debs.body != NEW.debs.body


def test_the_archives_time_is_that_of_the_newest_pins_and_of_old_ones_alone_the_old() -> None:
    old, new = (
        replace(whole, debs=replace(whole.debs, snapshot=time))
        for whole, time in ((OLD, "20261101T000000Z"), (NEW, "20261129T000000Z"))
    )
    assert compose(old, new, {TOOL}).debs.snapshot == new.debs.snapshot
    assert compose(old, new, ()).debs == new.debs
    assert compose(old, new, {TOOL, GONE, COME, A}).debs == old.debs


@given(debs_locks(), debs_locks(), python_locks(), python_locks(), st.data())
def test_nothing_held_is_the_new_locks_and_all_held_the_old_ones(
    old: DebsLock, new: DebsLock, before: PythonLock, after: PythonLock, data: st.DataObject
) -> None:
    first, second = Locks(old, {"pylab": before}, None), Locks(new, {"pylab": after}, None)
    everything = [member.package for member in members(first, second)]
    held = set(data.draw(st.lists(st.sampled_from(everything), unique=True))) if everything else set()
    made = compose(first, second, held)
    assert compose(first, second, ()).debs.sections == {**second.debs.sections}
    all_old = compose(first, second, everything)
    assert {pin.name: pin.version for pin in all_old.debs.pins()} == {pin.name: pin.version for pin in old.pins()}
    assert all_old.python["pylab"].versions() == before.versions()
    versions = {Package("debs", pin.name): pin.version for pin in made.debs.pins()}
    was = {Package("debs", pin.name): pin.version for pin in old.pins()}
    now = {Package("debs", pin.name): pin.version for pin in new.pins()}
    for package in was.keys() | now.keys():
        assert versions.get(package) == (was if package in held else now).get(package)
