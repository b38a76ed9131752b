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
