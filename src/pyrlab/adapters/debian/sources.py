"""What Debian's source packages of R packages ask for, by the archive's Sources indexes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyrlab.adapters.debian.indexes import Missed, Reader, Suite, warn

_OURS = re.compile(rb"^Binary:[^\n]*(?:\n[ \t][^\n]*)*r-(?:cran|bioc|other)-", re.MULTILINE)
_FIELD = re.compile(rb"^(?:Package|Binary|Build-Depends[A-Za-z-]*):[^\n]*(?:\n[ \t][^\n]*)*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sources:
    """The stanzas, each with the fields that count, as ``debian.parse_stanzas`` reads them; and what was missed."""

    text: str
    missed: tuple[Missed, ...]

    @property
    def warning(self) -> str:
        """What to tell the user, and the way on; nothing where all indexes, or copies of them, were read."""
        missed = [index for index in self.missed if not index.kept]
        if not missed:
            return ""
        return warn(
            missed,
            "what R packages need to compile is found by their headers alone: Debian's own word on it cannot be had",
            "if an R package fails to compile, add the -dev package that it misses to r_debs.txt",
        )


def read_r_sources(suites: Iterable[Suite], *, cache: Path, missed: Sequence[Missed] = ()) -> Sources:
    """Return the stanzas of all source packages that make R packages.

    ``cache`` keeps them; ``missed`` is what could not be had of other suites. Raises OSError when it cannot be written.
    """
    reader = Reader(cache, list(missed))
    indexes = [(suite, f"{part}/source/Sources") for suite in suites for part in suite.components]
    # A small archive of one's own beside Debian's has no sources; when no archive has any, that is worth a word.
    listed = [(suite, path) for suite, path in indexes if suite.forms(path)]
    texts = [reader.read(suite, path, _reduce) for suite, path in listed or indexes]
    return Sources(b"".join(texts).decode(errors="replace"), tuple(reader.missed))


def _reduce(stream: BinaryIO) -> Iterator[bytes]:
    stanza: list[bytes] = []
    for line in stream:
        if line.strip():
            stanza.append(line)
        else:
            yield from _shortened(b"".join(stanza))
            stanza = []
    yield from _shortened(b"".join(stanza))


def _shortened(stanza: bytes) -> Iterator[bytes]:
    if _OURS.search(stanza):
        fields = (field.rstrip(b"\n") + b"\n" for field in _FIELD.findall(stanza))
        yield b"".join(fields) + b"\n"
