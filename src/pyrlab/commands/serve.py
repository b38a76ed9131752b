"""The use case `serve`: one container a lab, found again where it runs, behind a token that stays the same."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from pyrlab.adapters.docker import engine
from pyrlab.errors import UsageError
from pyrlab.model.serving import Request, Tunnel
from pyrlab.model.settings import Settings
from pyrlab.steps import generations, lab_ports, lab_runs, labs
from pyrlab.steps.labs import Running
from pyrlab.steps.workspace import busy

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Served:
    """A lab that answers, its link, and whether this run has started it."""

    lab: Running
    link: str
    started: bool


def serve(current: Settings, request: Request, *, build: Callable[[], None], say: Say) -> Served:
    """Start a lab in the background, and wait until it answers.

    ``build`` is called to make sure of the image once all else is checked, while this run has the workspace for itself.
    A lab that runs already stays as it is, also one that another run has started in the meantime.
    Raises UsageError for a name, a port or a folder that will not do, and LabError when the lab does not answer: its
    container is removed then.
    """
    engine.find()
    # Nobody need wait for a build to get the link of what runs.
    found = _find_running(current, request, say=say)
    if found:
        return found
    with busy(current.workspace, f"serve {request.name}", say=say):
        # What a killed upgrade began to replace is whole before anything is built of it.
        generations.finish(current)
        return _find_running(current, request, say=say) or _start(current, request, build=build, say=say)


def _find_running(current: Settings, request: Request, *, say: Say) -> Served | None:
    """Return a lab that runs and answers; None where none runs. Raises UsageError for another image under its name."""
    lab = labs.find(current, request.name)
    if lab is None or not lab.runs:
        return None
    if lab.request.lab != request.lab:
        raise UsageError(
            f"{request.name} is a {lab.request.lab}, and runs already",
            remedy=f"choose another --name, or stop that one: nox -s stop -- {request.name}",
        )
    say(f"{request.name} runs already; stop it first if it should change: nox -s stop -- {request.name}")
    if not labs.is_current(current, lab):
        say(f"{request.name} runs from an older image than the present one: nox -s restart -- {request.name}")
    lab_runs.wait(current, lab)
    return Served(lab, labs.link_of(current, lab), started=False)


def _start(current: Settings, request: Request, *, build: Callable[[], None], say: Say) -> Served:
    folder, _ = lab_runs.check(request)
    elsewhere = engine.other_machine(engine.address())
    if elsewhere:
        say(
            f"the Docker engine is on {elsewhere}: the lab will work in {folder.path} of that machine and answer on "
            f"its {request.address}:{request.port}, while serve waits on this machine's. Bring the port over, in "
            f"another terminal: {Tunnel(elsewhere).command(request)}"
        )
    lab_ports.need_free(request, variable=current.graph.labs[request.lab].port_variable, here=not elsewhere)
    warning = lab_runs.warn_of_address(request)
    if warning:
        say(warning)
    build()
    lab = lab_runs.start(current, request, say=say)
    return Served(lab, labs.link_of(current, lab), started=True)


def has_display() -> bool:
    """Tell whether a browser can open a window here: not at the other end of ssh."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
