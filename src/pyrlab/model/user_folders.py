"""The folders of this user: the cache, what outlives a cache, and the home folder."""

import os
from collections.abc import Mapping
from pathlib import Path

from pyrlab.errors import UsageError


def cache(environment: Mapping[str, str]) -> Path:
    """Return this user's cache folder. A relative one is no one: the XDG base directory specification ignores it."""
    said = Path(environment.get("XDG_CACHE_HOME") or "")
    return (said if said.is_absolute() else expanded(Path("~/.cache"), "XDG_CACHE_HOME")) / "pyrlab"


def state(environment: Mapping[str, str]) -> Path:
    """Return this user's folder for what outlives a cache. Only a lab needs it, so one without a home may stay."""
    said = Path(environment.get("XDG_STATE_HOME") or "")
    home = Path(os.path.expanduser("~/.local/state"))  # noqa: PTH111 - this one never fails
    return (said if said.is_absolute() else home) / "pyrlab"


def expanded(path: Path, variable: str) -> Path:
    """Return ``path`` with the home folder in the place of ~. ``variable`` could name another path instead.

    Raises UsageError where this user has no home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"there is no home folder for {path}: this user has no entry in the user database, and HOME is not set",
            remedy=f"export HOME=…, or {variable}=… with a full path",
        ) from error
