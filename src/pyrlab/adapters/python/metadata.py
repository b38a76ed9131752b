"""What a wheel says of itself: the distributions that it needs."""

import zipfile
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement

from pyrlab.adapters.python.source_distribution import UNREADABLE

# No METADATA is longer, in bytes: most of it is a readme.
LONGEST = 2**22


def requirements(wheel: Path) -> list[Requirement]:
    """Return the ``Requires-Dist`` of a wheel; nothing where it cannot be read. Source: the core metadata of PyPA."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            with archive.open(name) as file:
                text = file.read(LONGEST).decode("utf-8", errors="replace")
        lines = HeaderParser().parsestr(text).get_all("Requires-Dist", [])
        return [Requirement(line) for line in lines]
    except (*UNREADABLE, StopIteration):
        return []


def modules(wheel: Path) -> set[str]:
    """Return the names of a wheel's modules at the top; nothing where it cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            tops = {name.split("/")[0] for name in archive.namelist()}
    except UNREADABLE:
        return set()
    return {top.split(".")[0] for top in tops if not top.endswith((".dist-info", ".data"))}
