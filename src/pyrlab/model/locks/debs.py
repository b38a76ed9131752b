"""debs.lock: the root and the closures of the images' debs, one package a line."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote

from debian.debian_support import Version

from pyrlab.errors import StaleLockError, UsageError
from pyrlab.model import locks
from pyrlab.model.base_image import DIGEST, Base, Reference
from pyrlab.model.changes import Hashes
from pyrlab.model.debian_snapshot import STAMP
from pyrlab.model.lists import Lists

FILE = "debs.lock"
REMEDY = "nox -s lock -- debs"
ROOT = "root"
FORMAT = 3
# One without a time of the archive and without a base image is as before, so that an earlier pyrlab reads it, too.
PLAIN = 2
_HEADER = ("input", "suite", "architecture")
_BASE_HEADER = ("image", "digest", "python")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_PATH = re.compile(r"[A-Za-z0-9._+~%-]+(?:/[A-Za-z0-9._+~%:-]+)*\.deb")
_DEB = re.compile(r"[^_/]+_(?P<version>[0-9][^_/]*)_[^_/]+\.deb")
_WORD = re.compile(r"[A-Za-z0-9.+:~_-]+")
PYTHON = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,5}){2}")


@dataclass(frozen=True, slots=True, order=True)
class DebPin:
    """One package: its file's SHA-256, size in bytes and path below the archive, and whether a list asks for it.

    Of a lock of format 1, size and path are not known. What a base image has installed has no file at all.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    size: int = 0
    path: str = ""
    requested: bool = False

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Parse what ``str`` makes, or made in format 1. Raises StaleLockError."""
        words = line.split()
        match words:
            case [name, version, architecture, sha256, size, path, ("requested" | "auto") as mark]:
                known = int(size) if size.isdecimal() and len(size) < 20 else -1  # noqa: PLR2004 - no file is larger
                pin = cls(name, version, architecture, sha256.removeprefix("sha256:"), known, path, mark == "requested")
            case [name, version, architecture, sha256, ("requested" | "auto") as mark]:
                digest = sha256.removeprefix("sha256:")
                pin = cls(name, version, architecture, digest, requested=mark == "requested")
            case [name, version, architecture, "installed"]:
                pin = cls(name, version, architecture, "")
            case _:
                raise StaleLockError(f"{where}: {line!r} is not a pin", remedy=locks.restore(FILE))
        if not pin.is_sound or not (_SHA256.fullmatch(words[3]) or not pin.has_file):
            raise StaleLockError(f"{where}: {line!r} is not a pin", remedy=locks.restore(FILE))
        return pin

    @property
    def is_sound(self) -> bool:
        """Whether its words can be what they stand for: a path leads nowhere but below an archive."""
        words = (self.name, self.version, self.architecture)
        path = not self.path or (_PATH.fullmatch(self.path) and ".." not in self.path.split("/"))
        return bool(path) and self.size >= 0 and all(_WORD.fullmatch(word) for word in words)

    @property
    def has_file(self) -> bool:
        """Whether it is a file that is fetched and installed, and not a part of the base image."""
        return bool(self.sha256)

    def requested_by(self, listed: bool) -> Self:  # noqa: FBT001 - it reads as a sentence
        """Return the pin, marked as one that a list asks for, or not."""
        return replace(self, requested=listed)

    def __str__(self) -> str:
        if not self.has_file:
            return f"{self.name} {self.version} {self.architecture} installed"
        mark = "requested" if self.requested else "auto"
        file = f"{self.size} {self.path} " if self.path else ""
        return f"{self.name} {self.version} {self.architecture} sha256:{self.sha256} {file}{mark}"


@dataclass(frozen=True, slots=True)
class DebsLock:
    """The whole lock. ``sections`` are sorted pins by image name, and ``root`` for what is below all images.

    ``snapshot`` is how the archive was dated when it was locked, as in 20261129T043612Z; empty where nobody knows.
    Where the root is an image of a registry, ``base`` pins it, and the root's pins only say what it has installed.
    """

    input: str
    suite: str
    architecture: str
    sections: Mapping[str, tuple[DebPin, ...]]
    snapshot: str = ""
    base: Base | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what ``render`` makes. Raises StaleLockError with the line, OldFormatError, EditedLockError."""
        text = locks.check_text(text, name=FILE, remedy=REMEDY)
        fields = locks.parse_header(text, _HEADER, name=FILE)
        number = locks.check_format(fields.get("format", "1"), FORMAT, name=FILE)
        if number < PLAIN:
            raise locks.old_format(FILE, number, PLAIN, remedy=REMEDY)
        lock = cls._parse(text, fields)
        edited = locks.first_edit(text, lock.render())
        remedy = _VERSIONS if _of_another_version(lock.pins()) else _RESTORE
        lock.contents.check(fields.get("body", ""), fields.get("sums", ""), edited, name=FILE, remedy=remedy)
        return lock

    @classmethod
    def earlier(cls, text: str, *, warn: Callable[[str], None]) -> Self:
        """Parse a lock for its pins, of any format up to this one. ``warn`` is told of edits. Raises StaleLockError.

        A version that was set by hand stands beside the file of another one: such a lock is refused.
        """
        edit: locks.EditedLockError | None = None
        try:
            return cls.parse(text)
        except locks.OldFormatError:
            pass
        except locks.EditedLockError as error:
            edit = error
        text = locks.check_text(text, name=FILE, remedy=REMEDY)
        lock = cls._parse(text, locks.parse_header(text, _HEADER, name=FILE))
        if edit:
            if unfit := _of_another_version(lock.pins()):
                raise StaleLockError(f"{FILE}: {unfit}", remedy=_VERSIONS)
            warn(f"{edit}; {locks.TAKEN}")
        return lock

    @classmethod
    def _parse(cls, text: str, fields: Mapping[str, str]) -> Self:
        snapshot = fields.get("snapshot", "")
        if snapshot and not STAMP.fullmatch(snapshot):
            raise StaleLockError(f"{FILE}: {snapshot!r} is no time of a snapshot", remedy=locks.restore(FILE))
        base = _base(text) if _BASE_HEADER[0] in fields else None
        sections = {name: tuple(sorted(section)) for name, section in _sections(text).items()}
        _check_files(sections, base)
        return cls(
            input=fields["input"],
            suite=fields["suite"],
            architecture=fields["architecture"],
            sections=sections,
            snapshot=snapshot,
            base=base,
        )

    @property
    def _facts(self) -> dict[str, str]:
        """What the header says beside the digests."""
        time = {"snapshot": self.snapshot} if self.snapshot else {}
        base = {key: getattr(self.base, key) for key in _BASE_HEADER} if self.base else {}
        return {
            "format": str(FORMAT if time or base else PLAIN),
            "input": self.input,
            "suite": self.suite,
            "architecture": self.architecture,
            **time,
            **base,
        }

    @property
    def contents(self) -> locks.Body:
        """What the lock says, for its digest."""
        facts = tuple(f"{key} {value}" for key, value in self._facts.items())
        pins = tuple(f"{pin} {name}" for name, pins in self.sections.items() for pin in sorted(pins))
        return locks.Body((*facts, *self.sections), pins)

    @property
    def body(self) -> str:
        """The digest of the lock."""
        return self.contents.digest

    @property
    def order(self) -> Callable[[str], Version]:
        """How its versions compare: as dpkg does."""
        return Version

    def render(self) -> str:
        """Return the file's text: the same bytes for the same lock."""
        contents = self.contents
        fields = {**self._facts, "body": contents.digest, "sums": contents.sums}
        parts = [locks.header("nox -s lock", fields.items())]
        parts += [f"\n[{name}]\n" + "".join(f"{pin}\n" for pin in sorted(pins)) for name, pins in self.sections.items()]
        return "".join(parts)

    def version_of(self, name: str) -> str | None:
        """Return the version that ends up installed, or None."""
        return next((pin.version for pin in reversed(self.pins()) if pin.name == name), None)

    def pins(self) -> list[DebPin]:
        """Return the pins of all sections, lower images first."""
        return [pin for section in self.sections.values() for pin in section]

    def versions(self) -> dict[str, str]:
        """Return versions by package and image, for the difference of two locks. A base image's is its Python's."""
        base = {f"{self.base.image} ({ROOT})": self.base.python} if self.base else {}
        return base | {f"{pin.name} ({name})": pin.version for name, pins in self.sections.items() for pin in pins}

    def hashes(self) -> Hashes:
        """Return the hashes of the same packages' files."""
        base = {f"{self.base.image} ({ROOT})": (frozenset({self.base.digest}),)} if self.base else {}
        return base | {
            f"{pin.name} ({name})": (frozenset({pin.sha256} if pin.has_file else ()),)
            for name, pins in self.sections.items()
            for pin in pins
        }


def _base(text: str) -> Base:
    """Read the base image out of the header. Raises StaleLockError."""
    fields = locks.parse_header(text, _BASE_HEADER, name=FILE)
    base = Base(*(fields[key] for key in _BASE_HEADER))
    try:
        Reference.parse(base.image, where="image")
        sound = DIGEST.fullmatch(base.digest) and PYTHON.fullmatch(base.python)
    except UsageError:
        sound = None
    if not sound:
        raise StaleLockError(f"{FILE}: {base.image!r} with {base.digest!r} is no pin", remedy=locks.restore(FILE))
    return base


def _check_files(sections: Mapping[str, Sequence[DebPin]], base: Base | None) -> None:
    """Raise StaleLockError unless just the packages of a base image have no file: all others are fetched by its hash.

    What a file's hash is nobody says would be any file.
    """
    for name, pins in sections.items():
        is_image = base is not None and name == ROOT
        for pin in pins:
            if pin.has_file == is_image:
                what = "has a file, and is a base image's" if is_image else "has no file, and is no base image's"
                raise StaleLockError(f"{FILE}: {pin.name} in [{name}] {what}", remedy=locks.restore(FILE))


def _of_another_version(pins: Iterable[DebPin]) -> str:
    """Return which version is not its file's, where that is called as Debian calls files; nothing where all are."""
    for pin in pins:
        named = _DEB.fullmatch(pin.path.rpartition("/")[2])
        bare = pin.version.rpartition(":")[2]
        # Names of files leave out an epoch, or have it as apt writes it; some archives leave out the revision.
        if named and unquote(named["version"]) not in {pin.version, bare, bare.rpartition("-")[0]}:
            return f"{pin.name} {pin.version} has the file of another version, {named[0]}"
    return ""


_VERSIONS = f"versions are not set here: git checkout -- {FILE}; a newer one comes by {REMEDY} --upgrade"
_RESTORE = f"git checkout -- {FILE}; or take its pins as they are: nox -s lock -- debs"


def _sections(text: str) -> dict[str, list[DebPin]]:
    """Read the sections. Raises StaleLockError for what is no pin, stands in no section, or is there twice."""
    sections: dict[str, list[DebPin]] = {}
    seen: dict[tuple[str, str], int] = {}
    headings: dict[str, int] = {}
    name: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{FILE}:{number}"
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            if name in sections:
                raise locks.twice(where, f"the section {line}", headings[name], remedy=REMEDY)
            sections[name] = []
            headings[name] = number
        elif line and not line.startswith("#"):
            if name is None:
                raise StaleLockError(f"{where}: a pin before the first [section]", remedy=locks.restore(FILE))
            pin = DebPin.parse(line, where=where)
            if (name, pin.name) in seen:
                raise locks.twice(where, pin.name, seen[name, pin.name], remedy=REMEDY)
            seen[name, pin.name] = number
            sections[name].append(pin)
    if ROOT not in sections:
        raise StaleLockError(f"{FILE} has no [{ROOT}] section", remedy=locks.restore(FILE))
    return sections


def _root(image: str) -> str:
    return f"the image {image}" if image else "a bootstrapped root"


def input_of(lists: Lists, suite: str) -> str:
    """Return the digest of all that debs.lock is made from, but for the archive itself: who serves it has no part."""
    return _input_of(lists, suite, ())


def _input_of(lists: Lists, suite: str, apt_sources: Iterable[str]) -> str:
    """Return the digest as it was with the sources of the settings; for none, it is the same."""
    return locks.digest(
        [
            f"suite {suite}",
            *(f"source {source}" for source in apt_sources),
            *(f"{image} {request}" for image, requests in lists.debs.items() for request in requests),
        ]
    )


def check(  # noqa: PLR0913 - all that the lock was made for
    lock: DebsLock, lists: Lists, *, suite: str, image: str = "", apt_sources: Iterable[str], architecture: str | None
) -> None:
    """Raise StaleLockError unless the lock was made from these lists, for this suite, image and architecture.

    ``image`` is the name of the base image, empty for a bootstrapped root.
    """
    below = lock.base.image if lock.base else ""
    if below != image:
        raise StaleLockError(
            f"{FILE} stands on {_root(below)}, and the settings want {_root(image)}", remedy="nox -s lock"
        )
    if lock.suite != suite:
        raise StaleLockError(f"{FILE} is for {lock.suite}, and the settings want {suite}", remedy="nox -s lock")
    if architecture and lock.architecture != architecture:
        raise StaleLockError(
            f"{FILE} is for {lock.architecture}, and the engine is {architecture}", remedy="nox -s lock"
        )
    missing = [image for image in lists.debs if image not in lock.sections]
    if missing:
        raise StaleLockError(f"{FILE} has no section for {', '.join(missing)}", remedy=REMEDY)
    held = {pin.name for pin in lock.pins()}
    lacking = [request for request in lists.all_debs if request.name not in held]
    if lacking:
        wanted = ", ".join(f"{request} ({request.where})" for request in lacking)
        raise StaleLockError(f"{FILE} lacks {wanted}", remedy=REMEDY)
    # Locks of before have the sources of their settings in it.
    if lock.input not in {input_of(lists, suite), _input_of(lists, suite, apt_sources)}:
        raise StaleLockError(f"{FILE} was made from other lists than these", remedy=REMEDY)
