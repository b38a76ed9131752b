"""The use cases `serve` and `stop`: one container a lab, on the engine's loopback only, with a random token.

A lab is known by its labels, which say whose it is. What another project or user runs is never looked into, stopped
or removed.
"""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator

import requests
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import Mount

from pyrlab.adapters.docker import engine
from pyrlab.errors import LabError
from pyrlab.model.graph import Lab
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import RUN_LABEL, Workspace
from pyrlab.steps import generations, labs
from pyrlab.steps.workspace import busy

INSIDE = "/home/notebook/notebooks"
START_TIMEOUT = 90.0
STOP_TIMEOUT = 10
# Seconds in which an engine that was interrupted in making a container may still finish it.
CREATE_REST = 2.0
Say = Callable[[str], None]


def serve(current: Settings, name: str, *, build: Callable[[], None], say: Say) -> str:
    """Start a lab in the background, wait until it answers, and return its link.

    ``build`` is called to make sure of the image once all else is checked, while this run has the workspace for itself.
    A lab that runs already stays as it is, also one that another run has started in the meantime.
    Raises UsageError for a port or a folder that will not do, and LabError when the lab does not answer: its container
    is removed then.
    """
    lab = current.graph.find_lab(name)
    engine.find()
    # Nobody need wait for a build to get the link of what runs.
    running = _link_of_running(current.workspace, lab, say=say)
    if running:
        return running
    with busy(current.workspace, f"serve {name}", say=say):
        # What a killed upgrade began to replace is whole before anything is built of it.
        generations.finish(current)
        return _link_of_running(current.workspace, lab, say=say) or _start(current, lab, build=build, say=say)


def _link_of_running(workspace: Workspace, lab: Lab, *, say: Say) -> str:
    """Return the link of a lab that runs, when it answers; nothing where none runs."""
    container = labs.find(workspace, lab)
    if container is None or container.status != "running":
        return ""
    say(f"{lab.image} runs already; stop it first if it should change: nox -s stop -- {lab.image}")
    _wait(container, lab)
    return _link_of(container)


def _start(current: Settings, lab: Lab, *, build: Callable[[], None], say: Say) -> str:
    port = current.ports[lab.image]
    folder = labs.folder(current.notebooks, rootless=engine.is_rootless())
    elsewhere = engine.other_machine(engine.address())
    if elsewhere:
        say(_advice(elsewhere, port, folder))
    labs.need_free(port, lab, here=not elsewhere)
    build()
    earlier = labs.find(current.workspace, lab)
    if earlier is not None:
        say(f"removing the {lab.image} of before, which does not run")
        earlier.remove(force=True)
    say(f"starting {lab.image}")
    with _started(current, lab, port, folder) as container:
        _wait(container, lab, elsewhere=elsewhere)
        return _link_of(container)


def _advice(machine: str, port: int, folder: labs.Folder) -> str:
    """Return what to do when the engine is on another machine: its loopback is not this one's."""
    return (
        f"the Docker engine is on {machine}: the lab will work in {folder.path} of that machine and answer on its "
        f"127.0.0.1:{port}, while serve waits on this machine's. Bring the port over, in another terminal: "
        f"ssh -NL {port}:127.0.0.1:{port} {machine}"
    )


def stop(current: Settings, name: str) -> bool:
    """Stop a lab and remove its container; the notebooks stay. Returns whether it was there."""
    lab = current.graph.find_lab(name)
    engine.find()
    container = labs.find(current.workspace, lab)
    if container is None:
        return False
    container.stop(timeout=STOP_TIMEOUT)
    container.remove(force=True)
    return True


@contextlib.contextmanager
def _started(current: Settings, lab: Lab, port: int, folder: labs.Folder) -> Iterator[Container]:
    """Start a lab's container, and remove it again when what follows fails."""
    workspace = current.workspace
    run = secrets.token_hex(8)
    answered = False
    try:
        container = engine.client().containers.create(
            current.tag(lab.image),
            name=workspace.container(lab.image),
            labels={**workspace.lab_labels(lab.image), RUN_LABEL: run},
            environment={"PORT": str(port), "JUPYTER_TOKEN": secrets.token_hex(24)},
            ports={f"{port}/tcp": ("127.0.0.1", port)},
            mounts=[Mount(INSIDE, str(folder.path), type="bind")],
            user=f"{folder.uid}:{folder.gid}",
        )
        answered = True
        container.start()
        yield container
    except BaseException as error:
        _remove_run(run, surely_there=answered, surely_not=not answered and isinstance(error, APIError))
        if isinstance(error, APIError):
            raise LabError(
                f"{lab.image} could not be started", remedy="the engine's words say why", detail=error.explanation or ""
            ) from error
        raise


def _remove_run(run: str, *, surely_there: bool, surely_not: bool) -> None:
    """Remove the container that this very run has made, and never another one.

    An interrupt can come before ``create`` has answered; the engine may then still be making it.
    """
    deadline = time.monotonic() + (0 if surely_there or surely_not else CREATE_REST)
    while True:
        found = labs.labelled({RUN_LABEL: run})
        for container in found:
            container.remove(force=True)
        if found or time.monotonic() >= deadline:
            return
        time.sleep(0.1)


def _wait(container: Container, lab: Lab, *, elsewhere: str = "") -> None:
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
        remedy=f"bring the port over from {elsewhere}, as said above" if elsewhere else "the end of its log says why",
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
