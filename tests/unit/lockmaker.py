"""Small locks, made on the spot."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from graphs import GRAPH

from pyrlab.model.graph import Graph, lock_of
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonFile, PythonLock, PythonPin
from pyrlab.model.locks.r import RLock, RPin

HASH = "a" * 64


def deb(name: str, version: str = "1") -> DebPin:
    """Return a pin of a deb."""
    return DebPin(name, version, "amd64", HASH, 100, f"pool/main/{name}_{version}_amd64.deb")


def pin(name: str, *via: str, size: int = 1000, version: str = "1", sha256: str = HASH) -> PythonPin:
    """Return a pin of a wheel of this size, that the list wants unless ``via`` says who does."""
    file = PythonFile("amd64", f"{name.replace('-', '_')}-{version}-py3-none-any.whl", size, sha256)
    return PythonPin(name, version, "", (f"sha256:{sha256}",), via or ("list",), (file,))


def source_pin(name: str) -> PythonPin:
    """Return a pin of a source distribution."""
    made = pin(name)
    return replace(made, files=(replace(made.files[0], filename=f"{name}-1.tar.gz"),))


SHARED = tuple(pin(name) for name in sorted(GRAPH.shared_python))


def locks_of(
    *pins: PythonPin,
    graph: Graph = GRAPH,
    r_packages: tuple[RPin, ...] = (),
    debs: Mapping[str, Iterable[DebPin]] = {},
) -> Locks:
    """Return locks with what all images share, these pins in pylab, and a deb in each section."""
    names = ("root", *(image.name for image in graph.with_debs))
    sections = {name: tuple(sorted(debs.get(name, (deb(f"of-{name}"),)))) for name in names}
    lock = DebsLock("sha256:0", "trixie", "amd64", sections)
    own = {graph.shared_image: tuple(sorted({*SHARED, *pins}))}
    python = {
        image.name: PythonLock(lock_of(image.python), "sha256:0", "3.13", "2.41", own.get(image.name, (pin("dash"),)))
        for image in graph.with_python
    }
    r = RLock(
        input="sha256:0",
        debs_body=lock.body,
        r="4.5.0",
        repositories=("debian",),
        packages=r_packages,
        debs=(deb("r-cran-zoo"),),
        build_debs=(deb("gcc-14"),),
    )
    return Locks(lock, python, r)
