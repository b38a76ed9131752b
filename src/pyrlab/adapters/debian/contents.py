"""Which Debian packages hold a file, by the archive's Contents indexes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyrlab.adapters.debian.indexes import Missed, Reader, Suite, warn

_BLOCK = 2**22
_SHOWN = 5
# What compilers, linkers, pkg-config and the loader look for: a tenth of the index.
_LINE = re.compile(
    rb"^(?:usr/)?("
    rb"include/.*?|"
    rb"lib/(?:[a-z0-9_]+-linux-gnu[a-z0-9]*/)?(?:lib[^/\s]*\.so[.\d]*|pkgconfig/[^/\s]+)|"
    rb"share/pkgconfig/[^/\s]+"
    rb")[ \t]+(\S+)$",
    re.MULTILINE,
)
_TRIPLET = re.compile(rb"[a-z0-9_]+-linux-gnu[a-z0-9]*/")


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the files that were asked for: their packages, and the files that stay ``unknown``.

    A file is unknown when no index names it and at least one, in ``missed``, could not be read. A file that neither
    has a package nor is unknown is in no package.
    """

    packages: Mapping[str, frozenset[str]]
    unknown: tuple[str, ...]
    missed: tuple[Missed, ...]

    @property
    def warning(self) -> str:
        """What to tell the user, and the way on; nothing where no file stays unknown."""
        if not self.unknown:
            return ""
        names = ", ".join(self.unknown[:_SHOWN]) + (" …" if self.unknown[_SHOWN:] else "")
        return warn(
            self.missed,
            f"it stays unknown which Debian package has {names}: an index cannot be had",
            "if an R package that needs these fails to compile, add their -dev package to r_debs.txt",
        )


def find(
    files: Sequence[str], suites: Iterable[Suite], *, architecture: str, cache: Path, missed: Sequence[Missed] = ()
) -> Found:
    """Return the packages that hold ``files``, each written as in ``include/zlib.h`` or ``lib/libz.so``.

    That is without ``usr/`` and without the folder of an architecture. ``missed`` is what could not be had of other
    suites. What is left of each index, some megabytes, is
    kept in ``cache``. Raises OSError when the cache cannot be written.
    """
    reader = Reader(cache, list(missed))
    packages: dict[str, set[str]] = {file: set() for file in files}
    for suite, path in _indexes(suites, architecture):
        for line in reader.read(suite, path, _reduce).splitlines():
            # A file's name may hold blanks, the names of packages cannot.
            name, _, holders = line.decode(errors="replace").rpartition(" ")
            if name in packages:
                packages[name].update(holders.split(","))
    found = {file: frozenset(names) for file, names in packages.items() if names}
    unknown = tuple(file for file in files if file not in found) if reader.missed else ()
    return Found(found, unknown, tuple(reader.missed))


def _indexes(suites: Iterable[Suite], architecture: str) -> Iterator[tuple[Suite, str]]:
    """Yield the indexes of each component: that of the architecture, and that of the packages for all of them.

    An archive that lists none has none, as many small ones: that is no reason for a warning.
    """
    for suite in suites:
        for component in suite.components:
            for name in (architecture, "all"):
                path = f"{component}/Contents-{name}"
                if suite.forms(path):
                    yield suite, path


def _reduce(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines of a name as it is asked for, a blank, and its packages with commas between them."""
    rest = b""
    while block := stream.read(_BLOCK):
        text = rest + block
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        yield from _lines(text[:end])
    yield from _lines(rest)


def _lines(text: bytes) -> Iterator[bytes]:
    for name, holders in _LINE.findall(text):
        packages = b",".join(holder.rpartition(b"/")[2] for holder in holders.split(b","))
        yield _TRIPLET.sub(b"", name, count=1) + b" " + packages + b"\n"
