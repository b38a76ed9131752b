"""Which architecture a run is about: the engine's own, or another one that it emulates; and where its locks lie."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace

from pyrlab.adapters import lock_files
from pyrlab.adapters.docker import engine
from pyrlab.adapters.docker.engine import Engine
from pyrlab.errors import EngineError, StaleLockError
from pyrlab.model import architectures
from pyrlab.model.graph import DEBS_LOCK
from pyrlab.model.settings import Settings


def chosen(settings: Settings, found: Engine, architecture: str = "") -> Settings:
    """Return the settings for ``architecture``, else for what the settings name, else for the engine's own.

    Raises EngineError where the engine runs no programs of that architecture.
    """
    wanted = architecture or settings.architecture or found.architecture
    if wanted != found.architecture and architectures.platform(wanted) not in engine.platforms():
        raise EngineError(
            f"the engine runs {found.architecture}, and no programs for {wanted}",
            remedy="install an emulator where the engine runs, on Debian and Ubuntu: sudo apt-get install "
            "qemu-user-static; or use an engine on that architecture",
        )
    apart = wanted in _apart(settings, new=wanted)
    return settings.of_architecture(wanted, own=found.architecture, apart=apart)


def all_locked(settings: Settings) -> list[Settings]:
    """Return the settings for each architecture that the project has locks for: those in its own folder first."""
    home = lock_files.architecture_of(settings.project)
    return [
        settings.of_architecture(home, own=home, apart=False),
        *(settings.of_architecture(name, own=name, apart=True) for name in _apart(settings)),
    ]


@contextlib.contextmanager
def told(architecture: str) -> Iterator[None]:
    """Let what is wrong with locks name their architecture, and its remedy make those, and not the engine's own.

    Nothing is told of an empty one: there are no others.
    """
    try:
        yield
    except StaleLockError as error:
        if not architecture:
            raise
        error.args = (f"{architecture}: {error}",)
        error.remedy = re.sub(r"nox -s lock( --)?", f"nox -s lock -- --architecture {architecture}", error.remedy)
        raise


def all_worked(settings: Settings) -> list[Settings]:
    """Return the settings for each work folder that there may be: the engine's own, and of what it emulates."""
    return [replace(settings, emulated=name) for name in ("", *architectures.KNOWN)]


def named(settings: Settings) -> Settings:
    """Return the settings for the locks of the architecture that the settings name, else for the project's own.

    For what asks no engine.
    """
    apart = settings.architecture in _apart(settings)
    return replace(settings, locks_of=settings.architecture if apart else "")


def _apart(settings: Settings, new: str = "") -> list[str]:
    """Return the architectures whose locks lie in folders of their names; a new one's do where it is not the first."""
    home = lock_files.architecture_of(settings.project)
    others = [name for name in architectures.KNOWN if name != home]
    return [name for name in others if (settings.project / name / DEBS_LOCK).exists() or (home and name == new)]
