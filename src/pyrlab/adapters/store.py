"""The store: files named by their SHA-256, that all projects and runs of a user share."""

import contextlib
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from pyrlab.adapters.files import filling
from pyrlab.errors import HashMismatchError

# What a killed run left half written, in seconds: no download takes that long.
STALE = 86400.0
_PART = ".part"


class Store:
    """Files below ``folder``, each called by its hash. What is there is whole, or is found out when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False
        # A file is read once a run: hashing gigabytes for each question would cost seconds.
        self._verified: dict[str, tuple[int, int]] = {}

    def get(self, sha256: str) -> Path | None:
        """Return the file with this hash, computed anew; None if there is none. A damaged one is removed."""
        path = self._folder / sha256
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        mark = (status.st_size, status.st_mtime_ns)
        if self._verified.get(sha256) != mark:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    path.unlink(missing_ok=True)
                    return None
            self._verified[sha256] = mark
        with contextlib.suppress(OSError):
            # By the time of the last use pruning decides; the time of change is what builders compare.
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
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
                if _same(target, sha256):
                    return
                shutil.copy2(path, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def prune(self, limit: int) -> int:
        """Remove files unused for longest until ``limit`` bytes are left; return the bytes that went.

        Files used within a day, and those that a work folder links to, stay.
        """
        self._sweep()
        files = {path: status for path in self._folder.glob("*") if (status := _status(path)) and path.suffix != _PART}
        total, freed = sum(status.st_size for status in files.values()), 0
        for path in sorted(files, key=lambda path: files[path].st_atime):
            # Looked at again: another process may have taken, or removed, it in the meantime.
            status = _status(path)
            unused = status and status.st_nlink == 1 and status.st_atime < time.time() - STALE
            if status and unused and total - freed > limit:
                path.unlink(missing_ok=True)
                freed += status.st_size
        return freed

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


def _status(path: Path) -> os.stat_result | None:
    """Return a file's status, or None for what is no file, or none any more."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _same(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return not path.is_symlink() and hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _mismatch(name: str) -> HashMismatchError:
    return HashMismatchError(
        f"{name} has other bytes than the lock says",
        remedy="find out why before you trust it; nox -s lock -- --upgrade-package NAME takes it as it is",
    )
