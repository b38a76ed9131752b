"""What the URL of a repository says of the day it is frozen at, and of the system that its binaries are made for."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

# Binaries that carry what they need of a system, for any Linux whose C library is new enough.
PORTABLE = "manylinux"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATED = re.compile(rf"(?P<root>.*?)/(?P<repository>[^/]+)(?:/__linux__/[^/]+)?/(?P<date>{_DATE.pattern})(?:/.*)?")
_BINARIES = re.compile(r"/(?:__linux__|bin/linux)/(?P<codename>[A-Za-z0-9_.]+)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A dated snapshot. ``dates`` is the URL of the list of all days that its repository has.

    Posit Package Manager has snapshots at REPOSITORY/DATE and REPOSITORY/__linux__/CODENAME/DATE, and what is below
    them; other servers with dates in their URLs need not have such a list.
    """

    date: str
    codename: str
    dates: str

    @classmethod
    def of(cls, url: str) -> Self | None:
        """Return the snapshot that a repository's URL names, or None for a URL without a date."""
        parts = urlsplit(url)
        match = _DATED.fullmatch(parts.path)
        if not match:
            return None
        path = f"{match['root']}/__api__/repos/{match['repository']}/transaction-dates"
        return cls(match["date"], codename_of(url), urlunsplit(parts._replace(path=path)))

    def remedy(self, days: Sequence[str]) -> str:
        """Return what to try when there is no such snapshot; ``days`` are those that there are, if they are known."""
        if self.date in days and self.codename:
            return f"it has this day, but perhaps nothing for {self.codename}: leave that part of its URL out"
        before = [day for day in days if day < self.date][-1:]
        after = [day for day in days if day > self.date][:1]
        if before or after:
            return f"name a day that it has in r.repositories of pyrlab.toml: {' or '.join([*before, *after])}"
        return "name a day that it has in r.repositories of pyrlab.toml: some days have no snapshot, or not yet"


def codename_of(url: str) -> str:
    """Return the codename of the system that a URL's binaries are for, or nothing.

    It stands in ``__linux__/trixie/`` and, with the architecture and R after it, in ``bin/linux/trixie-x86_64/4.5``.
    """
    match = _BINARIES.search(urlsplit(url).path)
    return match["codename"] if match else ""


def days_of(data: bytes) -> list[str]:
    """Return the days in a list of snapshots, ``[{"alias": "2026-11-02"}, …]``, oldest first; none if it is no list."""
    try:
        found = json.loads(data)
    except ValueError:
        return []
    entries = found if isinstance(found, list) else []
    aliases = [str(entry.get("alias")) for entry in entries if isinstance(entry, dict)]
    return sorted(alias for alias in aliases if _DATE.fullmatch(alias))
