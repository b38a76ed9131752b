"""The root below all images: which packages it holds, and that they are at hand."""

from collections.abc import Callable, Iterable, Sequence

from pyrlab.adapters.debian import archive
from pyrlab.errors import GoneError, HashMismatchError
from pyrlab.model.locks.debs import ROOT, DebPin, DebsLock
from pyrlab.model.sections import deb_section
from pyrlab.model.settings import Settings
from pyrlab.model.wish import Wish
from pyrlab.steps import fetch
from pyrlab.steps.base import new_base
from pyrlab.steps.question import Below

Say = Callable[[str], None]


def ensure_root(settings: Settings, lock: DebsLock, *, say: Say) -> Below:
    """Return the root that ``lock`` pins, its files fetched. Raises GoneError when one cannot be had any more."""
    pins = lock.sections[ROOT]
    if lock.base:
        return Below(settings, pins, lock.architecture, lock.base)
    section = deb_section(ROOT, pins)
    fetch.fetch(settings, [section], r="", architecture=lock.architecture, say=say, snapshot=lock.snapshot)
    return Below(settings, pins, lock.architecture)


def root_for(settings: Settings, wish: Wish, old: DebsLock | None, *, architecture: str, say: Say) -> Below:
    """Return the root that a lock run stands on; ``old`` is the earlier lock of this suite, if there is one.

    Raises what ``new_root`` and ``new_base`` raise.
    """
    same = old if old and old.architecture == architecture else None
    if settings.base_image:
        base = same.base if same else None
        if same and base and base.image == settings.base_image and wish.keeps("debs", base.image):
            return ensure_root(settings, same, say=say)
        return new_base(settings, architecture=architecture, say=say)
    pins = same.sections[ROOT] if same and not same.base else ()
    kept = [pin for pin in pins if wish.keeps("debs", pin.name)]
    whole = bool(pins) and len(kept) == len(pins) and all(pin.path for pin in pins)
    return new_root(settings, kept, whole=whole, architecture=architecture, say=say)


def new_root(settings: Settings, kept: Sequence[DebPin], *, whole: bool, architecture: str, say: Say) -> Below:
    """Return a bootstrapped root: the kept pins as far as they can be had, and of the rest the newest.

    ``whole`` tells that the kept pins are a whole root: where all their files are to be had, the archive is not asked.
    Raises NetworkError, or BuildError, and HashMismatchError when the archive has other bytes for a pinned version.
    """
    if whole:
        try:
            fetch.fetch(settings, [deb_section(ROOT, kept)], r="", architecture=architecture, say=say)
        except GoneError:
            pass
        else:
            return Below(settings, tuple(kept), architecture)
    say(f"reading the archive of Debian {settings.suite}")
    pins = archive.choose_root(settings, kept, architecture=architecture, web=fetch.debian_web(settings))
    same_bytes(kept, pins)
    fetch.fetch(settings, [deb_section(ROOT, pins)], r="", architecture=architecture, say=say)
    return Below(settings, pins, architecture)


def same_bytes(pins: Iterable[DebPin], made: Iterable[DebPin]) -> None:
    """Raise HashMismatchError when the archive now gives other bytes for a version that is pinned."""
    locked = {(pin.name, pin.version, pin.architecture): pin.sha256 for pin in pins}
    # What a base image has installed is of no archive.
    for pin in (pin for pin in made if pin.has_file):
        expected = locked.get((pin.name, pin.version, pin.architecture), pin.sha256)
        if expected != pin.sha256:
            raise HashMismatchError(
                f"the archive has other bytes than debs.lock for {pin.name} {pin.version}",
                remedy=f"find out why before you trust it: nox -s lock -- --upgrade-package {pin.name} takes it as is",
            )
