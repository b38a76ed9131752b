"""What all locks have in common: their input's digest, a digest of their own body, and naming what was edited."""

import base64
import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyrlab.errors import StaleLockError

# Bytes of each pin's checksum in a lock's header: enough to tell edited pins apart, not to keep anybody from forging.
_SUM = 2
_SHOWN = 6
# What locking does with an edited lock.
TAKEN = "its versions are taken as they are, and its files looked up anew"
_FIELD = re.compile(r"# [a-z]+: ")
_CONFLICT = re.compile(r"^(?:<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)(?: |$)", re.MULTILINE)


class OldFormatError(StaleLockError):
    """A lock has the format of an earlier pyrlab: its pins are good, but they say too little to build from."""


class EditedLockError(StaleLockError):
    """A lock is not what pyrlab wrote."""


def digest(lines: Iterable[str]) -> str:
    """Return ``sha256:…`` of the lines: the input that a lock was made from, whatever its comments and order."""
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Body:
    """What a lock says, one text a line: ``facts`` beside the pins, and the ``pins``, each with its name first."""

    facts: tuple[str, ...]
    pins: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The digest of all of it."""
        return digest([*self.facts, *self.pins])

    @property
    def sums(self) -> str:
        """A short checksum of each pin, in order, as one word."""
        return base64.b64encode(b"".join(_sum(pin) for pin in self.pins)).decode()

    def check(self, said: str, sums: str, line: int, *, name: str, remedy: str) -> None:
        """Raise EditedLockError unless the lock's header says the same of its body. It names what was edited.

        ``line`` is the first one that is not as pyrlab writes it, or 0: see ``first_edit``.
        """
        if said == self.digest and not line:
            return
        other = f"line {line}" if said == self.digest else "what its header says, or the order of its pins"
        edits = self._edits(sums) if said != self.digest else []
        what = "; ".join(edits[:_SHOWN]) or other
        more = f"; and {len(edits) - _SHOWN} more" if len(edits) > _SHOWN else ""
        raise EditedLockError(f"{name} was edited or merged by hand: {what}{more}", remedy=remedy)

    def _edits(self, sums: str) -> list[str]:
        try:
            listed = base64.b64decode(sums, validate=True)
        except ValueError:
            return []
        before = [listed[start : start + _SUM] for start in range(0, len(listed), _SUM)]
        after = [_sum(pin) for pin in self.pins]
        names = [" ".join(pin.split(" ")[:2]) for pin in self.pins]
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        edits = []
        for tag, start, end, first, last in matcher.get_opcodes():
            if tag in {"replace", "insert"}:
                edits += [f"{name} is not what was locked" for name in names[first:last]]
            lost = (end - start) - (last - first)
            if tag in {"replace", "delete"} and lost > 0:
                edits.append(f"{_count(lost)} missing{_between(names, first, last)}")
        return edits


def _sum(pin: str) -> bytes:
    return hashlib.sha256(pin.encode()).digest()[:_SUM]


def _count(lost: int) -> str:
    return "a pin is" if lost == 1 else f"{lost} pins are"


def _between(names: Sequence[str], first: int, last: int) -> str:
    """Return between which pins something is, with a space before it; nothing where no pin is left."""
    before, after = names[first - 1] if first else "", names[last] if last < len(names) else ""
    if before and after:
        return f" between {before} and {after}"
    if before:
        return f" after {before}"
    return f" before {after}" if after else ""


def restore(name: str) -> str:
    """Return the remedy for a lock that cannot be read: locking cannot take its pins over either."""
    return f"git checkout -- {name}; or delete it, and nox -s lock makes it anew, with the newest versions"


def twice(where: str, what: str, first: int, *, remedy: str) -> StaleLockError:
    """Return the error for what stands at ``where``, and in line ``first`` already: nobody can know which is right."""
    return StaleLockError(
        f"{where}: {what} is there twice, first in line {first}", remedy=f"keep one of the two, then: {remedy}"
    )


def first_edit(text: str, rendered: str) -> int:
    """Return the number of the first line that says something else than what pyrlab writes, or 0.

    Blank lines and remarks say nothing. All else counts, so that no edit stays unnoticed: how a lock is written is a
    part of its format.
    """
    wanted = [line for line in rendered.split("\n") if _says(line)]
    found = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if _says(line)]
    for (number, line), expected in zip(found, wanted, strict=False):
        if line != expected:
            return number
    return 0 if len(found) == len(wanted) else text.count("\n") + 1


def _says(line: str) -> bool:
    is_remark = line.startswith("#") and not _FIELD.match(line)
    return bool(line.strip()) and not is_remark


def check_text(text: str, *, name: str, remedy: str) -> str:
    """Return a lock's text with Unix's newlines. Raises StaleLockError for one that git could not merge."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    match = _CONFLICT.search(text)
    if match:
        line = text.count("\n", 0, match.start()) + 1
        raise StaleLockError(
            f"{name} has a conflict marker of git in line {line}",
            remedy=f"git checkout --ours -- {name} (or --theirs), then: {remedy}",
        )
    return text


def header(made_by: str, fields: Iterable[tuple[str, str]]) -> str:
    """Return the comment lines that open a lock: who made it, then ``# key: value``."""
    lines = [f"# Made by `{made_by}`. Do not edit.", *(f"# {key}: {value}" for key, value in fields)]
    return "\n".join(lines) + "\n"


def parse_header(text: str, keys: Iterable[str], *, name: str) -> dict[str, str]:
    """Return the header's fields. Raises StaleLockError when one is missing."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            break
        key, colon, value = line.removeprefix("# ").partition(": ")
        if colon:
            found.setdefault(key, value)
    for key in keys:
        if key not in found:
            raise StaleLockError(f"{name} has no line '# {key}: …'", remedy=restore(name))
    return found


def check_format(said: object, newest: int, *, name: str) -> int:
    """Return the number of a lock's format. Raises StaleLockError for one that this pyrlab does not know."""
    if said is None:
        raise StaleLockError(f"{name} does not say its format", remedy=restore(name))
    is_number = isinstance(said, str | int) and re.fullmatch("[1-9][0-9]{0,8}", f"{said}")
    if not is_number:
        raise StaleLockError(f"{name} has the format {said!r}, which is no number", remedy=restore(name))
    number = int(str(said))
    if number > newest:
        raise StaleLockError(
            f"{name} has format {number}, and this pyrlab knows {newest}: a newer one made it",
            remedy=f"use the newer pyrlab (git pull), or go back to a lock of this one: git checkout -- {name}",
        )
    return number


def old_format(name: str, number: int, newest: int, *, remedy: str) -> OldFormatError:
    """Return the error for a lock that an earlier pyrlab made."""
    return OldFormatError(
        f"{name} has format {number}, of an earlier pyrlab; this one needs {newest}",
        remedy=f"{remedy}, which keeps its pins",
    )
