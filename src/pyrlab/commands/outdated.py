"""`outdated`: what is newer than the locks. Asks the archive, the index and the repositories, and changes nothing."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from packaging.version import Version

from pyrlab.adapters import lock_files
from pyrlab.adapters.cran import repository
from pyrlab.adapters.debian import archive
from pyrlab.adapters.http import THREADS, NotThereError
from pyrlab.adapters.lists_files import read_lists
from pyrlab.errors import StaleLockError
from pyrlab.model.debian import Index
from pyrlab.model.debian_sources import Source
from pyrlab.model.lists import Lists
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import Earlier, glibc_of, names_of, python_of
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.outdated import PythonLocked, Row, RWorld, base_row, commit_rows, debian_rows, python_rows, r_rows
from pyrlab.model.python_releases import Newest, newest
from pyrlab.model.python_tags import tags
from pyrlab.model.settings import Settings
from pyrlab.steps import base, fetch
from pyrlab.steps.pinned_files import requirements_of

Say = Callable[[str], None]


def outdated(settings: Settings, *, say: Say) -> list[Row]:
    """Return a row for each name in the lists, and for the base image. Needs a network, and no engine.

    Raises StaleLockError, ListError, NetworkError, BuildError and UsageError.
    """
    lists = read_lists(settings.project, settings.graph)
    locks = lock_files.read_earlier(settings, warn=say)
    debs = locks.debs
    if debs is None or debs.suite != settings.suite:
        raise StaleLockError(f"there is no debs.lock for {settings.suite}", remedy="nox -s lock")
    rows = _base_image(settings, debs, say)
    say(f"reading the archive of Debian {settings.suite}")
    of_debs, index = _debs(settings, lists, debs)
    rows += of_debs
    rows += _python(settings, lists, locks, debs, say)
    return rows + _r(settings, lists, locks, debs, index, say)


def _base_image(settings: Settings, debs: DebsLock, say: Say) -> list[Row]:
    """Return the row of the image that the settings name: none, where the root is bootstrapped."""
    image = settings.base_image
    if not image:
        return []
    say(f"asking the registry for {image}")
    try:
        newest = base.resolve(settings, architecture=debs.architecture)
    except NotThereError:
        newest = ""
    return [base_row(image, debs.base, newest)]


def _debs(settings: Settings, lists: Lists, debs: DebsLock) -> tuple[list[Row], Index]:
    """Return the rows of Debian's packages, and what there is for R's images.

    What the archives have is checked by signature and hashes, as for locking.
    """
    web = fetch.debian_web(settings)

    def index(sources: Sequence[Source]) -> Index:
        return archive.read_index(settings, sources, architecture=debs.architecture, web=web)

    for_all = index(archive.base_sources(settings))
    if not settings.r_apt_sources:
        return debian_rows(lists.all_debs, debs, for_all), for_all
    for_r = index(archive.all_sources(settings))
    of_r = {image.name for image in settings.graph.of_r}
    rows = [
        row
        for name, requests in lists.debs.items()
        for row in debian_rows(requests, debs, for_r if name in of_r else for_all)
    ]
    return rows, for_r


def _python(settings: Settings, lists: Lists, locks: Earlier, debs: DebsLock, say: Say) -> list[Row]:
    """Return the rows of all Python lists; a name that several images list has a row for each lock that differs."""
    say("asking the Python index")
    rows: dict[Row, None] = {}
    for image in settings.graph.with_python:
        requests, lock = lists.python[image.name], locks.python.get(image.name)
        pins = {pin.name: pin for pin in (lock.pins if lock else ())}
        found = _newest(settings, sorted({request.name for request in requests}), pins.values(), debs)
        target = f"Python {python_of(debs)} on {debs.architecture}"
        locked = PythonLocked(pins, target, lambda pin: requirements_of(settings, pin, debs))
        rows.update(dict.fromkeys(python_rows(requests, locked, found)))
    return list(rows)


def _newest(
    settings: Settings, names: Sequence[str], pins: Iterable[PythonPin], debs: DebsLock
) -> dict[str, Newest | None]:
    index = fetch.python_index(settings)
    python = python_of(debs)
    fitting = tags(python=python, glibc=glibc_of(debs), architecture=debs.architecture)
    early = {pin.name for pin in pins if Version(pin.version).is_prerelease}

    def look(name: str) -> Newest | None:
        try:
            return newest(index.page(name), fitting, python=python, prereleases=name in early)
        except NotThereError:
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(names, pool.map(look, names), strict=True))


def _r(  # noqa: PLR0913, PLR0917 - what one run knows
    settings: Settings, lists: Lists, locks: Earlier, debs: DebsLock, index: Index, say: Say
) -> list[Row]:
    if locks.r is None:
        return []
    repositories = repository.connect(settings, r=locks.r.r, architecture=debs.architecture)
    if repositories:
        say(f"reading the indexes of {', '.join(repositories)}")
    rows = r_rows(lists.r, locks.r, RWorld(names_of(settings), repositories, index))
    return [*rows, *commit_rows(lists.r_commits, locks.r)]
