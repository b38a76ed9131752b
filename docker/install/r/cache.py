"""Compiled packages, kept for the builds to come: believed by their seal alone.

The folder is a cache mount of the builder, which any Dockerfile of that engine can name. So an entry carries an HMAC of
this user's key over its own name and bytes, and what does not fit is as good as not there.
"""

import contextlib
import hashlib
import hmac
import os
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
        if not self._seal:
            return None
        try:
            whole = path.read_bytes()
        except OSError:
            return None
        content = whole[_SEAL:]
        if not hmac.compare_digest(whole[:_SEAL], self._seal_of(key, content)):
            path.unlink(missing_ok=True)
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
        """Remove the entries used longest ago until ``limit`` bytes are left, and what killed builds left."""
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
