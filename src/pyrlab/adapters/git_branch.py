"""A branch of pyrlab's own, made and pushed beside what the user works on: nothing of his clone is touched."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyrlab.adapters import process, temporary
from pyrlab.errors import NetworkError, UsageError

REMOTE = "origin"
# Seconds. A push may take long; all else is on this machine.
_LOCAL, _REMOTE = 60, 600
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# For a machine on which nobody has told git who he is, as in CI.
_NOBODY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "pyrlab", "EMAIL": "pyrlab@localhost"}.items()
}


class Repository:
    """The git repository that the folder ``project`` is in."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def head(self) -> str:
        """Return the commit that is checked out. Raises UsageError where there is none."""
        try:
            return self._hash("rev-parse", "--verify", "HEAD^{commit}")
        except process.CommandError as error:
            raise UsageError(
                f"{self._project} is no git repository with a commit", remedy="git init, and commit the project"
            ) from error

    def commit(self, names: Sequence[str], message: str, *, work: Path) -> str | None:
        """Write a commit upon the one that is checked out, with these files as they are now, and return its hash.

        Returns None when they are as in the last commit. A file that is gone is gone in the commit. What is written are
        objects that nothing names yet; the index for it is in the folder ``work``. Raises UsageError.
        """
        head = self.head()
        with temporary.folder(work) as folder:
            environment = {"GIT_INDEX_FILE": str(folder / "index")}
            self._run("read-tree", head, environment=environment)
            self._run("update-index", "--add", "--remove", "--", *names, environment=environment)
            tree = self._hash("write-tree", environment=environment)
        if tree == self._hash("rev-parse", f"{head}^{{tree}}"):
            return None
        return self._hash("commit-tree", tree, "-p", head, "-m", message, environment=self._somebody())

    def changed(self, commit: str) -> list[str]:
        """Return the names of the files that a commit changes."""
        return self._run("diff-tree", "--no-commit-id", "--name-only", "-r", commit).split()

    def push(self, commit: str, branch: str, *, options: Sequence[str] = ()) -> bool:
        """Make the remote's branch this commit; return False where it is such a commit already.

        Whatever the branch was before is replaced, unless somebody else changes it at this very moment. Raises
        UsageError without a remote, and NetworkError when it cannot be reached, or refuses.
        """
        there = self._there(branch)
        if there and self._is_same(there, commit, branch):
            return False
        lease = f"--force-with-lease=refs/heads/{branch}:{there}"
        asked = [f"--push-option={option}" for option in options]
        try:
            self._run("push", lease, *asked, REMOTE, f"{commit}:refs/heads/{branch}", timeout=_REMOTE)
        except process.CommandError as error:
            raise _refused(f"{REMOTE} did not take the branch {branch}", error) from None
        return True

    def _there(self, branch: str) -> str:
        """Return the commit that the remote's branch is at, or nothing."""
        if REMOTE not in self._run("remote").split():
            raise UsageError(f"the repository has no remote called {REMOTE}", remedy=f"git remote add {REMOTE} URL")
        try:
            said = self._run("ls-remote", REMOTE, f"refs/heads/{branch}", timeout=_REMOTE)
        except process.CommandError as error:
            raise _refused(f"{REMOTE} could not be asked for the branch {branch}", error) from None
        match = re.search(rf"^({_HASH.pattern})\trefs/heads/", said, re.MULTILINE)
        return match[1] if match else ""

    def _is_same(self, there: str, commit: str, branch: str) -> bool:
        """Tell whether two commits have the same files upon the same parent: only time and author differ."""
        try:
            self._run("fetch", "--no-tags", "--no-write-fetch-head", REMOTE, f"refs/heads/{branch}", timeout=_REMOTE)
            return all(
                self._hash("rev-parse", f"{there}{what}") == self._hash("rev-parse", f"{commit}{what}")
                for what in ("^{tree}", "^")
            )
        except process.CommandError:
            # It cannot be had, or has no parent: then it is replaced.
            return False

    def _somebody(self) -> Mapping[str, str]:
        try:
            self._run("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        except process.CommandError:
            return _NOBODY
        return {}

    def _hash(self, *arguments: str, environment: Mapping[str, str] = {}) -> str:
        said = self._run(*arguments, environment=environment)
        # What git warns of stands in the same output.
        return next((line for line in said.splitlines() if _HASH.fullmatch(line)), "")

    def _run(self, *arguments: str, environment: Mapping[str, str] = {}, timeout: float = _LOCAL) -> str:
        # Nobody is there to be asked for a password.
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **environment}
        return process.run(["git", "-C", str(self._project), *arguments], timeout=timeout, env=env)


def _refused(message: str, error: process.CommandError) -> NetworkError:
    """Return the error of what a remote did, with git's own words, but no password in a URL."""
    return NetworkError(
        message,
        remedy="git's own words above say why: it must be reachable, and you must be allowed to push",
        detail=re.sub(r"//[^/\s]*@", "//", error.detail),
    )
