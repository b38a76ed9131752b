"""Locking: from the lists to the locks, replaced together at the end or not at all."""

from collections.abc import Callable, Collection
from dataclasses import replace

from packaging.utils import canonicalize_name

from pyrlab.adapters import files, lock_files
from pyrlab.adapters.docker import engine
from pyrlab.adapters.lists_files import read_lists
from pyrlab.errors import StaleLockError, UsageError
from pyrlab.model.changes import Change
from pyrlab.model.locks.lockset import Earlier, differences
from pyrlab.model.settings import Settings
from pyrlab.model.wish import Wish
from pyrlab.steps.architecture import all_locked, told
from pyrlab.steps.lock_debian import lock_debian
from pyrlab.steps.lock_python import lock_python
from pyrlab.steps.root import ensure_root

Say = Callable[[str], None]


def lock(settings: Settings, wish: Wish, *, say: Say) -> dict[str, list[Change]]:
    """Make the locks that ``wish`` names, and return what changed by file. All are replaced at the end, or none.

    Debian's and R's packages are one solution of apt, so that naming either makes both.
    Raises ListError, StaleLockError, NetworkError, EngineError, BuildError or UsageError.
    """
    lists = read_lists(settings.project, settings.graph)
    architecture = settings.architecture or engine.find().architecture
    earlier = _earlier(settings, say)
    _check_known(wish, earlier)
    new_debs, new_r = earlier.debs, earlier.r
    if wish.kinds & {"debs", "r"}:
        new_debs, new_r = lock_debian(settings, lists, wish, earlier, architecture=architecture, say=say)
    if new_debs is None or new_debs.suite != settings.suite:
        raise StaleLockError(f"there is no debs.lock for {settings.suite}", remedy="nox -s lock")
    new_python = dict(earlier.python)
    if "python" in wish.kinds:
        below = ensure_root(settings, new_debs, say=say)
        new_python = lock_python(below, lists, wish, earlier, new_debs, say=say)
    new = Earlier(new_debs, new_python, new_r)
    return _replace(settings, earlier, new)


def _earlier(settings: Settings, say: Say) -> Earlier:
    """Return the locks as they are; a first one of another architecture starts from the versions that are locked."""
    earlier = lock_files.read_earlier(settings, warn=say)
    if not earlier.python and settings.locks_of:
        others = lock_files.read_earlier(replace(settings, locks_of=""), warn=say)
        return replace(earlier, python=others.python)
    return earlier


def check(settings: Settings, kinds: Collection[str]) -> None:
    """Raise StaleLockError unless the locks are whole and agree with the lists, those of each architecture.

    Needs neither network nor engine.
    """
    lists = read_lists(settings.project, settings.graph)
    locked = all_locked(settings)
    for one in locked:
        with told(one.architecture if len(locked) > 1 else ""):
            lock_files.read_locks(one).check(lists, one, kinds=kinds, architecture=one.locks_of or None)


def _replace(settings: Settings, old: Earlier, new: Earlier) -> dict[str, list[Change]]:
    """Write the locks that are new, and return what changed in each."""
    before, after = old.by_file(settings.graph), new.by_file(settings.graph)
    changed = {file: made for file, made in after.items() if made is not before.get(file)}
    settings.workspace.locks.mkdir(parents=True, exist_ok=True)
    files.write({settings.workspace.locks / file: made.render() for file, made in changed.items()})
    return differences(before, changed)


def _check_known(wish: Wish, old: Earlier) -> None:
    """Raise UsageError when a package to upgrade is in no lock: a typing error would upgrade nothing, silently."""
    # R's packages go by the names of their debs, too: an error about one names it so.
    debs = [deb.name for deb in old.r.all_debs] if old.r else []
    known = {canonicalize_name(name.split(" ")[0]) for name in (*old.names(), *debs)}
    unknown = sorted(name for name in wish.upgrade_packages if canonicalize_name(name) not in known)
    if unknown:
        raise UsageError(f"no lock has a package {', '.join(unknown)}", remedy="check the name in the lock")
