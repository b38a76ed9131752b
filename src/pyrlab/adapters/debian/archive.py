"""Debian's archives without apt: which sources count, what packages they have, and which of them make the root."""

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pyrlab.adapters.debian import keys
from pyrlab.adapters.debian.indexes import Missed, Suite
from pyrlab.adapters.debian.keys import Get
from pyrlab.adapters.debian.source_reader import Listing, SourceReader
from pyrlab.adapters.http import NotThereError, Web, public
from pyrlab.errors import BuildError, NetworkError, UsageError
from pyrlab.model.debian import Index, Record, closure
from pyrlab.model.debian_sources import OF_R, Source, parse_sources
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.settings import Settings

log = logging.getLogger(__name__)

AGENT = "pyrlab"
THREADS = 4
_UNSTABLE = frozenset({"sid", "unstable", "experimental", "rc-buggy"})


@dataclass(frozen=True, slots=True)
class Archive:
    """What was read: all packages, and the optional sources whose suite the archive does not have."""

    index: Index
    missing: tuple[Source, ...]


def choose_root(settings: Settings, kept: Iterable[DebPin], *, architecture: str, web: Web) -> tuple[DebPin, ...]:
    """Return the packages of a root: the kept pins as far as the archive has them, and of the rest the newest.

    Raises UsageError, NetworkError and BuildError.
    """
    roots = settings.graph.root_debs
    index = read_index(settings, base_sources(settings), architecture=architecture, web=web)
    records = closure(index, ["apt", *roots], keep=[(pin.name, pin.version) for pin in kept])
    return tuple(pin_of(record, requested=record.name in roots) for record in records)


def read_index(settings: Settings, sources: Sequence[Source], *, architecture: str, web: Web) -> Index:
    """Return all packages of some of the settings' sources. Raises UsageError, NetworkError and BuildError."""
    archive = read(
        sources,
        architecture,
        lambda url: web.get(url, agent=AGENT).path.read_bytes(),
        get_key=keys.reader(settings),
        check_valid_until=settings.check_valid_until == "true",
    )
    for source in archive.missing:
        log.warning("there is no %s: nothing is taken from it", public(source.folder))
    return archive.index


def pin_of(record: Record, *, requested: bool) -> DebPin:
    """Return the pin of a package."""
    return DebPin(
        name=record.name,
        version=record.version,
        architecture=record.architecture,
        sha256=record.sha256,
        size=record.size,
        path=record.path,
        requested=requested,
    )


def base_sources(settings: Settings) -> tuple[Source, ...]:
    """Return the sources of all images: those that the settings name, or else Debian's own. Raises UsageError."""
    if not settings.apt_sources:
        return default_sources(settings.suite)
    sources = parse_sources(settings.apt_sources, settings.keys)
    if not sources:
        raise UsageError(
            "base.apt_sources has no line that begins with deb",
            remedy="write lines as in sources.list(5) in pyrlab.toml, or leave it empty for Debian's own mirrors",
        )
    return sources


def r_sources(settings: Settings) -> tuple[Source, ...]:
    """Return the sources that only R's images have, beside those of all images. Raises UsageError."""
    return parse_sources(settings.r_apt_sources, settings.keys, setting=OF_R)


def all_sources(settings: Settings) -> tuple[Source, ...]:
    """Return the sources of R's images: those of all images, and then R's own. Raises UsageError."""
    return (*base_sources(settings), *r_sources(settings))


def bases(settings: Settings) -> tuple[str, ...]:
    """Return the URIs that the paths of pins are relative to. Raises UsageError."""
    return tuple(dict.fromkeys(source.uri for source in all_sources(settings)))


def default_sources(suite: str) -> tuple[Source, ...]:
    """Return Debian's own sources of a release: itself, its updates and its security updates.

    Debian's keys say where its archive is: they are the archive's at DOMAIN, in ``ftpmaster@DOMAIN``, and its mirrors
    are reached as ``deb.DOMAIN``. Unstable has no updates; what else lacks them lacks them on the mirror too.
    """
    host = f"http://deb.{keys.debian_domain()}"
    release = Source(f"{host}/debian", suite, ("main",))
    if suite in _UNSTABLE:
        return (release,)
    return (
        release,
        replace(release, suite=f"{suite}-updates", optional=True),
        replace(release, uri=f"{host}/debian-security", suite=f"{suite}-security", optional=True),
    )


def snapshots_of(settings: Settings) -> str:
    """Return the URL of the snapshot archive, or nothing where there is none.

    Debian's own is for those who use Debian's own mirrors: who names others may be meant to ask nobody else.
    """
    if settings.snapshot or settings.apt_sources:
        return settings.snapshot
    return f"http://snapshot.{keys.debian_domain()}"


def unstable_source() -> Source:
    """Return the source of what a testing release lacks for a time."""
    return replace(default_sources("sid")[0], optional=True)


def read(  # noqa: PLR0913 - what is read, by whom it is brought, and what must hold of it
    sources: Sequence[Source],
    architecture: str,
    get: Get,
    *,
    get_key: Get | None = None,
    check_valid_until: bool = True,
    now: datetime | None = None,
) -> Archive:
    """Read the indexes of all sources, each checked against a Release file with a valid signature.

    ``get_key`` brings keys that are at a URL, where not ``get`` does.

    An archive without its security updates is no archive: what cannot be had or does not fit is an error, but for
    optional sources of which the archive does not even have the Release file.
    Raises UsageError, NetworkError and BuildError; no message shows a password.
    """
    now = now or datetime.now(UTC)
    ours = [source for source in sources if not source.architectures or architecture in source.architectures]

    def read_source(source: Source) -> list[Listing] | None:
        checked = replace(source, check_valid_until=check_valid_until and source.check_valid_until)
        return SourceReader(checked, architecture, get, get_key or get, now).listings()

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(read_source, ours))
    index = Index()
    for listings in found:
        for listing in listings or ():
            index.add(listing.text, weight=listing.weight)
    missing = tuple(source for source, listings in zip(ours, found, strict=True) if listings is None)
    return Archive(index, missing)


def suites(settings: Settings, *, architecture: str, web: Web) -> tuple[list[Suite], list[Missed]]:
    """Return the suites of the settings for looking things up in their indexes, and what cannot be had of them.

    Flat folders have no such indexes, and are left out. Raises UsageError.
    """
    found: list[Suite] = []
    missed: list[Missed] = []
    for source in all_sources(settings):
        if source.flat or (source.architectures and architecture not in source.architectures):
            continue
        checked = replace(source, check_valid_until=source.check_valid_until and settings.check_valid_until == "true")

        def read(path: str, folder: str = source.folder) -> Path:
            return web.get(f"{folder}/{path}", agent=AGENT).path

        reader = SourceReader(
            checked,
            architecture,
            lambda url: web.get(url, agent=AGENT).path.read_bytes(),
            keys.reader(settings),
            datetime.now(UTC),
        )
        shown = public(source.folder)
        try:
            release = reader.release()
        except (NetworkError, BuildError) as error:
            if source.optional and isinstance(error, NotThereError):
                continue
            missed.append(Missed(f"all indexes of {shown}", str(error)))
        else:
            if release:
                found.append(Suite(shown, source.components, release.files, release.by_hash, read))
    return found, missed
