"""The archive of a bundle: written as a whole or not at all, and every byte of it checked before any is used."""

import contextlib
import hashlib
import logging
import os
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyrlab.adapters.files import filling
from pyrlab.errors import HashMismatchError
from pyrlab.model.bundle import (
    BLOCK,
    END,
    LONGEST_MANIFEST,
    MANIFEST,
    BadBundleError,
    Manifest,
    Member,
    header,
    is_of_layout,
    padding,
)

CHUNK = 2**20
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes that become a member: ``size`` of them, from ``start`` on, in a file; or ``content`` itself."""

    size: int
    sha256: str
    path: Path | None = None
    start: int = 0
    content: bytes = b""

    @classmethod
    def of(cls, content: bytes) -> "Part":
        """Return the part that these bytes are."""
        return cls(len(content), hashlib.sha256(content).hexdigest(), content=content)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        if self.path is None:
            yield self.content
            return
        with self.path.open("rb") as file:
            file.seek(self.start)
            yield from _read(file, self.size)


def write(target: Path, manifest: Manifest, parts: Mapping[str, Part]) -> str:
    """Write an archive, ``parts`` by path, and return its SHA-256. Until it is whole there is none of this name.

    Raises HashMismatchError when a part is not any more what the manifest says, and OSError.
    """
    half = target.with_name(f".{target.name}.half")
    digest = hashlib.sha256()
    try:
        # What a killed run left is written over.
        with filling(target.parent), half.open("wb") as file:
            for chunk in _archive(manifest, parts):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
    return digest.hexdigest()


def _archive(manifest: Manifest, parts: Mapping[str, Part]) -> Iterator[bytes]:
    text = manifest.render()
    for member in (Member(MANIFEST, len(text), hashlib.sha256(text).hexdigest()), *manifest.members):
        yield header(member.path, member.size)
        part = Part.of(text) if member.path == MANIFEST else parts[member.path]
        found, size = hashlib.sha256(), 0
        for chunk in part.chunks():
            found.update(chunk)
            size += len(chunk)
            yield chunk
        if (size, found.hexdigest()) != (member.size, member.sha256):
            raise HashMismatchError(
                f"{member.path} was changed while it was written into the bundle", remedy="run the same again"
            )
        yield bytes(padding(member.size))
    yield bytes(END)


class BundleFile:
    """An archive that is open. Nothing of it is to be used before ``verify`` has returned."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._starts: dict[str, int] = {}

    def verify(self, progress: Callable[[int], None] = lambda _: None) -> Manifest:
        """Read every byte, and return what the archive holds. ``progress`` is told the bytes that were read so far.

        Raises HashMismatchError that names what is damaged, missing, or should not be there.
        """
        total = os.fstat(self._file.fileno()).st_size
        self._file.seek(0)
        manifest = self._manifest(total)
        if manifest.size != total:
            what = "is cut short" if total < manifest.size else "goes on behind its end"
            raise self._bad(f"it {what}: it has {total} bytes, and should have {manifest.size}")
        for member in manifest.members:
            self._expect(header(member.path, member.size), f"the header of {member.path}")
            self._starts[member.path] = self._file.tell()
            digest = hashlib.sha256()
            for chunk in _read(self._file, member.size):
                digest.update(chunk)
            if digest.hexdigest() != member.sha256:
                raise self._bad(f"{member.path} has other bytes than its hash says")
            self._expect(bytes(padding(member.size)), f"what follows {member.path}")
            progress(self._file.tell())
        self._expect(bytes(END), "its end")
        return manifest

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a member, once more compared with its hash: the file may be anybody's to change."""
        self._file.seek(self._starts[member.path])
        digest = hashlib.sha256()
        for chunk in _read(self._file, member.size):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != member.sha256:
            raise self._bad(f"{member.path} was changed meanwhile")

    @contextlib.contextmanager
    def layout(self, manifest: Manifest) -> Iterator[BinaryIO]:
        """Give the images as an archive that another program may read: of bytes that were compared with their hashes.

        Raises HashMismatchError when the file was changed since ``verify``; then the archive breaks off, and no program
        takes it for whole.
        """
        reader, writer = os.pipe()
        faults: list[Exception] = []

        def write() -> None:
            # Closing writes what is left, and nobody may read it any more.
            with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as stream:
                try:
                    for chunk in self._layout(manifest):
                        stream.write(chunk)
                except BrokenPipeError:
                    log.debug("nobody reads the images to their end")
                except (HashMismatchError, OSError) as error:
                    faults.append(error)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        try:
            with os.fdopen(reader, "rb") as stream:
                yield stream
        finally:
            # Nobody can read any more: if it was still at it, it has ended by this.
            thread.join()
            if faults:
                raise faults[0]

    def _layout(self, manifest: Manifest) -> Iterator[bytes]:
        for member in manifest.members:
            if is_of_layout(member.path):
                yield header(member.path, member.size)
                # The last piece is held back until the hash of all is known.
                held = b""
                for chunk in self.chunks(member):
                    yield held
                    held = chunk
                yield held + bytes(padding(member.size))
        yield bytes(END)

    def _manifest(self, total: int) -> Manifest:
        start = self._file.read(BLOCK)
        try:
            size = tarfile.TarInfo.frombuf(start, "ascii", "strict").size
        except (tarfile.TarError, ValueError):
            size = -1
        if not 0 <= size <= min(total, LONGEST_MANIFEST) or start != header(MANIFEST, size):
            raise self._bad("it does not begin as a bundle does")
        text = self._file.read(size)
        try:
            manifest = Manifest.parse(text)
        except BadBundleError as error:
            raise self._bad(str(error)) from error
        self._expect(bytes(padding(size)), "what follows its list of members")
        return manifest

    def _expect(self, wanted: bytes, what: str) -> None:
        if self._file.read(len(wanted)) != wanted:
            raise self._bad(f"{what} is damaged")

    def _bad(self, reason: str) -> HashMismatchError:
        return HashMismatchError(
            f"{self._name} is no bundle that can be used: {reason}",
            remedy="copy it anew, and compare its SHA-256 with the one that bundle has shown: sha256sum FILE",
        )


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield so many bytes of a file, or those up to its end."""
    left = size
    while left and (chunk := file.read(min(CHUNK, left))):
        left -= len(chunk)
        yield chunk
