"""Who wants whom: all pins of the locks, the lines of the lists that name some, and what each pin needs of others."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyrlab.model.commits import NAME as GITHUB
from pyrlab.model.debian import Index
from pyrlab.model.graph import DEBS_LOCK, Graph, lock_of
from pyrlab.model.lists import IMPLIED, Lists
from pyrlab.model.locks.debs import ROOT, DebPin
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.locks.r import RPin
from pyrlab.model.outdated import DEBIAN, PYTHON, R

ESSENTIAL = "Debian itself"
BASE_IMAGE = "the base image"


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One pin: its ecosystem, the part of the locks that it stands in, and its name.

    A deb may be pinned in two parts, where an image has a newer one than what it stands on.
    """

    ecosystem: str
    place: str
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """What asks for a package: a line of a list, as ``requirements.in:12`` and ``numpy>=2``, or pyrlab itself.

    What every Debian has is asked for by one line without a text.
    """

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a lock says of one pin: version, the lock's file, and the images that have it.

    ``mark`` is a text that the lock holds as long as it has this pin at this version. ``images`` are empty where none
    has it, and then ``note`` says why.
    """

    version: str
    lock: str
    mark: str
    images: tuple[str, ...]
    note: str = ""


@dataclass
class Wants:
    """All pins; the lines that name them; and by pin, who wants it.

    ``below`` has by part of the debs' locks what it stands on, itself first; ``unread`` are debs whose needs are not
    known.
    """

    pins: dict[Node, Pinned] = field(default_factory=dict)
    lines: defaultdict[Node, list[Line]] = field(default_factory=lambda: defaultdict(list))
    parents: defaultdict[Node, set[Node]] = field(default_factory=lambda: defaultdict(set))
    below: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unread: set[Node] = field(default_factory=set)


def wants(graph: Graph, lists: Lists, locks: Locks, index: Index) -> Wants:
    """Return who wants whom. ``index`` has the pinned debs of which this machine has the file, and no other."""
    found = Wants()
    _add_python(found, graph, lists, locks)
    debs = _Debs(found, graph, locks, index)
    debs.add(lists)
    _add_r(found, graph, lists, locks, debs)
    return found


def images_with(graph: Graph, name: str) -> tuple[str, ...]:
    """Return the image called ``name`` and all that stand on it."""
    return tuple(image for image in graph.images if any(below.name == name for below in graph.lineage(image)))


# ---- Python


def _add_python(found: Wants, graph: Graph, lists: Lists, locks: Locks) -> None:
    shared = {pin.name for pin in locks.shared_python(graph)}
    for image, lock in locks.python.items():
        # What all images share is installed as the lock of one image has it.
        own = [pin for pin in lock.pins if image == graph.shared_image or pin.name not in shared]
        nodes = {pin.name: Node(PYTHON, image, pin.name) for pin in own}
        for pin in own:
            images = tuple(graph.images) if pin.name in shared else images_with(graph, image)
            node = nodes[pin.name]
            found.pins[node] = _pinned_python(pin, lock.name, images, locks.debs.architecture)
            found.parents[node].update(nodes[parent] for parent in pin.via if parent in nodes)
        for request in lists.python[image]:
            if request.name in nodes:
                found.lines[nodes[request.name]].append(Line(request.where, str(request)))


def _pinned_python(pin: PythonPin, lock: str, images: tuple[str, ...], architecture: str) -> Pinned:
    mark = f"\n{pin.name}=={pin.version} "
    if pin.file_for(architecture) is None:
        return Pinned(pin.version, lock, mark, (), f"in no image, by its marker: {pin.marker}")
    return Pinned(pin.version, lock, mark, images)


# ---- Debian


class _Debs:
    """The debs of all parts of the locks. Each part stands on others, as images do."""

    def __init__(self, found: Wants, graph: Graph, locks: Locks, index: Index) -> None:
        self._found = found
        self._graph = graph
        self._locks = locks
        self._index = index
        self._base = locks.debs.base
        self._parts: dict[str, Mapping[str, DebPin]] = {
            name: {pin.name: pin for pin in pins} for name, pins in locks.debs.sections.items()
        }
        self._below = found.below
        self._below[ROOT] = (ROOT,)
        for image in graph.images.values():
            parts = [below.name for below in reversed(graph.lineage(image.name)) if below.name in self._parts]
            self._below[image.name] = (*parts, ROOT)
        r_image = graph.with_r
        self.system, self.build = (f"{r_image.name}-system", f"{r_image.name}-build") if r_image else ("", "")
        if r_image and locks.r:
            self._parts[self.system] = {pin.name: pin for pin in locks.r.debs}
            self._parts[self.build] = {pin.name: pin for pin in locks.r.build_debs}
            self._below[self.system] = (self.system, *self._below[r_image.name])
            self._below[self.build] = (self.build, *self._below[self.system])

    def add(self, lists: Lists) -> None:
        """Add pins, lines, and who wants whom."""
        for place, pins in self._parts.items():
            for pin in pins.values():
                self._found.pins[Node(DEBIAN, place, pin.name)] = self._pinned(pin, place)
        self._add_lines(lists)
        for place, pins in self._parts.items():
            for pin in pins.values():
                self._add_needs(pin, place)

    def nearest(self, name: str, place: str) -> Node | None:
        """Return the pin of a deb that a part sees: its own, or that of what it stands on."""
        return next((Node(DEBIAN, part, name) for part in self._below[place] if name in self._parts[part]), None)

    def _pinned(self, pin: DebPin, place: str) -> Pinned:
        if place not in {self.system, self.build}:
            images = tuple(self._graph.images) if place == ROOT else images_with(self._graph, place)
            return Pinned(pin.version, DEBS_LOCK, f"\n{pin.name} {pin.version} {pin.architecture} ", images)
        image = self._graph.with_r
        lock, images = (lock_of(image.r), images_with(self._graph, image.name)) if image else ("", ())
        heading = "deb" if place == self.system else "build-deb"
        mark = f'[[{heading}]]\nname = "{pin.name}"\nversion = "{pin.version}"\n'
        if place == self.build:
            return Pinned(pin.version, lock, mark, (), "in no image: it only compiles R packages")
        return Pinned(pin.version, lock, mark, images)

    def _add_lines(self, lists: Lists) -> None:
        self._add_root_lines()
        for image, requests in lists.debs.items():
            for request in requests:
                self._add_line(request.name, image, Line(request.where, str(request)))

    def _add_root_lines(self) -> None:
        """Say what brings the root's packages: Debian and pyrlab, or the base image."""
        if self._base:
            for name in self._parts[ROOT]:
                self._add_line(name, ROOT, Line(BASE_IMAGE, self._base.image))
            return
        for name in self._graph.root_debs:
            self._add_line(name, ROOT, Line(IMPLIED, name))
        for name in sorted(self._index.required):
            if name in self._parts[ROOT]:
                self._add_line(name, ROOT, Line(ESSENTIAL, ""))

    def _add_line(self, name: str, place: str, line: Line) -> None:
        node = self.nearest(name, place)
        if node:
            self._found.lines[node].append(line)

    def _add_needs(self, pin: DebPin, place: str) -> None:
        if not pin.has_file:
            # The image has it, whoever wants it there.
            return
        parent = Node(DEBIAN, place, pin.name)
        record = next((found for found in self._index.versions(pin.name) if found.sha256 == pin.sha256), None)
        if record is None:
            self._found.unread.add(parent)
            return
        for relation in (relation for clause in record.depends for relation in clause):
            for name in sorted({relation.name, *self._index.providers(relation.name)}):
                node = self.nearest(name, place)
                if node and node != parent:
                    self._found.parents[node].add(parent)


# ---- R


def _add_r(found: Wants, graph: Graph, lists: Lists, locks: Locks, debs: _Debs) -> None:
    image, lock = graph.with_r, locks.r
    if image is None or lock is None:
        return
    nodes = {pin.name: Node(R, image.name, pin.name) for pin in lock.packages}
    images = images_with(graph, image.name)
    for pin in lock.packages:
        mark = f'[[package]]\nname = "{pin.name}"\nversion = "{pin.version}"\n'
        found.pins[nodes[pin.name]] = Pinned(pin.version, lock_of(image.r), mark, images)
        for needed in _needs(pin, nodes, debs):
            found.parents[needed].add(nodes[pin.name])
    for request in lists.r:
        if request.name in nodes:
            found.lines[nodes[request.name]].append(Line(request.where, str(request)))
    by_path = {file.path: pin.name for pin in lock.packages if pin.repository == GITHUB for file in pin.files}
    for commit in lists.r_commits:
        name = by_path.get(commit.path)
        if name:
            found.lines[nodes[name]].append(Line(commit.where, f"{commit} ({name})"))


def _needs(pin: RPin, nodes: Mapping[str, Node], debs: _Debs) -> list[Node]:
    """Return the pins that an R package wants: other packages, its own deb, what it loads, and what compiles it."""
    packages = [nodes[wanted.name] for wanted in pin.dependencies if wanted.name in nodes]
    system = [*pin.system, *([pin.deb.name] if pin.deb else [])]
    carried = [debs.nearest(name, debs.system) for name in system]
    compiling = [debs.nearest(name, debs.build) for name in pin.build]
    return [*packages, *(node for node in (*carried, *compiling) if node)]
