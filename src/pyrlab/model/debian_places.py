"""What pyrlab.toml says of where Debian packages come from: apt's sources, their keys, and a snapshot archive."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyrlab.errors import UsageError
from pyrlab.model.debian_sources import KeyPlaces, fingerprint, parse_sources
from pyrlab.model.urls import FILE, is_sound, with_secrets


def parse_apt_sources(
    lines: Sequence[str], environment: Mapping[str, str], keys: KeyPlaces, *, setting: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sources of a setting, and what variables put into them. Raises UsageError."""
    texts: list[str] = []
    hidden: list[str] = []
    for line in lines:
        text, secrets = with_secrets(line, setting, environment)
        if secrets:
            # What is wrong with the line is told of it as it is written, before its secrets are in it.
            parse_sources([line], keys, setting=setting)
        texts.append(text)
        hidden += secrets
    return tuple(texts), tuple(hidden)


def parse_keys(
    table: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> tuple[KeyPlaces, tuple[str, ...]]:
    """Return where keys are, and what variables put into their URLs. ``folder`` is the project's. Raises UsageError."""
    places: dict[str, str] = {}
    hidden: list[str] = []
    for name, value in table.items():
        wanted = fingerprint(name)
        if not wanted:
            raise UsageError(
                f"{FILE}: debian.keys has {name!r}, which is no fingerprint",
                remedy="write all 40 or 64 digits of it: gpg --show-keys FILE shows them",
            )
        if wanted in places:
            raise UsageError(f"{FILE}: debian.keys has {wanted} twice", remedy="leave one of them out")
        places[wanted], secrets = _place(value, f"debian.keys.{wanted}", folder, environment)
        hidden += secrets
    return KeyPlaces(folder, places), tuple(hidden)


def _place(value: object, key: str, folder: Path, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the path or the URL of a key, and what variables put into it."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{FILE}: {key} is {value!r}", remedy="it must be the key's file or URL, in quotes")
    place, secrets = with_secrets(value.strip(), key, environment)
    if "://" not in place:
        return str(folder / place), secrets
    if not (re.match(r"https?://", place) and is_sound(place)):
        raise UsageError(
            f"{FILE}: {key} is no URL that can be read",
            remedy="write it as https://HOST/PATH, or the path of a file",
        )
    return place, secrets


def parse_snapshot(text: str, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the URL of the snapshot archive, and what variables put into it. Raises UsageError."""
    url, secrets = with_secrets(text.strip(), "debian.snapshot", environment)
    if url and not (re.match(r"(?:https?|file)://", url) and is_sound(url)):
        raise UsageError(
            f"{FILE}: debian.snapshot is no URL that can be read",
            remedy="write that of the folder above archive/debian/, as in https://snapshot.example.org",
        )
    return url.rstrip("/"), secrets
