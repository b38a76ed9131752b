"""Building images from the locks: which are not what the locks say, and the one call of BuildKit that makes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from docker.errors import ImageNotFound

from pyrlab import __version__
from pyrlab.adapters import git
from pyrlab.adapters.docker import buildkit, engine
from pyrlab.model import stages
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.sections import CA, TOOLS, Section, sections
from pyrlab.model.settings import Settings
from pyrlab.steps import brought
from pyrlab.steps.materials import ROOT, Materials, authorities, cache_id, seal

Say = Callable[[str], None]
DOCKERFILE = "Dockerfile"
INPUTS = "io.pyrlab.inputs"
# Docker's own configuration may have proxies, with passwords, which it would hand to every step, and to packages' code.
NO_PROXIES = {
    spelled: ""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
    for spelled in (name, name.lower())
}


@dataclass(frozen=True)
class Plan:
    """What the images of a project are made of, by its locks. Asks nothing of the engine, fetches nothing."""

    settings: Settings
    locks: Locks

    @cached_property
    def materials(self) -> Materials:
        """The build contexts."""
        return Materials(self.settings, self.locks.debs.snapshot)

    @cached_property
    def sections(self) -> dict[str, Section]:
        """All sections of the locks, and the tools."""
        recipe = self.materials.recipe_digests["r"]
        found = sections(self.settings.graph, self.locks, recipe=recipe, origin=self.materials.origin)
        found[TOOLS] = self.materials.tools(self.architecture)
        if self.settings.trust_ca and self.settings.ca_file:
            found[CA] = authorities(self.settings.ca_file)
        return found

    @property
    def architecture(self) -> str:
        """Debian's name of the architecture that the locks are for."""
        return self.locks.debs.architecture

    @cached_property
    def dockerfile(self) -> str:
        """The text of the Dockerfile."""
        cache = f"{cache_id(self.settings, self.architecture)}-r"
        text = stages.render(self.settings.graph, self.sections, self.materials.template, cache=cache)
        return stages.stamped(text, self.sections, self.materials.recipe_digests)

    @cached_property
    def stages(self) -> dict[str, stages.Stage]:
        """The Dockerfile's stages."""
        return stages.stages_in(self.dockerfile)

    @cached_property
    def keys(self) -> dict[str, str]:
        """What decides each stage's bytes, as a hash."""
        return stages.keys(self.stages, self.sections, self.materials.recipe_digests)

    def stage_of(self, name: str) -> str:
        """Return the name of the stage that an image is."""
        return name

    def labels(self, name: str) -> dict[str, str]:
        """Return an image's OCI labels: what it is, its source, its locks, and one hash of all its inputs."""
        digests = self.locks.bodies(self.settings.graph)
        labels = {
            "org.opencontainers.image.title": name,
            "org.opencontainers.image.version": __version__,
            **{f"io.pyrlab.{lock}": digests[lock] for lock in self.settings.graph.locks_of(name)},
            INPUTS: f"sha256:{self.keys[self.stage_of(name)]}",
        }
        # A candidate's image is the project's own as soon as it is promoted.
        labels |= self.settings.of_variant("").workspace.labels
        source = git.origin(self.settings.project)
        return {**labels, "org.opencontainers.image.source": source} if source else labels

    def is_current(self, name: str) -> bool:
        """Tell whether an image is there that was made from the very inputs of the locks."""
        try:
            image = engine.client().images.get(self.settings.tag(name))
        except ImageNotFound:
            return False
        return bool(image.labels.get(INPUTS) == f"sha256:{self.keys[self.stage_of(name)]}")

    def build(self, names: Sequence[str], *, say: Say) -> None:
        """Fetch what these images pin, and build them. Raises what ``fetch`` and ``buildkit.bake`` raise."""
        wanted = stages.needed(self.stages, map(self.stage_of, names))
        # The root's folder is the context of all builds: a base image, too, which takes nothing out of it.
        needed = {ROOT} | {section for stage in wanted for section in self.stages[stage].sections}
        r = self.locks.r.r if self.locks.r else ""
        chosen = [section for name, section in self.sections.items() if name in needed]
        contexts = self.materials.provide(chosen, r=r, architecture=self.architecture, say=say)
        work = self.materials.work
        (work / DOCKERFILE).write_text(self._dockerfile_here(), encoding="utf-8")
        secrets = {"seal": seal(self.settings), "limits": self._limits()}
        targets = {name: self._target(name, contexts) for name in names}
        buildkit.bake(buildkit.Bake(work, targets, secrets=secrets, platform=self.settings.platform), say=say)

    def _dockerfile_here(self) -> str:
        """Return the Dockerfile for this engine: a base image that came in a bundle has another name there.

        An engine takes no image by a registry's digest that it did not get from that registry.
        """
        base = self.locks.debs.base
        if base is None or not brought.is_here(self.settings, base):
            return self.dockerfile
        return self.dockerfile.replace(f"FROM {base.reference} ", f"FROM {base.here} ")

    def _target(self, name: str, contexts: Mapping[str, str]) -> Mapping[str, object]:
        return {
            "context": ROOT,
            "dockerfile": f"../{DOCKERFILE}",
            "target": self.stage_of(name),
            "contexts": contexts,
            "tags": [self.settings.tag(name)],
            "labels": self.labels(name),
            "args": NO_PROXIES,
            # Into the engine, whatever builder is in use.
            "output": ["type=docker"],
        }

    def _limits(self) -> str:
        """Return the options of the step that compiles R packages: they bound its time and memory, not its bytes."""
        jobs = [f"--jobs={self.settings.jobs}"] if self.settings.jobs else []
        return " ".join([*jobs, f"--timeout={self.settings.compile_timeout}"])
