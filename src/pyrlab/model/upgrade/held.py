"""held.toml: what upgrades hold back, below which version, and why. Users may edit it, so their comments stay."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self

import tomli_w
from debian.debian_support import Version as DebVersion
from packaging.utils import canonicalize_name
from packaging.version import Version

from pyrlab.errors import UsageError
from pyrlab.model.cran.version import RVersion
from pyrlab.model.locks.tables import Table
from pyrlab.model.outdated import DEBIAN, PYTHON, R

FILE = "held.toml"
# What the file calls the kinds of lists and locks.
ECOSYSTEMS = {"python": PYTHON, "r": R, "debs": DEBIAN}
KEY = "held"
HEADER = """\
# What upgrades hold back, and why. `nox -s upgrade` tries each again, and drops what passes. Edit it as you like:
# comments above an entry stay with it.
"""
# How each ecosystem reads a version, in the order of the file.
_VERSIONS: Mapping[str, Callable[[str], object]] = {PYTHON: Version, R: RVersion.parse, DEBIAN: DebVersion}
_HEADING = re.compile(r"\s*\[\[\s*held\s*\]\]\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Held:
    """A package that stays below a version: ``ecosystem`` is Python, R or Debian.

    ``why`` is the last line of the failure, ``test`` the test or the notebook's cell that failed, ``since`` the day.
    What a user wrote may lack these three.
    """

    ecosystem: str
    name: str
    below: str
    why: str = ""
    test: str = ""
    since: date | None = None

    @classmethod
    def parse(cls, table: Table) -> Self:
        """Read one ``[[held]]``; keys that it does not know are the user's. Raises ValueError that names the key."""
        ecosystem, name, below = (_filled(table, key) for key in ("ecosystem", "name", "below"))
        known = {one.lower(): one for one in _VERSIONS}
        if ecosystem.lower() not in known:
            raise ValueError(f"'ecosystem' of {table.where} is {ecosystem!r}, not one of {', '.join(_VERSIONS)}")
        ecosystem = known[ecosystem.lower()]
        try:
            _VERSIONS[ecosystem](below)
        except ValueError as error:
            raise ValueError(f"'below' of {table.where} is {below!r}, which is no version of {ecosystem}") from error
        since = table.values.get("since")
        if since is not None and (not isinstance(since, date) or isinstance(since, datetime)):
            raise ValueError(f"'since' of {table.where} is not a date, such as 2026-11-28 without quotes")
        return cls(ecosystem, name, below, table.text("why", ""), table.text("test", ""), since)

    @property
    def key(self) -> tuple[int, str]:
        """What it holds, in the order of the file. Python's names are the same in any spelling of - and case."""
        return _key(self.ecosystem, self.name)

    def render(self) -> str:
        """Return the entry as TOML, with a line break at its end."""
        values: dict[str, Any] = {"ecosystem": self.ecosystem, "name": self.name, "below": self.below}
        said = {"why": self.why, "test": self.test, "since": self.since}
        values |= {key: value for key, value in said.items() if value}
        return f"[[{KEY}]]\n{tomli_w.dumps(values)}"


@dataclass(frozen=True, slots=True)
class Holds:
    """The whole file: ``head`` is what stands above the first entry, and ``blocks`` the text of each, with comments."""

    head: str = HEADER
    blocks: tuple[tuple[Held, str], ...] = ()

    @property
    def entries(self) -> tuple[Held, ...]:
        """What is held, Python first, then R, then Debian, each by name."""
        return tuple(held for held, _ in self._sorted())

    @property
    def below(self) -> dict[tuple[str, str], str]:
        """The bounds by kind of lock and name, for locking."""
        kinds = {ecosystem: kind for kind, ecosystem in ECOSYSTEMS.items()}
        return {(kinds[held.ecosystem], held.name): held.below for held in self.entries}

    def find(self, ecosystem: str, name: str) -> Held | None:
        """Return what is held under a name, or None."""
        key = _key(ecosystem, name)
        return next((held for held, _ in self.blocks if held.key == key), None)

    def add(self, held: Held) -> "Holds":
        """Return the file with an entry. An old one of the same name goes; the comments above it stay."""
        comments = "".join(_comments(text) for old, text in self.blocks if old.key == held.key)
        return Holds(self.head, (*self._without(held.key), (held, comments + held.render())))

    def drop(self, ecosystem: str, name: str) -> "Holds":
        """Return the file without an entry and its comments. One that is not there is no error."""
        return Holds(self.head, self._without(_key(ecosystem, name)))

    def render(self) -> str:
        """Return the file's text, sorted: what ``parse`` made of it renders to itself."""
        parts = [self.head, *(text for _, text in self._sorted())]
        return "\n".join(part.strip("\n") + "\n" for part in parts if part.strip("\n"))

    def _sorted(self) -> list[tuple[Held, str]]:
        return sorted(self.blocks, key=lambda block: block[0].key)

    def _without(self, key: tuple[int, str]) -> tuple[tuple[Held, str], ...]:
        return tuple(block for block in self.blocks if block[0].key != key)


def parse(text: str) -> Holds:
    """Read held.toml; an empty one holds nothing. Raises UsageError that names the entry and the key."""
    try:
        found = _entries(text)
        head, *blocks = _split(text)
        _check_blocks(blocks, found)
    except ValueError as error:  # TOMLDecodeError is one
        raise UsageError(f"{FILE}: {error}", remedy="mend that entry; it is TOML") from error
    for held in found:
        if sum(other.key == held.key for other in found) > 1:
            raise UsageError(f"{FILE}: {held.name!r} of {held.ecosystem} is held twice", remedy="delete one of the two")
    return Holds(head if text.strip() else HEADER, tuple(zip(found, blocks, strict=True)))


def _entries(text: str) -> list[Held]:
    document = tomllib.loads(text)
    unknown = [key for key in document if key != KEY]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is nothing that it holds; an entry begins with [[{KEY}]]")
    return [Held.parse(table) for table in Table(document, "the file").tables(KEY, optional=True)]


def _check_blocks(blocks: Sequence[str], found: Sequence[Held]) -> None:
    """Raise ValueError when a block alone does not say what the file does: ``held = [...]`` cannot be cut apart."""
    if len(blocks) != len(found) or [_entries(block) for block in blocks] != [[held] for held in found]:
        raise ValueError(f"an entry is not written as a table [[{KEY}]] of its own")


def _split(text: str) -> Iterator[str]:
    """Yield what stands above the first entry, then each entry, with the comments right above it."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    starts = [place for place, line in enumerate(lines) if _HEADING.fullmatch(line)]
    for number, start in enumerate(starts):
        while start > 0 and lines[start - 1].lstrip().startswith("#"):
            start -= 1  # noqa: PLW2901 - the entry begins with its comments
        starts[number] = start
    for start, end in zip([0, *starts], [*starts, len(lines)], strict=True):
        yield "".join(line + "\n" for line in lines[start:end])


def _comments(block: str) -> str:
    """Return the comments above an entry."""
    lines = block.splitlines(keepends=True)
    heading = next(place for place, line in enumerate(lines) if _HEADING.fullmatch(line.rstrip("\n")))
    return "".join(lines[:heading])


def _filled(table: Table, key: str) -> str:
    found = table.text(key)
    if not found.strip():
        raise ValueError(f"{key!r} of {table.where} is empty")
    return found


def _key(ecosystem: str, name: str) -> tuple[int, str]:
    return list(_VERSIONS).index(ecosystem), canonicalize_name(name) if ecosystem == PYTHON else name
