"""The use case `build`: from the locks to the images. Nothing is resolved here: what no lock has is not installed."""

import json
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from pyrlab import __version__, bake, engine, images, process
from pyrlab import lock as locking
from pyrlab.errors import BuildError, GoneError
from pyrlab.lists import Lists
from pyrlab.lock import Locks, Wish
from pyrlab.locks import Change, digest, write
from pyrlab.settings import Settings

# As many as docker/docker-bake.hcl has `part-N` targets.
PARTS = 6
Say = Callable[[str], None]


def build(
    settings: Settings, names: Sequence[str], *, locked: bool, say: Say, warn: Callable[[dict[str, list[Change]]], None]
) -> None:
    """Build the images called ``names``, or all, with what they stand on.

    Where the archive has dropped pinned packages, just these are locked anew, and ``warn`` is told what changed; when
    ``locked``, that is a GoneError. Raises StaleLockError when the locks do not agree with the lists.
    """
    wanted = [images.find_image(name).name for name in names] or list(images.IMAGES)
    for _ in range(3):
        lists = Lists.read(settings.project)
        locks = Locks.load(settings.project)
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
    below = locking.ensure_root(settings, locks.debs, say)
    work = settings.project / bake.WORK
    for name, text in pin_files(locks).items():
        _write_if_new(work / "pins" / name, text)
    _link(work / "root", below.folder)
    labels = {name: labels_of(name, locks, settings) for name in wanted}
    variables = {"ROOT": str(below.folder), "PINS": str(work / "pins"), "LABELS": json.dumps(labels)}
    bake.bake(settings, wanted, variables=variables, say=say)


def pin_files(locks: Locks) -> dict[str, str]:
    """Return the sections of the locks that build steps install, a file each.

    The Python pins that all labs share are one section; the others fall into parts by a hash of their names, so that
    a new package moves no other one to another part.
    """
    files = {
        f"{name}.debs": "".join(f"{pin}\n" for pin in locks.debs.sections.get(name, ()))
        for name, image in images.IMAGES.items()
        if image.debs
    }
    files["rlab.debs"] = "".join(f"{pin}\n" for pin in locks.r.debs)
    shared = locks.python.closure(images.REQUIRED_PYTHON)
    files["jupyter.txt"] = "".join(map(str, shared))
    for part in range(PARTS):
        pins = [pin for pin in locks.python.pins if pin not in shared and part_of(pin.name) == part]
        files[f"part-{part}.txt"] = "".join(map(str, pins))
    return files


def part_of(name: str) -> int:
    """Return which of the parts a distribution belongs to, today and always."""
    return zlib.crc32(name.encode()) % PARTS


def labels_of(name: str, locks: Locks, settings: Settings) -> dict[str, str]:
    """Return the image's OCI labels: what it is, its source, and the hashes of the locks that decide its content."""
    texts = {"debs.lock": locks.debs.render(), "requirements.lock": locks.python.render(), "r_packages.lock": locks.r.render()}
    labels = {
        "org.opencontainers.image.title": name,
        "org.opencontainers.image.version": __version__,
        **{f"io.pyrlab.{lock}": digest([texts[lock]]) for lock in images.locks_of(name)},
    }
    source = _source(settings.project)
    return {**labels, "org.opencontainers.image.source": source} if source else labels


def _source(project: Path) -> str:
    """Return the URL of the project's git remote, without credentials, or nothing."""
    try:
        url = process.run(["git", "-C", str(project), "remote", "get-url", "origin"], timeout=30).strip()
    except (process.CommandError, process.MissingProgramError):
        return ""
    return re.sub(r"//[^/@]*@", "//", url) if re.match(r"(https?|ssh)://|[\w.-]+@[\w.-]+:", url) else ""


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text)


def _link(link: Path, target: Path) -> None:
    """Point ``link`` at the root in use, for those who call `docker buildx bake` by hand."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)
