"""R packages at commits of GitHub repositories: their tarballs, and what the DESCRIPTION in each says."""

import re
import tarfile
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pyrlab.adapters.cran.package_file import description
from pyrlab.adapters.cran.repository import AGENT
from pyrlab.adapters.http import THREADS, NotThereError, RefusedError, Web, hide
from pyrlab.errors import HashMismatchError, ListError
from pyrlab.model.commits import NAME, CommitRequest
from pyrlab.model.cran.index import read_fields
from pyrlab.model.cran.record import Record
from pyrlab.model.locks.r import RFile
from pyrlab.model.settings import Settings

_REMOTE = re.compile(r"(?:(?P<package>[A-Za-z][A-Za-z0-9.]*)=)?(?:github::)?(?P<place>[^/@#:]+/[^/@#:]+)(?:[/@#].*)?")
_CODE = re.compile(r"(?:\./)?[^/]+/src/.+")


@dataclass(frozen=True, slots=True)
class Remote:
    """An entry of ``Remotes``: where the authors take a package from, ``owner/repo``, and what it is likely called."""

    text: str
    place: str
    package: str


@dataclass(frozen=True, slots=True)
class AtCommit:
    """A package as a commit has it."""

    commit: CommitRequest
    record: Record
    file: RFile
    remotes: tuple[Remote, ...]


def connect(settings: Settings) -> "GitHub":
    """Return GitHub by the settings; nothing is asked of it yet."""
    hide(settings.github.secrets)
    return GitHub(Web(settings.cache, ca_file=settings.ca_file, proxies=settings.proxies), settings.github.url)


class GitHub:
    """All that the list takes from GitHub, as a repository for the resolver: one version of each package."""

    name = NAME

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = url
        self._packages: dict[str, AtCommit] = {}

    def load(self, commits: Iterable[CommitRequest], locked: Mapping[str, RFile]) -> list[AtCommit]:
        """Fetch these commits, and return what they hold. ``locked`` are files of the earlier lock, by path.

        Raises ListError for one that is no R package, HashMismatchError when a locked one has other bytes now, and
        NetworkError.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda commit: self._load(commit, locked.get(commit.path)), commits))
        for package in found:
            earlier = self._packages.setdefault(package.record.name, package)
            if earlier is not package:
                raise ListError(
                    f"{package.commit.where}: {package.commit} is the package {package.record.name}, and so is "
                    f"{earlier.commit} in {earlier.commit.where}",
                    remedy="keep one of the two lines",
                )
        return found

    @property
    def names(self) -> Collection[str]:
        """All packages that were loaded."""
        return self._packages.keys()

    def records(self, name: str) -> tuple[Record, ...]:
        """Return the one version of a package, or nothing."""
        return (self._packages[name].record,) if name in self._packages else ()

    def archived(self, name: str) -> tuple[str, ...]:
        """Return nothing: the list names the commit."""
        del name
        return ()

    def describe(self, name: str, version: str) -> None:
        """Return nothing, as ``archived``."""

    def broken(self, name: str) -> tuple[str, ...]:
        """Return nothing: what cannot be read is refused when it is loaded."""
        del name
        return ()

    def needs(self, name: str) -> bool:
        """Tell that nothing of it speaks for a package that no index has: these packages come from anywhere."""
        del name
        return False

    def files(self, record: Record) -> tuple[RFile, ...]:
        """Return the file of a loaded package."""
        return (self._packages[record.name].file,)

    def fetch(self, name: str, file: RFile) -> Path:
        """Return the locked file of package ``name``: from the cache, or from GitHub.

        Raises HashMismatchError when only other bytes are to be had, NotThereError when none are, NetworkError.
        """
        kept = self._web.cached(file.sha256)
        if kept:
            return kept
        download = self._web.get(f"{self._url}/{file.path}", agent=AGENT)
        if download.sha256 != file.sha256:
            raise HashMismatchError(
                f"{name}: {file.path} of GitHub is not the file that was locked",
                remedy="a commit's files stay the same, but GitHub may pack them anew: compare it with a clone; "
                f"`nox -s lock -- --upgrade-package {name}` takes it as it is",
            )
        return download.path

    def _load(self, commit: CommitRequest, locked: RFile | None) -> AtCommit:
        try:
            path, sha256 = self._get(commit, locked)
        except (NotThereError, RefusedError) as error:
            raise ListError(
                f"{commit.where}: {commit} cannot be had: {error}",
                remedy="check owner, repository and commit; for a private one, put a user into ~/.netrc or r.github",
            ) from error
        try:
            fields = read_fields(description(path))
            record = Record.of(fields, file=commit.path)
        except ValueError as error:
            raise ListError(
                f"{commit.where}: {commit} is no R package that can be read: {error}",
                remedy="name a repository that has DESCRIPTION in its top folder, or another commit of it",
            ) from error
        if "NeedsCompilation" not in fields:
            # R writes that field when it packs a package, and nobody has packed this one.
            record = replace(record, needs_compilation=_has_code(path))
        return AtCommit(commit, record, RFile("commit", commit.path, sha256), tuple(_remotes(fields)))

    def _get(self, commit: CommitRequest, locked: RFile | None) -> tuple[Path, str]:
        """Return the file of a commit and its SHA-256: that of the lock, where it has one."""
        if locked:
            return self.fetch(str(commit), locked), locked.sha256
        download = self._web.get(f"{self._url}/{commit.path}", agent=AGENT)
        return download.path, download.sha256


def unlisted(package: AtCommit, places: Collection[str], names: Collection[str]) -> list[Remote]:
    """Return the remotes of a package that the list names neither by repository nor by package."""
    known = {place.lower() for place in places}
    return [remote for remote in package.remotes if remote.place.lower() not in known and remote.package not in names]


def _remotes(fields: Mapping[str, str]) -> Iterable[Remote]:
    for entry in fields.get("Remotes", "").split(","):
        text = " ".join(entry.split())
        match = _REMOTE.fullmatch(text)
        if match:
            yield Remote(text, match["place"], match["package"] or match["place"].partition("/")[2])
        elif text:
            yield Remote(text, text, text)


def _has_code(path: Path) -> bool:
    """Tell whether a package has anything to compile."""
    with tarfile.open(path) as archive:
        return any(_CODE.fullmatch(member.name) for member in archive)
