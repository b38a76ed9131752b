"""Sections of the locks: what each build step is given, as small files and pinned ones, and nothing else."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pyrlab.model import plan
from pyrlab.model.base_image import Base
from pyrlab.model.graph import Graph
from pyrlab.model.locks.debs import ROOT, DebPin
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.locks.r import RFile, RPin

TOOLS = "tools"
SHARED = "shared"
# The certificates that labs trust beside Debian's.
CA = "ca"
# The text of the root's section that names a base image.
IMAGE = "image"
# A distribution of this size in bytes or more is installed and shipped by itself, whatever else the list holds.
HEAVY = 4_000_000
# The others fall into so many parts by a hash of their names: a new one moves no other to another part.
LIGHT_PARTS = 12


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file that a lock pins: who gives it, as a pin, and what it is called where it is installed from."""

    name: str
    sha256: str
    size: int
    pin: DebPin | PythonPin | RPin
    file: PythonFile | RFile | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """What one build step is given: the texts of small files by name, and the pinned files."""

    name: str
    texts: Mapping[str, str] = field(default_factory=dict)
    files: tuple[PinnedFile, ...] = ()

    @property
    def digest(self) -> str:
        """What it holds, as one hash: names, texts, and the hashes of the files."""
        lines = [f"{name} {hashlib.sha256(text.encode()).hexdigest()}" for name, text in sorted(self.texts.items())]
        lines += sorted(f"{file.name} {file.sha256}" for file in self.files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sections(graph: Graph, locks: Locks, *, recipe: str, origin: str) -> dict[str, Section]:
    """Return all sections of the locks, by name.

    ``recipe`` is a digest of what compiles R packages, ``origin`` says what decides the root beside its packages.
    """
    found = [
        root_section(locks.debs.sections[ROOT], locks.debs.base, origin),
        *_debs(graph, locks),
        *_python(graph, locks),
        *_r(graph, locks, recipe),
    ]
    return {section.name: section for section in found}


def root_section(pins: Iterable[DebPin], base: Base | None, origin: str) -> Section:
    """Return the section that the root is made of: ``pins``, or the base image that has them installed."""
    if base:
        return Section(ROOT, {IMAGE: base.reference})
    section = deb_section(ROOT, pins)
    return replace(section, texts={**section.texts, "origin": f"{origin}\n"})


def _debs(graph: Graph, locks: Locks) -> Iterable[Section]:
    for image in graph.with_debs:
        yield deb_section(f"{image.name}.debs", locks.debs.sections[image.name])


def deb_section(name: str, pins: Iterable[DebPin]) -> Section:
    """Return a section of debs, with the list that docker/install/debs/install-debs reads."""
    pins = sorted(pins)
    lines = [
        f"{pin.sha256} {deb_file(pin)} {pin.name} {pin.version} {'requested' if pin.requested else 'auto'}\n"
        for pin in pins
    ]
    files = tuple(PinnedFile(deb_file(pin), pin.sha256, pin.size, pin) for pin in pins)
    return Section(name, {"pins": "".join(lines)}, files)


def deb_file(pin: DebPin) -> str:
    """Return the name that a deb has where it is installed from; a colon would be an option's end to apt."""
    return f"{pin.name}_{pin.version.replace(':', '%3a')}_{pin.architecture}.deb"


def _python(graph: Graph, locks: Locks) -> Iterable[Section]:
    shared = locks.shared_python(graph)
    yield python_section(SHARED, shared, locks.debs.architecture)
    for image in graph.with_python:
        for part, pins in python_parts(locks.python[image.name].pins, shared, locks.debs.architecture).items():
            yield python_section(f"{image.name}.{part}", pins, locks.debs.architecture)


def python_parts(
    pins: Iterable[PythonPin], shared: Iterable[PythonPin], architecture: str
) -> dict[str, tuple[PythonPin, ...]]:
    """Return what is installed together, by the name of the part: the heavy ones first, which change seldom.

    Layers above a changed one are stacked anew when an image is exported, so what is large lies below.
    """
    everywhere = {pin.name for pin in shared}
    heavy: dict[str, tuple[PythonPin, ...]] = {}
    light: dict[str, list[PythonPin]] = {f"light-{number:02}": [] for number in range(LIGHT_PARTS)}
    for pin in sorted(pin for pin in pins if pin.name not in everywhere):
        file = pin.file_for(architecture)
        if file is None:
            continue
        if file.size >= HEAVY or not file.is_wheel:
            heavy[_part(pin.name)] = (pin,)
        else:
            light[f"light-{zlib.crc32(pin.name.encode()) % LIGHT_PARTS:02}"].append(pin)
    return heavy | {name: tuple(members) for name, members in light.items() if members}


def _part(name: str) -> str:
    """Return what the part of one distribution is called: some are called as other sections of an image are.

    No distribution's own name has a dot.
    """
    return f"only.{name}" if name in {"debs", "r"} or name.startswith("light-") else name


def python_section(name: str, pins: Iterable[PythonPin], architecture: str) -> Section:
    """Return a section of Python distributions, with the requirements for uv, and the sums to check first."""
    pairs = [(pin, file) for pin in sorted(pins) if (file := pin.file_for(architecture))]
    lines = [f"{requirement(pin)} --hash=sha256:{file.sha256}\n" for pin, file in pairs]
    sums = [f"{file.sha256} {file.filename} {pin.name} {pin.version}\n" for pin, file in pairs]
    files = tuple(PinnedFile(file.filename, file.sha256, file.size, pin, file) for pin, file in pairs)
    return Section(name, {"pins": "".join(lines), "sums": "".join(sums)}, files)


def requirement(pin: PythonPin) -> str:
    """Return a pin as a line of requirements, without its hashes."""
    return f"{pin.name}=={pin.version}" + (f" ; {pin.marker}" if pin.marker else "")


def _r(graph: Graph, locks: Locks, recipe: str) -> Iterable[Section]:
    image = graph.with_r
    if image is None or locks.r is None:
        return
    yield deb_section(f"{image.name}-system.debs", locks.r.debs)
    yield deb_section(f"{image.name}-build.debs", locks.r.build_debs)
    files = tuple(PinnedFile(file.sha256, file.sha256, 0, pin, file) for pin in locks.r.packages for file in pin.files)
    texts = {"plan": plan.plan(locks.debs, locks.r, recipe=recipe), "library": plan.listed(locks.r)}
    yield Section(f"{image.name}.r", texts, files)
