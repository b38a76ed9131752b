"""`build`: from the locks to the images. Nothing is resolved here: what no lock has is not installed."""

from collections.abc import Callable, Collection, Mapping, Sequence

from pyrlab.adapters.docker import engine
from pyrlab.adapters.docker.r_output import CompileError
from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.lock_files import read_locks
from pyrlab.errors import BuildError, GoneError, PyrlabError
from pyrlab.model.changes import Change
from pyrlab.model.settings import Settings
from pyrlab.model.wish import Wish
from pyrlab.steps import locking
from pyrlab.steps.architecture import told
from pyrlab.steps.images import Plan
from pyrlab.steps.lookups import find_files

Say = Callable[[str], None]


def build(
    settings: Settings, names: Sequence[str], *, locked: bool, say: Say, warn: Callable[[dict[str, list[Change]]], None]
) -> None:
    """Build the images called ``names``, or all, with what they stand on.

    Where the archive has dropped pinned packages, just these are locked anew, and ``warn`` is told what changed; when
    ``locked``, that is a GoneError. Raises StaleLockError when the locks do not agree with the lists.
    """
    graph = settings.graph
    wanted = [graph.find_image(name).name for name in names] or list(graph.images)
    for _ in range(3):
        lists = read_lists(settings.project, graph)
        with told(settings.emulated):
            locks = read_locks(settings)
            locks.check(lists, settings, architecture=settings.architecture or engine.find().architecture)
        try:
            return _build(Plan(settings, locks), wanted, say)
        except GoneError as gone:
            if locked:
                raise
            # Also that a snapshot archive could not be asked: with it the pins might have stayed.
            say(str(gone))
            # A lock without --upgrade keeps every pin that can still be had: exactly the repair that is needed.
            warn(locking.lock(settings, Wish(kinds=frozenset({"debs", "r"})), say=say))
    raise BuildError("the archive changes faster than it can be locked", remedy="try again later, or use a snapshot")


def _build(plan: Plan, wanted: Sequence[str], say: Say) -> None:
    old = [name for name in wanted if not plan.is_current(name)]
    if not old:
        say(f"nothing to do: {', '.join(wanted)} {'are' if len(wanted) > 1 else 'is'} what the locks say")
        return
    say(f"building {', '.join(old)}")
    try:
        plan.build(old, say=say)
    except CompileError as error:
        raise _with_debs(error, plan, say) from error


def _with_debs(error: CompileError, plan: Plan, say: Say) -> CompileError:
    """Return the error with the Debian packages that have what a compiler or the loader missed, where some do."""
    found: Mapping[str, Collection[str]]
    try:
        found = find_files(plan.settings, error.missing, architecture=plan.architecture, say=say)
    except (PyrlabError, OSError):
        # Why the compile failed is what the user must see.
        found = {}
    debs = sorted({*error.debs, *(deb for carriers in found.values() for deb in carriers)})
    if debs:
        error.remedy = f"add {' or '.join(debs)} to r_debs.txt, then: nox -s lock -- debs"
    return error
