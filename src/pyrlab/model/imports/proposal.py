"""The repositories of a file as entries of ``r.repositories``: snapshots by their day, and never a password."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pyrlab.model.imports.found import Found, NamedUrl
from pyrlab.model.r_repositories import DEBIAN, RRepository

_URL = re.compile(r"(?:https?|file)://[A-Za-z0-9._~:/%+,=-]+")
_USER = re.compile(r"//[^/]*@")
# Binaries for another system's release; the same snapshot's sources lie beside them.
_BINARIES = re.compile(r"/__linux__/[^/]+(?=/)")
_MOVING = re.compile(r"/latest$")
_DAY = re.compile(r"/[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BIOCONDUCTOR = re.compile(r"bioc", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Entries to add to ``r.repositories``, and what is to be said with them."""

    entries: tuple[str, ...]
    notes: tuple[str, ...]


def has_bioconductor(found: Found, repositories: Sequence[RRepository]) -> bool:
    """Tell whether the settings, or the file itself, name a repository of Bioconductor."""
    named = [(one.name, one.url) for one in found.repositories] + [(one.name, one.url) for one in repositories]
    return any(_BIOCONDUCTOR.match(name) or "/bioconductor." in url for name, url in named)


def propose(found: Found, repositories: Sequence[RRepository], *, day: str) -> Proposal:
    """Return entries for the repositories that the file has and the settings have not.

    ``day``, as in 2026-11-02, is when the file was last changed: a snapshot that moves is proposed as of then.
    """
    entries: list[str] = []
    notes: list[str] = []
    known = {_plain(one.url) for one in repositories}
    names = {DEBIAN, *(one.name for one in repositories)}
    for one in found.repositories:
        url = _MOVING.sub(f"/{day}", _plain(one.url))
        if not _URL.fullmatch(url):
            notes.append(f"{found.kind} has a repository {one.name!r} without a URL that can be used")
            continue
        if _plain(one.url) in known or url in known:
            continue
        known.add(url)
        name = _name(one, names)
        names.add(name)
        entries.append(f"{name}={url}")
        notes += _notes(one, name, url, day)
    return Proposal(tuple(entries), tuple(notes))


def _notes(one: NamedUrl, name: str, url: str, day: str) -> list[str]:
    notes = []
    if _USER.search(one.url) or "?" in one.url:
        notes.append(f"{name}: its password is left out: write it as ${{VARIABLE}}, docs/r-packages.md shows how")
    if not _DAY.search(url) and not _BIOCONDUCTOR.search(name + url):
        notes.append(
            f"{name} moves, and keeps old versions in its Archive; a snapshot of {day}, when the file was last "
            "changed, stands still: docs/r-packages.md has the entry"
        )
    return notes


def _plain(url: str) -> str:
    """Return a URL without user, query and the slash at its end, of a snapshot's sources."""
    bare = _USER.sub("//", url.strip()).partition("?")[0].partition("#")[0].rstrip("/")
    return _BINARIES.sub("", bare)


def _name(one: NamedUrl, taken: Collection[str]) -> str:
    """Return a name for the settings: the file's own in lower case, with a number where that is taken."""
    fit = re.sub(r"[^a-z0-9._-]+", "-", one.name.lower()).strip("._-") or "repository"
    number = 2
    name = fit
    while name in taken:
        name = f"{fit}{number}"
        number += 1
    return name
