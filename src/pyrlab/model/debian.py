"""Debian archives as values: the packages that their indexes offer, and closures of these."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from debian import deb822
from debian.debian_support import Version

from pyrlab.errors import BuildError

# What one Debian archive holds counts alike; apt_preferences(5) gives these numbers to the others.
PRIORITY, AUTOMATIC_UPGRADES, NOT_AUTOMATIC = 500, 100, 1
# deb-control(5): of two packages that provide the same, the more important one is the better guess.
_IMPORTANCE = ("required", "important", "standard", "optional", "extra")
_FIELDS = [
    "Package",
    "Version",
    "Architecture",
    "Essential",
    "Priority",
    "Depends",
    "Pre-Depends",
    "Provides",
    "Filename",
    "Size",
    "SHA256",
]
_BLANK_LINES = re.compile(r"\n(?:[ \t\r]*\n)+")
_NAME = re.compile(r"^Package:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_REQUIRED = re.compile(r"^(?:Essential:[ \t]*yes|Priority:[ \t]*required)\b", re.MULTILINE | re.IGNORECASE)
_PROVIDES = re.compile(r"^Provides:(.*(?:\n[ \t].*)*)", re.MULTILINE | re.IGNORECASE)
_PROVIDED_NAME = re.compile(r"(?:^|,)\s*([^\s,:(]+)")


@dataclass(frozen=True, slots=True)
class Relation:
    """One package that another asks for or provides: ``libc6 (>= 2.41)`` has the operator ``>=``."""

    name: str
    operator: str = ""
    version: str = ""

    def accepts(self, version: str) -> bool:
        """Tell whether a version is within the bound."""
        if not self.operator:
            return True
        order = _compare(version, self.version)
        return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[self.operator]

    def met_by(self, provided: "Relation") -> bool:
        """Tell whether what a package provides is enough: a bound is only met by a provided version."""
        if self.name != provided.name:
            return False
        return not self.operator or bool(provided.version and self.accepts(provided.version))

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


Clause = tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a package, as an index describes it. ``path`` is relative to the source's URI."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    path: str
    priority: str = "optional"
    depends: tuple[Clause, ...] = ()
    provides: tuple[Relation, ...] = ()
    weight: int = PRIORITY

    @classmethod
    def parse(cls, stanza: str, *, weight: int = PRIORITY) -> Self:
        """Parse a stanza of a Packages file. Raises BuildError when it lacks what every package has."""
        fields = deb822.Deb822(stanza.splitlines(), fields=_FIELDS)
        name = fields.get("Package", "")
        path = fields.get("Filename", "").removeprefix("./")
        try:
            sha256 = fields["SHA256"].lower()
            size = int(fields["Size"])
            architecture, version = fields["Architecture"], fields["Version"]
            Version(version)
        except (KeyError, ValueError) as error:
            raise _bad_stanza(name, str(error)) from error
        if not path or path.startswith("/") or ".." in path.split("/") or re.search(r"[\s:?#]", path):
            raise _bad_stanza(name, "Filename")
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise _bad_stanza(name, "SHA256")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", name) or re.search(r"\s", version + architecture):
            raise _bad_stanza(name, "Package")
        wanted = [fields.get("Pre-Depends", ""), fields.get("Depends", "")]
        return cls(
            name=name,
            version=version,
            architecture=architecture,
            sha256=sha256,
            size=size,
            path=path,
            priority=fields.get("Priority", "optional"),
            depends=tuple(clause for text in wanted for clause in _clauses(text, architecture)),
            provides=tuple(clause[0] for clause in _clauses(fields.get("Provides", ""), architecture)),
            weight=weight,
        )

    def satisfies(self, relation: Relation) -> bool:
        """Tell whether this version is what a relation asks for, or provides it."""
        if self.name == relation.name and relation.accepts(self.version):
            return True
        return any(relation.met_by(provided) for provided in self.provides)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def _bad_stanza(name: str, what: str) -> BuildError:
    return BuildError(
        f"the archive's index describes {name or 'a package'!r} in a way that cannot be read ({what})",
        remedy="tell whoever keeps this archive; or use another one, in base.apt_sources of pyrlab.toml",
    )


@lru_cache(maxsize=10_000)
def _clauses(text: str, architecture: str) -> tuple[Clause, ...]:
    """Parse a list of relations. One that wants another architecture can be met by nothing here."""
    if not text.strip():
        return ()
    clauses = []
    for alternatives in deb822.PkgRelation.parse_relations(text):
        clause = []
        for parsed in alternatives:
            name = parsed["name"]
            if parsed["archqual"] not in {None, "any", "native", architecture}:
                name = f"{name}:{parsed['archqual']}"
            operator, version = parsed["version"] or ("", "")
            # Policy 7.1: < and > are old spellings of <= and >=.
            operator = {"<": "<=", ">": ">="}.get(operator, operator)
            clause.append(Relation(name, operator, version))
        clauses.append(tuple(clause))
    return tuple(clauses)


@lru_cache(maxsize=100_000)
def _compare(left: str, right: str) -> int:
    first, second = Version(left), Version(right)
    return (first > second) - (first < second)


@dataclass(frozen=True, slots=True)
class _Stanza:
    text: str
    weight: int


class Index:
    """All that some indexes offer. Stanzas are many (70,000), and only those are read that somebody asks for.

    ``required`` are the names of packages that every Debian system has: the essential ones, and those of this priority.
    """

    def __init__(self) -> None:
        self._stanzas: dict[str, list[_Stanza]] = {}
        self._providers: dict[str, set[str]] = {}
        self._read: dict[str, tuple[Record, ...]] = {}
        self.required: set[str] = set()

    def add(self, text: str, *, weight: int = PRIORITY) -> None:
        """Add the text of a Packages file; packages of greater ``weight`` are taken before newer ones."""
        self._read.clear()
        for stanza in _BLANK_LINES.split(text):
            match = _NAME.search(stanza)
            if match is None:
                if stanza.strip():
                    raise _bad_stanza("", "Package")
                continue
            name = match[1]
            self._stanzas.setdefault(name, []).append(_Stanza(stanza, weight))
            if _REQUIRED.search(stanza):
                self.required.add(name)
            provides = _PROVIDES.search(stanza) if "rovides:" in stanza else None
            for provided in _PROVIDED_NAME.findall(provides[1]) if provides else ():
                self._providers.setdefault(provided, set()).add(name)

    def __len__(self) -> int:
        return sum(map(len, self._stanzas.values()))

    def versions(self, name: str) -> tuple[Record, ...]:
        """Return what there is of a package, the version to take first."""
        if name not in self._read:
            records = {Record.parse(stanza.text, weight=stanza.weight) for stanza in self._stanzas.get(name, ())}
            self._read[name] = tuple(
                sorted(
                    records,
                    key=lambda record: (record.weight, Version(record.version), record.sha256),
                    reverse=True,
                )
            )
        return self._read[name]

    def providers(self, name: str) -> set[str]:
        """Return the names of the packages of which some version may provide ``name``."""
        return self._providers.get(name, set())


class _DeadEndError(Exception):
    """What is chosen so far cannot be completed: this version stands in the way."""

    def __init__(self, failure: BuildError, culprit: Record | None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.culprit = culprit


def closure(index: Index, roots: Iterable[str], *, keep: Iterable[tuple[str, str]] = ()) -> tuple[Record, ...]:
    """Return the essential and required packages, the ``roots``, and all that these depend on, sorted by name.

    ``keep`` are versions, by name, that stay where there still is such a version and nothing else forbids it. The
    newest is taken otherwise. This is what debootstrap's variant ``minbase`` holds: no recommended package, but all
    that have the priority ``required``. Conflicts are not looked at: dpkg does so when it installs.

    Raises BuildError that names what is missing, and who wants it.
    """
    pins = dict(keep)
    wanted = sorted({*index.required, *roots})
    banned: set[tuple[str, str]] = set()
    first: BuildError | None = None
    while True:
        try:
            return _Attempt(index, pins, banned).run(wanted)
        except _DeadEndError as dead:
            first = first or dead.failure
            if dead.culprit is None:
                raise first from None
            banned.add((dead.culprit.name, dead.culprit.version))


class _Attempt:
    """One way through the dependencies, without a step back."""

    def __init__(self, index: Index, pins: Mapping[str, str], banned: set[tuple[str, str]]) -> None:
        self._index = index
        self._pins = pins
        self._banned = banned
        self._chosen: dict[str, Record] = {}
        self._waiting: deque[Record] = deque()

    def run(self, wanted: Sequence[str]) -> tuple[Record, ...]:
        for name in wanted:
            self._require((Relation(name),), None)
        while self._waiting:
            record = self._waiting.popleft()
            for clause in record.depends:
                self._require(clause, record)
        return tuple(sorted(self._chosen.values(), key=lambda record: record.name))

    def _require(self, clause: Clause, wanting: Record | None) -> None:
        """Make sure that one alternative of a clause is among the chosen. Raises _DeadEndError."""
        if any(self._has(relation) for relation in clause):
            return
        options = [record for relation in clause for record in self._options(relation)]
        kept = [record for record in options if self._pins.get(record.name) == record.version]
        for record in (*kept, *options):
            self._chosen[record.name] = record
            self._waiting.append(record)
            return
        raise self._dead_end(clause, wanting)

    def _has(self, relation: Relation) -> bool:
        names = {relation.name, *self._index.providers(relation.name)}
        return any(name in self._chosen and self._chosen[name].satisfies(relation) for name in names)

    def _options(self, relation: Relation) -> Iterator[Record]:
        """Yield what would satisfy a relation: the package of this name, then those that provide it."""
        yield from self._satisfying(relation.name, relation)
        providers = [
            record
            for name in self._index.providers(relation.name) - {relation.name}
            for record in self._satisfying(name, relation)
        ]
        yield from sorted(providers, key=lambda record: (_importance(record), record.name))

    def _satisfying(self, name: str, relation: Relation) -> Iterator[Record]:
        """Yield the version of a package that would be taken for a relation, if one is left to choose."""
        if name in self._chosen:
            return
        for record in self._candidates(name):
            if record.satisfies(relation):
                yield record
                return

    def _candidates(self, name: str) -> list[Record]:
        """Return the versions that may be chosen, a kept one first."""
        records = [record for record in self._index.versions(name) if (record.name, record.version) not in self._banned]
        return sorted(records, key=lambda record: record.version != self._pins.get(name))

    def _dead_end(self, clause: Clause, wanting: Record | None) -> _DeadEndError:
        """Return why a clause cannot be met, and which version to give up for it: none when nothing would help."""
        failure = self._failure(clause, wanting)
        for relation in clause:
            chosen = self._chosen.get(relation.name)
            if chosen and any(record.satisfies(relation) for record in self._candidates(chosen.name)):
                return _DeadEndError(failure, chosen)
        others = self._candidates(wanting.name) if wanting else []
        return _DeadEndError(failure, wanting if len({record.version for record in others}) > 1 else None)

    def _failure(self, clause: Clause, wanting: Record | None) -> BuildError:
        what = " | ".join(map(str, clause))
        there = [str(record) for relation in clause for record in self._index.versions(relation.name)]
        has = f"the archive has {', '.join(there)}" if there else "the archive has no such package"
        who = f"{wanting} depends on it" if wanting else "a root needs it"
        return BuildError(
            f"{what} cannot be had: {has}, and {who}",
            remedy="try again later if the archive is being updated; else check base.suite and base.apt_sources",
        )


def _importance(record: Record) -> int:
    return _IMPORTANCE.index(record.priority) if record.priority in _IMPORTANCE else len(_IMPORTANCE)
