"""A trial's images: those that are there, and over them what other locks have otherwise. No lab stays one of these."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pyrlab.model import stages
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.sections import Section
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade import overlay
from pyrlab.model.upgrade.overlay import Overlay
from pyrlab.steps.images import INPUTS, Plan


@dataclass(frozen=True)
class BuiltImages:
    """Images that were built from ``locks``, under the tags of ``settings``."""

    settings: Settings
    locks: Locks

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self.settings, self.locks)

    def are_there(self, names: Iterable[str]) -> bool:
        """Tell whether the engine has these, and under their tags no others.

        A tag that it does not have BuildKit would ask a public registry for, where anybody may have taken the name.
        """
        return all(map(self._plan.is_current, names))


@dataclass(frozen=True)
class TrialPlan(Plan):
    """What images of ``trial`` locks are made of, over others that are there.

    ``locks`` are those of what they are put over, with the R packages of the trial.
    """

    trial: Locks
    overlays: Mapping[str, Overlay]
    tags: Mapping[str, str]

    @property
    def count(self) -> int:
        """How many packages are put over the images, or go from them."""
        found = self.overlays.values()
        debs = {pin.name for over in found for pin in over.debs} | {name for over in found for name in over.gone_debs}
        python = {pin.name for over in found for pin in over.python}
        python |= {name for over in found for name in over.gone_python}
        return len(debs) + len(python) + len({name for over in found for name in over.r})

    @cached_property
    def sections(self) -> dict[str, Section]:
        """All sections of the locks, the tools, and what is put over the images."""
        own = super().sections
        found = [overlay.sections(image, over, self.architecture) for image, over in self.overlays.items()]
        r = [f"{image.name}.r" for image in [self.settings.graph.with_r] if image]
        found += [[overlay.with_library_of(self.trial, own[name])] for name in r if name in own]
        return own | {section.name: section for each in found for section in each}

    @cached_property
    def dockerfile(self) -> str:
        """The text of the Dockerfile: all images' stages, of which few are needed, and the trial's."""
        text = overlay.render(self.settings.graph, self.overlays, self.tags, self.materials.template)
        return f"{super().dockerfile}\n{stages.stamped(text, self.sections, self.materials.recipe_digests)}"

    def stage_of(self, name: str) -> str:
        """Return the name of the stage that an image's trial is."""
        return overlay.stage_of(name)

    def labels(self, name: str) -> dict[str, str]:
        """Return an image's labels: those of the trial's locks. Its inputs are no image's that is built as a whole."""
        return Plan(self.settings, self.trial).labels(name) | {INPUTS: super().labels(name)[INPUTS]}


def plan(settings: Settings, trial: Locks, there: Iterable[BuiltImages], images: Collection[str]) -> TrialPlan | None:
    """Return how the images of a trial are made of those that are ``there``, with the least to install, if they can."""
    found: list[tuple[int, TrialPlan]] = []
    for base in there:
        if not base.are_there(images):
            continue
        overlays = {name: overlay.between(settings.graph, name, base.locks, trial) for name in images}
        fitting = {name: over for name, over in overlays.items() if over}
        if len(fitting) == len(overlays):
            locks = overlay.with_r_of(base.locks, trial)
            size = sum(over.size for over in fitting.values())
            tags = {name: base.settings.tag(name) for name in images}
            found.append((size, TrialPlan(settings, locks, trial, fitting, tags)))
    return min(found, key=lambda pair: pair[0])[1] if found else None
