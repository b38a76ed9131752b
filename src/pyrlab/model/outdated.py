"""What is newer than the locks: a row a name in the lists, and what holds it back as far as that can be told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from debian.debian_support import Version as DebVersion
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from pyrlab.model import commits
from pyrlab.model.base_image import Base
from pyrlab.model.commits import CommitRequest
from pyrlab.model.cran import debian
from pyrlab.model.cran.record import Record
from pyrlab.model.cran.universe import Source
from pyrlab.model.cran.version import RVersion
from pyrlab.model.debian import Index
from pyrlab.model.lists import DebRequest, PythonRequest, RRequest
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.locks.r import RLock, RPin
from pyrlab.model.python_releases import Newest

IMAGE, DEBIAN, PYTHON, R = "Base image", "Debian", "Python", "R"
NOT_LOCKED = "not locked yet: nox -s lock"


@dataclass(frozen=True, slots=True)
class Row:
    """One name: what the lists say of it, the locked version, the newest one, and what holds it at the locked one.

    ``behind`` tells whether there is a newer one; ``locked`` and ``newest`` are empty where there is none.
    """

    ecosystem: str
    name: str
    listed: str
    locked: str
    newest: str
    behind: bool
    held: tuple[str, ...] = ()

    def table(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self)


def _by_name(requests: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for request in requests:
        found.setdefault(request.name, []).append(request)
    return dict(sorted(found.items(), key=lambda item: (item[0].lower(), item[0])))


def _text(requests: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, requests)))


def _bound(request: object, where: str) -> str:
    return f"the list: {request} ({where})"


# ---- The base image


def base_row(image: str, locked: Base | None, newest: str) -> Row:
    """Return the row of the base image: what stands for its versions are digests.

    ``image`` is its name in the settings, ``locked`` what debs.lock has, and ``newest`` the digest that the name has
    now; empty where the registry has it no longer.
    """
    digest = locked.digest if locked and locked.image == image else ""
    behind = bool(digest and newest) and newest != digest
    held = ("the registry has it no longer",) * (not newest) + (NOT_LOCKED,) * (not digest)
    return Row(IMAGE, image, image, digest, newest, behind, held)


# ---- Debian


def debian_rows(requests: Iterable[DebRequest], lock: DebsLock, index: Index) -> list[Row]:
    """Return the rows of Debian's packages; ``index`` is what the archive has of the suite."""
    return [_debian_row(name, lines, lock, index) for name, lines in _by_name(requests).items()]


def _debian_row(name: str, lines: Sequence[DebRequest], lock: DebsLock, index: Index) -> Row:
    locked = lock.version_of(name) or ""
    records = index.versions(name)
    newest = records[0].version if records else ""
    behind = bool(locked and newest) and DebVersion(newest) > DebVersion(locked)
    held = [_bound(line, line.where) for line in lines if behind and line.version not in {None, newest}]
    if not newest:
        held.append(f"{lock.suite} has it no longer")
    if not locked:
        held.append(NOT_LOCKED)
    return Row(DEBIAN, name, _text(lines), locked, newest, behind, tuple(held))


# ---- Python


@dataclass(frozen=True, slots=True)
class PythonLocked:
    """A Python lock's pins, and what they want of each other: ``wants`` gives it by name, if it is known."""

    pins: Mapping[str, PythonPin]
    target: str
    wants: Callable[[PythonPin], Sequence[Requirement]]


def python_rows(
    requests: Iterable[PythonRequest], locked: PythonLocked, newest: Mapping[str, Newest | None]
) -> list[Row]:
    """Return the rows of a list of Python packages. ``newest`` has None for what the index does not know."""
    return [_python_row(name, lines, locked, newest[name]) for name, lines in _by_name(requests).items()]


def _python_row(name: str, lines: Sequence[PythonRequest], locked: PythonLocked, newest: Newest | None) -> Row:
    pin = locked.pins.get(name)
    if newest is None or newest.version is None:
        reason = "the index has it no longer" if newest is None else "the index has no version of it"
        return Row(PYTHON, name, _text(lines), pin.version if pin else "", "", behind=False, held=(reason,))
    if pin is None:
        held = "a marker may leave it out" if all(line.conditional for line in lines) else NOT_LOCKED
        return Row(PYTHON, name, _text(lines), "", str(newest.version), behind=False, held=(held,))
    behind = newest.version > Version(pin.version)
    reasons = list(_python_bounds(lines, pin, locked, newest)) if behind else []
    return Row(PYTHON, name, _text(lines), pin.version, str(newest.version), behind, tuple(reasons))


def _python_bounds(
    lines: Sequence[PythonRequest], pin: PythonPin, locked: PythonLocked, newest: Newest
) -> Iterable[str]:
    version = newest.version
    for line in lines:
        if not Requirement(line.text).specifier.contains(str(version), prereleases=True):
            yield _bound(line, line.where)
    if newest.fitting != version:
        other = f"; the newest with one is {newest.fitting}" if newest.fitting else ""
        yield f"no file for {locked.target}{other}"
    for parent in pin.via:
        wanting = locked.pins.get(parent)
        for wanted in locked.wants(wanting) if wanting else ():
            same = canonicalize_name(wanted.name) == pin.name
            if wanting and same and not wanted.specifier.contains(str(version), prereleases=True):
                yield f"{wanting.name} {wanting.version}: {wanted.name}{wanted.specifier}"


# ---- R


@dataclass(frozen=True, slots=True)
class RWorld:
    """What there is of R packages: the names of the repositories in the user's order, and what each has.

    ``index`` is Debian's, whose packages the repository ``debian`` stands for.
    """

    order: Sequence[str]
    sources: Mapping[str, Source]
    index: Index

    def offers(self, name: str, pin: RPin | None) -> list[tuple[str, Record]]:
        """Return the newest version that each repository has of a package, by repository."""
        found = []
        for repository in self.order:
            if repository == debian.NAME:
                record = self._of_debian(name, pin)
            else:
                records = self.sources[repository].records(name)
                record = records[0] if records else None
            if record:
                found.append((repository, record))
        return found

    def _of_debian(self, name: str, pin: RPin | None) -> Record | None:
        """Return what Debian has, by its deb's version. For the very deb that is locked, R's own version is known."""
        debs = [pin.deb.name] if pin and pin.deb else [f"{prefix}{name.lower()}" for prefix in debian.PREFIXES]
        for deb in debs:
            for found in self.index.versions(deb)[:1]:
                if pin and pin.deb and pin.deb.version == found.version:
                    return Record(name, RVersion.parse(pin.version), deb)
                return Record(name, debian.upstream_version(found.version), deb)
        return None


def r_rows(requests: Iterable[RRequest], lock: RLock, world: RWorld) -> list[Row]:
    """Return the rows of the list of R packages: the newest version is that of any repository."""
    pins = {pin.name: pin for pin in lock.packages}
    return [_r_row(name, lines, pins, lock.r, world) for name, lines in _by_name(requests).items()]


def _r_row(name: str, lines: Sequence[RRequest], pins: Mapping[str, RPin], r: str, world: RWorld) -> Row:
    pin = pins.get(name)
    offers = world.offers(name, pin)
    if not offers:
        locked = pin.version if pin else ""
        return Row(R, name, _text(lines), locked, "", behind=False, held=("no repository has it now",))
    # Of equal versions that of the first repository: max returns the first one.
    repository, record = max(offers, key=lambda offer: offer[1].version)
    newest = str(record.version)
    if pin is None:
        return Row(R, name, _text(lines), "", newest, behind=False, held=(NOT_LOCKED,))
    behind = record.version > RVersion.parse(pin.version)
    held: list[str] = []
    if behind:
        held += [_bound(line, line.where) for line in lines if not _allows(line, repository, record)]
        held += [f"R {r}: it wants {gate}" for gate in record.gates if not gate.allows(RVersion.parse(r))]
        held += [
            f"{other.name} {other.version}: {wanted}"
            for other in pins.values()
            for wanted in other.dependencies
            if wanted.name == name and not wanted.allows(record.version)
        ]
        if pin.repository == commits.NAME:
            held.append("the list: a commit of GitHub")
        elif world.order.index(repository) > _place(world, pin):
            held.append(f"r.repositories: {pin.repository} comes before {repository}")
    return Row(R, name, _text(lines), pin.version, newest, behind, tuple(held))


def commit_rows(requests: Iterable[CommitRequest], lock: RLock) -> list[Row]:
    """Return the rows of packages at a commit, which is the newest there is as long as the list has it."""
    pins = {file.path: pin for pin in lock.packages for file in pin.files}
    rows = []
    for commit in requests:
        pin = pins.get(commit.path)
        version, held = (pin.version, "the list: a commit of GitHub") if pin else ("", NOT_LOCKED)
        rows.append(
            Row(R, pin.name if pin else commit.place, str(commit), version, version, behind=False, held=(held,))
        )
    return rows


def _allows(line: RRequest, repository: str, record: Record) -> bool:
    return line.repository in {"", repository} and line.wanted.allows(record.version)


def _place(world: RWorld, pin: RPin) -> int:
    return world.order.index(pin.repository) if pin.repository in world.order else len(world.order)
