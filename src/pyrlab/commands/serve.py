"""The use cases `serve` and `stop`: one container a lab, on this machine's loopback only, with a random token."""

import contextlib
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import Mount

from pyrlab.adapters.docker import engine
from pyrlab.errors import LabError, UsageError
from pyrlab.model.graph import Lab
from pyrlab.model.settings import Settings

LABEL = "io.pyrlab.lab"
INSIDE = "/home/notebook/notebooks"
# The image's own user, for a folder that belongs to root: a lab never runs as root.
NOTEBOOK_ID = 1000
START_TIMEOUT = 90.0
STOP_TIMEOUT = 10
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Folder:
    """The notebooks' folder on this machine, and the user and group that a lab on it runs as."""

    path: Path
    uid: int
    gid: int


def serve(current: Settings, name: str, *, build: Callable[[], None], say: Say) -> str:
    """Start a lab in the background, wait until it answers, and return its link.

    ``build`` is called to make sure of the image once all else is checked. A lab that runs already stays as it is.
    Raises UsageError for a port or a folder that will not do, and LabError when the lab does not answer: its container
    is removed then.
    """
    lab = current.graph.find_lab(name)
    engine.find()
    earlier = _find(current, lab)
    if earlier is not None and earlier.status == "running":
        say(f"{name} runs already; stop it first if it should change: nox -s stop -- {name}")
        _wait(earlier, lab)
        return _link_of(earlier)
    port = current.ports[name]
    folder = _folder(current.notebooks)
    _need_free(port, lab)
    build()
    if earlier is not None:
        earlier.remove(force=True)
    say(f"starting {name}")
    with _started(current, lab, port, folder) as container:
        _wait(container, lab)
        return _link_of(container)


def stop(current: Settings, name: str) -> bool:
    """Stop a lab and remove its container; the notebooks stay. Returns whether it was there."""
    lab = current.graph.find_lab(name)
    engine.find()
    container = _find(current, lab)
    if container is None:
        return False
    container.stop(timeout=STOP_TIMEOUT)
    container.remove(force=True)
    return True


def _find(current: Settings, lab: Lab) -> Container | None:
    found = engine.client().containers.list(all=True, filters={"label": f"{LABEL}={current.tag(lab.image)}"})
    return found[0] if found else None


def _folder(path: Path) -> Folder:
    """Make the notebooks' folder if it is missing, and decide whose files the lab will write: its owner's."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"the notebooks folder {path} is a file", remedy="name a folder by --notebooks or FILES")
    try:
        if not path.exists():
            path.mkdir(parents=True)
            if os.geteuid() == 0:
                os.chown(path, NOTEBOOK_ID, NOTEBOOK_ID)
        status = path.stat()
    except OSError as error:
        raise UsageError(
            f"the notebooks folder {path} cannot be used: {error.strerror}",
            remedy="name another by --notebooks or FILES",
        ) from error
    if status.st_uid != 0:
        return Folder(path, status.st_uid, status.st_gid)
    if not status.st_mode & 0o002:
        raise UsageError(
            f"the notebooks folder {path} belongs to root, and a lab never runs as root",
            remedy=f"chown -R {NOTEBOOK_ID}:{NOTEBOOK_ID} {path}, or name another folder by --notebooks or FILES",
        )
    return Folder(path, NOTEBOOK_ID, NOTEBOOK_ID)


def _need_free(port: int, lab: Lab) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be had: {error.strerror}",
                remedy=f"choose another by --port or {lab.port_variable}",
            ) from error


@contextlib.contextmanager
def _started(current: Settings, lab: Lab, port: int, folder: Folder) -> Iterator[Container]:
    """Start a lab's container, and remove it again when what follows fails."""
    tag = current.tag(lab.image)
    try:
        container = engine.client().containers.create(
            tag,
            name=re.sub(r"[^A-Za-z0-9_.-]+", "-", current.prefix + lab.image),
            labels={LABEL: tag},
            environment={"PORT": str(port), "JUPYTER_TOKEN": secrets.token_hex(24)},
            ports={f"{port}/tcp": ("127.0.0.1", port)},
            mounts=[Mount(INSIDE, str(folder.path), type="bind")],
            user=f"{folder.uid}:{folder.gid}",
        )
        container.start()
        yield container
    except BaseException as error:
        # Asked for by its label: an interrupt can come before create has answered.
        left = _find(current, lab)
        if left is not None:
            left.remove(force=True)
        if isinstance(error, APIError):
            raise LabError(
                f"{lab.image} could not be started", remedy="the engine's words say why", detail=error.explanation or ""
            ) from error
        raise


def _wait(container: Container, lab: Lab) -> None:
    """Poll ``/api/status`` with the token until it answers 200: then the server is up and the link's token is right."""
    address, token = _address(container), _token(container)
    session = requests.Session()
    session.trust_env = False  # a proxy must not come between this machine and itself
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            answer = session.get(f"{address}/api/status", headers={"Authorization": f"token {token}"}, timeout=5)
            if answer.ok:
                return
        container.reload()
        if container.status != "running":
            break
        time.sleep(0.1)
    raise LabError(
        f"{lab.image} did not answer on {address}",
        remedy="the end of its log says why",
        detail=container.logs(tail=30).decode(errors="replace").replace(token, "…"),
    )


def _environment(container: Container) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in container.attrs["Config"]["Env"])


def _token(container: Container) -> str:
    return _environment(container)["JUPYTER_TOKEN"]


def _address(container: Container) -> str:
    return f"http://127.0.0.1:{_environment(container)['PORT']}"


def _link_of(container: Container) -> str:
    return f"{_address(container)}/lab?token={_token(container)}"


def has_display() -> bool:
    """Tell whether a browser can open a window here."""
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
