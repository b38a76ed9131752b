"""`bundle`: a project's images, lists, locks and settings as one archive, for a machine without a network."""

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from pyrlab.adapters import bundle_file, files, lock_files, temporary
from pyrlab.adapters.bundle_file import Part
from pyrlab.adapters.docker import archives, base_images, engine
from pyrlab.adapters.lists_files import read_lists
from pyrlab.errors import StaleLockError, UsageError
from pyrlab.model import graph, oci
from pyrlab.model.base_image import Base
from pyrlab.model.bundle import PROJECT, ROOT, SOURCES, TOOLKIT, Manifest, Member, in_order, is_allowed
from pyrlab.model.locks.python import PythonPin, parse_pins
from pyrlab.model.oci import Image
from pyrlab.model.passwords import keys_with_users
from pyrlab.model.python_tags import applies, environment
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade import held
from pyrlab.model.urls import FILE
from pyrlab.steps import fetch
from pyrlab.steps.architecture import all_locked
from pyrlab.steps.base import documents
from pyrlab.steps.images import Plan

Say = Callable[[str], None]
NAME = "bundle.tar"
TOOLKIT_LOCK = "toolkit.lock"
# What pyrlab itself needs in a project, where it is there; a small project of a team's may have less.
_FILES = ("noxfile.py", "pyproject.toml", TOOLKIT_LOCK, "README.md", "LICENSE")
_FOLDERS = ("docker", "docs", "src", "tests/smoke", "tests/notebooks")
_LEFT_OUT = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The archive that was written: where, its size in bytes, and its SHA-256."""

    path: Path
    size: int
    sha256: str


def bundle(settings: Settings, target: Path | None, *, sources: bool, say: Say) -> Outcome:
    """Write everything into ``target``, or into the work folder. ``sources`` adds what the locks pin, to build again.

    Raises StaleLockError unless locks and images are what the lists say, UsageError for settings with a password in
    them, and what ``fetch`` raises.
    """
    architecture = settings.architecture or engine.find().architecture
    locks = lock_files.read_locks(settings)
    locks.check(read_lists(settings.project, settings.graph), settings, architecture=architecture)
    plan = Plan(settings, locks)
    old = [name for name in settings.graph.images if not plan.is_current(name)]
    if old:
        raise StaleLockError(f"not what the locks say: {', '.join(old)}", remedy="nox -s build")
    # To build again takes the root, too; as it is, it lies below the images already.
    base = locks.debs.base if sources else None
    parts = {f"{PROJECT}/{name}": Part.of(content) for name, content in _project(settings)}
    python, wheels = _toolkit(settings, say)
    parts |= wheels
    if sources:
        parts |= _sources(plan, say)
    if base:
        found = (Part.of(document) for document in documents(settings, base))
        parts |= {f"{SOURCES}/{part.sha256}": part for part in found}
    target = (target or settings.workspace.work / NAME).resolve()
    with temporary.folder(settings.workspace.work) as folder, files.filling(folder):
        images, blobs = _save(settings, base, folder / "images.tar", say)
        parts |= {oci.blob(sha256): part for sha256, part in blobs.items()}
        layout = oci.layout(images, {sha256: part.size for sha256, part in blobs.items()})
        parts |= {path: Part.of(text) for path, text in layout.items()}
        members = in_order(Member(path, part.size, part.sha256) for path, part in parts.items())
        manifest = Manifest(settings.workspace.slug, architecture, python, images, members)
        say(f"writing {len(members)} files, {manifest.size / 1e6:.0f} MB")
        sha256 = bundle_file.write(target, manifest, parts)
    return Outcome(target, manifest.size, sha256)


def _save(settings: Settings, base: Base | None, target: Path, say: Say) -> tuple[tuple[Image, ...], dict[str, Part]]:
    """Let the engine write the project's images, and the base image if it is to go along, into ``target``."""
    tags = {name: settings.tag(name) for name in settings.graph.images}
    if base is None:
        say("saving the images")
        return archives.save(tags, target)
    say(f"saving the images, and {base.image}")
    with base_images.named(base.reference, base.here):
        return archives.save({**tags, ROOT: base.here}, target)


def _project(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Yield the project's own files: lists, locks, settings, and what pyrlab is made of.

    Raises UsageError for one that would give a password away, or has a name that no bundle may have.
    """
    project, own = settings.project, settings.graph
    names = [FILE, held.FILE, graph.FILE, *_FILES]
    for image in own.images.values():
        names += image.lists
    names += [f"{one.locks_of}/{lock}".lstrip("/") for one in all_locked(settings) for lock in own.locks]
    named = [project / name for name in names if _is_there(project, name)]
    found = [path for folder in _FOLDERS for path in sorted((project / folder).rglob("*"))]
    for path in dict.fromkeys([*named, *(path for path in found if _is_taken(path, project))]):
        name = path.relative_to(project).as_posix()
        if not is_allowed(f"{PROJECT}/{name}"):
            raise UsageError(
                f"{name} cannot be in a bundle by this name", remedy="rename it: letters, digits and _ . @ + = , -"
            )
        content = files.read_bytes(path)
        if name == FILE:
            _need_no_passwords(content.decode("utf-8"))
        yield name, content


def _is_there(project: Path, name: str) -> bool:
    """Tell whether the project has a file that is known by name: it may be a link. Raises UsageError for a dead one."""
    path = project / name
    if path.is_symlink() and not path.is_file():
        raise UsageError(f"{name} is a link that leads to no file", remedy=f"remove it, or make it a file: {path}")
    return path.is_file()


def _is_taken(path: Path, project: Path) -> bool:
    """Tell whether a file that was found goes along. Links do not: they may lead out of the project.

    Nor does what is an editor's or Python's own: hidden, or a cache.
    """
    if path.is_symlink() or not path.is_file() or path.suffix in _LEFT_OUT:
        return False
    return not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(project).parts)


def _need_no_passwords(text: str) -> None:
    keys = keys_with_users(text)
    if keys:
        raise UsageError(
            f"{FILE} has a user in {', '.join(keys)}, and a bundle goes to others",
            remedy="put it into ~/.netrc, into APTPROXY or PIPPROXY, or in r.repositories write ${VARIABLE}",
        )


def _toolkit(settings: Settings, say: Say) -> tuple[str, dict[str, Part]]:
    """Return what pyrlab itself runs with, as wheels for this Python, and its version; nothing where it has no lock."""
    lock = settings.project / TOOLKIT_LOCK
    kind, glibc = platform.libc_ver()
    if not lock.is_file() or kind != "glibc":
        return "", {}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    text, own = lock.read_text(encoding="utf-8"), engine.debian_architecture(platform.machine())
    # A lock may tell one bug fix release from another: the other machine's may be the oldest or the newest.
    releases = [_toolkit_pins(text, python, f"{python}.{micro}", own) for micro in (0, sys.version_info.micro, 99)]
    say(f"fetching {len(releases[0])} packages that pyrlab runs with, for Python {python}")
    index, store = fetch.python_index(settings), fetch.store_of(settings)
    found: dict[str, str] = {}
    known: tuple[PythonPin, ...] = ()
    for pins in releases:
        new = [pin for pin in pins if pin not in known]
        chosen = index.choose_files(new, python=python, glibc=glibc, architecture=own)
        index.fetch_all([(pin, chosen[pin.name]) for pin in new])
        found |= {f"{TOOLKIT}/{file.filename}": file.sha256 for file in chosen.values()}
        known += tuple(new)
    return python, {path: _stored(store.get(sha256), sha256) for path, sha256 in found.items()}


def _toolkit_pins(text: str, python: str, release: str, architecture: str) -> tuple[PythonPin, ...]:
    """Return the pins of the toolkit that a release of Python installs on Linux."""
    values = {**environment(python=python, architecture=architecture), "python_full_version": release}

    def counts(pin: PythonPin) -> bool:
        return not pin.marker or applies(Marker(pin.marker), values)

    return parse_pins(text, name=TOOLKIT_LOCK, wanted=counts)


def _sources(plan: Plan, say: Say) -> dict[str, Part]:
    """Return every file that the images are built from, fetched where the store lacks one."""
    sections = list(plan.sections.values())
    r = plan.locks.r.r if plan.locks.r else ""
    snapshot = plan.locks.debs.snapshot
    # The store that it returns knows what it has verified: another one would read gigabytes again.
    store = fetch.fetch(plan.settings, sections, r=r, architecture=plan.architecture, say=say, snapshot=snapshot)
    wanted = sorted({sha256 for section in sections for _, sha256 in fetch.names_in_store(store, section)})
    return {f"{SOURCES}/{sha256}": _stored(store.get(sha256), sha256) for sha256 in wanted}


def _stored(path: Path | None, sha256: str) -> Part:
    if path is None:
        raise FileNotFoundError(f"the store has lost {sha256}: run the same again")
    return Part(path.stat().st_size, sha256, path)
