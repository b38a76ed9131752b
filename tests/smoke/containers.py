"""What a run of the smoke tests makes on the engine: all its processes label it alike, and none of it outlives them."""

import contextlib
import hashlib
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from pyrlab.adapters.temporary import is_alive

# Its helper image cannot be had in a closed network. We clean up by label instead.
testcontainers_config.ryuk_disabled = True

LABEL = "io.pyrlab.smoke"
# Workers of pytest-xdist have it from the process that started them.
VARIABLE = "PYRLAB_SMOKE_RUN"
_NAME = re.compile(r"(?P<place>[0-9a-f]{12})-(?P<pid>\d+)-[0-9a-f]{8}")


def begin_run() -> None:
    """Give this run its name, and remove what killed runs have left."""
    os.environ[VARIABLE] = f"{_place()}-{os.getpid()}-{secrets.token_hex(4)}"
    _remove(LABEL, is_left)


def end_run() -> None:
    """Remove all that this run has made, also in workers that were killed, and in starts that failed half-way."""
    try:
        _remove(f"{LABEL}={os.environ[VARIABLE]}", lambda _: True)
    except (DockerException, requests.RequestException) as error:
        # How the tests ended is known, and stays.
        sys.stderr.write(f"labs under test may still be there; the next run removes them: {error}\n")


def of_this_run() -> dict[str, str]:
    """Return the labels by which a container, a volume or an image is known as this run's."""
    return {LABEL: os.environ[VARIABLE]}


def is_left(run: str) -> bool:
    """Tell whether a run is dead for certain, by its name: one elsewhere may live, or one whose id is somebody's now.

    What has another form is not ours to judge.
    """
    name = _NAME.fullmatch(run)
    return name is not None and name["place"] == _place() and not is_alive(int(name["pid"]))


def docker_client() -> docker.DockerClient:
    """Return a client of the engine that testcontainers uses. The caller closes it."""
    return DockerContainer("none").get_docker_client().client


def _place() -> str:
    """Return what tells processes with ids of this kind from others: this boot of the machine, and the namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        ids = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        boot, ids = "", 0
    return hashlib.sha256(repr([socket.gethostname(), boot, ids]).encode()).hexdigest()[:12]


def _remove(label: str, wanted: Callable[[str], bool]) -> None:
    client = docker_client()
    try:
        for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
            if wanted(container.labels[LABEL]):
                with _unless_gone():
                    container.remove(force=True, v=True)
        for volume in client.volumes.list(filters={"label": label}):
            if wanted(volume.attrs["Labels"][LABEL]):
                with _unless_gone():
                    volume.remove(force=True)
        for image in client.api.images(filters={"label": label}):
            if wanted(image["Labels"][LABEL]):
                with _unless_gone():
                    client.images.remove(image["Id"], force=True)
    finally:
        client.close()


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over what is gone by now, and what somebody else is removing or still has: the next run takes that."""
    try:
        yield
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
