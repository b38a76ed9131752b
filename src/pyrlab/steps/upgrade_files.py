"""What the files that two sets of locks pin say of each other, read out of the store."""

from collections.abc import Mapping

from debian.deb822 import Deb822
from packaging.requirements import Requirement

from pyrlab.adapters.debian import debs
from pyrlab.adapters.python.metadata import requirements
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.lockset import Locks, python_of
from pyrlab.model.python_tags import applies, environment
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.bounds import Files
from pyrlab.model.upgrade.bumps import Member
from pyrlab.model.upgrade.compose import DEBS, PYTHON
from pyrlab.steps import fetch


def read_files(settings: Settings, locks: Locks, members: list[Member]) -> Files:
    """Return what the files of the packages that move say. What is not at hand, or cannot be read, says nothing."""
    moving = {member.package for member in members}
    debs_of = {name for ecosystem, name in moving if ecosystem == DEBS}
    python = {name for ecosystem, name in moving if ecosystem == PYTHON}

    pins = [pin for pin in locks.all_debs if pin.name in debs_of]
    return Files(_controls(settings, pins), _requirements(settings, locks, python))


def _controls(settings: Settings, pins: list[DebPin]) -> dict[str, Mapping[str, str]]:
    store = fetch.store_of(settings)
    return {pin.sha256: dict(Deb822(debs.control(store, pin.sha256))) for pin in pins}


def _requirements(settings: Settings, locks: Locks, names: set[str]) -> dict[str, list[Requirement]]:
    store, architecture = fetch.store_of(settings), locks.debs.architecture
    values = environment(python=python_of(locks.debs), architecture=architecture)
    found: dict[str, list[Requirement]] = {}
    for pin in (pin for lock in locks.python.values() for pin in lock.pins if pin.name in names):
        file = pin.file_for(architecture)
        path = store.get(file.sha256) if file and file.is_wheel else None
        if path:
            found[pin.name] = [wanted for wanted in requirements(path) if applies(wanted.marker, values)]
    return found
