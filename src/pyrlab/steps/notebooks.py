"""The notebooks' folder: made where it is missing, and whose files a lab on it will write."""

import os
from dataclasses import dataclass
from pathlib import Path

from pyrlab.adapters.docker.engine import Kind
from pyrlab.errors import UsageError

# The image's own user, for a folder that belongs to root: a lab never runs as root.
NOTEBOOK_ID = 1000


@dataclass(frozen=True, slots=True)
class Folder:
    """The notebooks' folder on this machine, and the user and group that a lab on it runs as.

    With ``relabel`` its files need SELinux' label of containers' files.
    """

    path: Path
    uid: int
    gid: int
    relabel: bool = False

    @property
    def user(self) -> tuple[int, int]:
        """The user and the group."""
        return self.uid, self.gid


def open_folder(path: Path, *, kind: Kind) -> Folder:
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
        return owned(path, path.stat(), kind=kind)
    except OSError as error:
        raise UsageError(
            f"the notebooks folder {path} cannot be used: {error.strerror}",
            remedy="name another by --notebooks or FILES",
        ) from error


def owned(path: Path, status: os.stat_result, *, kind: Kind) -> Folder:
    """Return a notebooks' folder with the user that a lab on it runs as. Raises UsageError for one that will not do."""
    if kind.is_at_odds and not status.st_mode & 0o002:
        # In containers of a rootless engine this user is root, which a lab never is; everybody else there is a stranger
        # to the folder, as is everybody where users are mapped: see the chapters on rootless mode and on userns-remap
        # in Docker's manual.
        raise UsageError(
            f"the Docker engine is {kind}, and its labs could not write in the notebooks folder {path}",
            remedy=f"chmod -R o+rwX {path}, or name another folder by --notebooks or FILES",
        )
    if kind.selinux:
        _check_labels(path)
    if status.st_uid != 0:
        return Folder(path, status.st_uid, status.st_gid, kind.selinux)
    if not status.st_mode & 0o002:
        raise UsageError(
            f"the notebooks folder {path} belongs to root, and a lab never runs as root",
            remedy=f"chown -R {NOTEBOOK_ID}:{NOTEBOOK_ID} {path}, or name another folder by --notebooks or FILES",
        )
    return Folder(path, NOTEBOOK_ID, NOTEBOOK_ID, kind.selinux)


def _check_labels(path: Path) -> None:
    """Raise UsageError for a folder whose files must not get the label of containers' files, or cannot."""
    whole = path.resolve()
    home = Path.home()
    if whole == home or whole in home.parents:
        raise UsageError(
            f"with SELinux all files in the notebooks folder {path} get the label of containers' files, and sshd could "
            "no longer read its keys in there",
            remedy="name a folder below it by --notebooks or FILES, such as ~/notebooks",
        )
    if ":" in str(path):
        raise UsageError(
            f"the Docker engine is with SELinux, and takes no notebooks folder with a colon in its path: {path}",
            remedy="name another by --notebooks or FILES",
        )
