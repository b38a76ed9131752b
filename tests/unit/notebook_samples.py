"""Executed notebooks and PNG files, made on the spot."""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from pyrlab.model.upgrade.notebooks import Difference, compare


def stdout(*texts: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": list(texts)}


def shown(data: Mapping[str, Any], kind: str = "display_data") -> dict[str, Any]:
    return {"output_type": kind, "data": dict(data), "metadata": {}}


def plot(data: bytes) -> dict[str, Any]:
    return shown({"image/png": base64.encodebytes(data).decode(), "text/plain": "<Figure size 640x480 with 1 Axes>"})


def error(name: str, value: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": ["\x1b[31m/x.py:3\x1b[0m", value]}


def cell(*outputs: Mapping[str, Any], source: str = "run()", count: int | None = 1) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": str(id(outputs)),
        "metadata": {},
        "execution_count": count,
        "source": source,
        "outputs": [dict(output) for output in outputs],
    }


def notebook(*cells: Mapping[str, Any]) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [dict(one) for one in cells]}


def differences(old: Sequence[Any], new: Sequence[Any], tolerance: float = 1e-6) -> tuple[Difference, ...]:
    """Compare two notebooks of one cell, whose outputs are given."""
    return compare(notebook(cell(*old)), notebook(cell(*new)), tolerance=tolerance)


def printed(old: str, new: str, tolerance: float = 1e-6) -> tuple[Difference, ...]:
    """Compare two notebooks of one cell that printed a text."""
    return differences([stdout(old)], [stdout(new)], tolerance)


def png(
    pixels: Sequence[Sequence[Sequence[int]]], *, filters: Sequence[int] = (0,), software: str = "", level: int = 6
) -> bytes:
    """Write an RGB picture, its rows with these filters in turn."""
    width = len(pixels[0])
    above = bytes(3 * width)
    rows = []
    for number, row in enumerate(pixels):
        line = bytes(value for pixel in row for value in pixel)
        kind = filters[number % len(filters)]
        rows.append(bytes([kind]) + filtered(kind, line, above))
        above = line
    note = [(b"tEXt", b"Software\0" + software.encode())] if software else []
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, len(pixels), 8, 2, 0, 0, 0)),
        *note,
        (b"IDAT", zlib.compress(b"".join(rows), level)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def filtered(kind: int, line: bytes, above: bytes) -> bytes:
    """Filter a row of RGB pixels, as the specification of PNG says."""
    if kind == 0:
        return line
    out = []
    for place, value in enumerate(line):
        left = line[place - 3] if place >= 3 else 0
        corner = above[place - 3] if place >= 3 else 0
        up = above[place]
        nearest = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
        out.append((value - (0, left, up, (left + up) // 2, nearest)[kind]) % 256)
    return bytes(out)
