"""The list of R packages with what a file has beside it: lines are added at the end, and none is changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyrlab.model.commits import CommitRequest
from pyrlab.model.imports.found import Found
from pyrlab.model.lists import RRequest

Line = RRequest | CommitRequest


@dataclass(frozen=True, slots=True)
class Kept:
    """A package that the list has already, and says something else of: ``own`` are its lines there."""

    name: str
    own: tuple[Line, ...]
    theirs: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """The new text of the list, the lines that are new in it, and packages of which its own lines stay."""

    text: str
    added: tuple[Line, ...]
    kept: tuple[Kept, ...]


def merge(text: str, listed: Sequence[Line], found: Found) -> Merged:
    """Add to the text of a list what a file wants beside it; ``listed`` are the list's own lines, read.

    A package that the list names is left as the list has it; one of GitHub's is named by its repository there.
    """
    own: dict[str, list[Line]] = {}
    for line in listed:
        own.setdefault(_key(line), []).append(line)
    added: list[Line] = []
    kept: list[Kept] = []
    for name, theirs in _by_name(found).items():
        there = [line for key in dict.fromkeys([name, *map(_key, theirs)]) for line in own.get(key, ())]
        if not there:
            added += theirs
        elif set(map(_meaning, there)) != set(map(_meaning, theirs)):
            kept.append(Kept(name, tuple(there), theirs))
    return Merged(_appended(text, added, found.kind) if added else text, tuple(added), tuple(kept))


def _by_name(found: Found) -> dict[str, tuple[Line, ...]]:
    """Return the file's lines by the packages' names, each once; names in the order of R people's eyes."""
    lines: dict[str, dict[str, Line]] = {}
    for name, line in _named(found):
        lines.setdefault(name, {})[str(line)] = line
    return {name: tuple(lines[name].values()) for name in sorted(lines, key=lambda name: (name.lower(), name))}


def _named(found: Found) -> Iterable[tuple[str, Line]]:
    yield from ((request.name, request) for request in found.wanted)
    yield from found.commits.items()


def _key(line: Line) -> str:
    """Return what the list calls a package: its name, or its repository."""
    return line.name if isinstance(line, RRequest) else line.place.lower()


def _meaning(line: Line) -> object:
    """Return what a line wants, wherever it stands."""
    return line.wanted if isinstance(line, RRequest) else line.path.lower()


def _appended(text: str, added: Sequence[Line], kind: str) -> str:
    """Return the text with lines at its end, in its own line ends."""
    end = "\r\n" if "\r\n" in text else "\n"
    bare = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    start = text if not bare or bare.endswith("\n") else f"{text}{end}"
    lines = [*([""] if bare.strip() else []), f"# from {kind}", *map(str, added)]
    return start + "".join(f"{line}{end}" for line in lines)
