"""Where R packages come from, as pyrlab.toml says it: repositories by name and URL, and GitHub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyrlab.errors import UsageError
from pyrlab.model import commits
from pyrlab.model.cran.snapshot import PORTABLE, codename_of
from pyrlab.model.urls import FILE, is_sound, with_secrets

DEBIAN = "debian"
# What a suite may also be called; which codename that is, only the archive knows.
SUITE_NAMES = {"oldstable", "stable", "testing"}
_REPOSITORY = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*=\s*(?P<url>(?:https?|file)://\S+)")


@dataclass(frozen=True, slots=True)
class RRepository:
    """Where R packages come from: ``debian``, without a URL, or a CRAN-like repository."""

    name: str
    url: str = field(default="", repr=False)  # may hold credentials
    # What variables put into the URL, as it stands there.
    secrets: tuple[str, ...] = field(default=(), repr=False)


def parse_repositories(r: Mapping[str, Any], environment: Mapping[str, str], *, suite: str) -> tuple[RRepository, ...]:
    """Return the repositories in their order.

    Raises UsageError for one that has no name, moves, is named twice, or has binaries for another suite.
    """
    found: dict[str, RRepository] = {}
    for entry in r["repositories"]:
        repository = RRepository(DEBIAN) if entry == DEBIAN else _r_repository(entry, environment)
        if repository.name in found:
            raise UsageError(
                f"{FILE}: r.repositories has {repository.name!r} twice", remedy="give each a name of its own"
            )
        if not r["allow_moving"]:
            _check_dated(repository.name, entry)
        _check_codename(repository.name, entry, suite)
        found[repository.name] = repository
    return tuple(found.values())


def _r_repository(entry: str, environment: Mapping[str, str]) -> RRepository:
    match = _REPOSITORY.fullmatch(entry.strip())
    if not match or match["name"] in {DEBIAN, commits.NAME}:
        raise UsageError(
            f"{FILE}: r.repositories has {_shown(entry)!r}",
            remedy='write "debian", or a name of your choice and a URL: "cran=https://cran.example.org"',
        )
    text, secrets = with_secrets(match["url"], "r.repositories", environment)
    url = text.rstrip("/")
    if not is_sound(url):
        raise UsageError(
            f"{FILE}: r.repositories: the URL of {match['name']!r} cannot be read",
            remedy="put a password with special characters into the environment, and ${VARIABLE} into the URL",
        )
    return RRepository(match["name"], url, secrets)


def parse_github(text: str, environment: Mapping[str, str]) -> RRepository:
    """Return where the tarballs of commits are. Raises UsageError."""
    found, secrets = with_secrets(text.strip(), "r.github", environment)
    url = found.rstrip("/")
    if not re.match(r"(?:https?|file)://", url) or not is_sound(url):
        raise UsageError(
            f"{FILE}: r.github is no URL that can be read",
            remedy="write that of the folder above owner/repo/tar.gz/sha, as in https://git.example.org",
        )
    return RRepository(commits.NAME, url, secrets)


def _check_dated(name: str, entry: str) -> None:
    """Raise UsageError for a snapshot that moves: its old packages vanish, and with them what the lock names.

    ``entry`` is as written, without the values of variables, so that the message can show it.
    """
    url = entry.partition("=")[2].strip()
    dated = re.sub(r"(?<=/)latest(?=[/?]|$)", f"{datetime.now(tz=UTC):%Y-%m-%d}", url)
    dated = re.sub(r"(?<=/packages/)(?:release|devel)(?=[/?]|$)", "3.NN", dated)
    if dated != url:
        raise UsageError(
            f"{FILE}: the repository {name!r} is a snapshot that moves",
            remedy=f"name one that stands still, as {_without_user(dated)}; or set r.allow_moving = true",
        )


def _check_codename(name: str, entry: str, suite: str) -> None:
    """Raise UsageError for binaries that are made for another system: they may lack its libraries, or mix them.

    The binaries themselves do not say for which system they are, so nothing later on could tell.
    """
    codename = codename_of(entry.partition("=")[2].strip())
    if codename in {"", suite} or codename.startswith(PORTABLE) or suite in SUITE_NAMES:
        return
    raise UsageError(
        f"{FILE}: the repository {name!r} has binaries for {codename}, and base.suite is {suite!r}",
        remedy=f"write {suite} in the place of {codename}; "
        "or leave that part of the URL out, so that sources are compiled",
    )


def _shown(entry: str) -> str:
    """Return a mistyped entry as a message may show it: where it may still hold a password, only its name."""
    shown = _without_user(entry)
    return f"{shown.partition('=')[0].partition(':')[0]}=…" if "@" in shown else shown


def _without_user(text: str) -> str:
    """Return a text with a URL in it as a message may show it: without user, password and query."""
    return re.sub(r"\?.*", "", re.sub(r"//\S*@", "//", text))
