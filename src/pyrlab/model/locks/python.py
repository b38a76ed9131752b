"""A lock of Python packages: every distribution with all its hashes, and the one file that is installed of each."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.changes import Hashes
from pyrlab.model.lists import PythonRequest

FILE = "requirements.lock"
REMEDY = "nox -s lock -- python"
FORMAT = 2
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?"
)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_FILE = re.compile(
    r"# (?P<architecture>[a-z0-9]+): (?P<filename>[A-Za-z0-9][A-Za-z0-9._+!-]*) "
    r"(?P<size>[0-9]{1,15}) sha256:(?P<sha256>[0-9a-f]{64})"
)
_HEADER = ("input", "python")


@dataclass(frozen=True, slots=True, order=True)
class PythonFile:
    """The one file of a pin that an architecture installs; ``size`` in bytes."""

    architecture: str
    filename: str
    size: int
    sha256: str

    @property
    def is_wheel(self) -> bool:
        """Whether it is installed as it is, and not built first."""
        return self.filename.endswith(".whl")

    def belongs_to(self, name: str, version: str) -> bool:
        """Tell whether the file's name says that it is this release's."""
        try:
            wheel = parse_wheel_filename(self.filename)[:2] if self.is_wheel else None
            return (wheel or parse_sdist_filename(self.filename)) == (canonicalize_name(name), Version(version))
        except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
            # Old source distributions are .zip or .tar.bz2, which no parser takes.
            return self.filename.endswith((".zip", ".tar.bz2", ".tgz"))

    def __str__(self) -> str:
        return f"# {self.architecture}: {self.filename} {self.size} sha256:{self.sha256}"


@dataclass(frozen=True, slots=True, order=True)
class PythonPin:
    """One distribution. ``via`` names the distributions, and the list, that want it.

    ``files`` are what is installed, one an architecture; none in a lock of format 1.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]
    files: tuple[PythonFile, ...] = ()

    def file_for(self, architecture: str) -> PythonFile | None:
        """Return the file that an architecture installs, if the lock has one."""
        return next((file for file in self.files if file.architecture == architecture), None)

    def strangers(self) -> list[PythonFile]:
        """Return those of its files that cannot be the pin's: by name, by hash, or a second of an architecture."""
        return [
            file
            for file in self.files
            if file != self.file_for(file.architecture)
            or f"sha256:{file.sha256}" not in self.hashes
            or not file.belongs_to(self.name, self.version)
        ]

    def __str__(self) -> str:
        requirement = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        hashes = "".join(f" \\\n    --hash={value}" for value in self.hashes)
        files = "".join(f"    {file}\n" for file in self.files)
        return f"{requirement}{hashes}\n{files}    # via {', '.join(self.via)}\n"


@dataclass(frozen=True, slots=True)
class PythonLock:
    """The whole lock, called ``name``, for a Python as in ``3.13`` and a C library as in ``2.41``."""

    name: str
    input: str
    python: str
    glibc: str
    pins: tuple[PythonPin, ...]

    @classmethod
    def parse(cls, text: str, *, name: str = FILE) -> Self:
        """Parse what ``render`` makes. Raises StaleLockError with the line, OldFormatError, EditedLockError."""
        text = locks.check_text(text, name=name, remedy=REMEDY)
        fields = locks.parse_header(text, _HEADER, name=name)
        number = locks.check_format(fields.get("format", "1"), FORMAT, name=name)
        if number < FORMAT:
            raise locks.old_format(name, number, FORMAT, remedy=REMEDY)
        lock = cls._parse(text, fields, name)
        restore = f"git checkout -- {name}; or take its pins as they are: {REMEDY}"
        edited = locks.first_edit(text, lock.render())
        lock.contents.check(fields.get("body", ""), fields.get("sums", ""), edited, name=name, remedy=restore)
        for pin in lock.pins:
            for file in pin.strangers():
                raise StaleLockError(f"{name}: {file.filename} is no file of {pin.name} {pin.version}", remedy=REMEDY)
        return lock

    @classmethod
    def earlier(cls, text: str, *, warn: Callable[[str], None], name: str = FILE) -> Self:
        """Parse a lock for its pins, of any format up to this one. ``warn`` is told of edits. Raises StaleLockError.

        Of an edited lock the pins have no hashes and no files: whoever edited a version did not edit these, and whoever
        edited a hash is not to be believed.
        """
        edited = False
        try:
            return cls.parse(text, name=name)
        except locks.OldFormatError:
            pass
        except locks.EditedLockError as error:
            warn(f"{error}; {locks.TAKEN}")
            edited = True
        text = locks.check_text(text, name=name, remedy=REMEDY)
        lock = cls._parse(text, locks.parse_header(text, _HEADER, name=name), name)
        pins = (replace(pin, hashes=(), files=()) for pin in lock.pins) if edited else lock.pins
        return replace(lock, pins=tuple(pins))

    @classmethod
    def _parse(cls, text: str, fields: Mapping[str, str], name: str) -> Self:
        return cls(
            name=name,
            input=fields["input"],
            python=fields["python"],
            glibc=fields.get("glibc", ""),
            pins=parse_pins(text, name=name),
        )

    @property
    def contents(self) -> locks.Body:
        """What the lock says, for its digest."""
        facts = (f"format {FORMAT}", f"input {self.input}", f"python {self.python}", f"glibc {self.glibc}")
        pins = tuple(f"{pin.name} {pin.version} {' '.join(str(pin).split())}" for pin in self.pins)
        return locks.Body(facts, pins)

    @property
    def body(self) -> str:
        """The digest of the lock."""
        return self.contents.digest

    @property
    def order(self) -> Callable[[str], Version]:
        """How its versions compare: as pip does."""
        return Version

    def render(self) -> str:
        """Return the file's text, which pip and uv read too: the same bytes for the same lock."""
        contents = self.contents
        fields = {
            "format": str(FORMAT),
            "input": self.input,
            "python": self.python,
            "glibc": self.glibc,
            "body": contents.digest,
            "sums": contents.sums,
        }
        return locks.header("nox -s lock", fields.items()) + "\n" + "".join(str(pin) for pin in self.pins)

    def versions(self) -> dict[str, str]:
        """Return versions by name, for the difference of two locks."""
        return {pin.name: pin.version for pin in self.pins}

    def hashes(self) -> Hashes:
        """Return the hashes of all files of the same distributions, and of the one file that is installed of each."""
        return {
            pin.name: (frozenset(pin.hashes), frozenset(f"{file.architecture} {file.sha256}" for file in pin.files))
            for pin in self.pins
        }

    def closure(self, roots: Iterable[str]) -> tuple[PythonPin, ...]:
        """Return the pins called ``roots`` and all that they need, by the locks' own ``via`` notes."""
        wanted = set(roots)
        while True:
            more = {pin.name for pin in self.pins if wanted.intersection(pin.via)} - wanted
            if not more:
                return tuple(pin for pin in self.pins if pin.name in wanted)
            wanted |= more


def parse_pins(
    text: str, *, name: str = FILE, wanted: Callable[[PythonPin], bool] = lambda _: True
) -> tuple[PythonPin, ...]:
    """Parse uv's output, or our own rendering of it. Raises StaleLockError with the line.

    ``wanted`` tells which pins count: a lock for many Pythons has a package once for each that differs.
    """
    pins: dict[str, tuple[int, PythonPin]] = {}
    for number, block in _blocks(text):
        where = f"{name}:{number}"
        pin = _pin(block, where=where, remedy=locks.restore(name))
        if not wanted(pin):
            continue
        if pin.name in pins:
            raise locks.twice(where, pin.name, pins[pin.name][0], remedy=REMEDY)
        pins[pin.name] = (number, pin)
    return tuple(sorted(pin for _, pin in pins.values()))


def _pin(block: Sequence[str], *, where: str, remedy: str) -> PythonPin:
    match = _PIN.fullmatch(block[0].partition("--hash")[0].rstrip())
    hashes = tuple(sorted(value for line in block for value in _HASH.findall(line)))
    if not match or not hashes or any("--hash" in line and not _HASH.search(line) for line in block):
        raise StaleLockError(f"{where}: {block[0]!r} is not a pin with SHA-256 hashes", remedy=remedy)
    name, marker = canonicalize_name(match["name"]), (match["marker"] or "").strip()
    files = [_file(line.strip(), where=where, remedy=remedy) for line in block if _names_file(line)]
    return PythonPin(name, match["version"], marker, hashes, _via(block), tuple(sorted(files)))


def _names_file(line: str) -> bool:
    """Tell whether a line below a pin is a comment on a file; those on who wants it hold no colon."""
    return line.strip().startswith("#") and ":" in line


def _file(comment: str, *, where: str, remedy: str) -> PythonFile:
    match = _FILE.fullmatch(comment)
    if not match:
        raise StaleLockError(f"{where}: {comment!r} names no file", remedy=remedy)
    return PythonFile(match["architecture"], match["filename"], int(match["size"]), match["sha256"])


def _blocks(text: str) -> list[tuple[int, list[str]]]:
    """Split into (line number, lines): a pin at the margin, its hashes and comments indented below it."""
    blocks: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith(" ") and blocks:
            blocks[-1][1].append(line)
        elif line and not line.startswith("#"):
            blocks.append((number, [line]))
    return blocks


def _via(block: Sequence[str]) -> tuple[str, ...]:
    """Return who wants a pin: one ``# via a, b`` line, or ``# via`` with a name on each line below it."""
    comments = [line.strip() for line in block if line.strip().startswith("#") and not _names_file(line)]
    notes = [comment.removeprefix("#").strip() for comment in comments]
    names = ", ".join(notes).removeprefix("via").split(",")
    return tuple(sorted({_who(name.strip()) for name in names if name.strip()}))


def _who(name: str) -> str:
    """Return a name in a note without its extras; ``list`` where it is a file's."""
    return "list" if name.startswith(("-r ", "-c ")) else name.partition("[")[0]


def input_of(requests: Sequence[PythonRequest], suite: str) -> str:
    """Return the digest of all that a Python lock is made from, but for the index itself."""
    return locks.digest([f"suite {suite}", *(f"python {request}" for request in requests)])


def check(lock: PythonLock, requests: Sequence[PythonRequest], *, suite: str, python: str) -> None:
    """Raise StaleLockError unless the lock was made from this list, for this suite's Python."""
    held = {pin.name for pin in lock.pins}
    lacking = [request for request in requests if request.name not in held and not request.conditional]
    if lacking:
        wanted = ", ".join(f"{request} ({request.where})" for request in lacking)
        raise StaleLockError(f"{lock.name} lacks {wanted}", remedy=REMEDY)
    orphans: dict[str, str] = {}
    for pin in lock.pins:
        for parent in set(pin.via) - held - {"list"}:
            orphans.setdefault(parent, pin.name)
    if orphans:
        gone = "; ".join(f"{parent}, which wants {child}" for parent, child in sorted(orphans.items()))
        raise StaleLockError(f"{lock.name} lacks {gone}", remedy=REMEDY)
    if lock.python != python:
        raise StaleLockError(f"{lock.name} is for Python {lock.python}, and the root has {python}", remedy=REMEDY)
    if lock.input != input_of(requests, suite):
        raise StaleLockError(f"{lock.name} was made from another list than this one", remedy=REMEDY)
