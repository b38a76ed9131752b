"""What a file of another tool says of R packages: what the list can take over, and what not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyrlab.errors import ListError
from pyrlab.model.commits import CommitRequest
from pyrlab.model.cran.base import BASE_PACKAGES
from pyrlab.model.lists import RRequest
from pyrlab.model.locks.tables import Table


@dataclass(frozen=True, slots=True, order=True)
class Refused:
    """A package that cannot be taken over, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class NamedUrl:
    """A repository as the file has it. The name may be empty, and the URL may hold a password."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Found:
    """All that a file says. ``kind`` is the tool's usual name of such a file.

    ``wanted`` are lines for the list, and ``commits`` are others, by the name of the package;
    ``bioconductor`` are those of them that only a repository of Bioconductor has, of
    ``release`` if the file says so; ``r`` is the version of R that the file was made with, or empty.
    """

    kind: str
    wanted: tuple[RRequest, ...]
    refused: tuple[Refused, ...] = ()
    bioconductor: frozenset[str] = frozenset()
    release: str = ""
    repositories: tuple[NamedUrl, ...] = ()
    r: str = ""
    notes: tuple[str, ...] = ()
    commits: Mapping[str, CommitRequest] = field(default_factory=dict)


class Collector:
    """Collects packages while a file is read; ``kind`` names the file in messages."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.wanted: list[RRequest] = []
        self.refused: list[Refused] = []
        self.bioconductor: set[str] = set()
        self.commits: dict[str, CommitRequest] = {}

    def take(self, name: str, operator: str = "", version: str = "", *, bioconductor: bool = False) -> None:
        """Note a package that is wanted, unless it is R's own; what the list cannot hold is refused."""
        if name in BASE_PACKAGES:
            return
        try:
            request = RRequest.parse(f"{name} {operator} {version}".strip(), where=self.kind)
        except ListError as error:
            self.refuse(name, str(error).removeprefix(f"{self.kind}: "))
            return
        self.wanted.append(request)
        if bioconductor:
            self.bioconductor.add(request.name)

    def take_commit(self, name: str, metadata: Table) -> None:
        """Note a package of GitHub's, by what its installer wrote down of it; a branch is refused."""
        owner, repo, sha = (text_of(metadata, f"Remote{key}") for key in ("Username", "Repo", "Sha"))
        host = text_of(metadata, "RemoteHost")
        if host not in {"", "api.github.com"}:
            self.refuse(name, f"it comes from another GitHub than the public one: {host}")
        elif text_of(metadata, "RemoteSubdir"):
            self.refuse(name, f"it is in a folder of {owner}/{repo}, and only a package at the top of one can be had")
        else:
            try:
                self.commits[name] = CommitRequest.parse(f"{owner}/{repo}@{sha.lower()}", where=self.kind)
            except ListError:
                self.refuse(name, f"it comes from GitHub, {owner}/{repo}, and the file has no full commit of it")

    def refuse(self, name: str, reason: str) -> None:
        """Note a package that cannot be taken over."""
        self.refused.append(Refused(printable(name), printable(reason)))


def printable(text: str) -> str:
    """Return a text of a file as a message may show it: on one line, and without control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def json_table(value: object, what: str) -> Table:
    """Return a table of JSON. Raises ValueError for what is none; ``what`` names it."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a table")  # noqa: TRY004 - of the file, not of the program
    values: dict[str, Any] = value
    return Table(values, what)


def text_of(table: Table, key: str) -> str:
    """Return a text; what is missing or null is empty. Raises ValueError for another type."""
    return "" if table.values.get(key) is None else table.text(key)
