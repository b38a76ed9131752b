"""Labs as the engine and this machine see them: whose they are, which ports they have, and the notebooks' folder."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from docker.models.containers import Container

from pyrlab.adapters.docker import engine
from pyrlab.errors import UsageError
from pyrlab.model.graph import Lab
from pyrlab.model.workspace import LAB_LABEL, PROJECT_LABEL, USER_LABEL, Workspace

# The image's own user, for a folder that belongs to root: a lab never runs as root.
NOTEBOOK_ID = 1000


@dataclass(frozen=True, slots=True)
class Folder:
    """The notebooks' folder on this machine, and the user and group that a lab on it runs as."""

    path: Path
    uid: int
    gid: int


def find(workspace: Workspace, lab: Lab) -> Container | None:
    """Return the container of a workspace's own lab, or None where there is none."""
    found = labelled(workspace.lab_labels(lab.image))
    return found[0] if found else None


def labelled(labels: Mapping[str, str]) -> list[Container]:
    """Return the containers, stopped ones too, that carry all these labels."""
    wanted = [f"{name}={value}" for name, value in labels.items()]
    found: list[Container] = engine.client().containers.list(all=True, filters={"label": wanted}, ignore_removed=True)
    return found


def folder(path: Path, *, rootless: bool) -> Folder:
    """Make the notebooks' folder if it is missing, and decide whose files the lab will write: its owner's.

    Raises UsageError for one that will not do.
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


def need_free(port: int, lab: Lab, *, here: bool) -> None:
    """Raise UsageError when somebody has the port; ``here`` says that the engine is on this machine."""
    remedy = f"choose another by --port or {lab.port_variable}"
    for container in engine.client().containers.list(filters={"label": LAB_LABEL}, ignore_removed=True):
        if port in published(container):
            raise UsageError(f"port {port} has {whose(container)}", remedy=remedy)
    if not here:
        return  # this machine's port may well be the tunnel to the lab
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"port {port} cannot be had: {error.strerror}", remedy=remedy) from error


def published(container: Container) -> set[int]:
    """Return the ports of the engine's machine that a running container has."""
    ports = container.attrs["NetworkSettings"]["Ports"] or {}
    return {int(binding["HostPort"]) for bindings in ports.values() for binding in bindings or []}


def whose(container: Container) -> str:
    """Return a running lab and its owner, as a message says it. Nothing of it but labels and name is looked at."""
    labels = container.labels
    return (
        f"the {labels[LAB_LABEL]} of project {labels.get(PROJECT_LABEL, '?')}, user {labels.get(USER_LABEL, '?')}: "
        f"container {container.name}"
    )
