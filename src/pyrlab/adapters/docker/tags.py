"""Images of the engine: which tag names one, giving and taking tags, and what all of it takes. Nothing is copied."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from docker.errors import APIError, ImageNotFound

from pyrlab.adapters.docker import engine
from pyrlab.model.cleaning import StoredImage


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
    remove(tag)


def size_of(tag: str) -> int | None:
    """Return the size of an image in bytes, or None where there is none."""
    try:
        return int(engine.client().images.get(tag).attrs["Size"])
    except ImageNotFound:
        return None


@dataclass(frozen=True, slots=True)
class Usage:
    """What the engine stores: its images, the ids of those that containers have, and bytes of all layers and caches."""

    images: Sequence[StoredImage]
    used: frozenset[str]
    layers: int
    build_cache: int


def usage() -> Usage:
    """Return what the engine stores. It may take seconds where there is much."""
    found: dict[str, Any] = engine.client().df()
    images = [
        StoredImage(
            image["Id"],
            tuple(tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"),
            image["Labels"] or {},
            # The engine has not always counted what is shared: then it is -1, and nothing is promised.
            max(image["Size"] - image["SharedSize"], 0) if image["SharedSize"] >= 0 else 0,
        )
        for image in found["Images"] or ()
    ]
    return Usage(
        images,
        frozenset(container["ImageID"] for container in found["Containers"] or ()),
        found.get("LayersSize") or 0,
        sum(record["Size"] for record in found["BuildCache"] or () if not record["Shared"]),
    )


def remove(image: str) -> None:
    """Remove an image, by its id or by a tag; one that a container uses, or that has more tags, stays."""
    try:
        engine.client().images.remove(image, noprune=False)
    except ImageNotFound:
        return
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
