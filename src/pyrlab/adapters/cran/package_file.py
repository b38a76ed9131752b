"""An R package's file, source or binary: what its DESCRIPTION says."""

import lzma
import re
import tarfile
import zlib
from pathlib import Path

from pyrlab.model.cran.index import read_description
from pyrlab.model.cran.record import Record
from pyrlab.model.cran.version import RVersion

# The longest DESCRIPTION on CRAN has some 20 kB; more is no DESCRIPTION.
LONGEST_DESCRIPTION = 2**20
_DESCRIPTION = re.compile(r"(?:\./)?[^/]+/DESCRIPTION")
_BUILT = re.compile(r"R (?P<minor>[0-9]+\.[0-9]+)\.\S+;\s*(?P<platform>[^;]*?)\s*;.*")


def fits(built: str, *, minor: str, machine: str) -> bool:
    """Tell whether R ``minor``, as in 4.5, on ``machine`` can load what was built so, by the Built field.

    A package without compiled code names no platform, and a source has no such field.
    """
    if not built:
        return True
    match = _BUILT.fullmatch(built)
    if not match or match["minor"] != minor:
        return False
    return not match["platform"] or (match["platform"].startswith(f"{machine}-") and "linux" in match["platform"])


def made_for(built: str) -> str:
    """Return what a binary was made for, by its Built field, as a message adds it; nothing where there is none."""
    r, _, more = built.partition(";")
    platform = more.partition(";")[0].strip()
    return f" (only for {' on '.join(filter(None, [r, platform]))})" if r else ""


def record_in(package: Path, name: str, version: RVersion) -> Record:
    """Return what a source or binary package says of itself. Raises ValueError unless it is the one that is named."""
    text = description(package)
    try:
        found = read_description(text)
    except ValueError as error:
        raise ValueError(f"its DESCRIPTION {error}") from error
    if (found.name, found.version) != (name, version):
        raise ValueError(f"it holds {found.name} {found.version}")
    return found


def description(package: Path) -> bytes:
    """Return the DESCRIPTION in the top folder of a package's tarball. Raises ValueError."""
    found: bytes | None = None
    try:
        with tarfile.open(package) as archive:
            # To the end, also when it is found: a file that breaks off later is not to be locked.
            for member in archive:
                if found is None and member.isfile() and _DESCRIPTION.fullmatch(member.name):
                    file = archive.extractfile(member)
                    found = file.read(LONGEST_DESCRIPTION) if file else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        with package.open("rb") as file:
            page = file.read(100).lstrip().startswith(b"<")
        reason = "it is a web page" if page else f"it is damaged: {error}".partition("\n")[0]
        raise ValueError(reason) from error
    if found is None:
        raise ValueError("it has no DESCRIPTION")
    return found
