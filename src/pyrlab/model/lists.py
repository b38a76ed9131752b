"""The lists, each line with the file and the number that an error message needs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, canonicalize_version

from pyrlab.errors import ListError
from pyrlab.model.commits import CommitRequest, is_commit, no_contradiction
from pyrlab.model.cran.record import Dependency
from pyrlab.model.cran.version import RVersion
from pyrlab.model.graph import Graph, Image

BASE_DEBS = "base_debs.txt"
R_DEBS = "r_debs.txt"
PYTHON = "requirements.in"
R = "r_packages.txt"
IMPLIED = "pyrlab itself"

_DEB = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?:\s*=\s*(?P<version>[A-Za-z0-9.+:~-]+))?")
_R_NAME = r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]"
_R = re.compile(
    rf"(?P<name>{_R_NAME})\s*(?P<suggests>\[Suggests\])?"
    r"(?:\s*(?P<operator>>=|<=|==|>|<)\s*(?P<version>[^\s<>=@][^\s@]*))?"
    r"(?:\s*@\s*(?P<repository>[A-Za-z0-9][A-Za-z0-9._-]*))?"
)


# `R >= 4.0`, as a DESCRIPTION has it, and the ways in which others write a version.
_R_ITSELF = re.compile(r"R(?:[^A-Za-z0-9.].*)?")
_R_VERSION = re.compile(rf"(?P<name>{_R_NAME})(?:\s*=\s*|\s+|_)(?P<version>[0-9]+(?:[.-][0-9]+)+)")


@dataclass(frozen=True, slots=True, order=True)
class DebRequest:
    """A Debian package that a list wants, at one version or at any."""

    name: str
    version: str | None
    where: str

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Parse ``name`` or ``name=version``. Raises ListError."""
        match = _DEB.fullmatch(line)
        if not match:
            raise ListError(
                f"{where}: {line!r} is not a Debian package",
                remedy="write one lower-case package name a line, or name=version",
            )
        return cls(match["name"], match["version"], where)

    @property
    def exact(self) -> str | None:
        """The only version that will do, or None."""
        return self.version

    def __str__(self) -> str:
        return f"{self.name}={self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, order=True)
class RRequest:
    """An R package that the list wants. Without an operator any version does.

    ``repository`` is where it must come from, by its name in the settings, or empty; with ``suggests``, what the
    package suggests is wanted too.
    """

    name: str
    operator: str
    version: str
    where: str
    repository: str = ""
    suggests: bool = False

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Parse ``name``, ``name >= version``, ``name @ repository``, ``name[Suggests]``. Raises ListError."""
        if _R_ITSELF.fullmatch(line):
            raise ListError(
                f"{where}: {line!r} is not an R package, but R itself",
                remedy="delete the line; R comes with the Debian suite, base.suite in pyrlab.toml",
            )
        match = _R.fullmatch(line)
        if not match:
            versioned = _R_VERSION.fullmatch(line)
            raise ListError(
                f"{where}: {line!r} is not an R package",
                remedy=f"for a version, write {versioned['name']} == {versioned['version']}"
                if versioned
                else "write one name a line as in library(NAME); if need be with a version and a repository: "
                "NAME >= 1.2 @ cran, and NAME[Suggests] for what it suggests",
            )
        if match["version"]:
            try:
                RVersion.parse(match["version"])
            except ValueError as error:
                raise ListError(f"{where}: {error}", remedy="write a version as R does, like 1.8-12") from error
        return cls(
            name=match["name"],
            operator=match["operator"] or "",
            version=match["version"] or "",
            where=where,
            repository=match["repository"] or "",
            suggests=bool(match["suggests"]),
        )

    @property
    def wanted(self) -> Dependency:
        """The package and its bound, as another package would want it."""
        return Dependency(self.name, self.operator, self.version)

    def __str__(self) -> str:
        bound = f" {self.operator} {self.version}" if self.operator else ""
        place = f" @ {self.repository}" if self.repository else ""
        return f"{self.name}{'[Suggests]' if self.suggests else ''}{bound}{place}"


@dataclass(frozen=True, slots=True)
class PythonRequest:
    """A Python requirement as pip reads it; ``name`` is the normalised one."""

    name: str
    text: str
    where: str

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Parse one requirement. Raises ListError for options and for what has no version to lock."""
        if line.startswith("-"):
            raise ListError(
                f"{where}: {line!r} is an option of pip, not a package",
                remedy="put index settings into pyrlab.toml, and list packages only",
            )
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            reason = str(error).partition("\n")[0]
            raise ListError(
                f"{where}: {line!r} is not a Python requirement: {reason}",
                remedy="write a package name, with a version specifier if you need one: numpy>=2",
            ) from error
        if requirement.url:
            raise ListError(
                f"{where}: {requirement.name} comes from a URL, which cannot be locked by version and hash",
                remedy="name a release on the package index",
            )
        return cls(canonicalize_name(requirement.name), str(requirement), where)

    @property
    def conditional(self) -> bool:
        """Whether a marker may keep the requirement out of the lock."""
        return Requirement(self.text).marker is not None

    @property
    def exact(self) -> str | None:
        """The version of a lone ``==`` specifier that always holds, or None."""
        requirement = Requirement(self.text)
        specifiers = [] if requirement.marker else list(requirement.specifier)
        if len(specifiers) != 1 or specifiers[0].operator != "==" or specifiers[0].version.endswith(".*"):
            return None
        return canonicalize_version(specifiers[0].version)

    def __str__(self) -> str:
        return self.text


Request = TypeVar("Request", DebRequest, RRequest, PythonRequest)


@dataclass(frozen=True, slots=True)
class Lists:
    """What the lists of a project want, with what the images need on their own: by image, but for R's.

    ``r_commits`` are R packages at a commit, whose names nobody knows before they are fetched.
    """

    debs: Mapping[str, tuple[DebRequest, ...]]
    python: Mapping[str, tuple[PythonRequest, ...]]
    r: tuple[RRequest, ...]
    r_commits: tuple[CommitRequest, ...] = ()

    @classmethod
    def parse(cls, graph: Graph, texts: Mapping[str, str]) -> Self:
        """Parse the texts of the lists, by file name. Raises ListError with file and line."""
        debs = {image.name: _debs(image, texts) for image in graph.with_debs}
        _no_contradiction([request for requests in debs.values() for request in requests])
        return cls(
            debs=debs,
            python={image.name: _python(image, graph, texts) for image in graph.with_python},
            r=_r(graph.with_r, texts) if graph.with_r else (),
            r_commits=_commits(graph.with_r, texts) if graph.with_r else (),
        )

    @property
    def all_debs(self) -> list[DebRequest]:
        """The Debian packages of all images, lower images first."""
        return [request for requests in self.debs.values() for request in requests]

    @property
    def all_python(self) -> list[PythonRequest]:
        """The Python packages of all images."""
        return [request for requests in self.python.values() for request in requests]


def _debs(image: Image, texts: Mapping[str, str]) -> tuple[DebRequest, ...]:
    wanted = [DebRequest.parse(line, where=where) for where, line in _lines(image.debs, texts)]
    return _with_implied(wanted, [DebRequest(name, None, IMPLIED) for name in image.debs_needed])


def _python(image: Image, graph: Graph, texts: Mapping[str, str]) -> tuple[PythonRequest, ...]:
    wanted = [PythonRequest.parse(line, where=where) for where, line in _lines(image.python, texts)]
    _no_contradiction(wanted)
    needed = graph.shared_python if image.name == graph.shared_image else ()
    return _with_implied(wanted, [PythonRequest(name, name, IMPLIED) for name in needed])


def _r(image: Image, texts: Mapping[str, str]) -> tuple[RRequest, ...]:
    wanted = [RRequest.parse(line, where=where) for where, line in _lines(image.r, texts) if not is_commit(line)]
    return _with_implied(wanted, [RRequest(name, "", "", IMPLIED) for name in image.r_needed])


def _commits(image: Image, texts: Mapping[str, str]) -> tuple[CommitRequest, ...]:
    wanted = [CommitRequest.parse(line, where=where) for where, line in _lines(image.r, texts) if is_commit(line)]
    no_contradiction(wanted)
    return tuple({str(commit): commit for commit in sorted(wanted, reverse=True)}.values())[::-1]


def _lines(name: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (where, text) for each line of a list that holds more than a comment."""
    for number, line in enumerate(texts[name].splitlines(), start=1):
        content = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if content:
            yield f"{name}:{number}", content


def _with_implied(wanted: Sequence[Request], implied: Sequence[Request]) -> tuple[Request, ...]:
    """Return what the list wants and, of what the images need, the rest; doubles fall together; sorted by name."""
    named = {request.name for request in wanted}
    unique = {str(request): request for request in wanted}
    unique.update((str(request), request) for request in implied if request.name not in named)
    return tuple(unique[text] for text in sorted(unique, key=lambda text: (text.lower(), text)))


def _no_contradiction(requests: Sequence[DebRequest] | Sequence[PythonRequest]) -> None:
    """Raise ListError when two lines pin one package to two versions."""
    pinned: dict[str, DebRequest | PythonRequest] = {}
    for request in requests:
        if request.exact is None:
            continue
        earlier = pinned.setdefault(request.name, request)
        if earlier.exact != request.exact:
            raise ListError(
                f"{request.where}: {request} contradicts {earlier} in {earlier.where}",
                remedy="keep one of the two lines",
            )
