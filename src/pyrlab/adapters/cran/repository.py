"""One CRAN-like repository: its index, what it archives, the files that it serves for a package, and their hashes."""

import html
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pyrlab.adapters.cran.package_file import fits, made_for, record_in
from pyrlab.adapters.http import (
    BadRequestError,
    Download,
    NotThereError,
    RefusedError,
    Web,
    hide,
    is_web_page,
    local_path,
    public,
)
from pyrlab.adapters.http_errors import Place
from pyrlab.errors import HashMismatchError, ListError, NetworkError
from pyrlab.model import servers
from pyrlab.model.cran import archive_index
from pyrlab.model.cran.archive_index import ArchiveIndex, versions_in
from pyrlab.model.cran.index import Index
from pyrlab.model.cran.record import Record, Unread
from pyrlab.model.cran.snapshot import Snapshot, codename_of, days_of
from pyrlab.model.cran.version import RVersion
from pyrlab.model.locks.r import RFile
from pyrlab.model.settings import Settings

log = logging.getLogger(__name__)

CONTRIB = "src/contrib"
AGENT = "pyrlab"
# Debian's names of architectures, and what R's platform says for them.
PLATFORMS = {"amd64": "x86_64-pc-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
# So many packages are named where many are to be told of.
SHOWN = 10
# So many bytes tell a web page.
HEAD = 200
_LINK = re.compile(r"""href\s*=\s*["']?([^"'>\s]+)""", re.IGNORECASE)


def connect(settings: Settings, *, r: str, architecture: str) -> dict[str, "Repository"]:
    """Return the CRAN-like repositories of the settings, by name; nothing is asked of them yet."""
    hide(one for repository in settings.r_repositories for one in repository.secrets)
    web = Web(settings.cache, ca_file=settings.ca_file, proxies=settings.proxies, kind=servers.R)
    return {
        one.name: Repository(one.name, one.url, web, r=r, architecture=architecture)
        for one in settings.r_repositories
        if one.url
    }


class Repository:
    """A repository by its name in the settings. ``r`` is like 4.5.0; ``architecture`` is Debian's, amd64 or arm64."""

    def __init__(self, name: str, url: str, web: Web, *, r: str, architecture: str) -> None:
        self.name = name
        self._url = url
        self._web = web
        self._minor = ".".join(r.split(".")[:2])
        platform = PLATFORMS.get(architecture, f"{architecture}-unknown-linux-gnu")
        self._machine, _, system = platform.partition("-")
        # Package managers look at this line to decide whether a binary fits. Source: R's own HTTPUserAgent option.
        self._r_agent = f"R ({r} {platform} {self._machine} {system.partition('-')[2]})"
        self._index: Index | None = None
        self._archive: ArchiveIndex | None = None
        # Whether the URL promises binaries, and the Built fields of those that were of no use, by package.
        self._promises_binaries = bool(codename_of(url))
        self._misfits: dict[str, str] = {}
        self._lock = Lock()

    def index(self) -> Index:
        """Return the index of current versions; it is read once. Raises NetworkError."""
        with self._lock:
            self._index = self._index or self._read_index()
            return self._index

    @property
    def names(self) -> Collection[str]:
        """All packages that the index has. Raises NetworkError, as all below."""
        return self.index().names

    def records(self, name: str) -> tuple[Record, ...]:
        """Return what the index has of one package, newest first."""
        return self.index().records(name)

    def archived(self, name: str) -> tuple[str, ...]:
        """Return the versions of a package in the Archive, newest first; none where the repository lists none.

        They are those of its folder; where folders are not shown, those that R's list of the Archive has.
        """
        versions = versions_in(name, self._listing(f"{CONTRIB}/Archive/{name}/"))
        if not versions:
            versions = versions_in(name, self._archive_index().files(name))
            # A dated snapshot may share its list with later ones, which have more old versions than it.
            newest = next((record.version for record in self.records(name)), None)
            versions = {text: version for text, version in versions.items() if not newest or version < newest}
        return tuple(sorted(versions, key=lambda text: (versions[text], text), reverse=True))

    def broken(self, name: str) -> tuple[str, ...]:
        """Return why what the index has of one package is of no use, as far as it is."""
        return self.index().broken(name)

    def needs(self, name: str) -> bool:
        """Tell whether any package in the index cannot be had without the package ``name``."""
        return self.index().needs(name)

    def describe(self, name: str, version: str) -> Record | Unread | None:
        """Return what the tarball of an archived version says of itself.

        Where that is something that R could not read either, the reason; None if the Archive has it not. Raises
        NetworkError.
        """
        path = f"{CONTRIB}/Archive/{name}/{name}_{version}.tar.gz"
        try:
            download = self._get(path, AGENT)
            return replace(record_in(download.path, name, RVersion.parse(version)), file=path)
        except (NotThereError, RefusedError):
            return None
        except ValueError as error:
            log.debug("%s: %s", path, error)
            return Unread(str(error))

    def files(self, record: Record) -> tuple[RFile, ...]:
        """Return what the repository serves for a record, hashed: its binary for our R, its source, or both.

        Source or binary is what the DESCRIPTION in the file says, not what the URL looks like.
        Raises NetworkError, HashMismatchError when the index has another hash, ListError when no file fits.
        """
        try:
            served = [self._served(record, self._r_agent)]
        except NotThereError:
            # A version that is locked, and no longer the newest.
            archived = _archived(record.name, record.file)
            if archived == record.file:
                raise
            record = replace(record, file=archived)
            served = [self._served(record, self._r_agent)]
        if served[0][1]:
            with suppress(NotThereError):
                served.append(self._served(record, AGENT))
        for file, _ in served:
            if file.kind == "source" and record.sha256 not in {"", file.sha256}:
                raise HashMismatchError(
                    f"{record.name}: {file.path} has another SHA-256 than the index of {self.name} says",
                    remedy="the repository is being changed, or is damaged: try again later, or ask who keeps it",
                )
        usable = sorted({file for file, built in served if fits(built, minor=self._minor, machine=self._machine)})
        if not fits(served[0][1], minor=self._minor, machine=self._machine):
            self._misfits[record.name] = served[0][1]
        if not usable:
            raise ListError(
                f"{record.name}: {self.name} has only a binary for another R or machine ({served[0][1]})",
                remedy="name a repository that has its source: add one to r.repositories of pyrlab.toml",
            )
        return tuple(usable)

    def missed(self, files: Mapping[str, Iterable[RFile]]) -> str:
        """Say which of these packages, by name, have no binary for our R where one could be expected; "" for none.

        It could where the URL promises binaries, or where the one that is served was made for another R or machine.
        """
        without = sorted(name for name, found in files.items() if all(file.kind == "source" for file in found))
        names = [name for name in without if self._promises_binaries or name in self._misfits]
        if not names:
            return ""
        shown = [f"{name}{made_for(self._misfits.get(name, ''))}" for name in names[:SHOWN]]
        if len(names) > SHOWN:
            shown.append(f"{len(names) - SHOWN} more")
        return f"{self.name} has no binary for R {self._minor} on {self._machine} of {', '.join(shown)}"

    def fetch(self, name: str, file: RFile) -> Path:
        """Return the locked file of package ``name``: from the cache, from its place, or from the Archive.

        Raises HashMismatchError when only other bytes are to be had, NotThereError when none are, NetworkError.
        """
        kept = self._web.cached(file.sha256)
        if kept:
            return kept
        filename = PurePosixPath(file.path).name
        changed = False
        refused: RefusedError | None = None
        for path in dict.fromkeys((file.path, _archived(name, file.path))):
            try:
                download = self._get(path, self._r_agent if file.kind == "binary" else AGENT)
            except NotThereError:
                continue
            except RefusedError as error:
                # Some servers say so of what is not there.
                refused = error
                continue
            if download.sha256 == file.sha256:
                return download.path
            with download.path.open("rb") as found:
                if is_web_page(found.read(HEAD)):
                    raise Place(self._at(path), servers.R).web_page(f"{name} {filename}")
            changed = True
        if changed:
            raise HashMismatchError(
                f"{name}: {filename} in {self.name} is not the file that was locked",
                remedy="find out why its bytes changed under the same version; "
                f"`nox -s lock -- --upgrade-package {name}` takes it as it is",
            )
        if refused:
            raise refused
        raise NotThereError(
            f"{name}: {self.name} has {filename} no longer, neither at {file.path} nor in its Archive",
            remedy=f"nox -s lock -- --upgrade-package {name}",
        )

    def _read_index(self) -> Index:
        for name in ("PACKAGES.gz", "PACKAGES"):
            try:
                data = self._get(f"{CONTRIB}/{name}", AGENT).path.read_bytes()
                break
            except NotThereError:
                continue
        else:
            raise self._no_index()
        try:
            index = _parse(data, packed=name.endswith(".gz"))
        except ValueError as error:
            page = "is a web page: it may be a sign-in page of this network"
            reason = page if data.lstrip().startswith(b"<") else str(error)
            raise NetworkError(
                f"the index of {self.name}, {public(self._at(f'{CONTRIB}/{name}'))}, {reason}",
                remedy="check its URL in r.repositories of pyrlab.toml, or try again later",
            ) from error
        if not index.names:
            log.warning("the index of %s has no packages", self.name)
        return index

    def _no_index(self) -> NetworkError:
        """Return the error for a repository without an index: most often a day that has no snapshot."""
        missing = f"no PACKAGES.gz or PACKAGES in {public(self._at(CONTRIB))}"
        snapshot = Snapshot.of(self._url)
        if not snapshot:
            return NetworkError(
                f"{self.name} has no index: {missing}",
                remedy="its URL in r.repositories of pyrlab.toml must be that of the folder above src/contrib",
            )
        days: list[str] = []
        with suppress(NetworkError):
            days = days_of(self._web.get(snapshot.dates, agent=AGENT).path.read_bytes())
        return NetworkError(f"{self.name} has no snapshot of {snapshot.date}: {missing}", remedy=snapshot.remedy(days))

    def _archive_index(self) -> ArchiveIndex:
        """Return R's list of the Archive, which is read once; an empty one where there is none."""
        if self._archive is None:
            self._archive = ArchiveIndex()
            try:
                self._archive = ArchiveIndex(self._get(archive_index.PATH, AGENT).path.read_bytes())
            except (NotThereError, RefusedError):
                log.debug("%s has no %s", self.name, archive_index.PATH)
            except ValueError as error:
                log.warning("%s of %s %s: its old versions are not known", archive_index.PATH, self.name, error)
        return self._archive

    def _listing(self, path: str) -> Iterator[str]:
        """Yield the names of the files in a folder, as far as the repository shows them."""
        folder = local_path(self._at(path))
        if folder:
            yield from (one.name for one in folder.glob("*"))
            return
        try:
            page = self._get(path, AGENT).path.read_text(encoding="utf-8", errors="replace")
        except (NotThereError, RefusedError):
            # Many servers forbid to list a folder and still serve the files in it.
            return
        for link in _LINK.findall(page):
            yield PurePosixPath(unquote(urlsplit(html.unescape(link)).path)).name

    def _served(self, record: Record, agent: str) -> tuple[RFile, str]:
        """Return the file that an agent gets, and its Built field, which only binaries have."""
        download, found = self._package(record.file, agent, record.name, record.version)
        return RFile("binary" if found.built else "source", record.file, download.sha256), found.built

    def _package(self, path: str, agent: str, name: str, version: RVersion) -> tuple[Download, Record]:
        """Download a package and read its DESCRIPTION. Raises NetworkError unless it is the one that is wanted."""
        download = self._get(path, agent)
        try:
            return download, record_in(download.path, name, version)
        except ValueError as error:
            raise NetworkError(
                f"{public(self._at(path))} of {self.name} is not {name} {version}: {error}",
                remedy="the repository, or a proxy before it, is damaged: look at this URL in a browser",
            ) from error

    def _get(self, path: str, agent: str) -> Download:
        try:
            return self._web.get(self._at(path), agent=agent)
        except BadRequestError as error:
            # Posit Package Manager says so of all that is below a day without a snapshot. Elsewhere it is a failure.
            if not Snapshot.of(self._url):
                raise
            raise NotThereError(str(error), remedy=error.remedy) from error

    def _at(self, path: str) -> str:
        """Return the URL of a path in the repository; a query, which may hold a token, stays at its end."""
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(path)}"))


def _archived(name: str, path: str) -> str:
    """Return where a file of package ``name`` is when it is no longer the newest."""
    return f"{CONTRIB}/Archive/{name}/{PurePosixPath(path).name}"


def _parse(data: bytes, *, packed: bool) -> Index:
    """Parse an index. Raises ValueError, also for no bytes where gzip packs even an empty index into some."""
    if packed and not data:
        raise ValueError("is empty")
    return Index.parse(data)
