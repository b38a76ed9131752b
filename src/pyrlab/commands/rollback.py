"""`rollback` and `history`: the locks and images of before an upgrade, and bringing them back."""

from collections.abc import Callable

from pyrlab.adapters import lock_files
from pyrlab.adapters.docker import engine
from pyrlab.errors import UsageError
from pyrlab.model.settings import Settings
from pyrlab.steps import generations
from pyrlab.steps.generations import Generation

Say = Callable[[str], None]


def rollback(settings: Settings, *, say: Say) -> Generation:
    """Bring back the locks and images of the latest generation, and return it. Labs that run are not touched.

    A generation that was kept on an engine of another architecture is none of this one's.

    Raises UsageError when none is kept.
    """
    engine.find()
    kept = [one for one in generations.all_of(settings) if _is_of(settings, one)]
    if not kept:
        raise UsageError("no generation is kept to go back to", remedy="git log -- '*.lock' has the locks of before")
    gone = generations.apply(settings, generations.restoring(settings, kept[0]))
    if gone:
        say(f"the engine no longer has {', '.join(gone)}: nox -s build makes them from the locks")
    return kept[0]


def _is_of(settings: Settings, generation: Generation) -> bool:
    locked = lock_files.architecture_of(generation.folder)
    return not (locked and settings.architecture) or locked == settings.architecture


def history(settings: Settings) -> list[Generation]:
    """Return the kept generations, the latest first."""
    return generations.all_of(settings)
