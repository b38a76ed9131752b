"""A Python package index: which files it has of a release, and where."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urljoin, urlsplit, urlunsplit

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from pyrlab.adapters.http import THREADS, NotThereError, RefusedError, Wanted, Web, is_web_page, public
from pyrlab.adapters.python.source_distribution import build_requirements
from pyrlab.errors import HashMismatchError, ListError, NetworkError
from pyrlab.model.lists import PythonRequest
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.python_tags import IndexFile, applies, choose, environment, fits, tags

AGENT = "pyrlab"
Pair = tuple[PythonPin, PythonFile]


class NoPageError(NetworkError):
    """What answers is no index: a sign-in page of a network, or the URL of something else."""


class PythonIndex:
    """An index by its URL, that of the page of all projects; an empty one means the default of Python's own tools."""

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = url

    def choose_files(
        self,
        pins: Sequence[PythonPin],
        *,
        python: str,
        glibc: str,
        architecture: str,
        earlier: Sequence[PythonPin] = (),
    ) -> dict[str, PythonFile]:
        """Return, by name, the one file of each pin that this architecture installs, which is one of its hashes'.

        What an earlier lock chose stays where it still may. Raises ListError where no file fits, NetworkError.
        """
        fitting = tags(python=python, glibc=glibc, architecture=architecture)
        known = {(pin.name, pin.version): pin.file_for(architecture) for pin in earlier}
        kept: dict[str, PythonFile] = {}
        for pin in pins:
            file = known.get((pin.name, pin.version))
            # Another Python, or C library, has other wheels.
            if file and f"sha256:{file.sha256}" in pin.hashes and fits(file.filename, fitting):
                kept[pin.name] = file

        def look(pin: PythonPin) -> PythonFile:
            found = self._choose(pin, fitting, python)
            if found is None:
                raise ListError(
                    f"{pin.name} {pin.version}: the Python index has no file that the lock allows and Python {python} "
                    f"on {architecture} can install",
                    remedy=f"ask for another version of it, or: nox -s lock -- --upgrade-package {pin.name}",
                )
            return PythonFile(architecture, found.filename, found.size, found.sha256)

        new = [pin for pin in pins if pin.name not in kept]
        with ThreadPoolExecutor(THREADS) as pool:
            return kept | dict(zip((pin.name for pin in new), pool.map(look, new), strict=True))

    def _choose(self, pin: PythonPin, fitting: Sequence[Tag], python: str) -> IndexFile | None:
        """Return the best file of a pin with its hash and size, for which the file itself may have to be fetched."""
        allowed = _hashes(pin)
        files = self.files(pin)
        while True:
            found = choose(files, fitting, python=python)
            if found is None:
                return None
            known = self._measured(found, pin)
            if known.sha256 in allowed:
                return known
            # An index without hashes, and this file came after the lock.
            files.remove(found)

    def _measured(self, found: IndexFile, pin: PythonPin) -> IndexFile:
        if found.sha256 and found.size:
            return found
        if found.sha256:
            wanted = Wanted((found.url,), found.sha256, 0, f"{pin.name} {pin.version}")
            return replace(found, size=self._web.fetch(wanted, agent=AGENT).stat().st_size)
        download = self._web.get(found.url, agent=AGENT)
        return replace(found, sha256=download.sha256, size=download.path.stat().st_size)

    def files(self, pin: PythonPin) -> list[IndexFile]:
        """Return the files of a pin that the index has and the lock allows, or may allow where no hash is shown.

        Raises NotThereError, RefusedError, NetworkError.
        """
        allowed = {"", *_hashes(pin)}
        return [file for file in self.page(pin.name) if file.sha256 in allowed and _is_of(file, pin)]

    def fetch_all(self, pairs: Sequence[Pair], *, progress: Callable[[int], None] = lambda _: None) -> None:
        """Bring these files into the store. Raises NotThereError, HashMismatchError, NetworkError."""
        with ThreadPoolExecutor(THREADS) as pool:
            wanted = list(pool.map(self._wanted, pairs))
        gone = self._web.fetch_all(wanted, agent=AGENT, progress=progress)
        if gone:
            names = ", ".join(sorted(file.name for file in gone))
            raise NotThereError(f"the Python index no longer has {names}", remedy=_UPGRADE)

    def check_backends(
        self,
        pins: Sequence[PythonPin],
        tools: Sequence[PythonPin],
        requests: Sequence[PythonRequest],
        *,
        python: str,
        architecture: str,
    ) -> None:
        """Raise ListError for a source distribution that wants more to build it than ``tools`` pins.

        ``pins`` are all of a lock, with the files that the architecture installs.
        """
        pinned = {pin.name: Version(pin.version) for pin in tools}
        values = environment(python=python, architecture=architecture)
        pairs = [(pin, file) for pin in pins if (file := pin.file_for(architecture)) and not file.is_wheel]
        self.fetch_all(pairs)
        for pin, file in pairs:
            path = self._web.cached(file.sha256)
            wants = build_requirements(path, name=f"{pin.name} {pin.version}") if path else []
            counting = [requirement for requirement in wants if applies(requirement.marker, values)]
            lacking = [requirement for requirement in counting if not _has(pinned, requirement)]
            if lacking:
                raise _lacking(pin, lacking, pinned, requests)

    def _wanted(self, pair: Pair) -> Wanted:
        pin, file = pair
        page = self.page(pin.name)
        urls = tuple(found.url for found in page if found.sha256 == file.sha256)
        named = [found for found in page if found.filename == file.filename]
        # Without a hash the name is all there is to go by. The bytes must be right in any case.
        urls += tuple(found.url for found in named if not found.sha256)
        if named and not urls:
            raise HashMismatchError(
                f"{pin.name} {pin.version}: the index now has other bytes as {file.filename}",
                remedy=f"find out why before you trust them; nox -s lock -- --upgrade-package {pin.name} takes them",
            )
        return Wanted(urls, file.sha256, file.size, f"{pin.name} {pin.version}")

    def look_for(self, name: str, other: str) -> None:
        """Look whether what may not have the project ``name`` is an index, by another one that it must have, if any.

        Raises NoPageError where it has neither, or where what it has is no page; NetworkError.
        """
        if not self._has(name) and other and not self._has(other):
            index = public(root_of(self._url))
            raise NoPageError(f"{index} has neither {name} nor {other}: it may be no Python index", remedy=_URL)

    def _has(self, name: str) -> bool:
        try:
            self.page(name)
        except NotThereError:
            return False
        return True

    def page(self, name: str) -> list[IndexFile]:
        """Return all files that the index has of a project.

        Raises NotThereError, RefusedError, NoPageError, NetworkError.
        """
        # It brings half a second of imports, which only those need who ask an index.
        from pypi_simple import ACCEPT_ANY, ProjectPage, UnsupportedRepoVersionError  # noqa: PLC0415

        root = root_of(self._url)
        url = urljoin(root, f"{canonicalize_name(name)}/")
        try:
            download = self._web.get(url, agent=AGENT, accept=ACCEPT_ANY)
        except NotThereError as error:
            raise NotThereError(f"the Python index has no {name}: {public(url)} is not there", remedy=_URL) from error
        except RefusedError as error:
            raise RefusedError(str(error), remedy=f"put the user into ~/.netrc, or into the URL: {_URL}") from error
        content = download.path.read_bytes()
        try:
            if content.lstrip().startswith(b"{"):
                page = ProjectPage.from_json_data(json.loads(content), base_url=download.url)
            else:
                page = ProjectPage.from_html(name, content, base_url=download.url)
        except (ValueError, TypeError, KeyError, AttributeError, UnsupportedRepoVersionError) as error:
            raise _no_page(url, content) from error
        is_ours = any(canonicalize_name(package.project or "") == canonicalize_name(name) for package in page.packages)
        # A sign-in page is HTML too. The page of a project without files says what it is.
        if not is_ours and (page.packages or not page.repository_version):
            raise _no_page(url, content)
        return [
            IndexFile(
                filename=package.filename,
                url=_with_user(urljoin(download.url, package.url), root),
                sha256=package.digests.get("sha256", "").lower(),
                size=package.size or 0,
                requires_python=package.requires_python or "",
                yanked=package.is_yanked,
            )
            for package in page.packages
        ]


_URL = "check PIPPROXY, or network.python_index in pyrlab.toml"
_UPGRADE = "nox -s lock -- python --upgrade-package NAME, for each of them"


def _no_page(url: str, content: bytes) -> NoPageError:
    remedy = f"the URL must be that of the simple API, which ends in /simple as a rule: {_URL}"
    if not is_web_page(content):
        return NoPageError(f"{public(url)} is no page of a Python index", remedy=remedy)
    host = urlsplit(url).netloc.rpartition("@")[2]
    return NoPageError(
        f"{public(url)} is no page of a Python index: it may be a sign-in page of this network",
        remedy=f"open {host} in a browser; else {remedy}",
    )


def _with_user(url: str, index: str) -> str:
    """Return a file's URL with the index's own credentials, where the same server has both (as pip does)."""
    parts, home = urlsplit(url), urlsplit(index)
    user, _, server = home.netloc.rpartition("@")
    if user and (parts.scheme, parts.netloc) == (home.scheme, server):
        return urlunsplit(parts._replace(netloc=home.netloc))
    return url


def _hashes(pin: PythonPin) -> set[str]:
    return {value.removeprefix("sha256:") for value in pin.hashes}


def _is_of(file: IndexFile, pin: PythonPin) -> bool:
    """Tell whether a file is one of a pin's release: by its hash, or else by its name."""
    return bool(file.sha256) or PythonFile("", file.filename, 0, "").belongs_to(pin.name, pin.version)


def _has(pinned: Mapping[str, Version], wanted: Requirement) -> bool:
    version = pinned.get(canonicalize_name(wanted.name))
    return version is not None and not wanted.url and wanted.specifier.contains(version, prereleases=True)


def _lacking(
    pin: PythonPin,
    lacking: Sequence[Requirement],
    pinned: Mapping[str, Version],
    requests: Sequence[PythonRequest],
) -> ListError:
    where = next((f"{request.where}: " for request in requests if request.name == pin.name), "")
    wants = ", ".join(f"{requirement.name}{requirement.specifier}" for requirement in lacking)
    names = [canonicalize_name(requirement.name) for requirement in lacking]
    others = ", ".join(f"{name} {pinned[name]}" for name in names if name in pinned)
    but = f"; docker/install/python/tools.lock pins {others}" if others else ""
    return ListError(
        f"{where}{pin.name} {pin.version} comes as source only, and to build it wants {wants}, which "
        f"docker/install/python/tools.lock does not pin{but}",
        remedy="ask for a version of it that has a wheel, or add that to docker/install/python/tools.in "
        "and pin it: nox -s relock",
    )


def root_of(url: str) -> str:
    """Return the URL of an index's page of all projects, with a slash at its end; that of the default for none."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415 - as above

    return (url or PYPI_SIMPLE_ENDPOINT).rstrip("/") + "/"
