"""Debian's R packages as a repository like others: its own names and versions, read as R's."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from debian.deb822 import Deb822

from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.version import RVersion

NAME = "debian"
BIOCONDUCTOR = "r-bioc-"
PREFIXES = ("r-cran-", BIOCONDUCTOR, "r-other-")
# Where upstream lives: `…/package=NAME`, `…/packages/release/bioc/html/NAME.html`, `…/NAME/`.
_HOMEPAGE = re.compile(r"([A-Za-z][A-Za-z0-9.]*?)(?:\.html?|\.git)?/?(?:[#?].*)?$")
_UPSTREAM = re.compile(r"[0-9]+(?:[.-][0-9]+)*")


def is_r_deb(name: str) -> bool:
    """Tell whether a Debian package carries an R package."""
    return name.startswith(PREFIXES)


def of_bioconductor(debs: Iterable[str]) -> frozenset[str]:
    """Return the names, in lower case, of the R packages among ``debs`` that are Bioconductor's."""
    return frozenset(bare(deb) for deb in debs if deb.startswith(BIOCONDUCTOR))


def bare(deb: str) -> str:
    """Return the R name in a deb's name, in lower case: ``rcpp`` of ``r-cran-rcpp``."""
    return next((deb.removeprefix(prefix) for prefix in PREFIXES if deb.startswith(prefix)), deb)


@dataclass(frozen=True, slots=True)
class Described:
    """DESCRIPTION fields by deb, those that can be read; and of the other debs the reason why not."""

    descriptions: Mapping[str, Mapping[str, str]]
    unread: Mapping[str, str]


def readable(descriptions: Mapping[str, Mapping[str, str]]) -> Described:
    """Tell which DESCRIPTIONs can be read as records; the empty ones of debs without an R package fall away."""
    good, unread = {}, {}
    for deb, fields in descriptions.items():
        if not fields:
            continue
        try:
            Record.of(fields, file=deb)
        except ValueError as error:
            unread[deb] = str(error)
        else:
            good[deb] = fields
    return Described(good, unread)


@dataclass(frozen=True, slots=True)
class Names(Collection[str]):
    """R names: those that are ``listed``, and in any case of their letters those in ``lower``."""

    listed: Collection[str]
    lower: Collection[str]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a package that may be called so."""
        return name in self.listed or (isinstance(name, str) and name.lower() in self.lower)

    def __iter__(self) -> Iterator[str]:
        """Iterate over one name of each package."""
        return iter(self.listed)

    def __len__(self) -> int:
        """Return the number of packages."""
        return len(self.listed)


@dataclass(frozen=True)
class Debian:
    """A Source for the resolver. ``stanzas`` are apt's own words on each r-* package, the version that it would take.

    Where a package's DESCRIPTION is known (``descriptions``, by deb), that is what counts. Otherwise name and version
    are as near as Debian's tell: the name as one of ``known`` (all names in the indexes of other repositories), the
    version without what Debian adds, dependencies without bounds.

    Where no index tells a name either, its case is a guess after the homepage, which is often wrong. Such a package is
    had in any case that is asked for: apt then brings it, and in the next turn its DESCRIPTION tells.
    """

    stanzas: Mapping[str, Mapping[str, str]]
    descriptions: Mapping[str, Mapping[str, str]]
    known: Collection[str]
    name: str = NAME

    @cached_property
    def names(self) -> Collection[str]:
        """R's names of all packages that Debian has. ``in`` finds a name that is a guess in any case."""
        return Names(self._debs.keys(), self._guessed.keys())

    def records(self, name: str) -> Sequence[Record]:
        """Return the one version that Debian has, or nothing."""
        deb = self._debs.get(name) or self._guessed.get(name.lower())
        return [self._record(name, deb)] if deb else []

    def archived(self, name: str) -> Sequence[str]:
        """Return nothing: Debian's archive keeps one version."""
        del name
        return []

    def describe(self, name: str, version: str) -> None:
        """Return nothing, as ``archived``."""

    def broken(self, name: str) -> Sequence[str]:
        """Return nothing: what cannot be read of a deb, Debian's own words stand for."""
        del name
        return []

    def needs(self, name: str) -> bool:
        """Return False: what a deb depends on is in Debian."""
        del name
        return False

    @cached_property
    def _debs(self) -> dict[str, str]:
        return {self._true_name(deb): deb for deb in self.stanzas}

    @cached_property
    def _guessed(self) -> dict[str, str]:
        """Return the debs of which nothing tells R's name for sure, by that name in lower case."""
        undescribed = [deb for deb in self.stanzas if deb not in self.descriptions]
        return {bare(deb): deb for deb in undescribed if len(self._spellings.get(bare(deb), ())) != 1}

    @cached_property
    def _spellings(self) -> dict[str, list[str]]:
        """Return the known names by their lower case: CRAN has GSM and gsm."""
        found: dict[str, list[str]] = {}
        for name in sorted(set(self.known)):
            found.setdefault(name.lower(), []).append(name)
        return found

    def _true_name(self, deb: str) -> str:
        if deb in self.descriptions:
            return self.descriptions[deb]["Package"]
        spellings = self._spellings.get(bare(deb), [])
        homepage = _HOMEPAGE.search(self.stanzas[deb].get("Homepage", ""))
        guess = homepage[1] if homepage and homepage[1].lower() == bare(deb) else bare(deb)
        return guess if guess in spellings or not spellings else spellings[0]

    def _record(self, name: str, deb: str) -> Record:
        if deb in self.descriptions:
            return Record.of(self.descriptions[deb], file=deb)
        stanza = self.stanzas[deb]
        wanted = {other for other in names_in(stanza.get("Depends", "")) if other in self.stanzas}
        return Record(
            name=name,
            version=upstream_version(stanza.get("Version", "")),
            file=deb,
            dependencies=tuple(sorted(Dependency(self._true_name(other)) for other in wanted)),
        )


def upstream_version(version: str) -> RVersion:
    """Return R's version, as far as Debian's tells: ``1:1.8-4+dfsg-2`` is 1.8-4. What tells nothing is 0."""
    upstream = version.rpartition(":")[2]
    upstream = upstream.rpartition("-")[0] or upstream
    match = _UPSTREAM.match(upstream)
    try:
        return RVersion.parse(match[0] if match else "0")
    except ValueError:
        # A date with its time, for one, is too large for R, so that it is Debian's invention.
        return RVersion.parse("0")


def names_in(field: str) -> list[str]:
    """Return the package names in a Debian dependency field, without versions; of alternatives, all."""
    names = (re.split(r"[\s(:\[<]", entry.strip(), maxsplit=1)[0] for entry in re.split(r"[,|]", field))
    return sorted({name for name in names if name})


def parse_stanzas(text: str) -> dict[str, dict[str, str]]:
    """Parse apt's stanzas, by package; the first of a name counts, which is the one that apt would take."""
    found: dict[str, dict[str, str]] = {}
    for stanza in _paragraphs(text):
        found.setdefault(stanza["Package"], stanza)
    return found


def _paragraphs(text: str) -> Iterable[dict[str, str]]:
    for part in re.split(r"\n\s*\n", text):
        fields = dict(Deb822(part))
        if "Package" in fields:
            yield fields
