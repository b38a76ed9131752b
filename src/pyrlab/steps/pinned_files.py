"""What pinned files say of themselves, where this machine has them: nothing is fetched for that."""

from collections.abc import Mapping
from pathlib import Path

from debian.deb822 import Deb822
from packaging.requirements import Requirement

from pyrlab.adapters.debian import debs as deb_files
from pyrlab.adapters.python.metadata import requirements
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import python_of
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.python_tags import applies, environment
from pyrlab.model.settings import Settings
from pyrlab.steps import fetch


def control(settings: Settings, pin: DebPin) -> Mapping[str, str]:
    """Return the control fields of a deb; none where it is not at hand, or cannot be read."""
    return dict(Deb822(deb_files.control(fetch.store_of(settings), pin.sha256)))


def wheel(settings: Settings, pin: PythonPin, debs: DebsLock) -> Path | None:
    """Return the wheel of a pin, if it has one and it is at hand."""
    file = pin.file_for(debs.architecture)
    return fetch.store_of(settings).get(file.sha256) if file and file.is_wheel else None


def requirements_of(settings: Settings, pin: PythonPin, debs: DebsLock) -> list[Requirement]:
    """Return what a pinned wheel needs in these images; nothing where it is not at hand."""
    path = wheel(settings, pin, debs)
    values = environment(python=python_of(debs), architecture=debs.architecture)
    return [wanted for wanted in (requirements(path) if path else []) if applies(wanted.marker, values)]
