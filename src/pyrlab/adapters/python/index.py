"""A Python package index: which files it has of a release, and where."""

import json
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from pyrlab.adapters.http import THREADS, NotThereError, Wanted, Web, public
from pyrlab.errors import HashMismatchError, ListError, NetworkError
from pyrlab.model.lists import PythonRequest
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.python_tags import IndexFile, choose, tags

AGENT = "pyrlab"
# What a source distribution without a pyproject.toml is built with. Source: PEP 518.
DEFAULT_BACKEND = "setuptools"
# No pyproject.toml is longer, in bytes.
LONGEST = 2**20
# A source distribution may hold as many files as it likes; its pyproject.toml stands near the top.
_FIRST_MEMBERS = 100_000
Pair = tuple[PythonPin, PythonFile]


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
        known = {(pin.name, pin.version): pin.file_for(architecture) for pin in earlier}
        kept = {pin.name: file for pin in pins if (file := _kept(pin, known.get((pin.name, pin.version))))}
        fitting = tags(python=python, glibc=glibc, architecture=architecture)

        def look(pin: PythonPin) -> PythonFile:
            found = choose(self.files(pin), fitting, python=python)
            if found is None:
                raise ListError(
                    f"{pin.name} {pin.version} has no file for Python {python} on {architecture}",
                    remedy="ask for another version of it, or for something else",
                )
            size = found.size or self._bring(found, pin).stat().st_size
            return PythonFile(architecture, found.filename, size, found.sha256)

        new = [pin for pin in pins if pin.name not in kept]
        with ThreadPoolExecutor(THREADS) as pool:
            return kept | dict(zip((pin.name for pin in new), pool.map(look, new), strict=True))

    def files(self, pin: PythonPin) -> list[IndexFile]:
        """Return the files of a pin that the index has and the lock allows. Raises NetworkError."""
        allowed = {value.removeprefix("sha256:") for value in pin.hashes}
        return [file for file in self._page(pin.name) if file.sha256 in allowed]

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
        sources: Sequence[PythonPin],
        chosen: Mapping[str, PythonFile],
        tools: Sequence[PythonPin],
        requests: Sequence[PythonRequest],
    ) -> None:
        """Raise ListError for a source distribution that wants more to build it than ``tools`` pins."""
        pinned = {pin.name: Version(pin.version) for pin in tools}
        for pin in sources:
            self.fetch_all([(pin, chosen[pin.name])])
            path = self._web.cached(chosen[pin.name].sha256)
            lacking = [str(wanted) for wanted in build_requirements(path) if not _has(pinned, wanted)] if path else []
            if lacking:
                where = next((f"{one.where}: " for one in requests if one.name == pin.name), "")
                raise ListError(
                    f"{where}{pin.name} {pin.version} comes as source only, and to build it wants "
                    f"{', '.join(lacking)}, which docker/install/python/tools.lock does not pin",
                    remedy="ask for a version of it that has a wheel, or add that to docker/install/python/tools.in "
                    "and pin it: nox -s relock",
                )

    def _wanted(self, pair: Pair) -> Wanted:
        pin, file = pair
        urls = tuple(found.url for found in self._page(pin.name) if found.sha256 == file.sha256)
        if not urls and any(found.filename == file.filename for found in self._page(pin.name)):
            raise HashMismatchError(
                f"{pin.name} {pin.version}: the index now has other bytes as {file.filename}",
                remedy=f"find out why before you trust them; nox -s lock -- --upgrade-package {pin.name} takes them",
            )
        return Wanted(urls, file.sha256, file.size, f"{pin.name} {pin.version}")

    def _bring(self, found: IndexFile, pin: PythonPin) -> Path:
        return self._web.fetch(Wanted((found.url,), found.sha256, 0, f"{pin.name} {pin.version}"), agent=AGENT)

    def _page(self, name: str) -> list[IndexFile]:
        """Return all files that an index has of a project."""
        # It brings half a second of imports, which only those need who ask an index.
        from pypi_simple import ACCEPT_ANY, PYPI_SIMPLE_ENDPOINT, ProjectPage, UnsupportedRepoVersionError  # noqa: PLC0415

        url = urljoin((self._url or PYPI_SIMPLE_ENDPOINT).rstrip("/") + "/", f"{canonicalize_name(name)}/")
        try:
            content = self._web.get(url, agent=AGENT, accept=ACCEPT_ANY).path.read_bytes()
        except NotThereError as error:
            raise NotThereError(f"the Python index has no {name}: {public(url)} is not there", remedy=_URL) from error
        try:
            if content.lstrip().startswith(b"{"):
                page = ProjectPage.from_json_data(json.loads(content), base_url=url)
            else:
                page = ProjectPage.from_html(name, content, base_url=url)
        except (ValueError, TypeError, KeyError, UnsupportedRepoVersionError) as error:
            raise NetworkError(f"{public(url)} is no page of a Python index", remedy=_URL) from error
        return [
            IndexFile(
                filename=package.filename,
                url=urljoin(url, package.url),
                sha256=package.digests.get("sha256", ""),
                size=package.size or 0,
                requires_python=package.requires_python or "",
            )
            for package in page.packages
        ]


_URL = "check PIPPROXY, or network.python_index in pyrlab.toml"
_UPGRADE = "nox -s lock -- python --upgrade-package NAME, for each of them"


def _kept(pin: PythonPin, file: PythonFile | None) -> PythonFile | None:
    return file if file and f"sha256:{file.sha256}" in pin.hashes else None


def _has(pinned: Mapping[str, Version], wanted: Requirement) -> bool:
    version = pinned.get(canonicalize_name(wanted.name))
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def build_requirements(sdist: Path) -> list[Requirement]:
    """Return what a source distribution says that it needs to be built. Nothing of it is run.

    Raises ListError for one that is damaged, or says it in a way that nobody can read.
    """
    try:
        text = _pyproject(sdist)
        system: Any = tomllib.loads(text).get("build-system", {}) if text else {}
        return [Requirement(line) for line in system.get("requires", [DEFAULT_BACKEND])]
    except (tarfile.TarError, zipfile.BadZipFile, OSError, ValueError, InvalidRequirement, AttributeError) as error:
        raise ListError(
            f"a source distribution says nothing of how it is built that can be read: {error}",
            remedy="ask for another version of it",
        ) from error


def _pyproject(sdist: Path) -> str:
    """Return the text of the pyproject.toml in an archive's top folder, or nothing."""
    if zipfile.is_zipfile(sdist):
        with zipfile.ZipFile(sdist) as archive:
            names = [name for name in archive.namelist() if _is_pyproject(name)]
            return archive.open(names[0]).read(LONGEST).decode() if names else ""
    with tarfile.open(sdist) as archive:
        for _, member in zip(range(_FIRST_MEMBERS), archive, strict=False):
            file = archive.extractfile(member) if member.isreg() and _is_pyproject(member.name) else None
            if file:
                return file.read(LONGEST).decode()
    return ""


def _is_pyproject(name: str) -> bool:
    parts = name.removeprefix("./").split("/")
    return len(parts) == 2 and parts[1] == "pyproject.toml"  # noqa: PLR2004 - the folder and the file
