"""A CRAN-like repository's index, PACKAGES: names at once, and the fields of a package when it is asked for."""

import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Self

from pyrlab.model.cran.record import HARD_FIELDS, Record, runs_on

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
# Both begin with a plain newline: the regex engine then leaps from line to line, through ten megabytes in no time.
_BLANK = re.compile(rb"\n(?:[ \t\r]*\n)+")
_NAME = re.compile(rb"\nPackage:[ \t]*(\S+)")
_SYSTEM = re.compile(rb"\nOS_type:[ \t]*(\S+)")
_FILE = re.compile(r"[A-Za-z0-9._+~=/-]+")
_SHOWN = 60


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """An index as text, with the (start, end) of each package's stanzas; ``folder`` is where the files are.

    Source: ``?tools::write_PACKAGES`` and ``?read.dcf``.
    """

    folder: str
    _text: bytes = field(repr=False)
    _stanzas: Mapping[str, list[tuple[int, int]]] = field(repr=False)
    # Without those that are for another system altogether. Ready-made, because a resolver asks for it all the time.
    _names: Collection[str] = field(repr=False)
    _parsed: dict[str, tuple[tuple[Record, ...], tuple[str, ...]]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, data: bytes, *, folder: str = "src/contrib") -> Self:
        """Open the bytes of a PACKAGES or PACKAGES.gz whose files are below ``folder`` of the repository.

        An empty one is that of a repository without packages: R writes it so.
        Raises ValueError, to be read after the index's name: it is cut, damaged, or no index at all. Plain text that
        was cut shows only in its last stanza, if that no longer parses.
        """
        text = b"\n" + _unpack(data).removeprefix(_BOM)
        stanzas: dict[str, list[tuple[int, int]]] = {}
        ours: dict[str, None] = {}
        for start, end in _split(text):
            system = _SYSTEM.search(text, start, end)
            for match in _NAME.finditer(text, start, end):
                name = _decode(match[1])
                stanzas.setdefault(name, []).append((start, end))
                if system is None or runs_on(_decode(system[1])):
                    ours[name] = None
        if not stanzas and text.strip():
            raise ValueError(f"holds no package; it begins with {_decode(text.strip()[:_SHOWN])!r}")
        return cls(folder, text, stanzas, ours.keys())

    @property
    def names(self) -> Collection[str]:
        """All package names, as they are spelled; those that only unreadable stanzas have, too.

        What is for Windows only is left out, as ``available.packages`` does it.
        """
        return self._names

    def records(self, name: str) -> tuple[Record, ...]:
        """Return the records of a package, newest version first, equal ones as in the index; none if unknown."""
        return self._of(name)[0]

    def broken(self, name: str) -> tuple[str, ...]:
        """Return why stanzas of this package are not among its records: a reason each."""
        return self._of(name)[1]

    def needs(self, name: str) -> bool:
        """Tell whether any package in the index cannot be had without the package ``name``."""
        wanted = rb"(?<![A-Za-z0-9.])" + re.escape(name.encode()) + rb"(?![A-Za-z0-9.])"
        fields = "|".join(HARD_FIELDS).encode()
        # The field goes on over all lines that begin with white space.
        pattern = rb"\n(?:" + fields + rb"):(?:[^\n]|\n[ \t])*?" + wanted
        return re.search(pattern, self._text) is not None

    def _of(self, name: str) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        if name not in self._parsed:
            self._parsed[name] = self._parse_stanzas(name)
        return self._parsed[name]

    def _parse_stanzas(self, name: str) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        records, reasons = [], []
        for start, end in self._stanzas.get(name, ()):
            try:
                fields = _fields(_decode(self._text[start:end]))
                records.append(Record.of(fields, file=_file(fields, self.folder)))
            except ValueError as error:
                cut = end == len(self._text) and not self._text.endswith(b"\n")
                reasons.append(
                    f"{error}{' (the text ends here without a newline: it may be truncated)' if cut else ''}"
                )
        return tuple(sorted(records, key=lambda record: record.version, reverse=True)), tuple(reasons)


def read_fields(data: bytes) -> dict[str, str]:
    """Return the fields of a DESCRIPTION file. Raises ValueError, to be read after the file's name."""
    text = data.removeprefix(_BOM).strip()
    start, end = next(_split(b"\n" + text))
    return _fields(_decode((b"\n" + text)[start:end]))


def read_description(data: bytes) -> Record:
    """Return what the DESCRIPTION in a package says; the record's file is not known.

    Raises ValueError, to be read after the file's name.
    """
    if not data.removeprefix(_BOM).strip():
        raise ValueError("is empty")
    try:
        return Record.of(read_fields(data), file="")
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error


def _unpack(data: bytes) -> bytes:
    """Return the text of an index, which names itself gzip or not. Raises ValueError."""
    if not data.startswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise ValueError("is truncated: its gzip data has no end") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"is damaged: {error}") from error


def _split(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each stanza, with the newline before its first line."""
    start = 0
    for blank in _BLANK.finditer(text):
        yield start, blank.start() + 1
        start = blank.end() - 1
    yield start, len(text)


def _decode(text: bytes) -> str:
    """Read UTF-8, or Latin-1, which any bytes are: old packages still spell people's names in it."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _fields(stanza: str) -> dict[str, str]:
    """Read the fields of one stanza; lines that go on are kept as lines. Raises ValueError."""
    fields: dict[str, str] = {}
    key = ""
    # Not splitlines(), which would also break a line at the separators that a title may hold.
    for line in stanza.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t" and key:
            fields[key] += f"\n{line.strip()}"
            continue
        key, colon, value = line.partition(":")
        if not colon or line[0] in " \t":
            raise ValueError(f"{line.strip()[:_SHOWN]!r} is not a field")
        if key in fields:
            raise ValueError(f"the field {key} occurs twice in one stanza")
        fields[key] = value.strip()
    return fields


def _file(fields: Mapping[str, str], folder: str) -> str:
    """Return a package's file relative to the repository. Raises ValueError for one that is not below ``folder``."""
    own = PurePosixPath(fields.get("Path", ""), fields.get("File", ""))
    if own.is_absolute() or ".." in own.parts or not _FILE.fullmatch(str(own)):
        raise ValueError(f"its Path and File lead to {str(own)!r}, which is not below {folder}")
    name = "" if fields.get("File") else f"{fields.get('Package')}_{fields.get('Version')}.tar.gz"
    return str(PurePosixPath(folder, own, name))
