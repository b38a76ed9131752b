"""What an upgrade moves, package by package, and locks that take some of it and leave the rest as it was."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from pyrlab.model.locks.debs import ROOT, DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks, glibc_of, python_of, r_of
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.locks.r import RLock, RPin
from pyrlab.model.upgrade.bumps import Member, Package
from pyrlab.model.wish import KINDS

DEBS, R, PYTHON = KINDS


class _Pin(Protocol):
    @property
    def name(self) -> str: ...


_AnyPin = TypeVar("_AnyPin", bound=_Pin)


def members(old: Locks, new: Locks) -> list[Member]:
    """Return what moves between two sets of locks, sorted. Where both versions are one, the files differ."""
    before, after = _occurrences(old), _occurrences(new)
    return [
        Member(package, _version(before.get(package, {})), _version(after.get(package, {})))
        for package in sorted(before.keys() | after.keys())
        if before.get(package, {}) != after.get(package, {})
    ]


def compose(old: Locks, new: Locks, held: Collection[Package]) -> Locks:
    """Return the new locks, but with the packages in ``held`` as the old ones have them.

    Nothing is resolved: whether what is taken fits what is held is for the caller to know.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for package in held:
        names[package.ecosystem].add(package.name)

    def debs_of(before: Iterable[DebPin], after: Iterable[DebPin]) -> tuple[DebPin, ...]:
        return _mixed(before, after, names[DEBS])

    names_of_sections = [*new.debs.sections, *(name for name in old.debs.sections if name not in new.debs.sections)]
    sections = {
        name: debs_of(old.debs.sections.get(name, ()), new.debs.sections.get(name, ())) for name in names_of_sections
    }
    # What is held from before a snapshot archive knows by its version.
    snapshot = (old if held and sections == old.debs.sections else new).debs.snapshot
    old_base = old.debs.base
    base = old_base if old_base and old_base.image in names[DEBS] else new.debs.base
    debs = replace(new.debs, sections=sections, snapshot=snapshot, base=base)
    python = {
        image: replace(
            _compose_python(old.python.get(image), lock, names[PYTHON]), python=python_of(debs), glibc=glibc_of(debs)
        )
        for image, lock in new.python.items()
    }
    r = _compose_r(old.r, new.r, debs, names[R], debs_of) if new.r else None
    return Locks(debs, python, r)


def _compose_python(old: PythonLock | None, new: PythonLock, held: Collection[str]) -> PythonLock:
    if old is None:
        return new
    chosen = _mixed(old.pins, new.pins, held)
    before, after = ({pin.name: set(pin.via) for pin in lock.pins} for lock in (old, new))

    def via(name: str) -> tuple[str, ...]:
        """Return who wants a package: each parent has the wants of the version that is taken of it."""
        kept = {parent for parent in before.get(name, ()) if parent in held}
        return tuple(sorted(kept | {parent for parent in after.get(name, before.get(name, ())) if parent not in held}))

    return replace(new, pins=tuple(replace(pin, via=via(pin.name)) for pin in chosen))


def _compose_r(
    old: RLock | None,
    new: RLock,
    debs: DebsLock,
    held: Collection[str],
    debs_of: Callable[[Iterable[DebPin], Iterable[DebPin]], tuple[DebPin, ...]],
) -> RLock:
    return replace(
        new,
        debs_body=debs.body,
        r=r_of(debs),
        packages=_mixed(old.packages if old else (), new.packages, held),
        debs=debs_of(old.debs if old else (), new.debs),
        build_debs=debs_of(old.build_debs if old else (), new.build_debs),
    )


def _mixed(old: Iterable[_AnyPin], new: Iterable[_AnyPin], held: Collection[str]) -> tuple[_AnyPin, ...]:
    """Return the old pins of what is held and the new pins of all else, sorted by name."""
    chosen = [pin for pin in old if pin.name in held] + [pin for pin in new if pin.name not in held]
    return tuple(sorted(chosen, key=lambda pin: pin.name))


def _occurrences(locks: Locks) -> dict[Package, dict[str, object]]:
    """Return the pins of each package by where they stand."""
    found: dict[Package, dict[str, object]] = defaultdict(dict)
    deb_places = dict(locks.debs.sections)
    if locks.r:
        deb_places |= {"r": locks.r.debs, "r build": locks.r.build_debs}
        for r_pin in locks.r.packages:
            found[Package(R, r_pin.name)]["r"] = _bytes_of_r(r_pin)
    if locks.debs.base:
        found[Package(DEBS, locks.debs.base.image)][ROOT] = (locks.debs.base.python, locks.debs.base.digest)
    for place, pins in deb_places.items():
        for pin in pins:
            found[Package(DEBS, pin.name)][place] = (pin.version, pin.sha256)
    for image, lock in locks.python.items():
        for python_pin in lock.pins:
            found[Package(PYTHON, python_pin.name)][image] = _bytes_of_python(python_pin)
    return found


def _bytes_of_python(pin: PythonPin) -> object:
    return (pin.version, pin.marker, pin.files)


def _bytes_of_r(pin: RPin) -> object:
    return (pin.version, pin.repository, pin.deb.sha256 if pin.deb else "", pin.files)


def _version(places: Mapping[str, object]) -> str:
    """Return the version of a package; where images have different ones, the last one is what a lab has."""
    versions = [place[0] for place in places.values() if isinstance(place, tuple)]
    return str(versions[-1]) if versions else ""
