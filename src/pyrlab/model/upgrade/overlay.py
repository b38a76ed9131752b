"""What turns an image of some locks into one of others: put over an image that is there, it makes one for a trial."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from string import Template

from pyrlab.model.graph import Graph
from pyrlab.model.locks.debs import ROOT, DebPin
from pyrlab.model.locks.lockset import Locks, python_of
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.locks.r import RPin
from pyrlab.model.sections import Section, deb_section, python_section


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is installed over an image, and the names of what goes first.

    ``there`` are all of Debian's packages that are in the image then; ``r`` says whether its library of R packages from
    CRAN-like repositories is another one.
    """

    there: tuple[DebPin, ...]
    debs: tuple[DebPin, ...]
    gone_debs: tuple[str, ...]
    python: tuple[PythonPin, ...]
    gone_python: tuple[str, ...]
    r: bool
    size: int


def overlay(graph: Graph, image: str, old: Locks, new: Locks) -> Overlay | None:
    """Return what turns ``image`` as ``old`` locks have it into that of ``new`` ones; None where nothing can.

    Another base image or another Python changes all that stands on it, what a base image has installed is in no file,
    and source distributions are built where the compilers are.
    """
    architecture = new.debs.architecture
    if old.debs.base != new.debs.base or python_of(old.debs) != python_of(new.debs):
        return None
    old_debs, new_debs = ({pin.name: pin for pin in _debs(graph, image, locks)} for locks in (old, new))
    debs = [pin for name, pin in new_debs.items() if _bytes_of(old_debs.get(name)) != _bytes_of(pin)]
    old_python, new_python = (_python(graph, image, locks, architecture) for locks in (old, new))
    python = {name: one for name, one in new_python.items() if old_python.get(name, one)[1] != one[1]}
    python |= {name: one for name, one in new_python.items() if name not in old_python}
    if not all(pin.has_file for pin in debs) or not all(file.is_wheel for _, file in python.values()):
        return None
    return Overlay(
        there=tuple(new_debs.values()),
        debs=tuple(debs),
        gone_debs=tuple(sorted(old_debs.keys() - new_debs.keys())),
        python=tuple(pin for pin, _ in python.values()),
        gone_python=tuple(sorted((old_python.keys() - new_python.keys()) | (old_python.keys() & python.keys()))),
        r=_r(graph, image, old) != _r(graph, image, new),
        size=sum(pin.size for pin in debs) + sum(file.size for _, file in python.values()),
    )


def with_r_of(old: Locks, new: Locks) -> Locks:
    """Return ``old`` locks with the R packages of ``new`` ones, which are compiled where the old ones were."""
    if old.r is None or new.r is None:
        return old
    return replace(old, r=replace(old.r, packages=new.r.packages))


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

    def fill(name: str, **values: str) -> str:
        return Template(template(name)).substitute(values)

    parts = []
    for image, over in overlays.items():
        stage = stage_of(image)
        parts.append(fill("python", stage=f"python-{stage}", section=f"{stage}.python"))
        r = f"\n{fill('trial-r', image=graph.with_r.name).strip()}" if over.r and graph.with_r else ""
        parts.append(fill("trial", image=image, base=tags[image], stage=stage, r=r))
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _debs(graph: Graph, image: str, locks: Locks) -> Iterable[DebPin]:
    """Return Debian's packages of an image, those of what it stands on first: the last of a name counts."""
    yield from locks.debs.sections[ROOT]
    for ancestor in graph.lineage(image):
        yield from locks.debs.sections.get(ancestor.name, ())
        yield from locks.r.debs if ancestor.r and locks.r else ()


def _bytes_of(pin: DebPin | None) -> object:
    return pin and (pin.version, pin.sha256)


def _python(graph: Graph, image: str, locks: Locks, architecture: str) -> dict[str, tuple[PythonPin, PythonFile]]:
    """Return the distributions of an image, by name, and the file that each is installed from."""
    own = [pin for ancestor in graph.lineage(image) if ancestor.python for pin in locks.python[ancestor.name].pins]
    pairs = [(pin, pin.file_for(architecture)) for pin in (*own, *locks.shared_python(graph))]
    return {pin.name: (pin, file) for pin, file in pairs if file}


def _r(graph: Graph, image: str, locks: Locks) -> list[RPin]:
    """Return the R packages of an image that are no debs."""
    has_r = any(ancestor.r for ancestor in graph.lineage(image))
    return [pin for pin in locks.r.packages if not pin.deb] if has_r and locks.r else []


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)
