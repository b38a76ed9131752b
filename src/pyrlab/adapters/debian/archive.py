"""Reads Debian archives without apt: signed Release files, the indexes that they vouch for, and the root's packages."""

import gzip
import hashlib
import logging
import lzma
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pysequoia
from debian import deb822

from pyrlab.adapters.debian import keys
from pyrlab.adapters.debian.indexes import Missed, Suite
from pyrlab.adapters.debian.keys import Get
from pyrlab.adapters.http import NotThereError, Web, is_web_page, public
from pyrlab.errors import BuildError, NetworkError, UsageError
from pyrlab.model.debian import PRIORITY, Index, Record, closure
from pyrlab.model.debian_release import IndexFile, Release
from pyrlab.model.debian_sources import OF_R, Source, parse_sources
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.settings import Settings

log = logging.getLogger(__name__)

AGENT = "pyrlab"
THREADS = 4
_UNSTABLE = frozenset({"sid", "unstable", "experimental", "rc-buggy"})
_SYNC_REMEDY = (
    "the mirror may be in the middle of an update: try again in some minutes, "
    "or name another mirror in base.apt_sources of pyrlab.toml"
)
_SOURCES_REMEDY = "check base.suite, base.apt_sources and r.apt_sources in pyrlab.toml"


@dataclass(frozen=True, slots=True)
class Listing:
    """The text of a Packages file that was checked, and the weight of its packages for ``Index.add``."""

    text: str
    weight: int


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
        return _Reader(checked, architecture, get, get_key or get, now).listings()

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

        reader = _Reader(
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


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one source at the moment ``now``."""

    source: Source
    architecture: str
    get: Get
    get_key: Get
    now: datetime

    def listings(self) -> list[Listing] | None:
        """Return the Packages files, or None for an optional suite that the archive does not have."""
        try:
            release = self.release()
        except NotThereError:
            if self.source.optional:
                return None
            raise NetworkError(
                f"there is no {self._shown('InRelease')}, nor a Release file beside it", remedy=_SOURCES_REMEDY
            ) from None
        if release is None:
            return [Listing(self._unlisted(), PRIORITY)]
        forms = self._indexes(release)
        return [Listing(self._index(alternatives, release), release.weight) for alternatives in forms]

    # ---- The Release file

    def release(self) -> Release | None:
        """Return what the Release file says, checked. None for a trusted flat folder without one.

        Raises NotThereError, NetworkError and BuildError.
        """
        text = self._release_text()
        if text is None:
            return None
        release = Release.parse(text, where=self._shown("Release"))
        self._check(release)
        return release

    def _release_text(self) -> str | None:
        """Return the signed text. None for a trusted flat folder without a Release file. Raises NotThereError."""
        text = self._unsigned() if self.source.trusted else self._signed()
        return None if text is None else text.decode("utf-8", errors="replace")

    def _signed(self) -> bytes:
        certs = keys.certificates(self.source.signed_by, self.get_key, self.now)
        try:
            signed = self._get("InRelease")
        except NotThereError:
            text = self._get("Release")
            try:
                signature = self._get("Release.gpg")
            except NotThereError:
                raise BuildError(
                    f"{self._shown('Release')} is not signed",
                    remedy="use a signed archive; or say [trusted=yes] in base.apt_sources if you trust this one",
                ) from None
            return self._verified(text, certs, signature)
        return self._verified(signed, certs, None)

    def _verified(self, signed: bytes, certs: list[pysequoia.Cert], signature: bytes | None) -> bytes:
        """Return the very bytes that a key of ours signed, and nothing that stands around them."""
        try:
            detached = None if signature is None else pysequoia.Sig.from_bytes(signature)
            verified = pysequoia.verify(bytes=signed, store=lambda _: certs, signature=detached)
            text = signed if detached else verified.bytes
        # pysequoia has no error of its own. Its texts go on with a stack of calls.
        except Exception as error:  # noqa: BLE001
            reason = str(error).partition("\n")[0]
            raise self._bad_signature(reason) from None
        if not verified.valid_sigs or text is None:
            raise self._bad_signature("no valid signature")
        return text

    def _bad_signature(self, reason: str) -> BuildError:
        signers = ", ".join(map(str, self.source.signed_by)) or "Debian's own keys"
        return BuildError(
            f"{self._shown('the Release file')} has no valid signature of {signers}",
            remedy="do not trust it: use another mirror; or for an archive with its own key, "
            "[signed-by=FINGERPRINT] in its line in pyrlab.toml, and the key's place in debian.keys",
            detail=reason,
        )

    def _unsigned(self) -> bytes | None:
        try:
            return self._get("Release")
        except NotThereError:
            pass
        try:
            lines = iter(self._get("InRelease").splitlines())
        except NotThereError:
            if self.source.flat:
                return None
            raise
        return b"\n".join(deb822.Deb822.split_gpg_and_payload(lines)[1])

    def _check(self, release: Release) -> None:
        """Raise BuildError for a Release file of another suite, or one that is too old."""
        source = self.source
        if not source.flat and not release.is_called(source.suite):
            raise BuildError(
                f"{self._shown('the Release file')} is not of {source.suite!r}: it calls itself "
                f"{' or '.join(filter(None, [release.codename, release.suite]))}",
                remedy=_SOURCES_REMEDY,
            )
        until = release.valid_until
        if until and until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        if source.check_valid_until and until and until < self.now:
            raise BuildError(
                "the archive's Release file is past its Valid-Until date",
                remedy='for a snapshot, or a mirror that stands still: check_valid_until = "no" in pyrlab.toml; '
                "else look at this machine's clock",
                detail=f"{self._shown('the Release file')} was valid until {until:%Y-%m-%d %H:%M} UTC",
            )

    # ---- Packages files

    def _indexes(self, release: Release) -> list[list[IndexFile]]:
        """Return the Packages files, each in its forms. Raises BuildError for a component without one."""
        if self.source.flat:
            found = [release.forms("Packages")]
            if not found[0]:
                raise self._lacks("Packages")
            return found
        indexes = []
        for component in self.source.components:
            forms = release.indexes(component, self.architecture)
            if not forms:
                raise self._lacks(f"{component}/binary-{self.architecture}/Packages")
            indexes += forms
        return indexes

    def _lacks(self, path: str) -> BuildError:
        return BuildError(
            f"{self._shown('the Release file')} lists no {path}",
            remedy="check suite, components and the engine's architecture against what this archive has: "
            "base.suite and base.apt_sources in pyrlab.toml",
        )

    def _index(self, forms: Sequence[IndexFile], release: Release) -> str:
        """Return the text of one Packages file, in the first form that can be had and fits the Release file."""
        failure: NetworkError | BuildError | None = None
        for form in forms:
            places = [form.by_hash, form.path] if release.by_hash else [form.path]
            for place in places:
                try:
                    return self._unpack(self._fitting(form, place), form.path)
                except (NotThereError, BuildError) as error:
                    failure = failure or error
        if failure is None or isinstance(failure, NotThereError):
            raise NetworkError(
                f"{self._shown(forms[0].path)} is not there, though its Release file lists it", remedy=_SYNC_REMEDY
            )
        raise failure

    def _fitting(self, form: IndexFile, place: str) -> bytes:
        content = self._get(place)
        if len(content) != form.size or hashlib.sha256(content).hexdigest() != form.sha256:
            raise BuildError(
                f"{self._shown(form.path)} does not fit its Release file: {len(content)} bytes, not {form.size}"
                if len(content) != form.size
                else f"{self._shown(form.path)} does not fit its Release file: it has another SHA-256",
                remedy=_SYNC_REMEDY,
            )
        return content

    def _unlisted(self) -> str:
        """Return the Packages file of a trusted folder that has no Release file."""
        for path in ("Packages.xz", "Packages.gz", "Packages"):
            try:
                return self._unpack(self._get(path), path)
            except NotThereError:
                continue
        raise NetworkError(f"there is no {self._shown('Packages')}", remedy=_SOURCES_REMEDY)

    def _unpack(self, content: bytes, path: str) -> str:
        try:
            if path.endswith(".xz"):
                content = lzma.decompress(content)
            elif path.endswith(".gz"):
                content = gzip.decompress(content)
            return content.decode("utf-8")
        except (lzma.LZMAError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise BuildError(f"{self._shown(path)} is damaged", remedy=_SYNC_REMEDY) from error

    # ---- All files

    def _get(self, path: str) -> bytes:
        """Return the bytes of a file. Raises NotThereError, and NetworkError for a web page in its place."""
        content = self.get(f"{self.source.folder}/{path}")
        if is_web_page(content):
            raise NetworkError(
                f"{self._shown(path)} is a web page, not a file of an archive",
                remedy="check base.apt_sources in pyrlab.toml, and whether a proxy or a login page answers instead",
            )
        return content

    def _shown(self, path: str) -> str:
        """Return the URL of a file, or ``path`` of the suite, as a message may show it."""
        if " " in path:
            return f"{path} in {public(self.source.folder)}"
        return public(f"{self.source.folder}/{path}")
