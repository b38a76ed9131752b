"""What git knows of a project."""

import re
from pathlib import Path

from pyrlab.adapters import process


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
