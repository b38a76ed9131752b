"""The use case `build`: from the locks to the images. Nothing is resolved here: what no lock has is not installed."""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from docker.errors import ImageNotFound

from pyrlab import __version__
from pyrlab.adapters import files, process
from pyrlab.adapters.docker import buildkit as bake
from pyrlab.adapters.docker import engine
from pyrlab.adapters.docker.r_output import CompileError
from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.lock_files import read_locks
from pyrlab.errors import BuildError, GoneError, PyrlabError
from pyrlab.model import graph
from pyrlab.model import plan as library
from pyrlab.model.locks import Change, debs, digest, python, r
from pyrlab.model.locks.debs import ROOT, DebPin
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.settings import Settings
from pyrlab.steps import fetch as r_files
from pyrlab.steps import locking, root
from pyrlab.steps.locking import Wish
from pyrlab.steps.question import find_files

Say = Callable[[str], None]


def build(
    settings: Settings, names: Sequence[str], *, locked: bool, say: Say, warn: Callable[[dict[str, list[Change]]], None]
) -> None:
    """Build the images called ``names``, or all, with what they stand on.

    Where the archive has dropped pinned packages, just these are locked anew, and ``warn`` is told what changed; when
    ``locked``, that is a GoneError. Raises StaleLockError when the locks do not agree with the lists.
    """
    wanted = [graph.find_image(name).name for name in names] or list(graph.IMAGES)
    for _ in range(3):
        lists = read_lists(settings.project)
        locks = read_locks(settings.project)
        locks.check(lists, settings, architecture=engine.find().architecture)
        try:
            return _build(settings, locks, wanted, say)
        except GoneError:
            if locked:
                raise
            # A lock without --upgrade keeps every pin that can still be had: exactly the repair that is needed.
            warn(locking.lock(settings, Wish(kinds=frozenset({"debs", "r"})), say=say))
    raise BuildError("the archive changes faster than it can be locked", remedy="try again later, or use a snapshot")


def _build(settings: Settings, locks: Locks, wanted: Sequence[str], say: Say) -> None:
    labels = {name: labels_of(name, locks, settings) for name in graph.IMAGES}
    old = [name for name in wanted if not is_current(settings.tag(name), labels[name])]
    if not old:
        say(f"nothing to do: {', '.join(wanted)} {'are' if len(wanted) > 1 else 'is'} what the locks say")
        return
    say(f"building {', '.join(old)}")
    below = locking.ensure_root(settings, locks.debs, say)
    for name, text in pin_files(locks).items():
        _write_if_new(settings.workspace.work / "pins" / name, text)
    if any(r.FILE in graph.locks_of(name) for name in old):
        r_files.provide(settings, locks.r, r=locks.r.r, architecture=locks.debs.architecture, say=say)
    # Whose an image is does not decide what is in it: another user's with the same inputs is as current.
    with_owner = {name: {**labels[name], **settings.workspace.labels} for name in labels}
    try:
        bake.bake(settings, old, below=below.folder, variables={"LABELS": json.dumps(with_owner)}, say=say)
    except CompileError as error:
        raise _with_debs(error, settings, locks, say) from error


def _with_debs(error: CompileError, settings: Settings, locks: Locks, say: Say) -> CompileError:
    """Return the error with the Debian packages that have what a compiler or the loader missed, where some do."""
    try:
        found = find_files(settings, error.missing, below=locking.ensure_root(settings, locks.debs, say), say=say)
    except PyrlabError:
        # Why the compile failed is what the user must see.
        found = {}
    debs = sorted({*error.debs, *(deb for carriers in found.values() for deb in carriers)})
    if debs:
        error.remedy = f"add {' or '.join(debs)} to r_debs.txt, then: nox -s lock -- debs"
    return error


def is_current(tag: str, labels: Mapping[str, str]) -> bool:
    """Tell whether an image is there that was made from the very inputs that ``labels`` name."""
    try:
        image = engine.client().images.get(tag)
    except ImageNotFound:
        return False
    return labels.items() <= image.labels.items()


def pin_files(locks: Locks) -> dict[str, str]:
    """Return the sections of the locks that build steps install, a file each.

    The Python pins that all labs share are one section; the others fall into parts by a hash of their names, so that
    a new package moves no other one to another part.
    """
    shared = locks.python.closure(graph.REQUIRED_PYTHON)
    parts: dict[int, list[PythonPin]] = {part: [] for part in range(graph.PARTS)}
    for pin in sorted(set(locks.python.pins).difference(shared)):
        parts[part_of(pin.name)].append(pin)
    return {
        **{f"{name}.debs": _lines(pins) for name, pins in locks.debs.sections.items() if name != ROOT},
        "rlab.debs": _lines(locks.r.debs),
        "rlab-build.debs": _lines(locks.r.build_debs),
        "r-plan.json": library.plan(locks.debs, locks.r),
        "r-library.txt": library.listed(locks.r),
        "jupyter.txt": "".join(map(str, shared)),
        **{f"part-{part}.txt": "".join(map(str, pins)) for part, pins in parts.items()},
    }


def _lines(pins: Iterable[DebPin]) -> str:
    return "".join(f"{pin}\n" for pin in pins)


def part_of(name: str) -> int:
    """Return which of the parts a distribution belongs to, today and always."""
    return zlib.crc32(name.encode()) % graph.PARTS


def labels_of(name: str, locks: Locks, settings: Settings) -> dict[str, str]:
    """Return the image's OCI labels: what it is, its source, the hashes of its locks, and one of all its inputs."""
    lock_texts = {
        debs.FILE: locks.debs.render(),
        python.FILE: locks.python.render(),
        r.FILE: locks.r.render(),
    }
    sections = pin_files(locks)
    steps = sorted(path for path in (settings.project / "docker").rglob("*") if path.is_file())
    inputs = [
        root.key(locks.debs.sections[ROOT], settings),
        *(sections[section] for section in graph.sections_of(name)),
        *(hashlib.sha256(path.read_bytes()).hexdigest() for path in steps),
    ]
    labels = {
        "org.opencontainers.image.title": name,
        "org.opencontainers.image.version": __version__,
        **{f"io.pyrlab.{lock}": digest([lock_texts[lock]]) for lock in graph.locks_of(name)},
        "io.pyrlab.inputs": digest(inputs),
    }
    source = _source(settings.project)
    return {**labels, "org.opencontainers.image.source": source} if source else labels


def _source(project: Path) -> str:
    """Return the URL of the project's git remote, without credentials, or nothing."""
    try:
        url = process.run(["git", "-C", str(project), "remote", "get-url", "origin"], timeout=30).strip()
    except (process.CommandError, process.MissingProgramError):
        return ""
    return re.sub(r"//[^/]*@", "//", url) if re.match(r"(https?|ssh)://|[\w.-]+@[\w.-]+:", url) else ""


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write({path: text})
