"""What changed between two locks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

# The hashes of a pin's files by its name, in sets that are compared one with one; an empty set is not known.
Hashes = Mapping[str, tuple[frozenset[str], ...]]
OTHER_FILES = "other files"
# Bytes of a comment or a description: GitHub takes 65,536 characters, and git's protocol 65,516 bytes in a line.
LONGEST = 60_000
_CUT = "\n\n(This is longer than a description may be. All of it is in the run's artifacts.)\n"


@dataclass(frozen=True, slots=True)
class Change:
    """One pin's way from one lock to the next: ``kind`` is added, removed, up, down or, at one version, other files."""

    kind: str
    name: str
    old: str
    new: str

    def table(self, lock: str) -> dict[str, str]:
        """Return it for JSON, with the lock's file."""
        return {"lock": lock, **asdict(self)}


def diff(
    old: Mapping[str, str],
    new: Mapping[str, str],
    order: Callable[[str], Any],
    *,
    hashes: tuple[Hashes, Hashes] = ({}, {}),
) -> list[Change]:
    """Return what changed between two maps of name to version, sorted by name; ``order`` makes versions comparable.

    ``hashes`` are the old and the new ones: other bytes behind the same version are a change, too.
    """
    changes = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, ""), new.get(name, "")
        if before == after:
            if not _differ(hashes[0].get(name, ()), hashes[1].get(name, ())):
                continue
            kind = OTHER_FILES
        elif not before or not after:
            kind = "added" if after else "removed"
        else:
            kind = "up" if order(before) < order(after) else "down"
        changes.append(Change(kind, name, before, after))
    return changes


def _differ(before: tuple[frozenset[str], ...], after: tuple[frozenset[str], ...]) -> bool:
    return any(old != new for old, new in zip(before, after, strict=False) if old and new)


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
