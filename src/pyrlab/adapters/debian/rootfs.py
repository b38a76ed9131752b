"""Writes the file system of a Debian root as one tar: the data of its .debs, which the builder then configures."""

import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from debian.arfile import ArError
from debian.debfile import DebError, DebFile

from pyrlab.adapters.debian.archive import default_sources, unstable_source
from pyrlab.errors import BuildError, HashMismatchError
from pyrlab.model.settings import Settings

# Times that are later are set to this, so that equal packages give equal bytes. 2025-01-01, in seconds.
EPOCH = 1735689600
# A merged /usr: these are links to what is called so in /usr, from the first package on. Debian's packages bring the
# links too, or expect them. Those in _OTHER are made where a package has something in them.
_MERGED = ("bin", "lib", "sbin")
_OTHER_MERGED = ("lib32", "lib64", "libo32", "libx32")
_BASE_FILES = re.compile(r"base-files_[^/]*\.deb")
_UNSTABLE_PIN = b"Package: *\nPin: release n=sid\nPin-Priority: 100\n"


def sources_files(settings: Settings, debs: Sequence[Path]) -> dict[str, bytes]:
    """Return apt's sources as files of a root: Debian's own ones, so that images of others can stand on it.

    Sources of the user's own stay out: they are this build's business, and may hold a password; and the same lock gives
    the same root behind any mirror. A testing release
    lacks some packages for a time; these may come from unstable, and nothing else may (apt_preferences(5): a version
    with a priority below 500 is only taken where the release has none).
    """
    sources = default_sources(settings.suite)
    files = {"etc/apt/sources.list": "".join(f"{source}\n" for source in sources).encode()}
    # Unstable's only source is itself, and base-files tells both by "forky/sid".
    if len(sources) > 1 and _debian_version(debs).endswith("/sid"):
        files["etc/apt/sources.list.d/unstable.list"] = f"{unstable_source()}\n".encode()
        files["etc/apt/preferences.d/unstable"] = _UNSTABLE_PIN
    return files


def recipe(settings: Settings) -> str:
    """Return a digest of what decides a root's tar beside its packages: this module, and apt's sources in it."""
    sources = [*default_sources(settings.suite), unstable_source()]
    return hashlib.sha256("\n".join([code(), *map(str, sources)]).encode()).hexdigest()


def code() -> str:
    """Return a digest of this module: whatever it does to a tar, no number has to be raised by hand."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _debian_version(debs: Sequence[Path]) -> str:
    """Return what /etc/debian_version will say; of a testing release it ends with ``/sid``."""
    for deb in debs:
        if not _BASE_FILES.fullmatch(deb.name):
            continue
        with _explained(deb), _data(deb.read_bytes()) as data:
            for member in data:
                content = data.extractfile(member) if member.isreg() else None
                if content and member.name.removeprefix("./") == "etc/debian_version":
                    return content.read().decode("utf-8", errors="replace").strip()
    return ""


def tar_chunks(debs: Mapping[Path, str], *, extra_files: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield, in pieces, one tar of the data of all .debs, and of ``extra_files`` by path.

    ``debs`` are files with the SHA-256 that each must have. The same .debs give the same bytes, in whatever order they
    come. Raises HashMismatchError for other bytes, and BuildError that names a .deb which is damaged, or would put
    something elsewhere than below the root: absolute paths, ``..``, devices, ways through links.
    """
    piece = io.BytesIO()
    # GNU's format has no times of access and no other fields that would differ.
    with tarfile.open(fileobj=piece, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tree = _Tree(tar)
        for link in _MERGED:
            tree.link(link)
        # base-files first: it says whose the folders are that many packages have.
        for deb in sorted(debs, key=lambda path: (not _BASE_FILES.fullmatch(path.name), path.name)):
            with _explained(deb):
                tree.add_deb(_content(deb, debs[deb]))
            yield _taken(piece)
        for path, content in sorted(extra_files.items()):
            tree.add_file(path, content)
    yield _taken(piece)


def _content(deb: Path, sha256: str) -> bytes:
    """Return the bytes of a .deb. Raises HashMismatchError where they are not those that it must have."""
    content = deb.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise HashMismatchError(
            f"the bytes of {deb.name} are not those that the lock names",
            remedy="something changed files while they were built from: run the same again, and find out what it was",
        )
    return content


def _taken(piece: io.BytesIO) -> bytes:
    """Return what was written, and forget it."""
    content = piece.getvalue()
    piece.seek(0)
    piece.truncate()
    return content


class _HostileError(Exception):
    """A member of a .deb that is not taken."""


@contextmanager
def _explained(deb: Path) -> Iterator[None]:
    """Turn what is wrong with a .deb into an error that names it."""
    try:
        yield
    except _HostileError as error:
        raise BuildError(
            f"{deb.name} is not installed: {error}", remedy="do not trust the archive that this package is from"
        ) from error
    except (DebError, ArError, tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise BuildError(
            f"{deb.name} is damaged, or no Debian package",
            remedy="remove it from the cache, and run the same again",
            detail=str(error),
        ) from error


def _data(content: bytes) -> tarfile.TarFile:
    return DebFile(fileobj=io.BytesIO(content)).data.tgz()


@dataclass
class _Tree:
    """The tar that is being written, with what is in it so far: each path with its type."""

    tar: tarfile.TarFile
    kinds: dict[str, bytes] = field(default_factory=dict)

    def link(self, name: str) -> None:
        """Add the link ``name`` to what is called so in /usr, and its target."""
        if name in self.kinds:
            return
        self._folder(f"usr/{name}")
        member = _member(name, tarfile.SYMTYPE, mode=0o777)
        member.linkname = f"usr/{name}"
        self._put(member)

    def add_file(self, path: str, content: bytes) -> None:
        """Add a file of our own, in the place of one that a package has."""
        self._parents(path)
        member = _member(path, tarfile.REGTYPE, mode=0o644)
        member.size = len(content)
        self._put(member, io.BytesIO(content))

    def add_deb(self, deb: bytes) -> None:
        """Add the data of a package. What another package brought already stays: dpkg judges that later."""
        with _data(deb) as data:
            for original in data:
                path = self._path(original.name)
                if path and self._wanted(path, original):
                    self._parents(path)
                    self._put(self._copy(original, path), data.extractfile(original) if original.isreg() else None)

    def _path(self, name: str) -> str:
        """Return where a member belongs in a merged /usr; nothing for the root itself. Raises _HostileError."""
        path = name.removeprefix("./").rstrip("/")
        if path in {"", "."}:
            return ""
        parts = path.split("/")
        if {"", ".", ".."}.intersection(parts) or not path.isprintable():
            raise _HostileError(f"it has a file called {name!r}")
        if parts[0] in {*_MERGED, *_OTHER_MERGED} and len(parts) > 1:
            self.link(parts[0])
            return f"usr/{path}"
        return path

    def _wanted(self, path: str, member: tarfile.TarInfo) -> bool:
        """Tell whether a member is new. Raises _HostileError for one that no package should have."""
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise _HostileError(f"{path} is a device or a pipe")
        if path in _OTHER_MERGED and member.isdir():
            return False
        return path not in self.kinds

    def _copy(self, original: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        """Return a member with what counts of the original, and nothing else of it."""
        member = _member(path, original.type, mode=original.mode & 0o7777)
        if not (original.issym() or original.islnk() or original.isdir()):
            member.type = tarfile.REGTYPE
        member.uid, member.gid = original.uid, original.gid
        member.uname, member.gname = original.uname, original.gname
        member.mtime = max(0, min(int(original.mtime), EPOCH))
        if original.isreg():
            member.size = original.size
        elif original.issym():
            member.linkname = original.linkname
        elif original.islnk():
            member.linkname = self._path(original.linkname)
            if self.kinds.get(member.linkname) != tarfile.REGTYPE:
                raise _HostileError(f"{path} is a hard link to {original.linkname!r}, which is no file of a package")
        return member

    def _parents(self, path: str) -> None:
        """Make sure that all folders above a path are there. Raises _HostileError when one is not a folder."""
        for parent in _above(path):
            kind = self.kinds.get(parent)
            if kind is None:
                self._folder(parent)
            elif kind != tarfile.DIRTYPE:
                raise _HostileError(f"{path} is below {parent}, which is no folder")

    def _folder(self, path: str) -> None:
        if path not in self.kinds:
            self._parents(path)
            self._put(_member(path, tarfile.DIRTYPE, mode=0o755))

    def _put(self, member: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        self.tar.addfile(member, content)
        self.kinds[member.name] = member.type


def _member(path: str, kind: bytes, *, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type = kind
    member.mode = mode
    member.mtime = EPOCH
    member.uname = member.gname = "root"
    return member


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path, the outermost first."""
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])
