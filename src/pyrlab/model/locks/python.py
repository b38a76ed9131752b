"""requirements.lock: every Python distribution of pylab with all its hashes, and the part that all labs share."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from packaging.utils import canonicalize_name
from packaging.version import Version

from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.lists import PYTHON, PythonRequest

FILE = "requirements.lock"
REMEDY = "nox -s lock -- python"
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?"
)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, order=True)
class PythonFile:
    """The one file of a pin that an architecture installs."""

    architecture: str
    filename: str
    size: int
    sha256: str

    @property
    def is_wheel(self) -> bool:
        """Whether it is installed as it is."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True, order=True)
class PythonPin:
    """One distribution. ``via`` names the distributions, and the list, that want it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]
    files: tuple[PythonFile, ...] = ()

    def file_for(self, architecture: str) -> PythonFile | None:
        """Return the file that an architecture installs, if the lock has one."""
        return next((file for file in self.files if file.architecture == architecture), None)

    def __str__(self) -> str:
        requirement = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        hashes = "".join(f" \\\n    --hash={value}" for value in self.hashes)
        return f"{requirement}{hashes}\n    # via {', '.join(self.via)}\n"


@dataclass(frozen=True, slots=True)
class PythonLock:
    """The whole lock, for the Python of the root, as in ``3.13``."""

    name: str
    input: str
    python: str
    glibc: str
    pins: tuple[PythonPin, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what ``render`` makes. Raises StaleLockError."""
        fields = locks.parse_header(text, ("input", "python"), name=FILE, remedy=REMEDY)
        return cls(input=fields["input"], python=fields["python"], pins=parse_pins(text))

    def render(self) -> str:
        """Return the file's text, which pip and uv read too: the same bytes for the same lock."""
        fields = {"input": self.input, "python": self.python}
        return locks.header(f"nox -s lock` from `{PYTHON}", fields) + "\n" + "".join(map(str, self.pins))

    @property
    def body(self) -> str:
        """The digest of the lock."""
        return locks.digest([self.render()])

    @property
    def order(self) -> Callable[[str], Version]:
        """How its versions compare."""
        return order

    def versions(self) -> dict[str, str]:
        """Return versions by name, for the difference of two locks."""
        return {pin.name: pin.version for pin in self.pins}

    def closure(self, roots: Iterable[str]) -> tuple[PythonPin, ...]:
        """Return the pins called ``roots`` and all that they need, by the locks' own ``via`` notes."""
        wanted = set(roots)
        while True:
            more = {pin.name for pin in self.pins if wanted.intersection(pin.via)} - wanted
            if not more:
                return tuple(pin for pin in self.pins if pin.name in wanted)
            wanted |= more


def parse_pins(text: str, *, name: str = FILE) -> tuple[PythonPin, ...]:
    """Parse pip-compile's output, or our own rendering of it. Raises StaleLockError with the line."""
    pins = []
    for number, block in _blocks(text):
        match = _PIN.fullmatch(block[0].partition("--hash")[0].rstrip())
        hashes = tuple(sorted(value for line in block for value in _HASH.findall(line)))
        if not match or not hashes or any("--hash" in line and not _HASH.search(line) for line in block):
            raise StaleLockError(f"{FILE}:{number}: {block[0]!r} is not a pin with SHA-256 hashes", remedy=REMEDY)
        marker = (match["marker"] or "").strip()
        pins.append(PythonPin(canonicalize_name(match["name"]), match["version"], marker, hashes, _via(block)))
    return tuple(sorted(pins))


def _blocks(text: str) -> list[tuple[int, list[str]]]:
    """Split into (line number, lines): a pin at the margin, its hashes and comments indented below it."""
    blocks: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(" ") and blocks:
            blocks[-1][1].append(line)
        elif line and not line.startswith("#"):
            blocks.append((number, [line]))
    return blocks


def _via(block: Sequence[str]) -> tuple[str, ...]:
    """Return who wants a pin: one ``# via a, b`` line, or ``# via`` with a name on each line below it."""
    notes = [line.strip().removeprefix("#").strip() for line in block if line.strip().startswith("#")]
    names = ", ".join(notes).removeprefix("via").split(",")
    return tuple(sorted({"list" if "-r " in name else name.strip() for name in names if name.strip()}))


def input_of(requests: Sequence[PythonRequest], suite: str) -> str:
    """Return the digest of all that requirements.lock is made from, but for the index itself."""
    return locks.digest([f"suite {suite}", *(f"python {request}" for request in requests)])


def check(lock: PythonLock, requests: Sequence[PythonRequest], *, suite: str, python: str) -> None:
    """Raise StaleLockError unless the lock was made from this list, for this suite's Python."""
    held = {pin.name for pin in lock.pins}
    lacking = [request for request in requests if request.name not in held and not request.conditional]
    if lacking:
        wanted = ", ".join(f"{request} ({request.where})" for request in lacking)
        raise StaleLockError(f"{FILE} lacks {wanted}", remedy=REMEDY)
    if lock.python != python:
        raise StaleLockError(f"{FILE} is for Python {lock.python}, and the root has {python}", remedy=REMEDY)
    if lock.input != input_of(requests, suite):
        raise StaleLockError(f"{FILE} was made from another list than {PYTHON}", remedy=REMEDY)


def order(version: str) -> Version:
    """Return a Python version as something that compares as pip does."""
    return Version(version)
