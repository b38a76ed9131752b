"""What apt answered when it was asked for the closures: files in, pins out, and errors that name the line of a list."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pyrlab.errors import ListError
from pyrlab.model import debian_snapshot
from pyrlab.model.cran import debian
from pyrlab.model.cran.record import Record
from pyrlab.model.graph import Graph
from pyrlab.model.lists import DebRequest, Lists
from pyrlab.model.locks.debs import DebPin

Identity = tuple[str, str, str]


@dataclass(frozen=True)
class Answer:
    """The folder that docker/lock/lock-debs wrote, with the lists that it was asked for.

    ``descriptions`` are the DESCRIPTION fields of R packages by deb, as far as they were read from the debs themselves.
    """

    folder: Path
    lists: Lists
    graph: Graph
    descriptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def available(self) -> dict[Identity, DebPin]:
        """All that the sources of all images offer, as pins that nobody requested."""
        return self._available("available")

    @cached_property
    def available_for_r(self) -> dict[Identity, DebPin]:
        """All that R's images may have. Of one version in two files, that of all images' sources counts."""
        return {**self._available("available-r"), **self.available}

    def _available(self, name: str) -> dict[Identity, DebPin]:
        """Return what a file says is there, by name, version and architecture."""
        pins = {}
        for line in self._read(name).splitlines():
            name, version, architecture, sha256, size, path = line.split()
            path = path.removeprefix("./")
            pins[name, version, architecture] = DebPin(name, version, architecture, sha256, int(size), path)
        return pins

    def _available_for(self, image: str) -> dict[Identity, DebPin]:
        """Return what an image may have, or a closure of R packages that is named after one."""
        names = {image.name for image in self.graph.of_r}
        of_r = image in names or image.removesuffix("-system").removesuffix("-build") in names
        return self.available_for_r if of_r else self.available

    @cached_property
    def snapshot(self) -> str:
        """How the archive was dated, as debs.lock notes it: by the newest of its Release files; or nothing."""
        return debian_snapshot.stamp([line.removeprefix("Date: ") for line in self._read("dates").splitlines()])

    @cached_property
    def names(self) -> set[str]:
        """All package names that the archives offer."""
        return {name for name, _, _ in self.available_for_r}

    def check(self) -> None:
        """Raise ListError for a package that Debian does not have, or when apt found no solution below R."""
        for image, requests in self.lists.debs.items():
            for request in requests:
                self._check_deb(request, image)
        self._check_closures({image.name: image.debs for image in self.graph.with_debs})

    def check_r(self) -> None:
        """Raise ListError when apt found no solution for what R packages want. Sensible once these are chosen."""
        image = self.graph.with_r
        if image:
            self._check_closures({f"{image.name}-system": image.r, f"{image.name}-build": image.r})

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
        """Return what ``image`` adds to the pins below it, sorted."""
        held = {(pin.name, pin.version) for pin in below}
        added = [found for found in parse_uris(self._read(f"{image}.uris")) if found[:2] not in held]
        available = self._available_for(image)
        pins = [available[identity].requested_by(identity[0] in requested) for identity in added]
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
    def r_records(self) -> dict[str, Record]:
        """The descriptions as records, by deb."""
        return {deb: Record.of(fields, file=deb) for deb, fields in self.descriptions.items()}

    def version(self, deb: str) -> str:
        """Return the version of a deb in the image below the R packages, or nothing."""
        found = {name: version for name, version, _ in parse_uris(self._read(f"{self.r_below}.uris"))}
        return found.get(deb, "")

    @property
    def r_below(self) -> str:
        """The image with a list of debs that R packages stand on, or nothing."""
        image = self.graph.with_r
        return below(self.graph, image.name) if image else ""

    @property
    def r_system(self) -> str:
        """What the closure of R packages' debs is called."""
        image = self.graph.with_r
        return f"{image.name}-system" if image else ""

    def r_debs(self) -> list[str]:
        """Return the debs that apt was asked for because they carry R packages."""
        return self._read("names").split()

    def r_pins(self) -> list[DebPin]:
        """Return the debs in the closure of R packages that carry one."""
        found = parse_uris(self._read(f"{self.r_system}.uris"))
        return [self.available_for_r[identity] for identity in found if debian.is_r_deb(identity[0])]

    def closure(self, image: str) -> set[str]:
        """Return the names of the debs that apt would have in an image, but for the root's."""
        return {name for name, _, _ in parse_uris(self._read(f"{image}.uris"))}

    def system(self, held: Collection[str]) -> dict[str, list[str]]:
        """Return what each R package's deb depends on beside R, of the debs that are held; by deb."""
        r_debs = filter(debian.is_r_deb, self.stanzas)
        depends = {deb: debian.names_in(self.stanzas[deb].get("Depends", "")) for deb in r_debs}
        return {
            deb: [name for name in names if name in held and not name.startswith("r-")]
            for deb, names in depends.items()
        }

    def _check_deb(self, request: DebRequest, image: str) -> None:
        available = self._available_for(image)
        names = {name for name, _, _ in available}
        if request.name not in names:
            raise ListError(
                f"{request.where}: Debian has no package {request.name!r}", remedy=_near(request.name, names)
            )
        versions = sorted({version for name, version, _ in available if name == request.name})
        if request.version and request.version not in versions:
            raise ListError(
                f"{request.where}: Debian has no {request.name} {request.version}",
                remedy=f"ask for one of: {', '.join(versions)}",
            )

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _near(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.75)
    return f"did you mean {' or '.join(near)}?" if near else "check its name: apt-cache search"


def below(graph: Graph, name: str) -> str:
    """Return the nearest image below ``name`` that has a list of debs, or nothing."""
    return next((image.name for image in reversed(graph.lineage(name)[:-1]) if image.debs), "")


def parse_uris(text: str) -> list[Identity]:
    """Parse ``apt-get install --print-uris`` into name, version and architecture.

    Each line is ``'URI' name_version_arch.deb size checksum``; the file name alone has the epoch, as ``%3a``. What
    kind of checksum stands there, if any, is apt's choice: hashes come from the archive's index.
    """
    files = [line.split()[1] for line in text.splitlines() if line.startswith("'")]
    parts = (file.removesuffix(".deb").split("_") for file in files)
    return sorted((name, version.replace("%3a", ":"), architecture) for name, version, architecture in parts)
