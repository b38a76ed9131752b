"""The use case `adopt`: what was added in a lab goes into the lists that its image has, and out of its volume."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pyrlab.adapters.docker import engine
from pyrlab.adapters.lists_files import read_list, read_lists
from pyrlab.errors import LabError, UsageError
from pyrlab.model import adoption
from pyrlab.model.adoption import Proposal
from pyrlab.model.settings import Settings
from pyrlab.steps import added, labs
from pyrlab.steps.labs import Running


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of the packages of the lab called ``name``; ``any`` tells whether there were some."""

    name: str
    proposal: Proposal
    any: bool


def adopt(settings: Settings, name: str) -> Adopted:
    """Write what was added to the lab ``name`` into the lists, and empty its volume. The lab must not be there.

    Raises UsageError for a name that nobody has, and for what no list can take; LabError for a lab that is there, or
    where what was added cannot be told; ListError for a list that cannot be read. Then nothing was changed.
    """
    engine.find()
    added.finish(settings)
    found = added.all_volumes(settings)
    lab = _find(settings, name, found)
    volumes = found.get(name, [])
    held = added.of_running(lab) if lab and lab.runs else added.stored(settings, volumes)
    if held is not None and not held.packages:
        return Adopted(name, Proposal(), any=False)
    if lab:
        # Its kernels have them loaded, pip may be at work, and only a new start has them from the image.
        raise LabError(
            f"{name} is there, and uses what was added to it", remedy=f"nox -s stop -- {name}; then adopt again"
        )
    image = added.image_of(volumes[0])
    settings.graph.find_lab(image)
    if held is None:
        raise LabError(
            f"what was added to {name} cannot be told, as there is no image of {image} that tells it",
            remedy=f"nox -s build -- {image}; then adopt again",
        )
    proposal = adoption.propose(held, read_lists(settings.project, settings.graph), settings.graph, lab=image)
    added.adopt(settings, _new_lists(settings, name, proposal), volumes)
    return Adopted(name, proposal, any=True)


def _find(settings: Settings, name: str, found: Mapping[str, object]) -> Running | None:
    """Return the lab that uses what was added, and None for one that runs without. Raises UsageError."""
    lab = labs.find(settings, name)
    if lab is None and name not in found and name not in settings.graph.labs:
        known = ", ".join(dict.fromkeys([*settings.graph.labs, *found]))
        raise UsageError(f"there is no lab called {name!r}", remedy=f"choose from: {known}")
    return None if lab and lab.request.clean else lab


def _new_lists(settings: Settings, name: str, proposal: Proposal) -> dict[Path, str]:
    """Return the lists that change, with their new texts. Raises ListError where one could not be read any more."""
    files = [file for image in settings.graph.images.values() for file in image.lists]
    before = {file: read_list(settings.project / file) for file in files}
    day = datetime.now().astimezone().date()
    after = {
        file: adoption.write_into(before[file], lines, lab=name, day=day) for file, lines in proposal.lines.items()
    }
    adoption.check(settings.graph, before, after)
    # Where a list is a link to a file, that file is the list.
    return {(settings.project / file).resolve(): text for file, text in after.items()}
