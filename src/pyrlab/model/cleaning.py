"""Which images of an engine are a project's own and of no use any more."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pyrlab.model.settings import Settings

# Variants that an upgrade works in, and generations.
_VARIANT = re.compile(r"candidate|newest|g\d{1,6}")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of the engine. ``own_size`` are the bytes of it that no other image has."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    own_size: int


@dataclass(frozen=True, slots=True)
class Stale:
    """Tags to take, and the image that goes with them where ``image`` has its id; ``freed`` are at least its bytes."""

    image: str
    tags: tuple[str, ...]
    freed: int


def stale_images(
    settings: Settings, images: Iterable[StoredImage], *, kept_tags: Collection[str], kept_ids: Collection[str]
) -> list[Stale]:
    """Return what may go of a project's images: those of candidates, and those that a later build has replaced.

    ``kept_tags`` are of generations that are kept, ``kept_ids`` what containers and generations have. A tag that pyrlab
    has not given is somebody's own, and keeps its image.
    """
    own = settings.of_variant("").workspace.labels
    kept_tags = {*kept_tags, *map(settings.tag, settings.graph.images)}
    found = []
    for image in images:
        if any(image.labels.get(name) != value for name, value in own.items()):
            continue
        tags = tuple(tag for tag in image.tags if tag not in kept_tags and _is_variant(settings, tag))
        if len(tags) < len(image.tags):
            if tags:
                found.append(Stale("", tags, 0))
        elif image.id not in kept_ids:
            # Its last tag stays where a container has it: Docker takes neither.
            found.append(Stale(image.id, tags, image.own_size))
    return sorted(found, key=lambda stale: (stale.tags, stale.image))


def _is_variant(settings: Settings, tag: str) -> bool:
    """Tell whether a tag is one that an upgrade of this project gives."""
    for name in settings.graph.images:
        variant = tag.removeprefix(f"{settings.tag(name)}-")
        if variant != tag and _VARIANT.fullmatch(variant):
            return True
    return False
