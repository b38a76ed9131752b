"""The use case `clean`: what a project has left on the engine and on this machine, and is of no use any more.

Never a running lab or its image, never what `rollback` brings back, nothing of another project or user.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyrlab.adapters.docker import engine, tags
from pyrlab.adapters.lock_files import read_locks
from pyrlab.adapters.store import Inode
from pyrlab.errors import PyrlabError
from pyrlab.model.cleaning import Stale, stale_images
from pyrlab.model.settings import Settings
from pyrlab.steps import brought, generations
from pyrlab.steps.architecture import all_locked, all_worked
from pyrlab.steps.fetch import store_of
from pyrlab.steps.images import Plan
from pyrlab.steps.materials import ROOT, SECTIONS

_VARIANTS = "variants"
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Garbage:
    """What may go: images, folders of the work folder with the bytes that they free, and files of the store.

    ``build_cache`` are bytes of the engine's cache, which is of all projects together, and stays.
    """

    images: tuple[Stale, ...]
    folders: Mapping[Path, int]
    files: Mapping[Path, int]
    build_cache: int

    @property
    def freed(self) -> int:
        """The bytes that all of it frees, at least."""
        return sum(stale.freed for stale in self.images) + sum(self.folders.values()) + sum(self.files.values())

    def __bool__(self) -> bool:
        return bool(self.images or self.folders or self.files)


def find(settings: Settings) -> Garbage:
    """Return what may go. Changes nothing."""
    engine.find()
    usage = tags.usage()
    kept = generations.all_of(settings)
    kept_tags = {settings.of_variant(one.variant).tag(name) for one in kept for name in one.images}
    kept_ids = {image for one in kept for image in one.images.values()} | usage.used
    images = stale_images(settings, usage.images, kept_tags=kept_tags, kept_ids=kept_ids)
    folders = list(_stale_folders(settings))
    released = Counter(inode for folder in folders for inode in _inodes(folder))
    return Garbage(
        tuple(images),
        {folder: _freed(folder) for folder in folders},
        store_of(settings).unused(_pinned(settings), released),
        usage.build_cache,
    )


def _pinned(settings: Settings) -> set[str]:
    """Return all hashes in the project's locks, of each architecture, and in those of the generations that are kept."""
    folders = [one.workspace.locks for one in all_locked(settings)]
    folders += [kept.folder for one in all_worked(settings) for kept in generations.all_of(one)]
    locks = [folder / name for folder in folders for name in settings.graph.locks]
    found = {
        sha256
        for lock in locks
        if lock.is_file()
        for sha256 in _SHA256.findall(lock.read_text(encoding="utf-8", errors="replace"))
    }
    return found.union(*map(_of_base, all_locked(settings)))


def _of_base(settings: Settings) -> set[str]:
    """Return the hashes of a base image that came in a bundle; none where the locks cannot be read."""
    try:
        base = read_locks(settings).debs.base
    except (PyrlabError, OSError):
        return set()
    return brought.pinned(settings, base) if base else set()


def _stale_folders(settings: Settings) -> Iterator[Path]:
    """Yield what builds, questions and upgrades have left in the work folder, and the next one makes anew."""
    work = settings.workspace.work
    yield from (folder for folder in (work / ROOT, work / _VARIANTS) if folder.is_dir())
    yield from sorted(work.glob("lock-*/"))
    current = _current_sections(settings)
    if current is not None:
        yield from (folder for folder in sorted((work / SECTIONS).glob("*/")) if folder.name not in current)


def _current_sections(settings: Settings) -> set[str] | None:
    """Return the names of the sections that the locks have; None where they cannot be told."""
    try:
        return set(Plan(settings, read_locks(settings)).sections)
    except (PyrlabError, OSError):
        return None


def _inodes(folder: Path) -> Iterator[Inode]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            yield status.st_dev, status.st_ino


def _freed(folder: Path) -> int:
    """Return the bytes of a folder that nothing else links to: the others are the store's."""
    files = (path.lstat() for path in folder.rglob("*") if path.is_file())
    return sum(status.st_size for status in files if status.st_nlink == 1)


def clean(settings: Settings, garbage: Garbage) -> int:
    """Remove it, and return the bytes that went, as the engine and this machine's files say."""
    before = tags.usage().layers if garbage.images else 0
    for stale in garbage.images:
        for tag in stale.tags:
            tags.take(tag)
        if stale.image and not stale.tags:
            tags.remove(stale.image)
    freed = before - tags.usage().layers if garbage.images else 0
    for folder, size in garbage.folders.items():
        shutil.rmtree(folder)
        freed += size
    return freed + store_of(settings).prune(_pinned(settings))
