"""What was added to a lab beside its image, as `list-added` in the lab tells it."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

from packaging.utils import canonicalize_name

PYTHON, R, JUPYTER, FILE = "python", "r", "jupyter", "file"
_KINDS = (PYTHON, R, JUPYTER, FILE)
# They are written into lists, where other characters would say something else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FOLDERS = {JUPYTER: "share/jupyter/", FILE: ""}
# Of a name, a version or a note; it is printed, and written into lists.
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Package:
    """A package, or a file, that was added: ``wanted`` if by its name, ``fits`` unless it cannot be used as it is.

    ``whole`` unless its installation did not come to its end.

    ``image`` is the version that the image has of its own. ``source`` is where it came from if that was no index, and
    ``note`` what should not be overlooked, as the end of a sentence. All of them may be empty.
    """

    kind: str
    name: str
    version: str
    wanted: bool
    image: str
    fits: bool
    whole: bool
    source: str
    note: str

    @classmethod
    def parse(cls, table: dict[str, Any]) -> Self:
        """Read one of `list-added`'s tables. Raises ValueError, KeyError or TypeError for anything else."""
        texts = {key: _line(table[key]) for key in ("kind", "name", "version", "image", "source", "note")}
        if texts["kind"] not in _KINDS:
            raise ValueError(f"{texts['kind']!r} is no kind of package")
        if texts["kind"] in {PYTHON, R} and not _NAME.fullmatch(texts["name"]):
            raise ValueError(f"{texts['name']!r} is no name of a package")
        wanted, fits, whole = (table[key] is True for key in ("wanted", "fits", "whole"))
        return cls(**texts, wanted=wanted, fits=fits, whole=whole)

    @property
    def key(self) -> tuple[str, str]:
        """What the same package has in common, however it is spelled."""
        return self.kind, canonicalize_name(self.name) if self.kind == PYTHON else self.name

    @property
    def path(self) -> str:
        """Where it is below the added packages, if it is no package but a file or a folder; or nothing."""
        return f"{_FOLDERS[self.kind]}{self.name}" if self.kind in _FOLDERS else ""

    def table(self) -> dict[str, object]:
        """Return it for a program."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class Added:
    """All that was added to a lab, and what has to be said of it: a sentence each."""

    packages: tuple[Package, ...] = ()
    says: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `list-added` printed. It comes out of the lab, so nothing of it is believed unseen.

        Raises ValueError, KeyError or TypeError.
        """
        said = json.loads(text)
        return cls(tuple(map(Package.parse, said["packages"])), tuple(map(_line, said["says"])))

    @classmethod
    def together(cls, found: Iterable[Self]) -> Self:
        """Return what several volumes hold, as one."""
        every = list(found)
        return cls(
            tuple(one for each in every for one in each.packages), tuple(one for each in every for one in each.says)
        )

    @property
    def unfit(self) -> list[Package]:
        """What cannot be used as it is."""
        return [package for package in self.packages if not package.fits]


def _line(text: object) -> str:
    if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST:
        raise ValueError(f"{str(text)[:40]!r} is no line of text")
    return text
