"""Volumes: found by their labels, and removed."""

from collections.abc import Mapping

from docker.errors import APIError, NotFound
from docker.models.volumes import Volume

from pyrlab.adapters.docker import engine
from pyrlab.errors import LabError


def labelled(labels: Mapping[str, str]) -> list[Volume]:
    """Return the volumes that carry all these labels, by name; with an empty value, any of that name."""
    wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
    found: list[Volume] = engine.client().volumes.list(filters={"label": wanted})
    return sorted(found, key=lambda volume: str(volume.name))


def label(volume: Volume, name: str) -> str:
    """Return what one of a volume's labels says, or nothing."""
    return str((volume.attrs.get("Labels") or {}).get(name, ""))


def remove(volume: Volume) -> None:
    """Remove a volume with all that is in it. Raises LabError where a container has it."""
    try:
        volume.remove()
    except NotFound:
        return
    except APIError as error:
        raise LabError(
            f"the volume {volume.name} cannot be removed",
            remedy=f"remove the container that has it: docker ps --all --filter volume={volume.name}",
            detail=error.explanation or "",
        ) from error
