"""`lock`: from the lists to the locks, and whether they still agree."""

from collections.abc import Callable, Collection

from pyrlab.model.changes import Change
from pyrlab.model.settings import Settings
from pyrlab.model.wish import Wish
from pyrlab.steps import locking


def lock(settings: Settings, wish: Wish, *, say: Callable[[str], None]) -> dict[str, list[Change]]:
    """Make the locks that ``wish`` names, and return what changed by file. Raises what ``steps.locking`` raises."""
    return locking.lock(settings, wish, say=say)


def check(settings: Settings, kinds: Collection[str]) -> None:
    """Raise StaleLockError unless the locks are whole and agree with the lists. Needs neither network nor engine."""
    locking.check(settings, kinds)
