"""What apt answered when it was asked for the closures: files in, pins out, and errors that name the line of a list."""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from debian.deb822 import Deb822

from pyrlab.cran.base import BASE_PACKAGES, dependencies
from pyrlab.errors import ListError
from pyrlab.lists import DebRequest, Lists, RRequest
from pyrlab.locks.debs import DebPin
from pyrlab.locks.r import RPin, is_r_deb

R_PREFIXES = ("r-cran-", "r-bioc-")


@dataclass(frozen=True)
class Answer:
    """The folder that docker/debs/lock-debs wrote, with the lists that it was asked for."""

    folder: Path
    lists: Lists

    @cached_property
    def available(self) -> dict[tuple[str, str, str], str]:
        """SHA-256 by name, version and architecture: all that the archive offers."""
        rows = (line.split() for line in self._read("available").splitlines())
        return {(name, version, architecture): sha256 for name, version, architecture, sha256 in rows}

    @cached_property
    def names(self) -> set[str]:
        """All package names that the archive offers."""
        return {name for name, _, _ in self.available}

    def check(self) -> None:
        """Raise ListError for a request that the archive cannot satisfy, or when apt found no solution."""
        for request in (*self.lists.base_debs, *self.lists.r_debs):
            self._check_deb(request)
        for r_request in self.lists.r:
            self._r_deb(r_request)
        for image, file in (("pyrlab-base", "base_debs.txt"), ("rlab-base", "r_debs.txt"), ("rlab", "r_packages.txt")):
            explanation = self._read(f"{image}.err")
            if explanation:
                raise ListError(
                    f"{file}: apt cannot install all of it together",
                    remedy="read apt's reasons above, and drop a package or a version from the lists",
                    detail=explanation,
                )

    def section(self, image: str, below: Sequence[DebPin], requested: Collection[str]) -> tuple[DebPin, ...]:
        """Return what ``image`` adds to the pins below it, with hashes, sorted."""
        held = {(pin.name, pin.version) for pin in below}
        pins = []
        for name, version, architecture in parse_uris(self._read(f"{image}.uris")):
            if (name, version) not in held:
                sha256 = self.available[name, version, architecture]
                pins.append(DebPin(name, version, architecture, sha256, name in requested))
        return tuple(sorted(pins))

    def r_packages(self, debs: Sequence[DebPin]) -> tuple[RPin, ...]:
        """Return the closure of the R list, among ``debs``: all Debian packages that rlab will hold.

        Raises ListError for a name in the wrong case, and for a version that Debian does not have.
        """
        carried = {pin.name: pin for pin in debs}
        found = {deb: self._description(deb) for deb in carried if is_r_deb(deb)}
        by_name = {description["Package"]: (deb, description) for deb, description in found.items() if description}
        requested = [self._checked(request, by_name) for request in self.lists.r]
        wanted, closure = list(requested), set[str]()
        while wanted:
            name = wanted.pop()
            if name not in closure and name in by_name:
                closure.add(name)
                wanted += dependencies(by_name[name][1])
        pins = []
        for name in closure:
            deb, description = by_name[name]
            own = tuple(one for one in dependencies(description) if one in closure)
            system = tuple(one for one in self._depends(deb) if one in carried and not one.startswith("r-"))
            pins.append(RPin(name, description["Version"], "debian", carried[deb], name in requested, own, system))
        return tuple(sorted(pins))

    def r_deb_names(self) -> set[str]:
        """Return the Debian packages that carry what the R list names."""
        return {self._r_deb(request) for request in self.lists.r}

    def _check_deb(self, request: DebRequest) -> None:
        if request.name not in self.names:
            raise ListError(f"{request.where}: Debian has no package {request.name!r}", remedy=self._near(request.name))
        versions = sorted({version for name, version, _ in self.available if name == request.name})
        if request.version and request.version not in versions:
            raise ListError(
                f"{request.where}: Debian has no {request.name} {request.version}",
                remedy=f"ask for one of: {', '.join(versions)}",
            )

    def _r_deb(self, request: RRequest) -> str:
        if request.name in BASE_PACKAGES:
            raise ListError(f"{request.where}: {request.name} is a part of R itself", remedy="delete the line")
        for prefix in R_PREFIXES:
            if prefix + request.name.lower() in self.names:
                return prefix + request.name.lower()
        raise ListError(
            f"{request.where}: Debian has no R package {request.name!r}",
            remedy=re.sub("r-(?:cran|bioc)-", "", self._near(R_PREFIXES[0] + request.name.lower())),
        )

    def _checked(self, request: RRequest, by_name: dict[str, tuple[str, Deb822]]) -> str:
        deb = self._r_deb(request)
        if request.name not in by_name:
            true = next((name for name, (carrier, _) in by_name.items() if carrier == deb), None)
            raise ListError(
                f"{request.where}: there is no R package {request.name!r}: R tells upper from lower case",
                remedy=f"write {true}" if true else f"look for its name in Debian's {deb}",
            )
        version = by_name[request.name][1]["Version"]
        if not request.allows(version):
            raise ListError(
                f"{request.where}: {request} cannot be had: Debian has {request.name} {version}",
                remedy="ask for that version, or for none",
            )
        return request.name

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, sorted(self.names), n=3, cutoff=0.75)
        return f"did you mean {' or '.join(near)}?" if near else "check its name: apt-cache search"

    def _description(self, deb: str) -> Deb822:
        return Deb822(self._read(f"fields/{deb}.description"))

    def _depends(self, deb: str) -> list[str]:
        """Return the names in a deb's Depends, without versions; of alternatives, all."""
        names = re.split(r"[,|]", self._read(f"fields/{deb}.depends"))
        return sorted({name.split("(")[0].strip().split(":")[0] for name in names if name.strip()})

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def parse_uris(text: str) -> list[tuple[str, str, str]]:
    """Parse ``apt-get install --print-uris`` into name, version and architecture.

    Each line is ``'URI' name_version_arch.deb size checksum``; the file name alone has the epoch, as ``%3a``. What
    kind of checksum stands there, if any, is apt's choice: hashes come from the archive's index.
    """
    files = [line.split()[1] for line in text.splitlines() if line.startswith("'")]
    parts = (file.removesuffix(".deb").split("_") for file in files)
    return sorted((name, version.replace("%3a", ":"), architecture) for name, version, architecture in parts)
