"""What a repository's Archive has: by the names of its files, and by R's own list of them, Meta/archive.rds."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress

from pyrlab.model.cran.version import RVersion

PATH = "src/contrib/Meta/archive.rds"


class ArchiveIndex:
    """Which files the Archive has of each package.

    The list is what R's ``saveRDS`` makes of a data frame for each package, whose row names are paths such as
    ``zoo/zoo_1.8-12.tar.gz``. A serialized string is its bytes as they are, so the paths are searched for, and the rest
    is not read. Source: R Internals, Serialization Formats; ``tools::CRAN_archive_db``.
    """

    def __init__(self, data: bytes = b"") -> None:
        """Open the bytes of an archive.rds, packed or not. Raises ValueError."""
        self._text = _unpack(data)

    def files(self, name: str) -> list[str]:
        """Return the names of a package's old files, in the order of the list."""
        bare = re.escape(name.encode())
        return [match.decode() for match in re.findall(rb"%b/(%b_[0-9.-]+\.tar\.gz)" % (bare, bare), self._text)]


def _unpack(data: bytes) -> bytes:
    try:
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data.startswith(b"BZh"):
            return bz2.decompress(data)
        if data.startswith(b"\xfd7zXZ"):
            return lzma.decompress(data)
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"is damaged: {error}") from error
    return data


def versions_in(name: str, files: Iterable[str]) -> dict[str, RVersion]:
    """Return the versions that files of a package have in their names, as they are written and to compare."""
    pattern = re.compile(rf"{re.escape(name)}_([0-9.-]+)\.tar\.gz")
    versions = {}
    for file in files:
        match = pattern.fullmatch(file)
        with suppress(ValueError):
            if match:
                versions[match[1]] = RVersion.of_package(match[1])
    return versions
