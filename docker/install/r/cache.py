"""Compiled packages, kept for the builds to come: believed by their seal alone.

The folder is a cache mount of the builder, which any Dockerfile of that engine can name. So an entry carries an HMAC of
this user's key over its own name and bytes, and what does not fit is as good as not there.
"""

import contextlib
import hashlib
import hmac
import os
import shutil
import stat
import time
import uuid
from pathlib import Path

LIMIT = 3 * 2**30
# A file that another build left half written, in seconds: no compile takes that long.
STALE = 86400.0
_SEAL = hashlib.sha256().digest_size


class Cache:
    """Entries in ``folder``, sealed with ``seal``; without a seal nothing is kept, and nothing is taken."""

    def __init__(self, folder: Path, seal: bytes) -> None:
        self._folder = folder
        self._seal = seal
        if seal:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    def get(self, key: str) -> bytes | None:
        """Return an entry's bytes, the very ones whose seal was checked; None if there is none. A bad one goes."""
        path = self._folder / key
        if not self._seal or not os.path.lexists(path):
            return None
        whole = _read(path)
        content = whole[_SEAL:]
        if not hmac.compare_digest(whole[:_SEAL], self._seal_of(key, content)):
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content

    def add(self, key: str, content: bytes) -> None:
        """Keep an entry: the next build sees it whole, or not at all."""
        if not self._seal:
            return
        half = self._folder / f".{uuid.uuid4().hex}.half"
        try:
            with half.open("xb") as stream:
                stream.write(self._seal_of(key, content))
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            half.replace(self._folder / key)
        finally:
            half.unlink(missing_ok=True)

    def prune(self, limit: int = LIMIT) -> None:
        """Remove the entries used longest ago until ``limit`` bytes are left, and what builds left half written."""
        if not self._seal:
            return
        entries = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
        kept = 0
        for moment, size, path in sorted(entries, reverse=True):
            kept += size
            if kept > limit or (path.suffix == ".half" and moment < time.time() - STALE):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _seal_of(self, key: str, content: bytes) -> bytes:
        """Return the seal of an entry: of its name too, so that none can stand in for another."""
        return hmac.new(self._seal, f"{key}\n".encode() + content, hashlib.sha256).digest()


def _read(path: Path) -> bytes:
    """Return the bytes of a file; none of what is no file: a fifo would be waited for, a link leads elsewhere."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            return stream.read() if stat.S_ISREG(status.st_mode) and status.st_size <= LIMIT else b""
    except OSError:
        return b""


def _remove(path: Path) -> None:
    """Remove whatever stands in the place of an entry."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
