"""Which headers an R package's sources include from outside: what its compilation may lack."""

import re
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

_SOURCES = {".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp"}
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<([A-Za-z0-9_][A-Za-z0-9_./+-]*)>", re.MULTILINE)
# R's own, and those of the C library, which every compiler has. Those of C++ have neither a dot nor a slash.
_GIVEN = re.compile(
    r"R|S|Rconfig|Rdefines|Rembedded|Rinterface|Rinternals|Rmath|Rversion|R_ext/.*|"
    r"assert|ctype|dirent|dlfcn|errno|fcntl|fenv|float|inttypes|limits|locale|malloc|math|memory|pthread|pwd|sched|"
    r"setjmp|signal|std(?:arg|atomic|bool|def|int|io|lib)|strings?|(?:sys|arpa|netinet|linux|net)/.*|time|unistd|utime|"
    r"wchar|wctype|poll|netdb|termios|grp|glob|getopt|iconv|langinfo|libgen|semaphore|alloca|byteswap|endian|omp"
)


def included_headers(package: Path, linked: Sequence[Path] = ()) -> list[str]:
    """Return the headers that the sources in a tarball include with ``<…>`` and that nobody here brings, sorted.

    ``linked`` are the tarballs of the packages that it links to. Each header is written as the archive's Contents is
    asked for it: ``include/curl/curl.h``.
    """
    with tarfile.open(package) as archive:
        members = [member for member in archive if member.isfile()]
        included = {
            name.decode()
            for member in members
            if "/src/" in member.name and PurePosixPath(member.name).suffix in _SOURCES
            for name in _INCLUDE.findall(_read(archive, member))
        }
    brought = [member.name for member in members]
    for path in linked if included else ():
        with tarfile.open(path) as archive:
            brought += archive.getnames()
    asked = (name for name in included if not is_given(name))
    return sorted(f"include/{name}" for name in asked if not any(path.endswith(f"/{name}") for path in brought))


def is_given(header: str) -> bool:
    """Tell whether a header comes with R or with the compiler."""
    return not re.search(r"[./]", header) or bool(_GIVEN.fullmatch(header.removesuffix(".h")))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""
