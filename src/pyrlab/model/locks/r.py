"""r_packages.lock: every R package of rlab with its source, hash and dependencies, and the system libraries below."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import tomli_w
from debian.debian_support import Version

from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.cran import debian
from pyrlab.model.cran.record import Dependency
from pyrlab.model.lists import Lists, R
from pyrlab.model.locks.debs import DebPin

FILE = "r_packages.lock"
REMEDY = "nox -s lock -- r"
FORMAT = 2


@dataclass(frozen=True, slots=True, order=True)
class RFile:
    """A file of a CRAN-like repository: ``kind`` is source or binary, ``path`` relative to the repository's root."""

    kind: str
    path: str
    sha256: str

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """Parse one ``[[package.file]]``. Raises KeyError for a missing key."""
        return cls(table["kind"], table["path"], table["sha256"])

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
            name=table["name"],
            version=table["version"],
            repository=table["repository"],
            requested=table["requested"],
            deb=next((_deb(file) for file in files if file["kind"] == "deb"), None),
            files=tuple(RFile.parse(file) for file in files if file["kind"] != "deb"),
            dependencies=tuple(map(Dependency.parse, table["dependencies"])),
            linking=tuple(table.get("linking", ())),
            system=tuple(table["system"]),
            build=tuple(table.get("build", ())),
            system_requirements=table.get("system_requirements", ""),
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
        """Parse what ``render`` makes. Raises StaleLockError."""
        try:
            document = tomllib.loads(text)
            if document["format"] != FORMAT:
                raise StaleLockError(f"{FILE} has format {document['format']}, not {FORMAT}", remedy=REMEDY)
            return cls(
                input=document["input"],
                r=document["r"],
                repositories=tuple(repository["name"] for repository in document["repository"]),
                packages=_sorted(map(RPin.parse, document.get("package", []))),
                debs=tuple(sorted(map(_deb, document.get("deb", [])))),
                build_debs=tuple(sorted(map(_deb, document.get("build-deb", [])))),
            )
        except tomllib.TOMLDecodeError as error:
            raise StaleLockError(f"{FILE} is not TOML: {error}", remedy=REMEDY) from error
        except (KeyError, TypeError, ValueError) as error:
            raise StaleLockError(f"{FILE} lacks or garbles the key {error}", remedy=REMEDY) from error

    def render(self) -> str:
        """Return the file's text: the same bytes for the same lock."""
        document = {
            "format": FORMAT,
            "input": self.input,
            "r": self.r,
            "repository": [
                {"name": name, "kind": "debian" if name == debian.NAME else "cran"} for name in self.repositories
            ],
            "package": [pin.table() for pin in _sorted(self.packages)],
            "deb": [_deb_table(deb) for deb in sorted(self.debs)],
            **({"build-deb": [_deb_table(deb) for deb in sorted(self.build_debs)]} if self.build_debs else {}),
        }
        return locks.header(f"nox -s lock` from `{R}", {}) + "\n" + tomli_w.dumps(document)

    @property
    def body(self) -> str:
        """The digest of the lock."""
        return locks.digest([self.render()])

    @property
    def order(self) -> Callable[[str], Version]:
        """How its versions compare."""
        return order

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
        raise StaleLockError(f"{FILE} was made from another list than {R}", remedy=REMEDY)


def order(version: str) -> Version:
    """Return an R version, or the Debian version of a system library, as something that compares.

    R's rule differs from Debian's only where ``.`` stands against ``-``; the lock holds both kinds of version.
    """
    return Version(version)


def _deb(table: Mapping[str, Any]) -> DebPin:
    return DebPin(table["name"], table["version"], table["architecture"], table["sha256"], table["requested"])


def _deb_table(deb: DebPin) -> dict[str, Any]:
    return {
        "name": deb.name,
        "version": deb.version,
        "architecture": deb.architecture,
        "sha256": deb.sha256,
        "requested": deb.requested,
    }
