"""What turns an image of some locks into one of others: put over an image that is there, it makes one for a trial."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from pyrlab.model import plan, stages
from pyrlab.model.graph import Graph
from pyrlab.model.locks.debs import ROOT, DebPin
from pyrlab.model.locks.lockset import Locks, python_of, r_of
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.locks.r import RPin
from pyrlab.model.sections import Section, deb_section, python_section


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is installed over an image, and the names of what goes first.

    ``there`` are all of Debian's packages that are in the image then; ``r`` names what is another in its library of R
    packages from CRAN-like repositories, or not in it any more.
    """

    there: tuple[DebPin, ...]
    debs: tuple[DebPin, ...]
    gone_debs: tuple[str, ...]
    python: tuple[PythonPin, ...]
    gone_python: tuple[str, ...]
    r: tuple[str, ...]
    size: int


def between(graph: Graph, image: str, old: Locks, new: Locks) -> Overlay | None:
    """Return what turns ``image`` as ``old`` locks have it into that of ``new`` ones; None where nothing can.

    Another base image or another Python changes all that stands on it, and another R what was compiled for it; what a
    base image has installed is in no file, and source distributions are built where the compilers are.
    """
    architecture = new.debs.architecture
    if old.debs.base != new.debs.base or python_of(old.debs) != python_of(new.debs):
        return None
    old_r, new_r = (_r(graph, image, locks) for locks in (old, new))
    if old_r and _minor(r_of(old.debs)) != _minor(r_of(new.debs)):
        return None
    old_debs, new_debs = ({pin.name: pin for pin in _debs(graph, image, locks)} for locks in (old, new))
    debs = [pin for name, pin in new_debs.items() if name not in old_debs or old_debs[name].sha256 != pin.sha256]
    old_python, new_python = (_python(graph, image, locks, architecture) for locks in (old, new))
    python = {name: one for name, one in new_python.items() if name not in old_python or old_python[name][1] != one[1]}
    if not all(pin.has_file for pin in debs) or not all(file.is_wheel for _, file in python.values()):
        return None
    return Overlay(
        there=tuple(new_debs.values()),
        debs=tuple(debs),
        gone_debs=tuple(sorted(old_debs.keys() - new_debs.keys())),
        python=tuple(pin for pin, _ in python.values()),
        gone_python=tuple(sorted((old_python.keys() - new_python.keys()) | (old_python.keys() & python.keys()))),
        r=tuple(sorted(name for name in old_r.keys() | new_r.keys() if old_r.get(name) != new_r.get(name))),
        size=sum(pin.size for pin in debs) + sum(file.size for _, file in python.values()),
    )


def with_r_of(old: Locks, new: Locks) -> Locks:
    """Return ``old`` locks with the R packages of ``new`` ones, which are compiled where the old ones were.

    Those that are debs are the old ones all the same: what is compiled stands on them, and is kept under their names.
    """
    if old.r is None or new.r is None:
        return old
    compiled = [pin for pin in new.r.packages if not pin.deb]
    names = {pin.name for pin in compiled}
    debs = [pin for pin in old.r.packages if pin.deb and pin.name not in names]
    return replace(old, r=replace(old.r, packages=tuple(sorted(compiled + debs, key=lambda pin: pin.name))))


def with_library_of(new: Locks, section: Section) -> Section:
    """Return the section of R packages with what its gate proves: all those of ``new`` locks, as debs or not."""
    return replace(section, texts={**section.texts, "library": plan.listed(new.r)}) if new.r else section


def stage_of(image: str) -> str:
    """Return the name of the stage that makes an image's trial, and of its sections' first part."""
    return f"trial-{image}"


def sections(image: str, over: Overlay, architecture: str) -> list[Section]:
    """Return the sections of an image's trial."""
    stage = stage_of(image)
    debs, python = deb_section(f"{stage}.debs", over.debs), python_section(f"{stage}.python", over.python, architecture)
    there = "".join(f"{pin.name} {pin.version}\n" for pin in over.there)
    return [
        replace(debs, texts={**debs.texts, "gone": _lines(over.gone_debs), "all": there}),
        replace(python, texts={**python.texts, "gone": _lines(over.gone_python)}),
    ]


def render(
    graph: Graph, overlays: Mapping[str, Overlay], tags: Mapping[str, str], template: Callable[[str], str]
) -> str:
    """Return the stages that make trials of images that are there under ``tags``, to follow those of all images."""
    fill = stages.filler(template)
    gate = stages.more(template("gate"))
    parts = []
    for image, over in overlays.items():
        stage = stage_of(image)
        parts.append(fill("python", stage=f"python-{stage}", section=f"{stage}.python"))
        r = _library(graph.with_r.name, fill) if over.r and graph.with_r else ""
        parts.append(fill("trial", image=image, base=tags[image], stage=stage, r=r, gate=gate))
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _library(image: str, fill: Callable[..., str]) -> str:
    """Return the steps that take the library of R packages that is compiled for ``image``."""
    gate = stages.more(fill("gate-r", image=image))
    return stages.more(fill("trial-r", image=image, gate=gate))


def _debs(graph: Graph, image: str, locks: Locks) -> Iterable[DebPin]:
    """Return Debian's packages of an image, those of what it stands on first: the last of a name counts."""
    yield from locks.debs.sections[ROOT]
    for ancestor in graph.lineage(image):
        yield from locks.debs.sections.get(ancestor.name, ())
        yield from locks.r.debs if ancestor.r and locks.r else ()


def _python(graph: Graph, image: str, locks: Locks, architecture: str) -> dict[str, tuple[PythonPin, PythonFile]]:
    """Return the distributions of an image, by name, and the file that each is installed from."""
    own = [pin for ancestor in graph.lineage(image) if ancestor.python for pin in locks.python[ancestor.name].pins]
    pairs = [(pin, pin.file_for(architecture)) for pin in (*own, *locks.shared_python(graph))]
    return {pin.name: (pin, file) for pin, file in pairs if file}


def _r(graph: Graph, image: str, locks: Locks) -> dict[str, RPin]:
    """Return the R packages of an image that are no debs, by name."""
    has_r = any(ancestor.r for ancestor in graph.lineage(image))
    return {pin.name: pin for pin in locks.r.packages if not pin.deb} if has_r and locks.r else {}


def _minor(version: str) -> list[str]:
    """Return an R's version as in ``4.5``: what is compiled for one minor version need not load in another."""
    return version.split(".")[:2]


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)
