"""r_packages.lock: every R package of rlab with its source, hash and dependencies, and the system libraries below."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import tomli_w
from debian.debian_support import Version

from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.changes import Hashes
from pyrlab.model.commits import CommitRequest
from pyrlab.model.cran import debian
from pyrlab.model.cran.record import Dependency
from pyrlab.model.lists import Lists, RRequest
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.tables import Table

FILE = "r_packages.lock"
REMEDY = "nox -s lock -- r"
FORMAT = 3
KINDS = ("source", "binary", "commit")
# Both are compiled; the tarball of a commit has a top folder of its own.
SOURCES = ("source", "commit")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADING = re.compile(r"\[\[(.*)\]\]")
_NAME = re.compile(r'name = "(.*)"')
# A source, or a binary as R calls it: with the system behind the version.
_TARBALL = re.compile(r"[^_/]+_(?P<version>[0-9][0-9.-]*)(?:_R_[^/]*)?\.tar\.gz")


@dataclass(frozen=True, slots=True, order=True)
class RFile:
    """A file of a CRAN-like repository, or of GitHub: ``path`` is relative to the repository's root.

    ``kind`` is source or binary, or commit for a source as a commit of a GitHub repository has it.
    """

    kind: str
    path: str
    sha256: str

    @classmethod
    def parse(cls, table: Table) -> Self:
        """Parse one ``[[package.file]]``. Raises ValueError that says what is wrong."""
        file = cls(table.text("kind"), table.text("path"), table.text("sha256"))
        if file.kind not in KINDS:
            raise ValueError(f"'kind' of {table.where} is {file.kind!r}")
        if not _is_below(file.path):
            raise ValueError(f"'path' of {table.where} is {file.path!r}, which is not below a repository's root")
        if not _SHA256.fullmatch(file.sha256):
            raise ValueError(f"'sha256' of {table.where} is {file.sha256!r}")
        return file

    @property
    def is_source(self) -> bool:
        """Whether it has to be compiled."""
        return self.kind in SOURCES

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
    def parse(cls, table: Table) -> Self:
        """Parse one ``[[package]]``. Raises ValueError that says what is wrong."""
        files = table.tables("file")
        debs = [_deb(file) for file in files if file.text("kind") == "deb"]
        return cls(
            name=table.text("name"),
            version=table.text("version"),
            repository=table.text("repository"),
            requested=table.flag("requested"),
            deb=debs[0] if debs else None,
            files=tuple(RFile.parse(file) for file in files if file.text("kind") != "deb"),
            dependencies=tuple(Dependency.parse(text) for text in table.texts("dependencies")),
            linking=table.texts("linking", ()),
            system=table.texts("system"),
            build=table.texts("build", ()),
            system_requirements=table.text("system_requirements", ""),
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
        return next((file for file in self.files if file.is_source), None)

    @property
    def hashes(self) -> frozenset[str]:
        """The hashes of its files; none where one is not known."""
        if self.deb:
            return frozenset({self.deb.sha256})
        are_known = all(file.sha256 for file in self.files)
        return frozenset(f"{file.kind} {file.sha256}" for file in self.files) if are_known else frozenset()


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
        document, text = _document(text), locks.check_text(text, name=FILE, remedy=REMEDY)
        number = _format_of(document)
        if number < FORMAT:
            raise locks.old_format(FILE, number, FORMAT, remedy=REMEDY)
        lock = cls._parse(document, text)
        restore = _VERSIONS if _of_another_version(lock.packages) else _RESTORE
        said = (str(document.values.get("body", "")), str(document.values.get("sums", "")))
        lock.contents.check(*said, locks.first_edit(text, lock.render()), name=FILE, remedy=restore)
        return lock

    @classmethod
    def earlier(cls, text: str, *, warn: Callable[[str], None]) -> Self:
        """Parse a lock for its pins, of any format up to this one. ``warn`` is told of edits. Raises StaleLockError.

        The files of an edited lock have no hashes: whoever edited them is not to be believed. A version that was set by
        hand stands beside the file of another one: such a lock is refused.
        """
        try:
            return cls.parse(text)
        except locks.OldFormatError:
            return cls._parse(_document(text), text)
        except locks.EditedLockError as error:
            edit = error
        lock = cls._parse(_document(text), text)
        if unfit := _of_another_version(lock.packages):
            raise StaleLockError(f"{FILE}: {unfit}", remedy=_VERSIONS)
        warn(f"{edit}; {locks.TAKEN}")
        return replace(lock, packages=tuple(_without_hashes(pin) for pin in lock.packages))

    @classmethod
    def _parse(cls, document: Table, text: str) -> Self:
        try:
            lock = cls(
                input=document.text("input"),
                debs_body=document.text("debs", ""),
                r=document.text("r"),
                repositories=tuple(repository.text("name") for repository in document.tables("repository")),
                packages=_sorted(RPin.parse(table) for table in _packages(document)),
                debs=_debs(document, "deb"),
                build_debs=_debs(document, "build-deb"),
            )
        except ValueError as error:
            raise StaleLockError(f"{FILE} cannot be read: {error}", remedy=locks.restore(FILE)) from error
        _refuse_doubles(text)
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
    def all_debs(self) -> tuple[DebPin, ...]:
        """What rlab installs and what compiling needs."""
        return (*self.debs, *self.build_debs)

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
        return {pin.name: pin.version for pin in self.packages} | {name: deb.version for name, deb in self._system}

    def hashes(self) -> Hashes:
        """Return the hashes of the same packages' files."""
        system = {name: (frozenset({deb.sha256}),) for name, deb in self._system}
        return {pin.name: (pin.hashes,) for pin in self.packages} | system

    @property
    def _system(self) -> list[tuple[str, DebPin]]:
        """What is no R package, by the name that a difference shows."""
        return [(f"{deb.name} (system)", deb) for deb in self.debs if not debian.is_r_deb(deb.name)]


def _of_another_version(pins: Iterable[RPin]) -> str:
    """Return which version is not its file's, where that is called as R calls files; nothing where all are."""
    for pin in pins:
        for file in pin.files:
            named = _TARBALL.fullmatch(file.path.rpartition("/")[2])
            if named and named["version"] != pin.version:
                return f"{pin.name} {pin.version} has the file of another version, {named[0]}"
    return ""


_RESTORE = f"git checkout -- {FILE}; or take its pins as they are: {REMEDY}"
_VERSIONS = f"versions are not set here: git checkout -- {FILE}; r_packages.txt can have one, as in zoo == 1.8-12"


def _without_hashes(pin: RPin) -> RPin:
    return replace(pin, files=tuple(replace(file, sha256="") for file in pin.files))


def _sorted(pins: Iterable[RPin]) -> tuple[RPin, ...]:
    return tuple(sorted(pins, key=lambda pin: pin.name))


def input_of(lists: Lists, suite: str, repositories: Sequence[str]) -> str:
    """Return the digest of all that r_packages.lock is made from, but for the repositories themselves."""
    wanted = [*(f"r {request}" for request in lists.r), *(f"r {commit}" for commit in lists.r_commits)]
    return locks.digest([f"suite {suite}", *(f"repository {one}" for one in repositories), *wanted])


def check(lock: RLock, lists: Lists, *, suite: str, repositories: Sequence[str], r: str) -> None:
    """Raise StaleLockError unless the lock was made from this list and these repositories, for the locked R."""
    held = {pin.name for pin in lock.packages}
    paths = {file.path for pin in lock.packages for file in pin.files if file.kind == "commit"}
    lacking: list[RRequest | CommitRequest] = [request for request in lists.r if request.name not in held]
    lacking += [commit for commit in lists.r_commits if commit.path not in paths]
    if lacking:
        wanted = ", ".join(f"{request} ({request.where})" for request in lacking)
        raise StaleLockError(f"{FILE} lacks {wanted}", remedy=REMEDY)
    if lock.r != r:
        raise StaleLockError(f"{FILE} is for R {lock.r}, and debs.lock has R {r}", remedy=REMEDY)
    if lock.input != input_of(lists, suite, repositories):
        raise StaleLockError(f"{FILE} was made from another list than this one", remedy=REMEDY)


def _document(text: str) -> Table:
    """Read the TOML. Raises StaleLockError."""
    try:
        return Table(tomllib.loads(locks.check_text(text, name=FILE, remedy=REMEDY)), "the lock")
    except tomllib.TOMLDecodeError as error:
        raise StaleLockError(f"{FILE} is not TOML: {error}", remedy=locks.restore(FILE)) from error


def _format_of(document: Table) -> int:
    return locks.check_format(document.values.get("format"), FORMAT, name=FILE)


def _packages(document: Table) -> list[Table]:
    """Return the tables of the packages. In format 1 each has a single file, which is no list."""
    packages = document.tables("package", optional=True)
    if _format_of(document) > 1:
        return packages
    return [replace(table, values={**table.values, "file": _listed(table.values.get("file"))}) for table in packages]


def _listed(file: object) -> object:
    return [file] if isinstance(file, dict) else file


def _refuse_doubles(text: str) -> None:
    """Raise StaleLockError for a package, or a deb, that is there twice. Its lines are in the text alone."""
    seen: dict[tuple[str, str], int] = {}
    heading = ""
    for number, line in enumerate(text.split("\n"), start=1):
        opened, name = _HEADING.fullmatch(line), _NAME.fullmatch(line)
        if opened:
            heading = opened[1]
        if not name or heading not in {"package", "deb", "build-deb"}:
            continue
        key = ("package" if heading == "package" else "deb", name[1])
        if key in seen:
            raise locks.twice(f"{FILE}:{number}", name[1], seen[key], remedy=REMEDY)
        seen[key] = number


def _is_below(path: str) -> bool:
    """Tell whether a path leads nowhere but below the root that it is relative to."""
    printable = path.isprintable() and not any(character.isspace() for character in path)
    return printable and "\\" not in path and ":" not in path and not {"", ".", ".."}.intersection(path.split("/"))


def _debs(document: Table, key: str) -> tuple[DebPin, ...]:
    return tuple(sorted(_deb(table) for table in document.tables(key, optional=True)))


def _deb(table: Table) -> DebPin:
    """Read a deb. Raises ValueError that says what is wrong."""
    pin = DebPin(
        name=table.text("name"),
        version=table.text("version"),
        architecture=table.text("architecture"),
        sha256=table.text("sha256"),
        size=table.number("size", 0),
        path=table.text("path", ""),
        requested=table.flag("requested"),
    )
    if not pin.is_sound or not _SHA256.fullmatch(pin.sha256):
        raise ValueError(f"{table.where} is no deb that can be")
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
