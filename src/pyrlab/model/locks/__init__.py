"""What the three locks have in common: a header that ties them to their input."""

import hashlib
from collections.abc import Iterable, Mapping

from pyrlab.errors import StaleLockError


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
