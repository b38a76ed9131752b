"""R packages at a commit of a GitHub repository, as the list names them: ``owner/repo@sha``."""

import re
from dataclasses import dataclass
from typing import Self

from pyrlab.errors import ListError

# What the lock and the resolver call the place where they come from, beside the repositories of the settings.
NAME = "github"
# No repository is called . or .., which would lead elsewhere.
_REPO = r"(?!\.{1,2}(?:[/@#]|$))[A-Za-z0-9._-]{1,100}"
_OWNER = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}"
_COMMIT = re.compile(rf"(?P<owner>{_OWNER})/(?P<repo>{_REPO})@(?P<sha>[0-9a-f]{{40}})")
_PLACE = re.compile(rf"(?:github::)?(?P<place>{_OWNER}/{_REPO})(?P<rest>(?:[/@#].*)?)")
_SHORT = re.compile(r"@[0-9A-Fa-f]{4,}")


@dataclass(frozen=True, slots=True, order=True)
class CommitRequest:
    """A package that the list wants as a commit has it. Its name and version are in its DESCRIPTION alone."""

    owner: str
    repo: str
    sha: str
    where: str

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Parse ``owner/repo@sha`` with all 40 digits of the commit. Raises ListError for what may move."""
        match = _COMMIT.fullmatch(line)
        if not match:
            raise _refusal(line, where)
        return cls(match["owner"], match["repo"], match["sha"], where)

    @property
    def place(self) -> str:
        """The repository, ``owner/repo``. GitHub does not tell upper from lower case in it."""
        return f"{self.owner}/{self.repo}"

    @property
    def path(self) -> str:
        """Where its tarball is, relative to the URL of the settings. Source: GitHub's own redirect to archives."""
        return f"{self.place}/tar.gz/{self.sha}"

    def __str__(self) -> str:
        return f"{self.place}@{self.sha}"


def is_commit(line: str) -> bool:
    """Tell whether a line of the list is about a repository of GitHub's, rightly written or not."""
    return _PLACE.fullmatch(line) is not None


def no_contradiction(commits: list[CommitRequest]) -> None:
    """Raise ListError when two lines name two commits of one repository."""
    seen: dict[str, CommitRequest] = {}
    for commit in commits:
        earlier = seen.setdefault(commit.place.lower(), commit)
        if earlier.sha != commit.sha:
            raise ListError(
                f"{commit.where}: {commit} contradicts {earlier} in {earlier.where}", remedy="keep one of the two lines"
            )


def _refusal(line: str, where: str) -> ListError:
    """Return why a line about GitHub cannot be taken, and how to write it."""
    match = _PLACE.fullmatch(line)
    if not match:
        return ListError(
            f"{where}: {line!r} is not a package of a GitHub repository",
            remedy="write owner/repo@ and all 40 digits of a commit",
        )
    place, rest = match["place"], match["rest"]
    if not rest:
        reason = "names no commit"
    elif rest.startswith("/"):
        reason = "is in a folder of its repository, and only a package at the top of one can be had"
        return ListError(f"{where}: {line!r} {reason}", remedy="take it from a repository like CRAN, or r-universe")
    elif rest.startswith("#"):
        reason = "is a pull request, which moves"
    elif _SHORT.fullmatch(rest):
        reason = "has not all 40 digits of a commit, in lower case"
    else:
        reason = "is a branch or a tag, which moves"
    return ListError(
        f"{where}: {line!r} {reason}",
        remedy=f"write {place}@ and all 40 digits; by branch and tag: git ls-remote https://github.com/{place}",
    )
