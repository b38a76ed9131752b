"""A base image as one of the engine's own: brought from its registry for a bundle, and found where it came in one."""

from collections.abc import Iterator
from contextlib import contextmanager

from docker.errors import ImageNotFound

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine, room
from pyrlab.errors import NetworkError

TIMEOUT = 3600.0


@contextmanager
def named(reference: str, tag: str) -> Iterator[None]:
    """Let the engine have an image of a registry, called ``tag`` for this while. Raises NetworkError, NoRoomError.

    Builds keep its layers, but no image of it. A name that it has already, out of a bundle, stays.
    """
    had = bool(layers(tag))
    try:
        process.run(["docker", "pull", "--quiet", reference], timeout=TIMEOUT)
    except process.CommandError as error:
        host = reference.partition("/")[0]
        raise room.of(error.output, error.detail) or NetworkError(
            f"the engine cannot bring the base image {reference}",
            remedy=f"its words say why; docker login {host}, where it wants a user",
            detail=error.detail,
        ) from error
    process.run(["docker", "image", "tag", reference, tag], timeout=60)
    try:
        yield
    finally:
        if not had:
            process.run(["docker", "image", "rm", "--no-prune", tag], timeout=60)


def layers(tag: str) -> list[str]:
    """Return the digests of an image's unpacked layers, the lowest first; none where it is not there."""
    try:
        image = engine.client().images.get(tag)
    except ImageNotFound:
        return []
    return [str(layer) for layer in image.attrs["RootFS"]["Layers"]]
