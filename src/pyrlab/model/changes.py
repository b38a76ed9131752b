"""What changed between two locks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Bytes of a comment or a description: GitHub takes 65,536 characters, and git's protocol 65,516 bytes in a line.
LONGEST = 60_000
_CUT = "\n\n(This is longer than a description may be. All of it is in the run's artifacts.)\n"


@dataclass(frozen=True, slots=True)
class Change:
    """One pin's way from one lock to the next: ``kind`` is added, removed, up or down."""

    kind: str
    name: str
    old: str
    new: str


def diff(old: Mapping[str, str], new: Mapping[str, str], order: Callable[[str], Any]) -> list[Change]:
    """Return what changed between two maps of name to version, sorted by name; ``order`` makes versions comparable."""
    changes = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, ""), new.get(name, "")
        if before == after:
            continue
        if not before or not after:
            kind = "added" if after else "removed"
        else:
            kind = "up" if order(before) < order(after) else "down"
        changes.append(Change(kind, name, before, after))
    return changes


def markdown(changes: Mapping[str, Sequence[Change]]) -> str:
    """Return changes by lock as Markdown, a table for each lock that has some."""
    parts = []
    for file, rows in changes.items():
        if rows:
            lines = [f"### {file}: {len(rows)} changed", "", "| | package | old | new |", "|---|---|---|---|"]
            lines += [f"| {row.kind} | {row.name} | {row.old} | {row.new} |" for row in rows]
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def shortened(text: str) -> str:
    """Return a text as a comment or a description of a pull request may be: a long one is cut, and says so."""
    content = text.encode()
    return text if len(content) <= LONGEST else content[:LONGEST].decode(errors="ignore") + _CUT
