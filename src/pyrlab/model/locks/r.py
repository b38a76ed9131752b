"""r_packages.lock: every R package of rlab with its source, hash and dependencies, and the system libraries below."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import tomli_w
from debian.debian_support import Version

from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.cran import debian
from pyrlab.model.cran.record import Dependency
from pyrlab.model.lists import Lists
from pyrlab.model.locks.debs import DebPin

FILE = "r_packages.lock"
REMEDY = "nox -s lock -- r"
FORMAT = 3


@dataclass(frozen=True, slots=True, order=True)
class RFile:
    """A file of a CRAN-like repository: ``kind`` is source or binary, ``path`` relative to the repository's root."""

    kind: str
    path: str
    sha256: str

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """Parse one ``[[package.file]]``. Raises KeyError for a missing key."""
        return cls(_text(table["kind"]), _text(table["path"]), _text(table["sha256"]))

    def table(self) -> dict[str, Any]:
        """Return the TOML table that ``parse`` reads."""
        return {"kind": self.kind, "path": self.path, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class RPin:
    """One R package: R's own name and version, and what its repository has of it: a deb, or files.

    ``dependencies`` are what the package wants of R and of other packages of this lock; ``linking`` are those whose
    headers it compiles against. Names of debs: ``system`` are what its file needs beside R, ``build`` what compiles it.
    """

    name: str
    version: str
    repository: str
    requested: bool
    deb: DebPin | None = None
    files: tuple[RFile, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    linking: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    system_requirements: str = ""

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """Parse one ``[[package]]``. Raises KeyError for a missing key, ValueError for a garbled dependency."""
        files = table["file"]
        return cls(
            name=_text(table["name"]),
            version=_text(table["version"]),
            repository=_text(table["repository"]),
            requested=_flag(table["requested"]),
            deb=next((_deb(file) for file in files if file["kind"] == "deb"), None),
            files=tuple(RFile.parse(file) for file in files if file["kind"] != "deb"),
            dependencies=tuple(Dependency.parse(text) for text in _texts(table["dependencies"])),
            linking=_texts(table.get("linking", [])),
            system=_texts(table["system"]),
            build=_texts(table.get("build", [])),
            system_requirements=_text(table.get("system_requirements", "")),
        )

    def table(self) -> dict[str, Any]:
        """Return the TOML table that ``parse`` reads; what says nothing is left out."""
        optional = {
            "linking": list(self.linking),
            "build": list(self.build),
            "system_requirements": self.system_requirements,
        }
        deb = [{"kind": "deb", **_deb_table(self.deb)}] if self.deb else []
        return {
            "name": self.name,
            "version": self.version,
            "repository": self.repository,
            "requested": self.requested,
            "dependencies": [str(one) for one in self.dependencies],
            "system": list(self.system),
            **{key: value for key, value in optional.items() if value},
            "file": [*deb, *(file.table() for file in self.files)],
        }

    @property
    def source(self) -> RFile | None:
        """The file that is compiled where no binary will do, if the repository has it."""
        return next((file for file in self.files if file.kind == "source"), None)


@dataclass(frozen=True, slots=True)
class RLock:
    """The whole lock. ``r`` is R's own version; ``debs`` are what rlab installs on top of rlab-base.

    ``build_debs`` are what compiling needs on top of that; rlab does not hold them.
    """

    input: str
    debs_body: str
    r: str
    repositories: tuple[str, ...]
    packages: tuple[RPin, ...]
    debs: tuple[DebPin, ...]
    build_debs: tuple[DebPin, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what ``render`` makes. Raises StaleLockError, OldFormatError, EditedLockError."""
        document = _document(text)
        number = locks.check_format(document.get("format"), FORMAT, name=FILE, remedy=REMEDY)
        if number < FORMAT:
            raise locks.old_format(FILE, number, FORMAT, remedy=REMEDY)
        lock = cls._parse(document)
        restore = f"git checkout -- {FILE}; or take its pins as they are: {REMEDY}"
        said = (str(document.get("body", "")), str(document.get("sums", "")))
        lock.contents.check(*said, name=FILE, remedy=restore)
        return lock

    @classmethod
    def earlier(cls, text: str, *, warn: Callable[[str], None]) -> Self | None:
        """Parse a lock for its pins, of format 2 or newer. ``warn`` is told of edits. Raises StaleLockError.

        Format 1 knew Debian's packages only, whose pins are apt's to keep: there is nothing in it to take over.
        """
        try:
            return cls.parse(text)
        except locks.OldFormatError:
            pass
        except locks.EditedLockError as error:
            warn(f"{error}; its pins are taken as they are")
        document = _document(text)
        return cls._parse(document) if document["format"] != 1 else None

    @classmethod
    def _parse(cls, document: Mapping[str, Any]) -> Self:
        try:
            lock = cls(
                input=_text(document["input"]),
                debs_body=_text(document.get("debs", "")),
                r=_text(document["r"]),
                repositories=tuple(_text(repository["name"]) for repository in document["repository"]),
                packages=_sorted(RPin.parse(table) for table in document.get("package", [])),
                debs=tuple(sorted(_deb(table) for table in document.get("deb", []))),
                build_debs=tuple(sorted(_deb(table) for table in document.get("build-deb", []))),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StaleLockError(f"{FILE} lacks or garbles the key {error}", remedy=REMEDY) from error
        _no_doubles(lock)
        return lock

    @property
    def contents(self) -> locks.Body:
        """What the lock says, for its digest."""
        facts = (f"format {FORMAT}", f"input {self.input}", f"debs {self.debs_body}", f"r {self.r}", *self.repositories)
        pins = [f"{pin.name} {pin.version} {json.dumps(pin.table(), sort_keys=True)}" for pin in _sorted(self.packages)]
        pins += [f"{deb} run" for deb in sorted(self.debs)]
        pins += [f"{deb} build" for deb in sorted(self.build_debs)]
        return locks.Body(facts, tuple(pins))

    def render(self) -> str:
        """Return the file's text: the same bytes for the same lock."""
        contents = self.contents
        document = {
            "format": FORMAT,
            "input": self.input,
            "debs": self.debs_body,
            "body": contents.digest,
            "sums": contents.sums,
            "r": self.r,
            "repository": [
                {"name": name, "kind": "debian" if name == debian.NAME else "cran"} for name in self.repositories
            ],
            "package": [pin.table() for pin in _sorted(self.packages)],
            "deb": [_deb_table(deb) for deb in sorted(self.debs)],
            **({"build-deb": [_deb_table(deb) for deb in sorted(self.build_debs)]} if self.build_debs else {}),
        }
        return locks.header("nox -s lock", ()) + "\n" + tomli_w.dumps(document)

    @property
    def body(self) -> str:
        """The digest of the lock."""
        return self.contents.digest

    @property
    def order(self) -> Callable[[str], Version]:
        """How its versions compare: as Debian's, whose rule differs from R's only where ``.`` stands against ``-``."""
        return Version

    def versions(self) -> dict[str, str]:
        """Return versions by package, for the difference of two locks; Debian's own by package and kind.

        What compiles is not among them: no image has it.
        """
        own = {f"{deb.name} (system)": deb.version for deb in self.debs if not debian.is_r_deb(deb.name)}
        return {pin.name: pin.version for pin in self.packages} | own


def _sorted(pins: Iterable[RPin]) -> tuple[RPin, ...]:
    return tuple(sorted(pins, key=lambda pin: pin.name))


def input_of(lists: Lists, suite: str, repositories: Sequence[str]) -> str:
    """Return the digest of all that r_packages.lock is made from, but for the repositories themselves."""
    return locks.digest(
        [f"suite {suite}", *(f"repository {one}" for one in repositories), *(f"r {request}" for request in lists.r)]
    )


def check(lock: RLock, lists: Lists, *, suite: str, repositories: Sequence[str], r: str) -> None:
    """Raise StaleLockError unless the lock was made from this list and these repositories, for the locked R."""
    held = {pin.name for pin in lock.packages}
    lacking = [request for request in lists.r if request.name not in held]
    if lacking:
        wanted = ", ".join(f"{request} ({request.where})" for request in lacking)
        raise StaleLockError(f"{FILE} lacks {wanted}", remedy=REMEDY)
    if lock.r != r:
        raise StaleLockError(f"{FILE} is for R {lock.r}, and debs.lock has R {r}", remedy=REMEDY)
    if lock.input != input_of(lists, suite, repositories):
        raise StaleLockError(f"{FILE} was made from another list than this one", remedy=REMEDY)


def _document(text: str) -> dict[str, Any]:
    """Read the TOML. Raises StaleLockError."""
    try:
        return tomllib.loads(locks.check_text(text, name=FILE, remedy=REMEDY))
    except tomllib.TOMLDecodeError as error:
        raise StaleLockError(f"{FILE} is not TOML: {error}", remedy=REMEDY) from error


def _text(value: object) -> str:
    """Return a text. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(repr(value))
    return value


def _texts(values: object) -> tuple[str, ...]:
    """Return a list of texts. Raises TypeError for anything else."""
    if not isinstance(values, list):
        raise TypeError(repr(values))
    return tuple(_text(value) for value in values)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(repr(value))
    return value


def _no_doubles(lock: RLock) -> None:
    for names in ([pin.name for pin in lock.packages], [pin.name for pin in (*lock.debs, *lock.build_debs)]):
        doubles = sorted(name for name, count in Counter(names).items() if count > 1)
        if doubles:
            raise StaleLockError(f"{FILE} has {', '.join(doubles)} twice", remedy=REMEDY)


def _deb(table: Mapping[str, Any]) -> DebPin:
    pin = DebPin(
        name=_text(table["name"]),
        version=_text(table["version"]),
        architecture=_text(table["architecture"]),
        sha256=_text(table["sha256"]),
        size=int(table.get("size", 0)),
        path=_text(table.get("path", "")),
        requested=_flag(table["requested"]),
    )
    if not pin.is_sound:
        raise ValueError(f"deb {pin.name}")
    return pin


def _deb_table(deb: DebPin) -> dict[str, Any]:
    return {
        "name": deb.name,
        "version": deb.version,
        "architecture": deb.architecture,
        "sha256": deb.sha256,
        "size": deb.size,
        "path": deb.path,
        "requested": deb.requested,
    }
