"""Containers: found by their labels, made with as few rights as a lab needs, and asked what they use."""

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from docker.errors import APIError
from docker.models.containers import Container
from docker.types import DeviceRequest, Mount
from requests import RequestException

from pyrlab.adapters.docker import engine
from pyrlab.model.serving import ADDED, HOME, INSIDE, Bind, Request
from pyrlab.model.workspace import ADDED_LABEL

# Enough for dozens of kernels with a thread a core each, and an end to a fork bomb.
_PIDS = 8192
_TOKEN = ".lab-token"  # noqa: S105 - the name of a file
TOKEN_FILE = f"{HOME}/{_TOKEN}"
# Seconds for a program that only looks at files.
_ASK_TIMEOUT = 30
# Compilers and R's packages start programs there; Docker's default for a tmpfs is noexec.
_TMPFS = {"/tmp": "rw,exec,nosuid,nodev,mode=1777"}  # noqa: S108 - inside the container


def labelled(labels: Mapping[str, str]) -> list[Container]:
    """Return the containers, stopped ones too, that carry all these labels; with an empty value, any of that name."""
    wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
    found: list[Container] = engine.client().containers.list(all=True, filters={"label": wanted}, ignore_removed=True)
    return found


def running() -> list[Container]:
    """Return all containers of the engine that run."""
    found: list[Container] = engine.client().containers.list(ignore_removed=True)
    return found


def published(container: Container) -> set[int]:
    """Return the ports of the engine's machine that a running container has."""
    ports = container.attrs["NetworkSettings"]["Ports"] or {}
    return {int(binding["HostPort"]) for bindings in ports.values() for binding in bindings or []}


def create(  # noqa: PLR0913 - what a container is made of
    image: str,
    request: Request,
    *,
    name: str,
    home: str,
    added: str,
    user: tuple[int, int],
    environment: Mapping[str, str],
    relabel: bool,
    labels: Mapping[str, str],
    notes: Mapping[str, str],
) -> Container:
    """Make a lab's container, which does not run yet; ``home`` is the volume of its home folder.

    ``added`` is the volume of added packages; empty, they are the container's own and go with it.

    It has no capability, can get none, and publishes its one port where the request says. ``labels`` are whose it is,
    also of the volume, and ``notes`` more labels. With ``relabel`` the notebooks get SELinux' label of files that
    containers share. Raises docker's APIError.
    """
    volume = Mount(HOME, home, type="volume", labels=dict(labels))
    # A new one is filled from the image: with folders that everybody may write in.
    own = {**labels, ADDED_LABEL: str(user[0])}
    packages = [Mount(ADDED, added, type="volume", labels=own, read_only=request.read_only)] if added else []
    # A mount cannot say `z`, and a bind can have no colon in its path: so each where it is needed.
    notebooks = [] if relabel else [Mount(INSIDE, str(request.notebooks), type="bind")]
    # Typed by hand: the SDK's own types know neither tmpfs nor nano_cpus as keywords of this call.
    options: dict[str, Any] = {
        "mounts": [volume, *notebooks, *map(_mount, request.mounts), *packages],
        # Not as text: out of "/here:/there:z" the SDK would make one more volume, of the name "/there:z".
        "volumes": {str(request.notebooks): {"bind": INSIDE, "mode": "z"}} if relabel else {},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": _PIDS,
        "read_only": request.read_only,
        "tmpfs": _TMPFS if request.read_only else {},
        "device_requests": _gpus(request.gpus),
    }
    if request.memory:
        options["mem_limit"] = request.memory
    if request.cpus:
        options["nano_cpus"] = int(request.cpus * 10**9)
    return engine.client().containers.create(
        image,
        name=name,
        labels={**labels, **notes},
        # R writes its history where it is started, which is the notebooks' folder.
        environment={
            "R_HISTFILE": f"{HOME}/.Rhistory",
            **environment,
            "PORT": str(request.port),
            "JUPYTER_TOKEN_FILE": TOKEN_FILE,
        },
        ports={f"{request.port}/tcp": (request.address, request.port)},
        user="{}:{}".format(*user),
        **options,
    )


def _mount(bind: Bind) -> Mount:
    kind = cast("Literal['bind', 'volume']", bind.kind)
    return Mount(bind.target, bind.source, type=kind, read_only=bind.read_only)


def _gpus(text: str) -> list[DeviceRequest]:
    """Return what ``docker run --gpus`` asks the engine for."""
    if not text:
        return []
    gpu = [["gpu"]]
    if text.startswith("device="):
        return [DeviceRequest(device_ids=text.removeprefix("device=").split(","), capabilities=gpu)]
    return [DeviceRequest(count=-1 if text == "all" else int(text), capabilities=gpu)]


def give_token(container: Container, token: str, user: tuple[int, int]) -> None:
    """Put the token into a container's home folder, as a file that the lab's user alone can read.

    So it is in no environment that `docker inspect` shows, and needs no file of this machine that another id may read.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(_TOKEN)
        member.size, member.mode = len(token), 0o400
        member.uid, member.gid = user
        archive.addfile(member, io.BytesIO(token.encode()))
    container.put_archive(HOME, packed.getvalue())


def environment(container: Container) -> dict[str, str]:
    """Return the environment that a container was given."""
    return dict(entry.split("=", 1) for entry in container.attrs["Config"]["Env"] if "=" in entry)


def log_lines(container: Container, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a container's log, without their ends; with ``follow`` also those to come, until it ends."""
    rest = b""
    for chunk in container.logs(stream=True, follow=follow):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def memory(container: Container) -> tuple[int, int]:
    """Return the bytes that a running container uses, and its limit: this machine's memory where it has none.

    As `docker stats` counts: without files that are only cached. Source: docker stats' manual, "Description".
    """
    found = cast("dict[str, Any]", container.stats(stream=False, one_shot=True))["memory_stats"]
    details = found.get("stats", {})
    cached = details.get("inactive_file", details.get("total_inactive_file", 0))
    return int(found.get("usage", 0)) - int(cached), int(found.get("limit", 0))


def ask(container: Container, command: Sequence[str]) -> str:
    """Run a command in a container that runs, as its own user, and return what it printed; nothing where it fails."""
    limited = ["timeout", str(_ASK_TIMEOUT), *command]
    try:
        status, said = container.exec_run(limited, stderr=False)
    except APIError:
        # It has ended in the meantime, or is paused.
        return ""
    return cast("bytes", said).decode(errors="replace") if status == 0 else ""


def ask_beside(image: str, volume: str, command: Sequence[str], *, uid: str, labels: Mapping[str, str]) -> str:
    """Run a command of an image beside a volume of added packages that nobody uses, and return what it printed.

    It can change nothing and reach nobody; its container carries ``labels`` and goes at once. Nothing is returned where
    it fails, as with an image that has no such command.
    """
    client = engine.client()
    container = None
    try:
        container = client.containers.create(
            image,
            entrypoint=["timeout", str(_ASK_TIMEOUT), *command],
            mounts=[Mount(ADDED, volume, type="volume", read_only=True, no_copy=True)],
            user=uid,
            labels=dict(labels),
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )
        container.start()
        status = container.wait(timeout=_ASK_TIMEOUT + 10)["StatusCode"]
        return container.logs(stdout=True, stderr=False).decode(errors="replace") if status == 0 else ""
    except (APIError, RequestException):
        return ""
    finally:
        if container is not None:
            container.remove(force=True)
