"""What the packages of a set of locks say of each other, as far as their files are known: what a bump must respect."""

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from debian.deb822 import PkgRelation
from debian.debian_support import Version as DebVersion
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyrlab.model.cran.record import Dependency
from pyrlab.model.cran.version import RVersion
from pyrlab.model.locks.debs import ROOT, DebPin
from pyrlab.model.locks.lockset import Locks, python_of, r_version
from pyrlab.model.locks.r import RPin
from pyrlab.model.upgrade.bumps import Bound, Package
from pyrlab.model.upgrade.compose import DEBS, PYTHON, R

_R_ITSELF, _PYTHON_ITSELF = Package(DEBS, "r-base-core"), Package(DEBS, "python3")
# Debian Policy 7.1.
_OPERATORS: Mapping[str, Callable[[DebVersion, DebVersion], bool]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">>": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Files:
    """What the pinned files say: the control fields of debs by SHA-256, and what wheels need, by package.

    What is not at hand is not in them, and bounds nothing.
    """

    controls: Mapping[str, Mapping[str, str]]
    requirements: Mapping[str, Iterable[Requirement]]


def bounds_of(locks: Locks, files: Files) -> dict[Package, dict[Package, Bound]]:
    """Return what each package of the locks says of others."""
    found: dict[Package, dict[Package, Bound]] = defaultdict(dict)
    for package, other, bound in _all(locks, files):
        earlier = found[package].get(other)
        found[package][other] = _both(earlier, bound) if earlier else bound
    return dict(found)


def sources_of(locks: Locks, files: Files) -> dict[Package, str]:
    """Return the source packages of debs, where their files are known.

    A base image is one with all that it has installed: nothing of it moves alone.
    """
    sources = {}
    for pin in locks.all_debs:
        fields = files.controls.get(pin.sha256)
        if fields:
            # As in "gcc-14 (14.2.0-19)" where the versions differ.
            sources[Package(DEBS, pin.name)] = fields.get("Source", pin.name).partition(" ")[0]
    if locks.debs.base:
        image = locks.debs.base.image
        sources |= {Package(DEBS, name): image for name in (image, *(pin.name for pin in locks.debs.sections[ROOT]))}
    return sources


def _both(first: Bound, second: Bound) -> Bound:
    return lambda version: first(version) and second(version)


_Said = Iterator[tuple[Package, Package, Bound]]


def _all(locks: Locks, files: Files) -> _Said:
    for pin in locks.all_debs:
        yield from _of_deb(pin, files.controls.get(pin.sha256, {}))
    python = python_of(locks.debs)
    base = locks.debs.base
    # A base image's version is that of its Python.
    python_itself = Package(DEBS, base.image) if base else _PYTHON_ITSELF
    for lock in locks.python.values():
        for wheel in lock.pins:
            own = Package(PYTHON, wheel.name)
            # A file is for one Python: the labs' own is Debian's, or the base image's.
            yield own, python_itself, _is_python(python)
            for wanted in files.requirements.get(wheel.name, ()):
                yield own, Package(PYTHON, canonicalize_name(wanted.name)), _python_bound(wanted)
    for package in locks.r.packages if locks.r else ():
        yield from _of_r(package)


def _of_deb(pin: DebPin, fields: Mapping[str, str]) -> _Said:
    own = Package(DEBS, pin.name)
    for field in ("Pre-Depends", "Depends"):
        for group in _relations(fields.get(field, "")):
            # Of alternatives any one will do, and apt has chosen.
            if len(group) == 1:
                yield own, Package(DEBS, group[0]["name"]), _deb_bound(group[0].get("version"))
    for field in ("Breaks", "Conflicts"):
        for group in _relations(fields.get(field, "")):
            relation = group[0]
            if relation["name"] != pin.name:
                yield own, Package(DEBS, relation["name"]), _refused(_deb_bound(relation.get("version")))


def _relations(text: str) -> list[list[Any]]:
    return list(PkgRelation.parse_relations(text)) if text else []


def _deb_bound(said: tuple[str, str] | None) -> Bound:
    compare = _OPERATORS.get(said[0]) if said else None
    if said is None or compare is None:
        return bool
    wanted = DebVersion(said[1])
    return lambda version: bool(version) and compare(DebVersion(version), wanted)


def _refused(bound: Bound) -> Bound:
    return lambda version: not version or not bound(version)


def _is_python(minor: str) -> Bound:
    return lambda version: ".".join(version.split(".")[:2]) == minor


def _python_bound(wanted: Requirement) -> Bound:
    def bound(version: str) -> bool:
        try:
            return bool(version) and wanted.specifier.contains(Version(version), prereleases=True)
        except InvalidVersion:
            return True

    return bound


def _of_r(pin: RPin) -> _Said:
    own = Package(R, pin.name)
    for wanted in pin.dependencies:
        if wanted.name == "R":
            yield own, _R_ITSELF, _r_itself(wanted)
        else:
            yield own, Package(R, wanted.name), _r_bound(wanted)
    for name in (*pin.system, *pin.build):
        yield own, Package(DEBS, name), bool
    if pin.deb:
        # One thing with two names.
        deb, version = Package(DEBS, pin.deb.name), pin.version
        yield own, deb, _is(pin.deb.version)
        yield deb, own, _is(version)


def _is(wanted: str) -> Bound:
    return lambda version: version == wanted


def _r_bound(wanted: Dependency) -> Bound:
    return lambda version: bool(version) and wanted.allows(RVersion.parse(version))


def _r_itself(wanted: Dependency) -> Bound:
    return lambda version: bool(version) and wanted.allows(RVersion.parse(r_version(version)))
