"""What stands in a .deb, as far as locking and explaining need it."""

import json
import lzma
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from debian.arfile import ArError
from debian.deb822 import Deb822
from debian.debfile import DebFile

from pyrlab.adapters import files
from pyrlab.adapters.store import Store

# What a deb that is none ends in: of python-debian, of tarfile and of the ways to compress.
_UNREADABLE = (ArError, tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error)
# Where Debian's R packages live in the system.
_LIBRARIES = ("usr/lib/R/site-library/", "usr/lib/R/library/")


def description(store: Store, sha256: str, notes: Path) -> Mapping[str, str]:
    """Return the DESCRIPTION fields of the R package in a deb of the store; none where it holds none.

    What was read once is kept in the folder ``notes`` under the deb's hash. Raises ValueError for a deb that cannot be
    read.
    """
    note = notes / f"{sha256}.json"
    try:
        known: dict[str, str] = json.loads(note.read_bytes())
    except (OSError, ValueError):
        known = _read(store, sha256)
        notes.mkdir(parents=True, exist_ok=True)
        files.write({note: json.dumps(known)})
    return known


def _read(store: Store, sha256: str) -> dict[str, str]:
    path = store.get(sha256)
    if path is None:
        raise FileNotFoundError(sha256)
    try:
        with path.open("rb") as stream, DebFile(fileobj=stream).data.tgz() as archive:
            return _fields(archive)
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the deb cannot be read: {reason}") from error


def _fields(archive: tarfile.TarFile) -> dict[str, str]:
    """Return the fields of the first DESCRIPTION where R packages live. Raises ValueError for a link to nothing."""
    for member in archive:
        name = member.name.removeprefix("./")
        library, _, rest = next((name.partition(found) for found in _LIBRARIES if name.startswith(found)), ("", "", ""))
        if not library and rest.count("/") == 1 and rest.endswith("/DESCRIPTION"):
            try:
                file = archive.extractfile(member)
            except KeyError as error:
                raise ValueError("its DESCRIPTION is a link to nothing in the deb") from error
            text = file.read().decode("utf-8-sig", errors="replace") if file else ""
            return dict(Deb822(text))
    return {}


def control(store: Store, sha256: str) -> str:
    """Return what a deb of the store says of itself, as a stanza; nothing for a deb that is not there, or not sound."""
    path = store.get(sha256)
    if path is None:
        return ""
    try:
        with path.open("rb") as stream:
            return DebFile(fileobj=stream).debcontrol().dump() or ""
    except (*_UNREADABLE, ValueError):
        return ""
