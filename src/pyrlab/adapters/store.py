"""The store: files named by their SHA-256, that all projects and runs of a user share."""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from pyrlab.adapters.files import filling
from pyrlab.errors import HashMismatchError

# What a killed run left half written, in seconds: no download takes that long.
STALE = 86400.0
_PART = ".part"
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A file system's device, and the number of a file on it.
Inode = tuple[int, int]


class Store:
    """Files below ``folder``, each called by its hash. What is there is whole, or is found out when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False
        # A file is read once a run: hashing gigabytes for each question would cost seconds.
        self._verified: dict[str, tuple[int, int]] = {}

    def get(self, sha256: str) -> Path | None:
        """Return the file with this hash, computed anew; None if there is none. A damaged one is removed."""
        if not _SHA256.fullmatch(sha256):
            # Another name could lead out of the store, and what is there is not ours to remove.
            return None
        path = self._folder / sha256
        status = _status(path)
        if status is None:
            return None
        with contextlib.suppress(OSError):
            # By the time of the last use pruning decides, also while the file is read here, which may take a while. The
            # time of change is what builders compare.
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        mark = (status.st_size, status.st_mtime_ns)
        if self._verified.get(sha256) != mark:
            if not is_file_of(path, sha256):
                path.unlink(missing_ok=True)
                return None
            self._verified[sha256] = mark
        return path

    def add(self, chunks: Iterable[bytes], *, sha256: str = "", size: int = 0, name: str = "") -> tuple[Path, str]:
        """Keep a file, and return its path and hash. ``sha256`` and ``size`` in bytes are those that it must have.

        Raises HashMismatchError for other bytes, of which nothing stays; more than ``size`` are not even read.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        part = self._folder / f"{uuid.uuid4().hex}{_PART}"
        digest, written = hashlib.sha256(), 0
        try:
            with filling(self._folder), part.open("xb") as file:
                for chunk in chunks:
                    written += len(chunk)
                    if size and written > size:
                        raise _mismatch(name or sha256)
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            found = digest.hexdigest()
            if (sha256 and found != sha256) or (size and written != size):
                raise _mismatch(name or sha256)
            part.chmod(0o644)
            path = self._folder / found
            # What is there already is linked into build contexts: its bytes are right, so it stays.
            if self.get(found) is None:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path, found

    def link(self, sha256: str, target: Path) -> None:
        """Make ``target`` the file with this hash: a hard link, or a copy on another file system.

        A target that is this file already stays untouched. Raises FileNotFoundError when the store lacks the file.
        """
        path = self._folder / sha256
        with contextlib.suppress(FileNotFoundError):
            # Not a link by name, which a build context would carry as it is.
            if target.samefile(path) and not target.is_symlink():
                return
        if self.get(sha256) is None:
            raise FileNotFoundError(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex}{_PART}")
        try:
            try:
                os.link(path, part)
            except OSError:
                if is_file_of(target, sha256):
                    return
                shutil.copy2(path, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def unused(
        self,
        kept: Collection[str] = (),
        released: Mapping[Inode, int] = MappingProxyType({}),
        *,
        idle: float = STALE,
    ) -> dict[Path, int]:
        """Return the files that nobody has used for ``idle`` seconds, and no work folder links to, with their bytes.

        The one unused for longest comes first. ``kept`` are hashes of files that stay all the same, ``released`` how
        many links of each inode are about to go.
        """
        self._sweep()
        files = self._files()
        return {
            path: files[path].st_size
            for path in sorted(files, key=lambda path: files[path].st_atime)
            if path.name not in kept
            and _is_unused(files[path], idle, released.get((files[path].st_dev, files[path].st_ino), 0))
        }

    def prune(self, kept: Collection[str] = (), *, limit: int = 0, idle: float = STALE) -> int:
        """Remove unused files until ``limit`` bytes are left in all, and return the bytes that went."""
        unused, freed = self.unused(kept, idle=idle), 0
        total = sum(status.st_size for status in self._files().values())
        for path in unused:
            # Looked at again: another process may have taken, or removed, it in the meantime.
            status = _status(path)
            if status and _is_unused(status, idle, 0) and total - freed > limit:
                path.unlink(missing_ok=True)
                freed += status.st_size
        return freed

    def _files(self) -> dict[Path, os.stat_result]:
        return {path: status for path in self._folder.glob("*") if (status := _status(path)) and path.suffix != _PART}

    def _sweep(self) -> None:
        """Remove what killed runs left, once for each store: looking through it for every file would cost seconds."""
        if self._swept:
            return
        self._swept = True
        self.sweep()

    def sweep(self) -> None:
        """Remove what killed runs left half written."""
        for path in self.left():
            path.unlink(missing_ok=True)

    def left(self) -> list[Path]:
        """Return what killed runs left half written: what ``sweep`` removes."""
        parts = {path: _status(path) for path in self._folder.glob(f"*{_PART}")}
        return [path for path, status in parts.items() if status and status.st_mtime < time.time() - STALE]

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(status.st_size for path in self._folder.glob("*") if (status := _status(path)))


def _is_unused(status: os.stat_result, idle: float, released: int) -> bool:
    return status.st_nlink - released == 1 and status.st_atime < time.time() - idle


def _status(path: Path) -> os.stat_result | None:
    """Return a file's status, or None for what is no file, or none any more."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def is_file_of(path: Path, sha256: str) -> bool:
    """Tell whether a path is a regular file, no link to one, with this hash, which is computed anew."""
    if not sha256 or _status(path) is None:
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _mismatch(name: str) -> HashMismatchError:
    return HashMismatchError(
        f"{name} has other bytes than the lock says",
        remedy="find out why before you trust it; nox -s lock -- --upgrade-package NAME takes it as it is",
    )
