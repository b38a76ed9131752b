"""The list of R packages with what a file has beside it: lines are added at the end, and none is changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyrlab.model.imports.found import Found
from pyrlab.model.lists import RRequest


@dataclass(frozen=True, slots=True)
class Kept:
    """A package that the list has already, and says something else of: ``own`` are its lines there."""

    name: str
    own: tuple[RRequest, ...]
    theirs: tuple[RRequest, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """The new text of the list, the lines that are new in it, and packages of which its own lines stay."""

    text: str
    added: tuple[RRequest, ...]
    kept: tuple[Kept, ...]


def merge(text: str, listed: Sequence[RRequest], found: Found) -> Merged:
    """Add to the text of a list what a file wants beside it; ``listed`` are the list's own lines, read.

    A package that the list names is left as the list has it.
    """
    own, theirs = _by_name(listed), _by_name(found.wanted)
    added = [request for name, requests in theirs.items() if name not in own for request in requests]
    kept = [
        Kept(name, own[name], requests)
        for name, requests in theirs.items()
        if name in own and {request.wanted for request in requests} != {request.wanted for request in own[name]}
    ]
    return Merged(_appended(text, added, found.kind) if added else text, tuple(added), tuple(kept))


def _by_name(requests: Sequence[RRequest]) -> dict[str, tuple[RRequest, ...]]:
    """Return requests by name, each once; names in the order of R people's eyes."""
    found: dict[str, dict[str, RRequest]] = {}
    for request in requests:
        found.setdefault(request.name, {})[str(request)] = request
    return {name: tuple(found[name].values()) for name in sorted(found, key=lambda name: (name.lower(), name))}


def _appended(text: str, added: Sequence[RRequest], kind: str) -> str:
    """Return the text with lines at its end, in its own line ends."""
    end = "\r\n" if "\r\n" in text else "\n"
    bare = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    start = text if not bare or bare.endswith("\n") else f"{text}{end}"
    lines = [*([""] if bare.strip() else []), f"# from {kind}", *map(str, added)]
    return start + "".join(f"{line}{end}" for line in lines)
