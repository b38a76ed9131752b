"""Index files of an archive's suites: had by hash, reduced to what is asked of them, and kept for worse days."""

import gzip
import hashlib
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from pyrlab.adapters.http import NotThereError
from pyrlab.errors import NetworkError

# The best compressed first.
_SUFFIXES = (".xz", ".gz", "")
# Goes up when what is kept of an index changes, so that no reader meets a copy of an earlier form.
_FOLDER = "indexes-1"

# Reads an unpacked index, of up to a gigabyte, and yields the few lines of it that count.
Reduce = Callable[[BinaryIO], Iterable[bytes]]


class Listed(Protocol):
    """A file that a Release file vouches for; ``path`` is relative to that file's folder, ``size`` in bytes."""

    @property
    def path(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of an archive whose Release file was checked. ``shown`` is its URL as a message may show it.

    ``files`` are those that the Release file lists, by path. ``read`` returns where on this machine a file of the
    suite is, given its path; it raises NotThereError or NetworkError.
    """

    shown: str
    components: tuple[str, ...]
    files: Mapping[str, Listed]
    by_hash: bool
    read: Callable[[str], Path]

    def forms(self, path: str) -> list[Listed]:
        """Return the forms that there are of an index, the smallest first; ``path`` has no suffix."""
        return [self.files[path + suffix] for suffix in _SUFFIXES if path + suffix in self.files]


@dataclass(frozen=True, slots=True)
class Missed:
    """An index that could not be had, and why. ``kept`` tells whether a copy from before stood in for it."""

    index: str
    reason: str
    kept: bool = False

    def __str__(self) -> str:
        return f"{self.index}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads indexes, and keeps what is left of each in ``cache``, for the day when its archive is out of step."""

    cache: Path
    missed: list[Missed]

    def read(self, suite: Suite, path: str, reduce: Reduce) -> bytes:
        """Return what ``reduce`` leaves of an index, given its path without a suffix.

        Mirrors serve indexes that do not fit their Release file, sometimes for days: then the copy from before is
        returned, or nothing, and ``missed`` notes it. So it is with an index that the suite does not have at all.
        """
        forms = suite.forms(path)
        key = hashlib.sha256(f"{suite.shown} {path}".encode()).hexdigest()[:32]
        # All forms hold the same: whichever was kept will do.
        for form in forms:
            kept = _load(self._place(key, form.sha256))
            if kept is not None:
                return kept
        try:
            form, file = _fetch(suite, forms)
            return self._keep(key, form, _reduced(file, form.path, reduce))
        except NetworkError as error:
            older = self._older(key)
            self.missed.append(Missed(f"{path} of {suite.shown}", str(error), kept=older is not None))
            return older or b""

    def _place(self, key: str, sha256: str) -> Path:
        return self.cache / _FOLDER / f"{key}-{sha256}.gz"

    def _older(self, key: str) -> bytes | None:
        copies = (self.cache / _FOLDER).glob(f"{key}-*.gz")
        loaded = (_load(path) for path in copies)
        return next((text for text in loaded if text is not None), None)

    def _keep(self, key: str, form: Listed, text: bytes) -> bytes:
        """Keep the text in the place of earlier ones: written to a name beside it first, so that it is whole."""
        place = self._place(key, form.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                # A low level: the text is a tenth of the index, and nobody waits for the rest.
                file.write(gzip.compress(text, 3, mtime=0))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
        for old in place.parent.glob(f"{key}-*.gz"):
            if old != place:
                old.unlink(missing_ok=True)
        return text


def warn(missed: Iterable[Missed], consequence: str, remedy: str) -> str:
    """Return a warning of several short lines: which indexes were missed, what follows, and the way on."""
    lines = [f"{index}{' (used: the copy from before)' if index.kept else ''}" for index in missed]
    return "\n  ".join([consequence, *lines, f"try: {remedy}"])


def _load(path: Path) -> bytes | None:
    """Return a kept text, or None when it is not there or damaged."""
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):
        return None


def _fetch(suite: Suite, forms: Iterable[Listed]) -> tuple[Listed, Path]:
    """Return the first form that can be had and fits the Release file, and where it is. Raises NetworkError."""
    misfit = ""
    for form in forms:
        for place in _places(suite, form):
            try:
                file = suite.read(place)
            except NotThereError:
                continue
            wrong = _misfit(file, form)
            if not wrong:
                return form, file
            misfit = misfit or wrong
    if misfit:
        raise NetworkError(f"it does not fit its Release file ({misfit})", remedy="try again later")
    raise NetworkError("it is not there", remedy="use a mirror that has it")


def _places(suite: Suite, form: Listed) -> Iterator[str]:
    """Yield where a file may be. Under its hash it stays the same while the archive changes."""
    if suite.by_hash:
        folder = form.path.rpartition("/")[0]
        yield f"{folder}/by-hash/SHA256/{form.sha256}"
    yield form.path


def _misfit(file: Path, form: Listed) -> str:
    """Return what a file has that the Release file says otherwise, or nothing."""
    size = file.stat().st_size
    if size != form.size:
        return f"{size} bytes, not {form.size}"
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return "" if sha256 == form.sha256 else "another SHA-256"


def _reduced(file: Path, path: str, reduce: Reduce) -> bytes:
    with ExitStack() as stack:
        stream: BinaryIO
        if path.endswith(".xz"):
            stream = cast("BinaryIO", stack.enter_context(lzma.open(file)))
        elif path.endswith(".gz"):
            stream = cast("BinaryIO", stack.enter_context(gzip.open(file)))
        else:
            stream = stack.enter_context(file.open("rb"))
        try:
            return b"".join(reduce(stream))
        except (gzip.BadGzipFile, lzma.LZMAError, EOFError, zlib.error) as error:
            raise NetworkError("it cannot be unpacked", remedy="use another mirror") from error
