"""The containers and volumes of a run of the smoke tests: all its processes label theirs alike; none outlives it."""

import os
import secrets
import socket

import docker
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from pyrlab.adapters.temporary import is_alive

# Its helper image cannot be had in a closed network. We clean up by label instead.
testcontainers_config.ryuk_disabled = True

LABEL = "io.pyrlab.smoke"
# Workers of pytest-xdist have it from the process that started them.
VARIABLE = "PYRLAB_SMOKE_RUN"


def begin_run() -> None:
    """Give this run its name, and remove what killed runs on this machine have left."""
    os.environ[VARIABLE] = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    _remove(LABEL, killed=True)


def end_run() -> None:
    """Remove all that this run has made, also in workers that were killed, and in starts that failed half-way."""
    _remove(f"{LABEL}={os.environ[VARIABLE]}", killed=False)


def of_this_run() -> dict[str, str]:
    """Return the labels by which a container or a volume is known as this run's."""
    return {LABEL: os.environ[VARIABLE]}


def docker_client() -> docker.DockerClient:
    """Return a client of the engine that testcontainers uses. The caller closes it."""
    return DockerContainer("none").get_docker_client().client


def _remove(label: str, *, killed: bool) -> None:
    client = docker_client()
    try:
        for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
            if not killed or _is_left(container.labels[LABEL]):
                container.remove(force=True, v=True)
        for volume in client.volumes.list(filters={"label": label}):
            if not killed or _is_left(volume.attrs["Labels"][LABEL]):
                volume.remove(force=True)
    finally:
        client.close()


def _is_left(run: str) -> bool:
    """Tell whether a run was one of this machine, and is dead."""
    host, pid, _ = run.rsplit("-", 2)
    return host == socket.gethostname() and not is_alive(int(pid))
