"""A snapshot archive, as Debian runs one: it keeps every file that an archive ever had, by day and by version."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

STAMP = re.compile(r"\d{8}T\d{6}Z")
_FORM = "%Y%m%dT%H%M%SZ"
# The archives that Debian's mirrors have, as the snapshot archive calls them.
ARCHIVES = ("debian", "debian-security")
# A snapshot is taken some time after the Release file is dated, four times a day; for a time between two of them, the
# earlier one is served.
_TAKEN_BY = timedelta(hours=6)
_SHA1 = re.compile(r"[0-9a-f]{40}")


def stamp(dates: Sequence[str]) -> str:
    """Return the newest Date field of some Release files as in ``20261129T043612Z``; nothing where none can be read."""
    times = [time for date in dates if (time := _time(date))]
    return f"{max(times):{_FORM}}" if times else ""


def _time(date: str) -> datetime | None:
    try:
        time = parsedate_to_datetime(date)
        # Debian writes UTC, of which the parser says that it is no zone.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def place(url: str, archive: str, snapshot: str, path: str) -> str:
    """Return where a snapshot archive has a file that an archive had at the time ``snapshot``; nowhere for no time.

    Source: the page of Debian's own service, "/archive/ARCHIVE/TIMESTAMP/".
    """
    try:
        time = datetime.strptime(snapshot, _FORM).replace(tzinfo=UTC) + _TAKEN_BY
    except (ValueError, OverflowError):
        return ""
    return f"{url}/archive/{archive}/{time:{_FORM}}/{path}"


def files_of(url: str, name: str, version: str) -> str:
    """Return where a snapshot archive says which files there are of one version of a package.

    Source: Debian's description of its service, "/mr/binary/PACKAGE/VERSION/binfiles".
    """
    return f"{url}/mr/binary/{quote(name, safe='+')}/{quote(version, safe='+:~')}/binfiles"


def files_in(url: str, answer: bytes, architecture: str) -> tuple[str, ...]:
    """Return where the files are that this answer names for an architecture: by the SHA-1 that it keeps them by.

    Whether they are the right ones is told by their SHA-256. What is no such answer names none.
    """
    try:
        entries = json.loads(answer)["result"]
        hashes = [entry["hash"] for entry in entries if entry["architecture"] == architecture]
    except (ValueError, TypeError, KeyError):
        return ()
    return tuple(f"{url}/file/{sha1}" for sha1 in hashes if isinstance(sha1, str) and _SHA1.fullmatch(sha1))
