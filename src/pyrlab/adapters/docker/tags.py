"""Tags of images: which image has one, giving and taking them. Nothing is copied."""

from http import HTTPStatus

from docker.errors import APIError, ImageNotFound

from pyrlab.adapters.docker import engine


def image_of(tag: str) -> str | None:
    """Return the id of the image that ``tag`` names, or None."""
    try:
        return str(engine.client().images.get(tag).id)
    except ImageNotFound:
        return None


def give(image: str, tag: str) -> bool:
    """Let ``tag`` name the image with this id. Returns whether the engine still has it."""
    name, _, version = tag.rpartition(":")
    try:
        engine.client().images.get(image).tag(name, version)
    except ImageNotFound:
        return False
    return True


def take(tag: str) -> None:
    """Remove a tag, and its image where no other tag names it. One that a container uses stays, with its tag."""
    try:
        engine.client().images.remove(tag, noprune=False)
    except ImageNotFound:
        return
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise


def size_of(tag: str) -> int | None:
    """Return the size of an image in bytes, or None where there is none."""
    try:
        return int(engine.client().images.get(tag).attrs["Size"])
    except ImageNotFound:
        return None
