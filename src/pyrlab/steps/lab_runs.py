"""Starting and stopping labs: one container each, with as few rights as it needs, which answers or is removed again."""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator

import requests
from docker.errors import APIError
from docker.models.containers import Container

from pyrlab.adapters import files, private_file
from pyrlab.adapters.docker import containers, engine
from pyrlab.errors import LabError, UsageError
from pyrlab.model.serving import LOOPBACK, Request, parse_environment
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import REQUEST_LABEL, RUN_LABEL
from pyrlab.steps import added, labs
from pyrlab.steps.labs import Running
from pyrlab.steps.notebooks import Folder, open_folder

START_TIMEOUT = 90.0
# An emulator is so many times slower, at most.
EMULATED = 10
STOP_TIMEOUT = 10
# Seconds in which an engine that was interrupted in making a container may still finish it.
CREATE_REST = 2.0
_TOKEN_BYTES = 24
# As docker/install/lab/start-lab writes it, before the server starts.
_FAILED_HOOK = re.compile(r"start-lab: (?P<what>.*\.pyrlab/start\.d/.* (?:failed with status \d+|was not run))")
Say = Callable[[str], None]


def check(request: Request) -> tuple[Folder, dict[str, str]]:
    """Return the notebooks' folder of a request, and what its environment file says.

    Raises UsageError for those that will not do: before a build that takes minutes, and before a lab is stopped.
    """
    return open_folder(request.notebooks, kind=engine.kind()), read_environment(request)


def start(settings: Settings, request: Request, *, say: Say) -> Running:
    """Start a lab from the project's present image, in the place of one of its name that does not run; wait for it.

    Raises UsageError for a folder or an environment file that will not do, and LabError when the lab does not answer:
    its container is removed then.
    """
    folder, environment = check(request)
    earlier = labs.find(settings, request.name)
    if earlier is not None:
        say(f"removing the {request.name} of before, which does not run")
        earlier.container.remove(force=True)
    added.finish(settings)
    say(f"starting {request.name}")
    if request.clean and request.name in added.all_volumes(settings):
        say(f"{request.name} is without the packages that were added to it; they stay in their volume")
    with _started(settings, request, folder, environment) as container:
        lab = Running(container, request)
        wait(settings, lab)
        found = added.of_running(lab)
        for sentence in [*_failed_hooks(container), *(found.says if found else ())]:
            say(f"{request.name}: {sentence}")
        return lab


def _failed_hooks(container: Container) -> Iterator[str]:
    """Yield what start-lab has logged of programs in ``.pyrlab/start.d`` that failed, or could not run."""
    for line in containers.log_lines(container, follow=False):
        match = _FAILED_HOOK.fullmatch(line)
        if match:
            yield match["what"]


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
def _started(settings: Settings, request: Request, folder: Folder, environment: dict[str, str]) -> Iterator[Container]:
    """Start a lab's container, and remove it again when what follows fails."""
    workspace = settings.workspace
    token = private_file.ensure(
        labs.token_path(workspace, settings.tokens, request.name), lambda: secrets.token_hex(_TOKEN_BYTES)
    )
    run = secrets.token_hex(8)
    answered = False
    try:
        container = containers.create(
            settings.tag(request.lab),
            request,
            name=workspace.container(request.name),
            home=workspace.home(request.name, folder.uid),
            added="" if request.clean else workspace.added(request.name, folder.uid),
            user=folder.user,
            environment=environment,
            relabel=folder.relabel,
            labels=workspace.lab_labels(request.lab, request.name),
            notes={REQUEST_LABEL: request.note(), RUN_LABEL: run},
        )
        answered = True
        containers.give_token(container, token, folder.user)
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
    if "mounts denied" in said.lower():
        remedy = "share the folder in Docker Desktop: Settings, Resources, File sharing; or name one that is shared"
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
    labs.page_path(settings, lab.name).unlink(missing_ok=True)


def wait(settings: Settings, lab: Running) -> None:
    """Poll ``/api/status`` with the token until it answers 200: then the server is up and the link's token is right.

    Raises LabError with the end of the log.
    """
    token = labs.token_of(settings, lab)
    elsewhere = engine.other_machine(engine.address())
    deadline = time.monotonic() + START_TIMEOUT * (EMULATED if settings.emulated else 1)
    while time.monotonic() < deadline:
        status, _ = labs.ask(lab, "status", token)
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


def warn_of_address(request: Request) -> str:
    """Return the warning for a lab that listens beyond this machine, or nothing."""
    if request.address in {LOOPBACK, "::1"}:
        return ""
    return (
        f"WARNING: {request.name} answers on {request.address}: whoever reaches that address may try to get in, and "
        "what is sent is not encrypted. Without --address, reach it by ssh."
    )
