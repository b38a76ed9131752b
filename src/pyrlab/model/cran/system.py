"""Debian packages that an R package needs to compile and to run, from what Debian's own packages of it say."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pyrlab.model.cran.debian import PREFIXES, is_r_deb, names_in

# What Debian needs to make a deb, what it links in place of files that the R package has itself, and what is there.
_PACKAGING = re.compile(
    r"debhelper.*|dh-.*|r-(?:base|api|cran|bioc|other)-.*|libjs-.*|node-.*|fonts-.*|javascript-.*|"
    r"libc6(?:-dev)?|linux-libc-dev"
)
# Debian's build profiles: a dependency that only tests need is marked so.
_TESTS_ONLY = re.compile(r"<[^>]*!nocheck[^>]*>")
# What compiles R packages, whichever: R's headers with its compilers.
TOOLCHAIN = ("r-base-dev",)


@dataclass(frozen=True, slots=True)
class Needs:
    """Names of debs, sorted: to compile a package, and to run it."""

    build: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


@dataclass(frozen=True)
class SystemDebs:
    """What Debian knows: stanzas of its R packages by deb and of their sources, and all names that it can install.

    ``headers`` are names of debs by a header that was looked up in the archive's Contents index. ``stanzas`` tell of
    what compiles packages, too, once apt was asked for it.
    """

    stanzas: Mapping[str, Mapping[str, str]]
    sources: Sequence[Mapping[str, str]]
    available: Collection[str]
    headers: Mapping[str, Collection[str]]

    def knows(self, package: str) -> bool:
        """Tell whether Debian has this R package, in any version."""
        return self._deb(package) is not None

    def knows_build(self, package: str) -> bool:
        """Tell whether Debian says what compiles this R package: a mirror may have no sources."""
        return self._deb(package) in self._build_depends

    def needs(self, package: str, *, headers: Collection[str] = ()) -> Needs:
        """Return what an R package needs. ``headers`` are those that its sources include from elsewhere."""
        deb = self._deb(package)
        if deb:
            run = [name for name in names_in(self.stanzas[deb].get("Depends", "")) if self._counts(name)]
            return Needs(self._build_depends.get(deb) or self._by_headers(headers), tuple(run))
        build = self._by_headers(headers)
        return Needs(build, tuple(sorted({name for deb in build for name in self._libraries(deb)})))

    def _deb(self, package: str) -> str | None:
        names = (prefix + package.lower() for prefix in PREFIXES)
        return next((name for name in names if name in self.stanzas), None)

    def _by_headers(self, headers: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted({name for header in headers for name in [self._carrier(header)] if name}))

    def _libraries(self, deb: str) -> list[str]:
        """Return the libraries that a -dev package depends on: what is linked against it needs them to run."""
        names = names_in(self.stanzas.get(deb, {}).get("Depends", ""))
        return [name for name in names if name.startswith("lib") and not name.endswith("-dev") and self._counts(name)]

    def _counts(self, name: str) -> bool:
        return name in self.available and not _PACKAGING.fullmatch(name)

    def _carrier(self, header: str) -> str | None:
        """Return the deb of a header: of several, the one that Debian's own R packages ask for most."""
        carriers = [name for name in self.headers.get(header, ()) if self._counts(name)]
        return min(carriers, key=lambda name: (-self._asked_for[name], name), default=None)

    @cached_property
    def _asked_for(self) -> Counter[str]:
        return Counter(name for names in self._build_depends.values() for name in names)

    @cached_property
    def _build_depends(self) -> dict[str, tuple[str, ...]]:
        """What compiles each deb: of alternatives the first that there is."""
        found = {}
        for source in self.sources:
            fields = ", ".join(source.get(f"Build-Depends{kind}", "") for kind in ("", "-Arch"))
            needed = tuple(sorted({name for entry in fields.split(",") for name in self._first(entry)}))
            for deb in names_in(source.get("Binary", "")):
                if is_r_deb(deb):
                    found[deb] = needed
        return found

    def _first(self, entry: str) -> list[str]:
        if _TESTS_ONLY.search(entry):
            return []
        choices = [name for choice in entry.split("|") for name in names_in(choice)]
        return next(([name] for name in choices if self._counts(name)), [])
