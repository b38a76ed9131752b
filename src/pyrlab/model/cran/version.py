"""R's package versions: parsed and ordered as R's own comparison operators do it."""

import functools
import operator
import re
from dataclasses import dataclass
from typing import Self

_SHAPE = re.compile(r"[0-9]+([.-][0-9]+)*")
_LARGEST = 2**31 - 1
_OPERATORS = {
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    "<": operator.lt,
}


@functools.total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class RVersion:
    """A version such as ``1.8-12``. ``text`` is kept as written, because file names need the hyphen.

    Dots and hyphens separate alike, components compare as integers, and missing ones count as 0.
    Source: ``?numeric_version`` and measurements of R 4.5.
    """

    text: str
    parts: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a version. Raises ValueError for what R refuses."""
        return cls(text, _parts(text))

    @classmethod
    def of_package(cls, text: str) -> Self:
        """Parse the version of a package, which R wants to have two components at least. Raises ValueError."""
        version = cls.parse(text)
        if text.isdecimal():
            raise ValueError(f"{text!r} has one component, and R wants a package's version to have two")
        return version

    def satisfies(self, sign: str, other: Self) -> bool:
        """Tell whether ``self <sign> other`` holds, for the signs of R's dependency fields."""
        return bool(_OPERATORS[sign](self, other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RVersion) and self.parts == other.parts

    def __lt__(self, other: "RVersion") -> bool:
        return self.parts < other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __str__(self) -> str:
        return self.text


# A resolver compares the same few versions a hundred thousand times.
@functools.lru_cache(maxsize=10_000)
def _parts(text: str) -> tuple[int, ...]:
    if not _SHAPE.fullmatch(text):
        raise ValueError(f"{text!r} is not an R version")
    parts = [int(part) for part in re.split(r"[.-]", text)]
    if max(parts) > _LARGEST:
        raise ValueError(f"{text!r} has a component over {_LARGEST}, which R refuses")
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
