"""Fetching: brings every file that sections of the locks pin into the store, by SHA-256, before anything is built.

This machine fetches, not the build: so build steps need no network, a repository may be a folder, and no proxy,
certificate or password ever enters a build. Who gives a file does not matter: its hash decides.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from pyrlab.adapters.cran import github, repository
from pyrlab.adapters.debian import archive
from pyrlab.adapters.debian.snapshots import Snapshots, file_of
from pyrlab.adapters.http import Web, hide, public
from pyrlab.adapters.python.index import PythonIndex
from pyrlab.adapters.store import Store
from pyrlab.errors import GoneError, HashMismatchError, NetworkError, PyrlabError
from pyrlab.model import commits, servers
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.locks.r import RPin
from pyrlab.model.sections import PinnedFile, Section
from pyrlab.model.settings import Settings

Say = Callable[[str], None]
AGENT = "pyrlab"


def store_of(settings: Settings) -> Store:
    """Return the store of files that all projects of this user share."""
    return Store(settings.cache / "files")


def debian_web(settings: Settings, kind: servers.Kind = servers.DEBIAN) -> Web:
    """Return what downloads from Debian's archives: by the proxy for Debian packages, where there is one."""
    hide(settings.hidden)
    proxies = dict(settings.proxies)
    if settings.apt_proxy:
        proxies = {"HTTP_PROXY": settings.apt_proxy, "HTTPS_PROXY": settings.apt_proxy}
    return Web(settings.cache, ca_file=settings.ca_file, proxies=proxies, kind=kind)


def python_index(settings: Settings) -> PythonIndex:
    """Return the Python index of the settings."""
    web = Web(
        settings.cache,
        ca_file=settings.ca_file,
        proxies=settings.proxies,
        unverified_hosts=tuple(filter(None, [settings.python_trusted_host])),
        kind=servers.PYTHON,
    )
    return PythonIndex(web, settings.python_index)


def fetch(  # noqa: PLR0913 - what decides where files are, and whom to tell
    settings: Settings, sections: Iterable[Section], *, r: str, architecture: str, say: Say, snapshot: str = ""
) -> Store:
    """Make sure that the store has every file of these sections, and return it: it knows what it has verified.

    ``r`` is R's version as in 4.5.0, ``snapshot`` the time that debs.lock notes. Raises GoneError for debs that no
    archive has any more, HashMismatchError where only other bytes are to be had, and NetworkError.
    """
    store = store_of(settings)
    missing = {file.sha256: file for section in sections for file in section.files if store.get(file.sha256) is None}
    debs = [file for file in missing.values() if isinstance(file.pin, DebPin)]
    python = [file for file in missing.values() if isinstance(file.pin, PythonPin)]
    of_r = {file.pin.name: file.pin for file in missing.values() if isinstance(file.pin, RPin)}
    if debs:
        say(f"downloading {_amount(debs)} of Debian")
        _fetch_debs(settings, debs, snapshot=snapshot, architecture=architecture)
    if python:
        say(f"downloading {_amount(python)} for Python")
        _fetch_python(settings, python)
    lacking = [pin for pin in of_r.values() if not any(store.get(file.sha256) for file in pin.files)]
    if lacking:
        say(f"downloading {len(lacking)} R package{_s(lacking)}")
        _fetch_r(settings, lacking, r=r, architecture=architecture, say=say)
    return store


def _s(many: Sequence[object]) -> str:
    return "" if len(many) == 1 else "s"


def _amount(files: Sequence[PinnedFile]) -> str:
    megabytes = sum(file.size for file in files) / 1e6
    return f"{len(files)} package{_s(files)} ({megabytes:.0f} MB)"


def _fetch_debs(settings: Settings, files: Sequence[PinnedFile], *, snapshot: str, architecture: str) -> None:
    web = debian_web(settings)
    places = archive.bases(settings)
    pins = [file.pin for file in files if isinstance(file.pin, DebPin)]
    wanted = {file_of(pin, [f"{base}/{pin.path}" for base in places]): pin for pin in pins}
    dropped = sorted(wanted[file] for file in web.fetch_all([*wanted], agent=AGENT))
    if dropped:
        _fetch_dropped(settings, web, dropped, snapshot=snapshot, architecture=architecture)


def _fetch_dropped(settings: Settings, web: Web, pins: Sequence[DebPin], *, snapshot: str, architecture: str) -> None:
    """Bring what mirrors have dropped from the snapshot archive. Raises GoneError for what is nowhere to be had."""
    url = archive.snapshots_of(settings)
    lost, outcome = list(pins), ""
    if url:
        outcome = f"nor has the snapshot archive {public(url)}"
        try:
            lost = Snapshots(debian_web(settings, servers.SNAPSHOT), url, snapshot).fetch_all(pins)
        except NetworkError as error:
            # A network without a way there is no reason to lose the way out: to lock anew.
            lost = [pin for pin in pins if web.cached(pin.sha256) is None]
            outcome = str(error)
    if lost:
        packages = sorted(f"{pin.name} {pin.version}" for pin in lost)
        raise GoneError(packages, moves=_moves(settings, web, lost, architecture), snapshot=outcome)


def _moves(settings: Settings, web: Web, pins: Sequence[DebPin], architecture: str) -> list[str]:
    """Return what locking anew would do with each of these packages; nothing where the archive does not say."""
    with suppress(PyrlabError):
        index = archive.read_index(settings, archive.all_sources(settings), architecture=architecture, web=web)
        newest = {pin.name: index.versions(pin.name)[:1] for pin in sorted(pins)}
        return [
            f"moves {name} to {found[0].version}" if found else f"has to do without {name}"
            for name, found in newest.items()
        ]
    return []


def _fetch_python(settings: Settings, files: Sequence[PinnedFile]) -> None:
    index = python_index(settings)
    pairs = [
        (file.pin, file.file) for file in files if isinstance(file.pin, PythonPin) and isinstance(file.file, PythonFile)
    ]
    index.fetch_all(pairs)


def _fetch_r(settings: Settings, pins: Sequence[RPin], *, r: str, architecture: str, say: Say) -> None:
    repositories: dict[str, repository.Repository | github.GitHub] = {
        commits.NAME: github.connect(settings),
        **repository.connect(settings, r=r, architecture=architecture),
    }
    for pin in pins:
        _bring(repositories, pin, say)


def _bring(repositories: Mapping[str, repository.Repository | github.GitHub], pin: RPin, say: Say) -> None:
    """Bring a package's binary, or where that is not to be had any more, its source."""
    *others, last = sorted(pin.files, key=lambda file: file.kind)
    source = repositories[pin.repository]
    for file in others:
        try:
            source.fetch(pin.name, file)
        except (NetworkError, HashMismatchError) as error:
            say(f"{error}; the source of {pin.name} that is locked beside it is compiled instead")
            continue
        return
    source.fetch(pin.name, last)


def names_in_store(store: Store, section: Section) -> Iterator[tuple[str, str]]:
    """Yield (name, SHA-256) of the files of a section that the store has: of R packages one of their files will do."""
    for file in section.files:
        if not isinstance(file.pin, RPin) or store.get(file.sha256):
            yield file.name, file.sha256
