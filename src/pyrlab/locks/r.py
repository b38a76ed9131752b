"""r_packages.lock: every R package of rlab with its source, hash and dependencies, and the system libraries below."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import tomli_w
from debian.debian_support import Version

from pyrlab import locks
from pyrlab.errors import StaleLockError
from pyrlab.lists import Lists, R
from pyrlab.locks.debs import DebPin

FILE = "r_packages.lock"
REMEDY = "nox -s lock -- r"
FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class RPin:
    """One R package: R's own name and version, and the file of its repository that carries it.

    ``dependencies`` are R packages of this lock; ``system`` are the debs that its file needs beside R.
    """

    name: str
    version: str
    repository: str
    file: DebPin
    requested: bool
    dependencies: tuple[str, ...]
    system: tuple[str, ...]

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """Parse one ``[[package]]``. Raises KeyError for a missing key."""
        return cls(
            name=table["name"],
            version=table["version"],
            repository=table["repository"],
            file=_deb(table["file"]),
            requested=table["requested"],
            dependencies=tuple(table["dependencies"]),
            system=tuple(table["system"]),
        )

    def table(self) -> dict[str, Any]:
        """Return the TOML table that ``parse`` reads."""
        return {
            "name": self.name,
            "version": self.version,
            "repository": self.repository,
            "requested": self.requested,
            "dependencies": list(self.dependencies),
            "system": list(self.system),
            "file": {"kind": "deb", **_deb_table(self.file)},
        }


@dataclass(frozen=True, slots=True)
class RLock:
    """The whole lock. ``r`` is R's own version; ``debs`` are what rlab installs on top of rlab-base."""

    input: str
    r: str
    repositories: tuple[str, ...]
    packages: tuple[RPin, ...]
    debs: tuple[DebPin, ...]

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
                packages=tuple(sorted(RPin.parse(table) for table in document.get("package", []))),
                debs=tuple(sorted(_deb(table) for table in document.get("deb", []))),
            )
        except tomllib.TOMLDecodeError as error:
            raise StaleLockError(f"{FILE} is not TOML: {error}", remedy=REMEDY) from error
        except (KeyError, TypeError) as error:
            raise StaleLockError(f"{FILE} lacks or garbles the key {error}", remedy=REMEDY) from error

    def render(self) -> str:
        """Return the file's text: the same bytes for the same lock."""
        document = {
            "format": FORMAT,
            "input": self.input,
            "r": self.r,
            "repository": [{"name": name, "kind": "debian"} for name in self.repositories],
            "package": [pin.table() for pin in sorted(self.packages)],
            "deb": [_deb_table(deb) for deb in sorted(self.debs)],
        }
        return locks.header(f"nox -s lock` from `{R}", {}) + "\n" + tomli_w.dumps(document)

    def versions(self) -> dict[str, str]:
        """Return versions by package, for the difference of two locks; Debian's own by package and kind."""
        own = {f"{deb.name} (system)": deb.version for deb in self.debs if not is_r_deb(deb.name)}
        return {pin.name: pin.version for pin in self.packages} | own


def is_r_deb(name: str) -> bool:
    """Tell whether a Debian package carries an R package."""
    return name.startswith(("r-cran-", "r-bioc-", "r-other-"))


def load(project: Path) -> RLock:
    """Read the project's r_packages.lock. Raises StaleLockError."""
    return RLock.parse(locks.read(project / FILE, remedy=REMEDY))


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
