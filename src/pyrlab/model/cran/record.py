"""What one package says of itself in a DESCRIPTION or in a PACKAGES index, as values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from pyrlab.model.cran.base import BASE_PACKAGES
from pyrlab.model.cran.version import RVersion

HARD_FIELDS = ("Depends", "Imports", "LinkingTo")
# `R (>= r51951)`: a revision of R's sources. That of R 4.0.0, which is older than any R that we meet, is 78286.
# Source: `?R.version` (svn rev), and the section on DESCRIPTION in Writing R Extensions.
_REVISION = re.compile(r"R\s*\(\s*>=?\s*r([0-9]+)\s*\)")
_MET_REVISION = 78286
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_ENTRY = re.compile(
    rf"(?P<name>{_NAME.pattern})\s*(?:\(\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<version>[0-9][0-9.-]*)\s*\))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """A package that another one wants, with at most one bound; ``R`` itself is one such name."""

    name: str
    operator: str = ""
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``name``, ``name (>= version)`` or, as in a lock, ``name >= version``. Raises ValueError."""
        bare = re.fullmatch(r"(\S+?)\s*((?:>=|<=|==|!=|>|<).*)", text.strip())
        match = _ENTRY.fullmatch(f"{bare[1]} ({bare[2]})" if bare and "(" not in text else text.strip())
        if not match:
            raise ValueError(f"{text!r} is not a dependency of an R package")
        if match["version"]:
            RVersion.parse(match["version"])
        return cls(match["name"], match["operator"] or "", match["version"] or "")

    def allows(self, version: RVersion) -> bool:
        """Tell whether ``version`` is within the bound."""
        return not self.operator or version.satisfies(self.operator, RVersion.parse(self.version))

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.version}" if self.operator else self.name


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one package in one repository.

    ``file`` is relative to the repository's root, as in ``src/contrib/dplyr_1.1.4.tar.gz``; for Debian, a deb's name.
    ``dependencies`` are other packages without which it cannot be installed or loaded, R and its base packages left
    out; ``linking`` are those of them whose headers it compiles against; ``gates`` are bounds on R itself (those on
    base packages among them). ``unread_suggests`` are entries of Suggests that cannot be read: nobody may want them.
    ``sha256`` is what the index says of the file, if it does.
    """

    name: str
    version: RVersion
    file: str
    dependencies: tuple[Dependency, ...] = ()
    linking: tuple[str, ...] = ()
    suggests: tuple[Dependency, ...] = ()
    gates: tuple[Dependency, ...] = ()
    needs_compilation: bool = True
    system_requirements: str = ""
    built: str = ""
    sha256: str = ""
    unread_suggests: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, str], *, file: str) -> Self:
        """Read a record out of DESCRIPTION fields. Raises ValueError that says what is wrong with which field."""
        for key in ("Package", "Version"):
            if not fields.get(key, "").strip():
                raise ValueError(f"the field {key} is missing")
        if not _NAME.fullmatch(fields["Package"].strip()):
            raise ValueError(f"{fields['Package']!r} is not the name of an R package")
        system = fields.get("OS_type", "").strip()
        if not runs_on(system):
            raise ValueError(f"it is for {system!r} only (OS_type)")
        wanted = [one for field in HARD_FIELDS for one in _entries(fields, field)]
        suggests, unread_suggests = _suggests(fields)
        return cls(
            name=fields["Package"].strip(),
            version=_version(fields["Version"].strip()),
            file=file,
            dependencies=_packages(wanted),
            linking=tuple(sorted({one.name for one in _packages(_entries(fields, "LinkingTo"))})),
            suggests=_packages(suggests),
            gates=tuple(sorted({one for one in wanted if one.operator and is_r(one.name)})),
            needs_compilation=fields.get("NeedsCompilation", "yes").strip().lower() != "no",
            system_requirements=" ".join(fields.get("SystemRequirements", "").split()),
            built=fields.get("Built", "").strip(),
            sha256=fields.get("SHA256", "").strip().lower(),
            unread_suggests=unread_suggests,
        )


@dataclass(frozen=True, slots=True)
class Unread:
    """A version that a repository has, and why it is of no use to anybody."""

    reason: str


def is_r(name: str) -> bool:
    """Tell whether a name is R itself or one of its base packages, which have R's version."""
    return name == "R" or name in BASE_PACKAGES


def runs_on(system: str) -> bool:
    """Tell whether a package with this OS_type, or with none, is for a system like ours.

    Source: the filter OS_type of ``?available.packages``.
    """
    return system in {"", "unix"}


def parse_field(text: str) -> list[Dependency]:
    """Parse a dependency field: entries between commas, over any number of lines.

    Empty ones are left out, and gates that every R meets. Raises ValueError for an entry that R could not read either.
    """
    return [Dependency.parse(entry) for entry in _split(text) if not _is_met(entry)]


def _split(text: str) -> list[str]:
    """Return the entries of a field, each on one line."""
    return [" ".join(entry.split()) for entry in text.split(",") if entry.strip()]


def _version(text: str) -> RVersion:
    try:
        return RVersion.of_package(text)
    except ValueError as error:
        raise ValueError(f"Version: {error}") from error


def _entries(fields: Mapping[str, str], key: str) -> list[Dependency]:
    """Return the dependencies in a field. Raises ValueError that names the field."""
    try:
        return parse_field(fields.get(key, ""))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _is_met(entry: str) -> bool:
    """Tell whether an entry is a gate on a revision that is older than any R."""
    revision = _REVISION.fullmatch(entry)
    return revision is not None and int(revision[1]) <= _MET_REVISION


def _suggests(fields: Mapping[str, str]) -> tuple[list[Dependency], tuple[str, ...]]:
    """Return what is suggested, and the entries that cannot be read, sorted."""
    read, unread = [], set()
    for entry in _split(fields.get("Suggests", "")):
        try:
            read.append(Dependency.parse(entry))
        except ValueError:
            unread.add(entry)
    return read, tuple(sorted(unread))


def _packages(wanted: Iterable[Dependency]) -> tuple[Dependency, ...]:
    """Return what is not R's own, sorted; a bare name falls away beside the same name with a bound."""
    own = {one for one in wanted if not is_r(one.name)}
    bound = {one.name for one in own if one.operator}
    return tuple(sorted(one for one in own if one.operator or one.name not in bound))
