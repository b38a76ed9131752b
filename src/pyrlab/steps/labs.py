"""The labs of a workspace: found by their labels, with their tokens and links, and asked over their own API.

A lab is known by its labels, which say whose it is. What another project or user runs is never looked into, stopped
or removed.
"""

from dataclasses import dataclass
from pathlib import Path

import requests
from docker.models.containers import Container

from pyrlab.adapters import private_file
from pyrlab.adapters.docker import containers, tags
from pyrlab.errors import LabError, UsageError
from pyrlab.model.serving import Request
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import LAB_LABEL, NAME_LABEL, REQUEST_LABEL, Workspace

# Seconds: what answers at all does so at once.
_QUICK = 3.0
_RUNNING = "running"


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


def kernels(settings: Settings, lab: Running) -> int | None:
    """Return how many kernels a running lab has; None when it does not say."""
    try:
        status, found = ask(lab, "kernels", token_of(settings, lab), timeout=_QUICK)
    except LabError:
        return None
    return len(found) if status == requests.codes.ok and isinstance(found, list) else None


def ask(lab: Running, path: str, token: str, *, timeout: float = 5) -> tuple[int, object]:
    """Return the status and the JSON of a lab's API; 0 where nobody answers."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy must not come between this machine and itself
        try:
            headers = {"Authorization": f"token {token}"}
            answer = session.get(f"{lab.request.url}/api/{path}", headers=headers, timeout=timeout)
            return answer.status_code, answer.json()
        except (requests.RequestException, ValueError):
            return 0, None
