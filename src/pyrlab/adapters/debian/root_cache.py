"""The cache of roots: a tar that was made once serves all work folders of a user, and is checked before each use.

The tars are a store's, named by their hash; which one some packages give, a note says. So this cache is believed as far
as a work folder is, and no further: it is the user's own, and nothing to take from elsewhere.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from pyrlab.adapters import files
from pyrlab.adapters.debian import rootfs
from pyrlab.adapters.store import Store, is_file_of

# In bytes: three roots of 150 MB, such as a project's, its candidate's, and one of another suite. What a work folder
# links to stays beside them, as it takes no room here.
ROOM = 500_000_000
# In seconds: whoever asked for a root earlier has linked it by now.
IDLE = 600.0
_KEY = "pyrlab-root"


def ensure_tar(debs: Mapping[Path, str], target: Path, *, extra_files: Mapping[str, bytes], cache: Path) -> None:
    """Make ``target`` the tar that ``rootfs.tar_chunks`` gives: it stays where it is that, or comes from ``cache``.

    ``debs`` are packages' files with their SHA-256. The hash of the tar is noted beside it and in the cache; what has
    other bytes now is made anew. Raises what ``tar_chunks`` raises.
    """
    digest = _digest(debs, extra_files)
    own, shared = target.with_name(f"{target.name}.key"), cache / f"{digest}.key"
    if is_file_of(target, _noted(own, digest)):
        return
    store, sha256 = Store(cache), _noted(shared, digest)
    if not sha256 or store.get(sha256) is None:
        _, sha256 = store.add(rootfs.tar_chunks(debs, extra_files=extra_files))
    store.link(sha256, target)
    files.write(dict.fromkeys((shared, own), f"{_KEY} {digest} {sha256}\n"))
    store.prune(limit=ROOM, idle=IDLE)


def _digest(debs: Mapping[Path, str], extra_files: Mapping[str, bytes]) -> str:
    """Return one hash of all that decides a root's tar."""
    lines = sorted(f"deb {path.name} {sha256}" for path, sha256 in debs.items())
    lines += sorted(f"file {name} {hashlib.sha256(content).hexdigest()}" for name, content in extra_files.items())
    return hashlib.sha256("\n".join([rootfs.code(), *lines]).encode()).hexdigest()


def _noted(note: Path, digest: str) -> str:
    """Return the SHA-256 that a note has for the tar of this digest; nothing where it has none."""
    try:
        said = files.read_bytes(note).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    match = re.fullmatch(rf"{_KEY} {digest} (?P<sha256>[0-9a-f]{{64}})\n", said)
    return match["sha256"] if match else ""
