"""The project under test: its settings and locks, what each lab holds by them, and what a test needs of that."""

import functools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrlab.adapters.docker import engine
from pyrlab.adapters.lock_files import read_locks
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.errors import UsageError
from pyrlab.model.graph import DEBS_LOCK, Graph, lock_of
from pyrlab.model.locks.debs import ROOT
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.proof import language_of
from pyrlab.model.settings import Settings
from pyrlab.model.urls import FILE
from pyrlab.steps.architecture import chosen


@functools.cache
def load() -> "Project":
    """Return the project in the current folder. Raises PyrlabError."""
    settings = chosen(read_settings(Path.cwd(), os.environ), engine.find_server())
    return Project(settings, read_locks(settings))


@dataclass(frozen=True, slots=True)
class Contents:
    """What the locks say that one lab holds: debs and R packages as versions by name.

    ``lists`` are the locks of the lab's own lists, by ecosystem: a lab has no list of another.
    """

    debs: Mapping[str, str]
    python: tuple[PythonPin, ...]
    r: Mapping[str, str]
    lists: Mapping[str, str]

    def names(self, kind: str) -> set[str]:
        """Return the names of the packages of one ecosystem: ``debs``, ``python`` or ``r``."""
        return {pin.name for pin in self.python} if kind == "python" else set(getattr(self, kind))

    def lacks(self, needs: Mapping[str, Sequence[str]], exempt: Mapping[str, str]) -> str:
        """Return why a test with these needs does not run in this lab, or nothing."""
        for kind, wanted in needs.items():
            if kind not in self.lists:
                return f"it has no list of {'R' if kind == 'r' else 'Python'} packages"
            missing = [name for name in wanted if name not in self.names(kind)]
            if missing:
                return f"{self.lists[kind]} has no {', '.join(missing)}"
            for name in wanted:
                if same(name) in exempt:
                    return f"{name} is exempt: {exempt[same(name)]}"
        return ""


@dataclass(frozen=True, slots=True)
class ProofNotebook:
    """A notebook of the user's: its file, its path below the project, its lab and language, and how it is run."""

    file: Path
    path: str
    lab: str
    language: str
    parameters: Mapping[str, object]
    timeout: int


@dataclass(frozen=True)
class Project:
    """The settings and the locks of the project under test."""

    settings: Settings
    locks: Locks

    @property
    def graph(self) -> Graph:
        """The images and labs."""
        return self.settings.graph

    @functools.cached_property
    def exempt(self) -> dict[str, str]:
        """The reasons of [smoke.exempt] in pyrlab.toml, by name as ``same`` writes it.

        Raises UsageError for a name that no lock has.
        """
        known = {same(name): name for lab in self.graph.labs for name in self._names(lab)}
        unknown = sorted(name for name in self.settings.smoke_exempt if same(name) not in known)
        if unknown:
            raise UsageError(
                f"{FILE}: [smoke.exempt] names {', '.join(unknown)}, which no lock has",
                remedy="remove it, or write the name as it stands in the lock",
            )
        return {same(name): reason for name, reason in self.settings.smoke_exempt.items()}

    def proof_notebooks(self) -> list[ProofNotebook]:
        """Return the notebooks of [proof], sorted. Raises UsageError for a glob without any, or one that is none."""
        proof, folder = self.settings.proof, self.settings.project
        found: dict[str, Path] = {}
        for glob in proof.notebooks:
            files = [path for path in folder.glob(glob) if path.is_file() and ".ipynb_checkpoints" not in path.parts]
            if not files:
                raise UsageError(f"{FILE}: proof.notebooks: no file is {glob}", remedy="it is relative to the project")
            found |= {path.relative_to(folder).as_posix(): path for path in files}
        return [self._proof_notebook(name, path) for name, path in sorted(found.items())]

    def _proof_notebook(self, name: str, path: Path) -> ProofNotebook:
        try:
            language = language_of(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, AttributeError) as error:
            raise UsageError(f"{name} is no notebook: {error}", remedy="take it out of proof.notebooks") from error
        lab = self.settings.proof.lab_of(name, language, self.graph)
        return ProofNotebook(
            file=path,
            path=name,
            lab=lab.image,
            language=next(spoken for spoken in lab.kernels.values() if spoken.lower() == language.lower()),
            parameters=self.settings.proof.parameters_of(name),
            timeout=self.settings.proof.timeout,
        )

    def lab_of(self, test: str) -> str:
        """Return the lab of a test, by pytest's node id, as in ``…::test_starts[pylab]``; nothing if it has none."""
        parameters = test.partition("[")[2].removesuffix("]")
        named = [lab for lab in self.graph.labs if f"{parameters}-".startswith(f"{lab}-")]
        return max(named, key=len, default="")

    def contents(self, lab: str) -> Contents:
        """Return what the locks say that a lab holds."""
        graph, locks = self.graph, self.locks
        lineage = graph.lineage(lab)
        pins = [pin for name in (ROOT, *(image.name for image in lineage)) for pin in locks.debs.sections.get(name, ())]
        lists = {"debs": DEBS_LOCK}
        python = {pin.name: pin for pin in locks.shared_python(graph)}
        r_packages: dict[str, str] = {}
        for image in lineage:
            if image.python:
                lists["python"] = lock_of(image.python)
                python |= {pin.name: pin for pin in locks.python[image.name].pins}
            if image.r and locks.r:
                lists["r"] = lock_of(image.r)
                pins += locks.r.debs
                r_packages = {pin.name: pin.version for pin in locks.r.packages}
        return Contents(
            # A later section replaces what an earlier one has under the same name.
            debs={pin.name: pin.version for pin in pins},
            python=tuple(python.values()),
            r=r_packages,
            lists=lists,
        )

    def _names(self, lab: str) -> set[str]:
        contents = self.contents(lab)
        return {name for kind in ("debs", "python", "r") for name in contents.names(kind)}


def same(name: str) -> str:
    """Return a name as it is compared: Python takes ``_``, ``.`` and ``-`` for the same, and case for nothing."""
    return re.sub(r"[-_.]+", "-", name).lower()
