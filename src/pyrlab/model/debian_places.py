"""What pyrlab.toml says of where Debian packages come from: apt's sources, and a snapshot archive."""

import re
from collections.abc import Mapping, Sequence

from pyrlab.errors import UsageError
from pyrlab.model.debian import parse_sources
from pyrlab.model.urls import FILE, is_sound, with_secrets


def parse_apt_sources(lines: Sequence[str], environment: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return apt's sources, and what variables put into them. Raises UsageError."""
    texts: list[str] = []
    hidden: list[str] = []
    for line in lines:
        text, secrets = with_secrets(line, "base.apt_sources", environment)
        if secrets:
            # What is wrong with the line is told of it as it is written, before its secrets are in it.
            parse_sources([line])
        texts.append(text)
        hidden += secrets
    return tuple(texts), tuple(hidden)


def parse_snapshot(text: str, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the URL of the snapshot archive, and what variables put into it. Raises UsageError."""
    url, secrets = with_secrets(text.strip(), "debian.snapshot", environment)
    if url and not (re.match(r"(?:https?|file)://", url) and is_sound(url)):
        raise UsageError(
            f"{FILE}: debian.snapshot is no URL that can be read",
            remedy="write that of the folder above archive/debian/, as in https://snapshot.example.org",
        )
    return url.rstrip("/"), secrets
