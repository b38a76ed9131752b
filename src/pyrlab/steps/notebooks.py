"""The notebooks' folder: made where it is missing, and whose files a lab on it will write."""

import os
from dataclasses import dataclass
from pathlib import Path

from pyrlab.errors import UsageError

# The image's own user, for a folder that belongs to root: a lab never runs as root.
NOTEBOOK_ID = 1000


@dataclass(frozen=True, slots=True)
class Folder:
    """The notebooks' folder on this machine, and the user and group that a lab on it runs as."""

    path: Path
    uid: int
    gid: int

    @property
    def user(self) -> tuple[int, int]:
        """The user and the group."""
        return self.uid, self.gid


def open_folder(path: Path, *, rootless: bool) -> Folder:
    """Make the notebooks' folder if it is missing, and decide whose files the lab will write: its owner's.

    Raises UsageError for a folder in which a lab could not write.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"the notebooks folder {path} is a file", remedy="name a folder by --notebooks or FILES")
    try:
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(0o755)  # a umask of 077 says nothing about a folder to share with a lab
            if os.geteuid() == 0:
                os.chown(path, NOTEBOOK_ID, NOTEBOOK_ID)
        return owned(path, path.stat(), rootless=rootless)
    except OSError as error:
        raise UsageError(
            f"the notebooks folder {path} cannot be used: {error.strerror}",
            remedy="name another by --notebooks or FILES",
        ) from error


def owned(path: Path, status: os.stat_result, *, rootless: bool) -> Folder:
    """Return a notebooks' folder with the user that a lab on it runs as. Raises UsageError for one that will not do."""
    if rootless and not status.st_mode & 0o002:
        # In its containers this user is root, which a lab never is; everybody else there is a stranger to the folder:
        # see the chapter on rootless mode in Docker's manual.
        raise UsageError(
            f"the Docker engine is rootless, and its labs could not write in the notebooks folder {path}",
            remedy=f"chmod -R o+rwX {path}, or name another folder by --notebooks or FILES",
        )
    if status.st_uid != 0:
        return Folder(path, status.st_uid, status.st_gid)
    if not status.st_mode & 0o002:
        raise UsageError(
            f"the notebooks folder {path} belongs to root, and a lab never runs as root",
            remedy=f"chown -R {NOTEBOOK_ID}:{NOTEBOOK_ID} {path}, or name another folder by --notebooks or FILES",
        )
    return Folder(path, NOTEBOOK_ID, NOTEBOOK_ID)
