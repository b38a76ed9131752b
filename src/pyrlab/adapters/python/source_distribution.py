"""What a source distribution says that it needs to be built; nothing of it is run, or written to the disk."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from packaging.requirements import InvalidRequirement, Requirement

from pyrlab.errors import ListError

# What a source distribution without a pyproject.toml is built with. Source: PEP 518.
DEFAULT_BACKEND = "setuptools"
# No pyproject.toml is longer, in bytes.
LONGEST_PYPROJECT = 2**20
# Most of a source distribution that is read to find it, in bytes when unpacked: far more than any has.
LONGEST_SDIST = 2**30
MOST_MEMBERS = 200_000
_PYPROJECT = re.compile(r"(?:\./)?[^/]+/pyproject\.toml")
_ANY_FOLDER = re.compile(r"(?:\./)?(?P<folder>[^/]+)(?:/.*)?")
# The first bytes of packed tars, and what unpacks them.
_PACKINGS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def build_requirements(sdist: Path, *, name: str) -> list[Requirement]:
    """Return what the source distribution called ``name`` says that it needs to be built: ``build-system.requires``.

    Nothing of it is run, or written to the disk. Raises ListError for one that is damaged, is larger than any, or
    says it in a way that nobody can read.
    """
    try:
        text = _pyproject(sdist)
        system: Any = tomllib.loads(text.decode()).get("build-system", {}) if text else {}
        requires = system.get("requires", [DEFAULT_BACKEND])
        if not isinstance(requires, list):
            raise TypeError("build-system.requires is no list")
        return [Requirement(line) for line in requires]
    except UNREADABLE as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0][:200]
        raise ListError(
            f"{name} is a source distribution that cannot be read: {reason}",
            remedy="ask for another version of it",
        ) from error


# All that reading an archive, TOML and a requirement may end in, where somebody meant harm.
UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    InvalidRequirement,
)


def _pyproject(sdist: Path) -> bytes | None:
    """Return the pyproject.toml of a source distribution; None if it has none."""
    if zipfile.is_zipfile(sdist):
        return _pyproject_of_zip(sdist)
    with sdist.open("rb") as file:
        start = file.read(6)
    unpack = next((unpack for magic, unpack in _PACKINGS.items() if start.startswith(magic)), None)
    if unpack is None:
        raise ValueError("it is neither a packed tar nor a zip")
    folders: set[str] = set()
    raw: IO[bytes] = unpack(sdist)
    with raw, tarfile.open(fileobj=_Bounded(raw), mode="r|") as archive:
        for number, member in enumerate(archive):
            if number > MOST_MEMBERS:
                raise ValueError("it has too many files")
            folders.add(_folder(member.name))
            if _PYPROJECT.fullmatch(member.name):
                if not member.isfile():
                    raise ValueError("its pyproject.toml is a link")
                _check_length(member.size)
                content = archive.extractfile(member)
                return content.read() if content else b""
    _check_folders(folders)
    return None


def _pyproject_of_zip(sdist: Path) -> bytes | None:
    with zipfile.ZipFile(sdist) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise ValueError("it has too many files")
        _check_folders({_folder(member.filename) for member in members})
        for member in members:
            if _PYPROJECT.fullmatch(member.filename):
                _check_length(member.file_size)
                with archive.open(member) as file:
                    return file.read(LONGEST_PYPROJECT)
    return None


def _folder(path: str) -> str:
    """Return the first folder of a member's path. Raises ValueError for a path that leads out of the archive."""
    match = _ANY_FOLDER.fullmatch(path)
    if not match or ".." in path.split("/"):
        raise ValueError(f"it has a file {path[:80]!r}")
    return match["folder"]


def _check_folders(folders: set[str]) -> None:
    # pax_global_header is what git writes for itself.
    if len(folders - {".", "pax_global_header"}) != 1:
        raise ValueError("its files are not in one folder")


def _check_length(size: int) -> None:
    if size > LONGEST_PYPROJECT:
        raise ValueError("its pyproject.toml is too long")


class _Bounded(io.RawIOBase):
    """A stream that ends in ValueError where it gives more than any source distribution holds."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._left = LONGEST_SDIST

    def read(self, size: int = -1) -> bytes:
        """Read as any file does, as far as it may."""
        if size < 0 or size > self._left:
            raise ValueError("it is too large")
        data = self._raw.read(size)
        self._left -= len(data)
        return data
