"""What changed between two locks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


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
