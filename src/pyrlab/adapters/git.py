"""What git knows of a project."""

import re
from pathlib import Path

from pyrlab.adapters import process

NOT_COMMITTED = "not committed yet"
_COMMIT = re.compile(r"[0-9a-f]{4,64} \d{4}-\d{2}-\d{2} ")


def origin(project: Path) -> str:
    """Return the URL of the project's git remote, without credentials, or nothing."""
    try:
        url = process.run(["git", "-C", str(project), "remote", "get-url", "origin"], timeout=30).strip()
    except (process.CommandError, process.MissingProgramError):
        return ""
    return re.sub(r"//[^/]*@", "//", url) if re.match(r"(https?|ssh)://|[\w.-]+@[\w.-]+:", url) else ""


def committed(file: Path) -> str:
    """Return the day of the last commit that changed a file, as in 2026-11-02, or nothing."""
    command = ["git", "-C", str(file.parent), "log", "-1", "--format=%cs", "--", file.name]
    try:
        return process.run(command, timeout=30).strip()
    except (process.CommandError, process.MissingProgramError):
        return ""


def since(file: Path, text: str) -> str:
    """Return the commit since which a file holds ``text``, as in ``3f2a91b 2026-11-02 Upgrade``.

    Where the last commit does not hold it, that is NOT_COMMITTED; where there is no git repository, nothing.
    """
    git = ["git", "-C", str(file.parent)]
    try:
        process.run([*git, "rev-parse", "--git-dir"], timeout=30)
    except (process.CommandError, process.MissingProgramError):
        return ""
    try:
        if text not in process.run([*git, "show", f"HEAD:./{file.name}"], timeout=30):
            return NOT_COMMITTED
        # -S finds the commits that change how often a text is there: of these, the last one brought it. A merge is such
        # a commit only where it differs from all its parents: gitdiffcore(7), and "combined diff" of git-log(1).
        options = ["-1", "-c", "--no-patch", "--no-color", "--format=%h %cs %s", f"-S{text}"]
        said = process.run([*git, "log", *options, "--", file.name], timeout=120)
    except process.CommandError:
        return NOT_COMMITTED
    return next((line for line in said.splitlines() if _COMMIT.match(line)), "")


def is_commit(project: Path, name: str) -> bool:
    """Tell whether a name is a commit of the repository that a folder is in."""
    command = ["git", "-C", str(project), "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    try:
        process.run(command, timeout=30)
    except (process.CommandError, process.MissingProgramError):
        return False
    return True


def text(file: Path, commit: str) -> str | None:
    """Return what a file holds in a commit, or None where it is not in it."""
    try:
        return process.run(["git", "-C", str(file.parent), "show", f"{commit}:./{file.name}"], timeout=30)
    except process.CommandError:
        return None
