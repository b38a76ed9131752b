"""The labs of a workspace: found by their labels, started with few rights, and asked whether they answer.

A lab is known by its labels, which say whose it is. What another project or user runs is never looked into, stopped
or removed.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from docker.errors import APIError
from docker.models.containers import Container

from pyrlab.adapters import files, private_file
from pyrlab.adapters.docker import containers, engine, tags
from pyrlab.errors import LabError, UsageError
from pyrlab.model.serving import LOOPBACK, Request, parse_environment
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import LAB_LABEL, NAME_LABEL, REQUEST_LABEL, RUN_LABEL, Workspace
from pyrlab.steps.notebooks import open_folder

START_TIMEOUT = 90.0
STOP_TIMEOUT = 10
# Seconds in which an engine that was interrupted in making a container may still finish it.
CREATE_REST = 2.0
# A shorter try than that for a start: what answers at all does so at once.
_QUICK = 3.0
_TOKEN_BYTES = 24
_RUNNING = "running"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """A lab's container, running or not, and what it was asked to be."""

    container: Container
    request: Request

    @property
    def name(self) -> str:
        """What the lab is known by."""
        return self.request.name

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return bool(self.container.status == _RUNNING)

    @property
    def image(self) -> str:
        """The id of the image that it runs from."""
        return str(self.container.attrs["Image"])


def all_of(settings: Settings) -> list[Running]:
    """Return the labs of this workspace, by name; stopped ones, too."""
    found = containers.labelled({**settings.workspace.labels, LAB_LABEL: ""})
    return sorted((_read(settings, container) for container in found), key=lambda lab: lab.name)


def _read(settings: Settings, container: Container) -> Running:
    labels = container.labels
    try:
        return Running(container, Request.parse(labels[REQUEST_LABEL]))
    except (KeyError, ValueError, TypeError):
        # Of an earlier pyrlab, which noted less.
        image = labels[LAB_LABEL]
        port = int(containers.environment(container).get("PORT") or settings.ports.get(image, 0))
        return Running(container, Request(image, labels.get(NAME_LABEL, image), port, settings.notebooks))


def find(settings: Settings, name: str) -> Running | None:
    """Return the lab known as ``name``, or None."""
    return next((lab for lab in all_of(settings) if lab.name == name), None)


def find_known(settings: Settings, name: str) -> Running | None:
    """Return the lab known as ``name``; None for one of the graph's that is not there.

    Raises UsageError, with the names that there are, for a name that nobody has.
    """
    found = all_of(settings)
    known = dict.fromkeys([*settings.graph.labs, *(lab.name for lab in found)])
    if name not in known:
        raise UsageError(f"there is no lab called {name!r}", remedy=f"choose from: {', '.join(known)}")
    return next((lab for lab in found if lab.name == name), None)


def need_running(settings: Settings, name: str) -> Running:
    """Return the lab known as ``name``, which runs. Raises UsageError, or LabError when it does not."""
    found = find_known(settings, name)
    if found is None or not found.runs:
        raise LabError(f"{name} does not run", remedy=f"nox -s serve -- {name}" if found is None else _again(name))
    return found


def _again(name: str) -> str:
    return f"nox -s restart -- {name}; its log may say why: nox -s logs -- {name}"


def is_current(settings: Settings, lab: Running) -> bool:
    """Tell whether a lab runs from the image that its project has now; so it does where that image is gone."""
    return tags.image_of(settings.tag(lab.request.lab)) in {None, lab.image}


def has_image(settings: Settings, lab: str) -> bool:
    """Tell whether the engine has a lab's image."""
    return tags.image_of(settings.tag(lab)) is not None


def token_path(workspace: Workspace, folder: Path, name: str) -> Path:
    """Return the file with a lab's token: of this project, user and name alone."""
    return folder / workspace.container(name)


def token_of(settings: Settings, lab: Running) -> str:
    """Return a lab's token. Raises LabError when its file is gone."""
    # An earlier pyrlab gave it so; what it started may still run.
    given = containers.environment(lab.container).get("JUPYTER_TOKEN", "")
    path = token_path(settings.workspace, settings.tokens, lab.name)
    token = given or private_file.read(path)
    if not token:
        raise LabError(
            f"the token of {lab.name} is gone: there is no {path}",
            remedy=f"nox -s restart -- {lab.name} makes a new one",
        )
    return token


def link_of(settings: Settings, lab: Running) -> str:
    """Return the link that opens a lab."""
    return f"{lab.request.url}/lab?token={token_of(settings, lab)}"


def page_of(settings: Settings, lab: Running) -> Path:
    """Write and return a page that leads to a lab, and that only this user can read: for a browser's command line.

    Source: Jupyter Server's own ``_write_browser_open_file``, for the same reason.
    """
    # In the project: browsers in a sandbox of their own may read no hidden folder of the home folder itself.
    path = page_path(settings, lab.name)
    link = link_of(settings, lab)
    private_file.replace(
        path,
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={link}">'
        f'<title>{lab.name}</title></head><body><a href="{link}">{lab.name}</a></body></html>\n',
    )
    return path


def page_path(settings: Settings, name: str) -> Path:
    """Return where the page is that leads to a lab."""
    return settings.workspace.work / f"open-{settings.workspace.container(name)}.html"


def start(settings: Settings, request: Request, *, say: Say) -> Running:
    """Start a lab from the project's present image, in the place of one of its name that does not run; wait for it.

    Raises UsageError for a folder or an environment file that will not do, and LabError when the lab does not answer:
    its container is removed then.
    """
    folder = open_folder(request.notebooks, rootless=engine.is_rootless())
    environment = read_environment(request)
    earlier = find(settings, request.name)
    if earlier is not None:
        say(f"removing the {request.name} of before, which does not run")
        earlier.container.remove(force=True)
    say(f"starting {request.name}")
    with _started(settings, request, folder.user, environment) as container:
        lab = Running(container, request)
        wait(settings, lab)
        return lab


def read_environment(request: Request) -> dict[str, str]:
    """Return what a request's environment file says. Raises UsageError."""
    path = request.env_file
    if path is None:
        return {}
    try:
        text = files.read_bytes(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"--env-file {path} cannot be read: {reason}", remedy="name a file of NAME=VALUE lines"
        ) from error
    return parse_environment(text, os.environ, where=str(path))


@contextlib.contextmanager
def _started(
    settings: Settings, request: Request, user: tuple[int, int], environment: dict[str, str]
) -> Iterator[Container]:
    """Start a lab's container, and remove it again when what follows fails."""
    workspace = settings.workspace
    token = private_file.ensure(
        token_path(workspace, settings.tokens, request.name), lambda: secrets.token_hex(_TOKEN_BYTES)
    )
    run = secrets.token_hex(8)
    answered = False
    try:
        container = containers.create(
            settings.tag(request.lab),
            request,
            name=workspace.container(request.name),
            home=workspace.home(request.name, user[0]),
            user=user,
            environment=environment,
            labels=workspace.lab_labels(request.lab, request.name),
            notes={REQUEST_LABEL: request.note(), RUN_LABEL: run},
        )
        answered = True
        containers.give_token(container, token, user)
        container.start()
        # What the engine said of it before the start is old.
        container.reload()
        yield container
    except BaseException as error:
        _remove_run(run, surely_there=answered, surely_not=not answered and isinstance(error, APIError))
        if isinstance(error, APIError):
            raise _not_started(request, error) from error
        raise


def _not_started(request: Request, error: APIError) -> LabError:
    said = error.explanation or ""
    remedy = "the engine's words say why"
    if request.gpus and "device driver" in said:
        remedy = "install NVIDIA's container toolkit on the engine's machine, or leave out --gpus"
    return LabError(f"{request.name} could not be started", remedy=remedy, detail=said)


def _remove_run(run: str, *, surely_there: bool, surely_not: bool) -> None:
    """Remove the container that this very run has made, and never another one.

    An interrupt can come before ``create`` has answered; the engine may then still be making it.
    """
    deadline = time.monotonic() + (0 if surely_there or surely_not else CREATE_REST)
    while True:
        found = containers.labelled({RUN_LABEL: run})
        for container in found:
            container.remove(force=True)
        if found or time.monotonic() >= deadline:
            return
        time.sleep(0.1)


def stop(settings: Settings, lab: Running) -> None:
    """Stop a lab and remove its container; notebooks, settings and token stay."""
    lab.container.stop(timeout=STOP_TIMEOUT)
    lab.container.remove(force=True)
    page_path(settings, lab.name).unlink(missing_ok=True)


def wait(settings: Settings, lab: Running) -> None:
    """Poll ``/api/status`` with the token until it answers 200: then the server is up and the link's token is right.

    Raises LabError with the end of the log.
    """
    token = token_of(settings, lab)
    elsewhere = engine.other_machine(engine.address())
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        status, _ = _get(lab, "status", token)
        if status == requests.codes.ok:
            return
        if status == requests.codes.forbidden:
            # A server that answers has its token already, and it is another one.
            break
        lab.container.reload()
        if not lab.runs:
            break
        time.sleep(0.1)
    raise LabError(
        f"{lab.name} did not answer on {lab.request.url}",
        remedy=f"bring the port over from {elsewhere}, as said above" if elsewhere else "the end of its log says why",
        detail=lab.container.logs(tail=30).decode(errors="replace").replace(token, "…"),
    )


def kernels(settings: Settings, lab: Running) -> int | None:
    """Return how many kernels a running lab has; None when it does not say."""
    try:
        status, found = _get(lab, "kernels", token_of(settings, lab), timeout=_QUICK)
    except LabError:
        return None
    return len(found) if status == requests.codes.ok and isinstance(found, list) else None


def _get(lab: Running, path: str, token: str, *, timeout: float = 5) -> tuple[int, object]:
    """Return the status and the JSON of a lab's API; 0 where nobody answers."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy must not come between this machine and itself
        try:
            headers = {"Authorization": f"token {token}"}
            answer = session.get(f"{lab.request.url}/api/{path}", headers=headers, timeout=timeout)
            return answer.status_code, answer.json()
        except (requests.RequestException, ValueError):
            return 0, None


def warn_of_address(request: Request) -> str:
    """Return the warning for a lab that listens beyond this machine, or nothing."""
    if request.address in {LOOPBACK, "::1"}:
        return ""
    return (
        f"WARNING: {request.name} answers on {request.address}: whoever reaches that address may try to get in, and "
        "what is sent is not encrypted. Without --address, reach it by ssh."
    )
