"""What the three locks have in common: a header that ties them to their input, and differences."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyrlab.errors import StaleLockError


@dataclass(frozen=True, slots=True)
class Change:
    """One pin's way from one lock to the next: ``kind`` is added, removed, up or down."""

    kind: str
    name: str
    old: str
    new: str


def digest(lines: Iterable[str]) -> str:
    """Return ``sha256:…`` of the lines: the input that a lock was made from, whatever its comments and order."""
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def header(made_by: str, fields: Mapping[str, str]) -> str:
    """Return the comment lines that open a lock: who made it, then ``# key: value``."""
    lines = [f"# Made by `{made_by}`. Do not edit.", *(f"# {key}: {value}" for key, value in fields.items())]
    return "\n".join(lines) + "\n"


def parse_header(text: str, keys: Iterable[str], *, name: str, remedy: str) -> dict[str, str]:
    """Return the header's fields. Raises StaleLockError when one is missing."""
    found = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# ") and ": " in line)
    for key in keys:
        if key not in found:
            raise StaleLockError(f"{name} has no line '# {key}: …'", remedy=remedy)
    return found


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
