"""debs.lock: the root and the closures of pyrlab-base and rlab-base, one package a line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from debian.debian_support import Version

from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.lists import Lists

FILE = "debs.lock"
REMEDY = "nox -s lock -- debs"
ROOT = "root"


@dataclass(frozen=True, slots=True, order=True)
class DebPin:
    """One package: what apt must install, the SHA-256 of its file, and whether a list asks for it by name."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int = 0
    path: str = ""
    requested: bool = False

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Parse what ``str`` makes. Raises StaleLockError."""
        match line.split():
            case [name, version, architecture, sha256, ("requested" | "auto") as mark]:
                return cls(name, version, architecture, sha256.removeprefix("sha256:"), mark == "requested")
        raise StaleLockError(f"{where}: {line!r} is not a pin", remedy=REMEDY)

    def requested_by(self, listed: bool) -> Self:  # noqa: FBT001 - it reads as a sentence
        """Return the pin, marked as one that a list asks for, or not."""
        return replace(self, requested=listed)

    def __str__(self) -> str:
        mark = "requested" if self.requested else "auto"
        return f"{self.name} {self.version} {self.architecture} sha256:{self.sha256} {mark}"


@dataclass(frozen=True, slots=True)
class DebsLock:
    """The whole lock. ``sections`` are sorted pins by image name, and ``root`` for what is below all images."""

    input: str
    suite: str
    architecture: str
    sections: Mapping[str, tuple[DebPin, ...]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what ``render`` makes. Raises StaleLockError with the line."""
        fields = locks.parse_header(text, ("input", "suite", "architecture"), name=FILE, remedy=REMEDY)
        sections: dict[str, list[DebPin]] = {}
        pins: list[DebPin] | None = None
        for number, line in enumerate(text.splitlines(), start=1):
            if line.startswith("[") and line.endswith("]"):
                pins = sections.setdefault(line[1:-1], [])
            elif line and not line.startswith("#"):
                where = f"{FILE}:{number}"
                if pins is None:
                    raise StaleLockError(f"{where}: a pin before the first [section]", remedy=REMEDY)
                pins.append(DebPin.parse(line, where=where))
        if ROOT not in sections:
            raise StaleLockError(f"{FILE} has no [{ROOT}] section", remedy=REMEDY)
        return cls(
            input=fields["input"],
            suite=fields["suite"],
            architecture=fields["architecture"],
            sections={name: tuple(sorted(section)) for name, section in sections.items()},
        )

    def render(self) -> str:
        """Return the file's text: the same bytes for the same lock."""
        fields = {"input": self.input, "suite": self.suite, "architecture": self.architecture}
        parts = [locks.header("nox -s lock` from `base_debs.txt` and `r_debs.txt", fields)]
        parts += [f"\n[{name}]\n" + "".join(f"{pin}\n" for pin in sorted(pins)) for name, pins in self.sections.items()]
        return "".join(parts)

    @property
    def body(self) -> str:
        """The digest of the lock."""
        return locks.digest([self.render()])

    @property
    def order(self) -> Callable[[str], Version]:
        """How its versions compare."""
        return order

    def version_of(self, name: str) -> str | None:
        """Return the version that ends up installed, or None."""
        return next((pin.version for pin in reversed(self.pins()) if pin.name == name), None)

    def pins(self) -> list[DebPin]:
        """Return the pins of all sections, lower images first."""
        return [pin for section in self.sections.values() for pin in section]

    def versions(self) -> dict[str, str]:
        """Return versions by package and image, for the difference of two locks."""
        return {f"{pin.name} ({name})": pin.version for name, pins in self.sections.items() for pin in pins}


def input_of(lists: Lists, suite: str, apt_sources: Iterable[str]) -> str:
    """Return the digest of all that debs.lock is made from, but for the archive itself."""
    return locks.digest(
        [
            f"suite {suite}",
            *(f"source {source}" for source in apt_sources),
            *(f"{image} {request}" for image, requests in lists.debs.items() for request in requests),
        ]
    )


def check(lock: DebsLock, lists: Lists, *, suite: str, apt_sources: Iterable[str], architecture: str | None) -> None:
    """Raise StaleLockError unless the lock was made from these lists, for this suite and this architecture."""
    if lock.suite != suite:
        raise StaleLockError(f"{FILE} is for {lock.suite}, and the settings want {suite}", remedy="nox -s lock")
    if architecture and lock.architecture != architecture:
        raise StaleLockError(
            f"{FILE} is for {lock.architecture}, and the engine is {architecture}", remedy="nox -s lock"
        )
    held = {pin.name for pin in lock.pins()}
    lacking = [request for request in lists.all_debs if request.name not in held]
    if lacking:
        wanted = ", ".join(f"{request} ({request.where})" for request in lacking)
        raise StaleLockError(f"{FILE} lacks {wanted}", remedy=REMEDY)
    if lock.input != input_of(lists, suite, apt_sources):
        raise StaleLockError(f"{FILE} was made from other lists than base_debs.txt and r_debs.txt", remedy=REMEDY)


def order(version: str) -> Version:
    """Return a Debian version as something that compares as dpkg does."""
    return Version(version)
