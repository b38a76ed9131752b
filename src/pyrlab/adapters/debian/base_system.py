"""Reads what docker/lock/describe-base wrote of a base image, and refuses one that cannot carry labs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyrlab.errors import UsageError
from pyrlab.model.locks.debs import PYTHON, DebPin

_OTHER_BASE = "name another base.image in pyrlab.toml, such as python:3.14-slim-trixie"


@dataclass(frozen=True, slots=True)
class System:
    """A Debian system: its suite, the version of its own Python in /usr/local, and the packages that it has."""

    suite: str
    python: str
    pins: tuple[DebPin, ...]


def read(folder: Path, *, image: str, architecture: str) -> System:
    """Return the system of an image. Raises UsageError for one that is not Debian's, or lacks what labs need."""
    said = {name: _said(folder / name, image) for name in ("release", "lacks", "installed", "python")}
    release = _release(said["release"])
    if release.get("ID") != "debian":
        name = release.get("PRETTY_NAME") or release.get("ID") or "of no system that says its name"
        raise UsageError(f"the image {image} is {name}, and not Debian", remedy=_OTHER_BASE)
    lacking = said["lacks"].split()
    pins = _installed(said["installed"], architecture)
    if lacking or not pins:
        raise UsageError(f"the image {image} is Debian without {', '.join(lacking) or 'packages'}", remedy=_OTHER_BASE)
    python = said["python"].strip()
    # What the image's own site packages print may stand beside it, and the lock takes a version alone.
    if not PYTHON.fullmatch(python):
        raise UsageError(
            f"the image {image} has no Python of its own: no /usr/local/bin/python3 that is first on its PATH and has "
            "venv and ensurepip",
            remedy=f"{_OTHER_BASE}; or let Debian's Python be the labs', with source = \"bootstrap\"",
        )
    return System(release.get("VERSION_CODENAME", ""), python, pins)


def _said(path: Path, image: str) -> str:
    """Return what one file says. Raises UsageError where the image has put something else there.

    It came out of the image as it was there: a link would lead to a file of this machine.
    """
    if path.is_symlink() or not path.is_file():
        raise UsageError(f"the image {image} has an /out of its own, which is in the way", remedy=_OTHER_BASE)
    return path.read_text(encoding="utf-8", errors="replace")


def _release(text: str) -> Mapping[str, str]:
    """Return the values of an os-release file. Source: os-release(5): quoted as in a shell."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip()] = value.strip().strip("\"'")
    return found


def _installed(text: str, architecture: str) -> tuple[DebPin, ...]:
    """Return what dpkg has installed: of the image's own architecture, or of all."""
    pins = []
    for line in text.splitlines():
        status, name, version, own = (line.split() + [""] * 4)[:4]
        if status == "ii" and own in {architecture, "all"}:
            pins.append(DebPin(name, version, own, ""))
    return tuple(sorted(pins))
