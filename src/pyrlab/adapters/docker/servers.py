"""Containers of servers that outlive a run, on this machine's own network, with what they are given as files."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from docker.errors import ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import Mount

from pyrlab.adapters.docker import engine

# Where a server finds what it is given.
GIVEN = "/given"


def has_image(tag: str) -> bool:
    """Tell whether the engine has an image."""
    try:
        engine.client().images.get(tag)
    except ImageNotFound:
        return False
    return True


def find(name: str) -> Container | None:
    """Return the container of this name, which may be stopped."""
    try:
        return engine.client().containers.get(name)
    except NotFound:
        return None


def has_file(container: Container, path: str) -> bool:
    """Tell whether a container that runs has a file."""
    return bool(container.exec_run(["test", "-e", path]).exit_code == 0)


def start(  # noqa: PLR0913 - what a server's container is made of
    image: str,
    command: Sequence[str],
    *,
    name: str,
    user: str,
    folder: str,
    given: Mapping[str, str],
    label: str,
) -> Container:
    """Start a server that comes back with the engine until it is removed. ``folder`` is kept in a volume of its name.

    It is on the network of the engine's machine, where build steps reach it, and has no rights but its user's. What it
    is ``given``, texts by name, may be secret: `docker inspect` does not show it, nor the proxies of Docker's own
    configuration. Raises docker's APIError.
    """
    # Typed by hand: the SDK's own type wants a key that this policy has not.
    options: dict[str, Any] = {"restart_policy": {"Name": "unless-stopped"}, "use_config_proxy": False}
    container = engine.client().containers.create(
        image,
        entrypoint=list(command),
        name=name,
        user=user,
        network_mode="host",
        mounts=[Mount(folder, name, type="volume", labels={label: name})],
        labels={label: image},
        init=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        **options,
    )
    try:
        container.put_archive("/", _packed(given))
        container.start()
    except BaseException:
        container.remove(force=True)
        raise
    return container


def _packed(given: Mapping[str, str]) -> bytes:
    """Return a tar of the given texts, in a folder that everybody in the container may read, and nobody else sees."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        home = tarfile.TarInfo(GIVEN.lstrip("/"))
        home.type, home.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(home)
        for name, text in given.items():
            member = tarfile.TarInfo(f"{home.name}/{name}")
            member.size, member.mode = len(text.encode()), 0o444
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()
