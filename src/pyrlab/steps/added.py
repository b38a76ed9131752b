"""What was added to labs: looked at in a lab that runs, or in its volume; and volumes that are done with, removed.

What is adopted is noted before its volume goes: a run that is killed in between is finished by the next one, so no lab
ever starts with half of it.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from docker.models.volumes import Volume

from pyrlab.adapters import files
from pyrlab.adapters.docker import containers, tags, volumes
from pyrlab.model.added import Added
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import ADDED_LABEL, LAB_LABEL, LOOK_LABEL, NAME_LABEL
from pyrlab.steps.labs import Running

_COMMAND = ("list-added",)
_NOTE = "adopted.json"


def all_volumes(settings: Settings) -> dict[str, list[Volume]]:
    """Return the volumes of added packages that this workspace has, by the names of their labs."""
    found: dict[str, list[Volume]] = {}
    for volume in volumes.labelled({**settings.workspace.labels, ADDED_LABEL: ""}):
        found.setdefault(volumes.label(volume, NAME_LABEL), []).append(volume)
    return found


def image_of(volume: Volume) -> str:
    """Return the name of the image that a volume's lab is of."""
    return volumes.label(volume, LAB_LABEL)


def of_running(lab: Running) -> Added | None:
    """Return what was added to a lab that runs. None where it does not tell, as those of an earlier pyrlab."""
    return _read(containers.ask(lab.container, _COMMAND))


def stored(settings: Settings, found: Sequence[Volume]) -> Added | None:
    """Return what volumes hold, for the present image of their lab. None where that cannot be told."""
    labels = {**settings.workspace.labels, LOOK_LABEL: ""}
    every = []
    for volume in found:
        image = tags.image_of(settings.tag(image_of(volume)))
        if image is None:
            return None
        uid = volumes.label(volume, ADDED_LABEL)
        every.append(_read(containers.ask_beside(image, str(volume.name), _COMMAND, uid=uid, labels=labels)))
    told = [added for added in every if added is not None]
    return Added.together(told) if len(told) == len(every) else None


def of_lab(settings: Settings, lab: Running) -> Added | None:
    """Return what was added to a lab, whether it runs or not. None where that cannot be told."""
    if lab.runs:
        return of_running(lab)
    return Added() if lab.request.clean else stored(settings, all_volumes(settings).get(lab.name, []))


def _read(text: str) -> Added | None:
    try:
        return Added.parse(text)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def adopt(settings: Settings, texts: dict[Path, str], done_with: Iterable[Volume]) -> None:
    """Write lists, and remove the volumes of what they name now: both, or the next run does the rest.

    Raises LabError where a container still has one of the volumes.
    """
    names = [str(volume.name) for volume in done_with]
    # The note is the last one to be renamed: where it is, the lists are.
    files.write({**texts, _note(settings): json.dumps({"volumes": names})})
    finish(settings)


def finish(settings: Settings) -> None:
    """Remove the volumes whose packages a run has adopted. Raises LabError where a container still has one of them."""
    note = _note(settings)
    if not note.is_file():
        return
    names = set(files.read_json(note).get("volumes", ()))
    for container in containers.labelled({**settings.workspace.labels, LOOK_LABEL: ""}):
        # A run was killed while it looked.
        container.remove(force=True)
    for volume in volumes.labelled({**settings.workspace.labels, ADDED_LABEL: ""}):
        if volume.name in names:
            volumes.remove(volume)
    note.unlink()


def _note(settings: Settings) -> Path:
    return settings.workspace.work / _NOTE
