"""Two plots compared by what they show: PNG by its pixels, SVG without its ids and dates."""

import operator
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pyrlab.model.upgrade import texts

PNG, SVG = "image/png", "image/svg+xml"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What decides what a PNG shows. Its other chunks say who made it and when: matplotlib writes its version.
_SHOWN = (b"IHDR", b"PLTE", b"tRNS")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = (1, 2, 4, 8, 16)
# Bytes of pixels: 50 megapixels in colour. A plot has fewer, and a bomb more.
_MOST = 200_000_000
# Undoing filters takes a microsecond a byte here, so larger plots are compared as they are stored.
_MOST_UNFILTERED = 8_000_000
_NO_FILTER, _SUB, _UP, _AVERAGE, _PAETH = range(5)
_ID = re.compile(r"""\bid=["']([^"']+)["']""")
# They hold the date, and the program's version.
_SAID = (("<!--", "-->"), ("<metadata", "</metadata>"))


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot as a notebook holds it: its MIME type, and its bytes."""

    mime: str
    data: bytes


def same(old: Picture, new: Picture) -> bool:
    """Whether two plots show the same. What cannot be read is the same only when its bytes are."""
    if old == new:
        return True
    if old.mime != new.mime:
        return False
    if old.mime == SVG:
        return _drawing(old.data) == _drawing(new.data)
    return old.mime == PNG and _same_pixels(old.data, new.data)


def _drawing(data: bytes) -> str:
    """Return an SVG without comments and metadata, its ids, which may be random, numbered as they come."""
    text = data.decode("utf-8", "replace")
    for start, end in _SAID:
        text = texts.without(text, start, end)
    numbers = {name: f"id{number}" for number, name in enumerate(dict.fromkeys(_ID.findall(text)))}
    text = re.sub(r"""(?<=["'#])[^"'#()\s<>]+(?=["')])""", lambda match: numbers.get(match[0], match[0]), text)
    return " ".join(text.split())


def _same_pixels(old: bytes, new: bytes) -> bool:
    try:
        before, after = _Png(old), _Png(new)
    except (ValueError, struct.error, zlib.error):
        return False
    if before.shown != after.shown:
        return False
    # An encoder is free in its filters, and libpng's choice changes: so what differs is compared without them.
    if before.stored == after.stored:
        return True
    return before.can_unfilter and after.can_unfilter and all(map(operator.eq, before.pixels(), after.pixels()))


class _Png:
    """A PNG file, read by its specification (third edition, chapters 5 and 9). Raises ValueError, struct.error."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_SIGNATURE):
            raise ValueError("not a PNG file")
        chunks = _chunks(data)
        self.shown = [chunks.get(kind, b"") for kind in _SHOWN]
        self.width, self.height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", self.shown[0])
        if colour not in _CHANNELS or depth not in _DEPTHS:
            raise ValueError("no such colours")
        bits = _CHANNELS[colour] * depth
        self.step = max(1, bits // 8)
        self.row = (self.width * bits + 7) // 8
        size = self.height * (self.row + 1)
        if size > _MOST:
            raise ValueError("too large")
        # An interlaced picture has a filter byte for each row of each of its seven passes.
        self.stored = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), 2 * size + 1024)
        self.can_unfilter = not interlaced and len(self.stored) == size <= _MOST_UNFILTERED

    def pixels(self) -> Iterator[bytes]:
        """Yield the rows without their filters. An unknown filter leaves its row as it is."""
        above = bytes(self.row)
        for start in range(0, len(self.stored), self.row + 1):
            line = bytearray(self.stored[start + 1 : start + 1 + self.row])
            _unfilter(self.stored[start], line, above, self.step)
            above = bytes(line)
            yield above


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return the chunks by their type; those of one type are joined."""
    found: dict[bytes, list[bytes]] = {}
    place = len(_SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        found.setdefault(kind, []).append(data[place + 8 : place + 8 + length])
        place += length + 12
    return {kind: b"".join(parts) for kind, parts in found.items()}


def _unfilter(kind: int, line: bytearray, above: bytes, step: int) -> None:
    """Undo a row's filter in place; ``step`` is how many bytes a pixel has."""
    if kind == _UP:
        line[:] = bytes((value + up) & 255 for value, up in zip(line, above, strict=True))
        return
    if kind not in {_SUB, _AVERAGE, _PAETH}:
        return
    for place, value in enumerate(line):
        left, corner = (line[place - step], above[place - step]) if place >= step else (0, 0)
        if kind == _SUB:
            guess = left
        elif kind == _AVERAGE:
            guess = (left + above[place]) // 2
        else:
            guess = _paeth(left, above[place], corner)
        line[place] = (value + guess) & 255


def _paeth(left: int, up: int, corner: int) -> int:
    """Return the neighbour that is nearest to left + up - corner."""
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
