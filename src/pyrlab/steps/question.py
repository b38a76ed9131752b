"""Questions that are answered where the packages will live: lock stages, with files in and files out."""

import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from pyrlab.adapters.docker import buildkit
from pyrlab.model import stages
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.secrets import lock_secrets
from pyrlab.model.sections import Section
from pyrlab.model.settings import Settings
from pyrlab.steps.materials import ROOT, Materials, cache_id

Say = Callable[[str], None]
DOCKERFILE = "lock.Dockerfile"


@dataclass(frozen=True)
class Below:
    """The root that questions are put in: its packages, which are fetched already, and its architecture."""

    settings: Settings
    pins: tuple[DebPin, ...]
    architecture: str

    def ask(self, kind: str, request: Mapping[str, str], *options: str, say: Say) -> Path:
        """Put ``request``, as files, to the lock stage of this kind, and return the folder of the answer.

        Raises what ``buildkit.bake`` raises.
        """
        materials = Materials(self.settings)
        sections = [materials.root(self.pins), materials.tools(self.architecture)]
        materials.provide(sections, r="", architecture=self.architecture, say=say)
        folder = materials.work / f"lock-{kind}"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "request").mkdir(parents=True)
        for name, text in request.items():
            (folder / "request" / name).write_text(text, encoding="utf-8")
        (materials.work / DOCKERFILE).write_text(self._dockerfile(materials, sections), encoding="utf-8")
        target = {
            "context": ROOT,
            "dockerfile": f"../{DOCKERFILE}",
            "target": f"lock-{kind}",
            "contexts": {**materials.contexts(), "request": f"lock-{kind}/request"},
            # Each question is asked anew: the archive and the index move, and BuildKit's cache does not know.
            "args": {"run": uuid.uuid4().hex, "options": " ".join(options)},
            "output": [f"type=local,dest=lock-{kind}/answer"],
        }
        call = buildkit.Bake(
            materials.work,
            {f"lock-{kind}": target},
            secrets=lock_secrets(self.settings, _certificates(self.settings)),
            reach=self.settings.uses_loopback,
        )
        buildkit.bake(call, say=say)
        return folder / "answer"

    def _dockerfile(self, materials: Materials, sections: Iterable[Section]) -> str:
        lock = Template(materials.template("lock")).substitute(cache=cache_id(self.settings, self.architecture))
        text = "\n".join([materials.template("root"), materials.template("tools"), lock])
        return stages.stamped(text, {section.name: section for section in sections}, materials.recipe_digests)


def _certificates(settings: Settings) -> str:
    return settings.ca_file.read_text(encoding="utf-8") if settings.ca_file else ""
