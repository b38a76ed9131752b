"""What apt answered when it was asked for the closures: files in, pins out, and errors that name the line of a list."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from debian.deb822 import Deb822

from pyrlab.errors import ListError
from pyrlab.model.cran import debian
from pyrlab.model.cran.record import Record
from pyrlab.model.lists import BASE_DEBS, R_DEBS, DebRequest, Lists, R
from pyrlab.model.locks.debs import DebPin


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
        """Raise ListError for a package that Debian does not have, or when apt found no solution below R."""
        for request in (*self.lists.base_debs, *self.lists.r_debs):
            self._check_deb(request)
        self._check_closures({"pyrlab-base": BASE_DEBS, "rlab-base": R_DEBS})

    def check_r(self) -> None:
        """Raise ListError when apt found no solution for what R packages want. Sensible once these are chosen."""
        self._check_closures({"rlab": R, "rlab-build": R})

    def _check_closures(self, files: Mapping[str, str]) -> None:
        for image, file in files.items():
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

    @cached_property
    def stanzas(self) -> dict[str, dict[str, str]]:
        """What apt says of each R package, and of what compiles some, in the version that it would take; by deb."""
        return debian.parse_stanzas(self._read("stanzas"))

    @cached_property
    def sources(self) -> list[dict[str, str]]:
        """What Debian says of the source packages that make R packages; none where the mirror has no sources."""
        return list(debian.parse_stanzas(self._read("sources")).values())

    @cached_property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """The DESCRIPTION of each R package in rlab's closure, by deb."""
        paths = sorted((self.folder / "fields").glob("*.description"))
        read = {
            path.name.removesuffix(".description"): dict(Deb822(self._read(f"fields/{path.name}"))) for path in paths
        }
        return {deb: fields for deb, fields in read.items() if fields}

    @cached_property
    def r_records(self) -> dict[str, Record]:
        """The same as records, by deb."""
        return {deb: Record.of(fields, file=deb) for deb, fields in self.descriptions.items()}

    def version(self, deb: str) -> str:
        """Return the version of a deb in rlab-base, or nothing."""
        found = {name: version for name, version, _ in parse_uris(self._read("rlab-base.uris"))}
        return found.get(deb, "")

    def r_debs(self) -> list[str]:
        """Return the debs that apt was asked for because they carry R packages."""
        return self._read("rlab.names").split()

    def closure(self, image: str) -> set[str]:
        """Return the names of the debs that apt would have in an image, but for the root's."""
        return {name for name, _, _ in parse_uris(self._read(f"{image}.uris"))}

    def system(self, held: Collection[str]) -> dict[str, list[str]]:
        """Return what each R package's deb depends on beside R, of the debs that rlab holds; by deb."""
        depends = {deb: debian.names_in(self.stanzas[deb].get("Depends", "")) for deb in self.descriptions}
        return {
            deb: [name for name in names if name in held and not name.startswith("r-")]
            for deb, names in depends.items()
        }

    def _check_deb(self, request: DebRequest) -> None:
        if request.name not in self.names:
            raise ListError(f"{request.where}: Debian has no package {request.name!r}", remedy=self._near(request.name))
        versions = sorted({version for name, version, _ in self.available if name == request.name})
        if request.version and request.version not in versions:
            raise ListError(
                f"{request.where}: Debian has no {request.name} {request.version}",
                remedy=f"ask for one of: {', '.join(versions)}",
            )

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, sorted(self.names), n=3, cutoff=0.75)
        return f"did you mean {' or '.join(near)}?" if near else "check its name: apt-cache search"

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
