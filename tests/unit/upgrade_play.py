"""Plays random upgrades: the whole command on a machine without an engine, from locks to promotion."""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from graphs import TEXT
from machine import Machine, Project, running, settings_text
from upgrade_machines import (
    ANY,
    FLAKY,
    IMAGES,
    LISTS,
    NEWER,
    OLDER,
    PYTHON,
    R_DEB,
    Moving,
    R,
    RandomUpgrade,
    words,
)

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.lock_files import read_locks
from pyrlab.commands.build import build
from pyrlab.commands.upgrade import Upgrade, upgrade
from pyrlab.errors import PyrlabError
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.verdicts import INSTALLS
from pyrlab.model.wish import KINDS, Wish
from pyrlab.steps import proof
from pyrlab.steps.candidate import CANDIDATE
from pyrlab.steps.images import INPUTS, Plan
from pyrlab.steps.proof import FAILED, PASSED, Outcome, Proof

EVERYTHING = Wish(frozenset(KINDS), upgrade=True)
# How often a flaky test fails: so often it fails twice, too, and is no longer known for what it is.
FLAKINESS = 0.2


@contextmanager
def played(world: RandomUpgrade, folder: Path) -> Iterator[Project]:
    """Yield a project that is locked and built at the old versions; the archives have the new ones since."""
    with pytest.MonkeyPatch.context() as patch:
        project_folder = folder / "project"
        (project_folder / "docker").mkdir(parents=True)
        (project_folder / "docker/images.toml").write_text(TEXT, encoding="utf-8")
        machine = running(folder / "machine", patch)
        project = Project(project_folder, machine)
        project.toml = settings_text(machine, repositories=("debian", "mine"))
        for list_name in sorted(set(LISTS.values())):
            listed = [one.name for one in world.packages.values() if one.listed and LISTS[one.kind] == list_name]
            project.write(list_name, *listed)
        publish(world, machine, 1)
        project.lock()
        build(project.settings, (), locked=True, say=project.said.append, warn=lambda _: None)
        publish(world, machine, 2)
        patch.setattr(proof, "prove", Pytest(world).prove)
        patch.setattr(machine, "_bake", Breaking(world, project, machine).bake)
        yield project


def publish(world: RandomUpgrade, machine: Machine, number: int) -> None:
    """Put all packages that have this version into the archives."""
    with machine.at_once():
        for package in world.packages.values():
            if number in package.versions:
                _add(machine, package, number)


def _add(machine: Machine, package: Moving, number: int) -> None:
    needs, version = package.needs[number].items(), package.version(number)
    if package.kind == PYTHON:
        machine.add_wheel(package.name, version, *(f"{other}{spec}" for other, spec in needs))
    elif package.kind == R:
        imports = ", ".join(_r_relation(other, spec) for other, spec in needs)
        machine.add_r(package.name, version, Imports=imports)
    elif package.kind == R_DEB:
        machine.add_r_deb(package.name, version, *(_r_relation(other, spec) for other, spec in needs))
    else:
        relations = (_deb_relation(*need) for need in needs)
        machine.add_deb(package.name, version, *relations, **_fields(package, number))


def _r_relation(other: str, spec: str) -> str:
    return {NEWER: f"{other} (>= 2.0)", OLDER: f"{other} (< 2.0)", ANY: other}[spec]


def _deb_relation(other: str, spec: str) -> str:
    return {NEWER: f"{other} (>= 2)", OLDER: f"{other} (<< 2)", ANY: other}[spec]


def _fields(package: Moving, number: int) -> dict[str, str]:
    source = {"Source": package.source} if package.source else {}
    breaks = ", ".join(f"{other} (<< 2)" for other in sorted(package.breaks))
    return source | ({"Breaks": breaks} if breaks and number == 2 else {})


def installed(locks: Locks) -> dict[str, str]:
    """Return the versions of all packages in the locks; R's have their own names."""
    found = {pin.name: pin.version for pin in locks.debs.pins()}
    found |= {pin.name: pin.version for pin in locks.r.debs} if locks.r else {}
    found |= {pin.name: pin.version for pin in locks.r.packages} if locks.r else {}
    return found | {pin.name: pin.version for lock in locks.python.values() for pin in lock.pins}


def new_in(world: RandomUpgrade, locks: Locks) -> set[str]:
    """Return the packages that are there in their new version."""
    return {name for name, version in installed(locks).items() if name in world.packages and version[0] == "2"}


def is_of(settings: Settings, locks: Locks, lab: str) -> bool:
    """Tell whether a lab's image is of these very locks, built as a whole, or by what it says of itself for a trial.

    What other locks have the same inputs for is not built again, and keeps the digests of the locks that it was built
    from.
    """
    plan = Plan(settings, locks)
    wanted = {key: value for key, value in plan.labels(lab).items() if key != INPUTS}
    there = engine.client().images.get(settings.tag(lab)).labels
    return plan.is_current(lab) or wanted.items() <= there.items()


@dataclass(frozen=True)
class Pytest:
    """Plays pytest."""

    world: RandomUpgrade

    def prove(self, settings: Settings, tests: Collection[str], outputs: Path, *, reruns: int = 0) -> Proof:
        """Take the place of ``proof.prove``: the images must be those of the workspace's locks."""
        locks = read_locks(settings)
        red = self.world.red(new_in(self.world, locks))
        outcomes = {}
        for test in sorted(tests) or self.world.tests:
            lab = re.findall(r"\[(\w+)\]", test)[0]
            assert is_of(settings, locks, lab), f"{lab} is not built for {test}"
            text = words(self.world, red[test]) if test in red else ""
            if test == FLAKY and all(self.world.dice.random() < FLAKINESS for _ in range(1 + reruns)):
                text = "TimeoutError: 42"
            outcomes[test] = Outcome(test, FAILED if text else PASSED, text=text)
        return Proof(outcomes, outputs)


@dataclass(frozen=True)
class Breaking:
    """Plays BuildKit: a build of the candidate fails where an image holds what cannot be installed."""

    world: RandomUpgrade
    project: Project
    machine: Machine

    def bake(self, work: Path) -> None:
        """Take the place of the machine's own."""
        settings = self.project.settings.of_variant(CANDIDATE)
        if work == settings.workspace.work:
            culprit = self.world.red(new_in(self.world, read_locks(settings))).get(INSTALLS)
            plan = (work / "bake.json").read_text(encoding="utf-8")
            images = IMAGES[self.world.packages[culprit.members[0]].kind] if culprit else set()
            if culprit and any(f'"{image}"' in plan for image in images):
                raise process.CommandError(["docker"], "ended with status 1", words(self.world, culprit), 1)
        type(self.machine)._bake(self.machine, work)  # noqa: SLF001 - it is the machine's own


@dataclass(frozen=True)
class Ended:
    """How an upgrade ended: what is wrong with it, and how many bumps are held, and had to be; ``took`` in seconds.

    ``flaky`` and ``blamed`` are the tests that it calls flaky, and those that it holds something back for.
    """

    world: RandomUpgrade
    faults: Sequence[str]
    held: int
    fewest: int
    trials: int
    took: float
    flaky: Collection[str] = ()
    blamed: Collection[str] = ()

    @property
    def green(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def minimal(self) -> bool:
        """Whether no more than needed is held."""
        return self.held == self.fewest


def play(world: RandomUpgrade, folder: Path) -> Ended:
    """Run an upgrade, and look at its end. That it fails is a fault of it."""
    with played(world, folder) as project:
        began = time.perf_counter()
        try:
            done = upgrade(project.settings, EVERYTHING, dry_run=False, say=project.said.append)
        except (PyrlabError, AssertionError) as error:
            return Ended(world, [f"{type(error).__name__}: {error}"], 0, world.fewest(), 0, time.perf_counter() - began)
        took = time.perf_counter() - began
        locks = project.locks
        held = {name for name, one in world.packages.items() if len(one.versions) == 2} - new_in(world, locks)
        faults = [*world.faults(installed(locks)), *_untold(world, done, held), *_unpromoted(project, locks)]
        fewest, judged = world.fewest(), done.judged
        blamed = {one.test for one in done.held} & set(judged.regressions)
        return Ended(world, faults, len(world.bumps(held)), fewest, done.trials, took, set(judged.flaky), blamed)


def _untold(world: RandomUpgrade, done: Upgrade, held: set[str]) -> list[str]:
    told = {one.name for one in done.held}
    wanted = held | {f"r-cran-{name}" for name in held if world.packages[name].kind == R_DEB}
    return [f"held.toml has {sorted(told)}, and held are {sorted(wanted)}"] if told != wanted else []


def _unpromoted(project: Project, locks: Locks) -> list[str]:
    plan = Plan(project.settings, locks)
    found = [f"{name} is not built" for name in project.settings.graph.images if not plan.is_current(name)]
    return found + [f"{tag} is left" for tag in project.machine.images if tag.endswith(f"-{CANDIDATE}")]
