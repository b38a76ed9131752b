"""What to do about R packages that cannot be had: words of the list and of the settings."""

import difflib
from collections.abc import Sequence

from pyrlab.model.cran.record import Dependency
from pyrlab.model.cran.universe import Universe
from pyrlab.model.cran.version import RVersion

LIST = "r_packages.txt"
REPOSITORIES = "r.repositories in pyrlab.toml"
DOCS = "docs/r-packages.md"
ANOTHER_VERSION = f"ask for another version or repository in {LIST}, or leave it open"
# In its software repository only, with the number of the release as its version.
_RELEASE = "BiocVersion"


def another_name(universe: Universe, name: str) -> str:
    """Return what to write instead of a name that nobody has: its right case first, or the nearest ones."""
    same = same_letters(universe, name)
    if same:
        return f"R tells upper from lower case: write {same[0]}"
    names = _names(universe)
    near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.75)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if has_bioconductor(universe):
        return f"check the name, and {REPOSITORIES}"
    return f"check the name, or add its repository to {REPOSITORIES} ({DOCS} has Bioconductor's line)"


def same_letters(universe: Universe, name: str) -> list[str]:
    """Return the names that there are which differ from ``name`` in upper and lower case only, sorted."""
    return sorted(known for known in _names(universe) if known.lower() == name.lower())


def _names(universe: Universe) -> set[str]:
    return {known for source in universe.sources for known in source.names} | set(universe.installed)


def bioconductor(universe: Universe, *, besides: str = "") -> str:
    """Return how to get what is Bioconductor's, or ``besides``."""
    return f"add {besides}{_its_release(universe)} to {REPOSITORIES} ({DOCS} has the line)"


def _its_release(universe: Universe) -> str:
    releases = " or ".join(releases_for(universe.r))
    return f"Bioconductor {releases}, for R {_minor(universe.r)}," if releases else "the Bioconductor for this R"


def has_bioconductor(universe: Universe) -> bool:
    """Tell whether Bioconductor is one of the repositories."""
    return any(_release(universe, source.name) for source in universe.sources)


def another_repository(universe: Universe, lacking: Sequence[str]) -> str:
    """Return where to get packages that no repository has."""
    names = ", ".join(lacking)
    if any(universe.refused(name) for name in lacking):
        return f"drop what asks for it from {LIST}, or add a repository that has another {names} to {REPOSITORIES}"
    if not has_bioconductor(universe) and {name.lower() for name in lacking} <= set(universe.bioconductor):
        return f"{names} {'is' if len(lacking) == 1 else 'are'} Bioconductor's: {bioconductor(universe)}"
    add = f"add a repository that has {names} to {REPOSITORIES}"
    if has_bioconductor(universe):
        return add
    return f"{add}, perhaps {_its_release(universe)} as {DOCS} has it"


def another_r(universe: Universe, gates: Sequence[tuple[str, Dependency]]) -> str:
    """Return what to do about bounds on R, each with the name of its repository."""
    drop = f"or drop what asks for it from {LIST}"
    if not all(gate.operator in {">=", ">"} for _, gate in gates):
        return f"this R is too new for it: take an older R, with base.suite in pyrlab.toml, {drop}"
    for repository, _ in gates:
        release = _release(universe, repository)
        fitting = releases_for(universe.r)
        if release and fitting and release not in fitting:
            right = " or ".join(fitting)
            return (
                f"{repository} is Bioconductor {release}, which is for another R: "
                f"take its release {right}, for R {_minor(universe.r)}, in {REPOSITORIES}"
            )
    return f"take a newer R, with base.suite in pyrlab.toml, {drop}"


def releases_for(r: RVersion) -> list[str]:
    """Return Bioconductor's releases for a version of R, oldest first; none where the rule does not hold.

    Two a year, and one R: since R 4.0, which had 3.11 and 3.12. Source: Bioconductor's list of its releases.
    """
    major, minor = (*r.parts, 0, 0)[:2]
    if major != 4:  # noqa: PLR2004 - the rule is about R 4 alone
        return []
    return [f"3.{11 + 2 * minor}", f"3.{12 + 2 * minor}"]


def _minor(r: RVersion) -> str:
    return ".".join(map(str, (*r.parts, 0, 0)[:2]))


def _release(universe: Universe, repository: str) -> str:
    """Return the release of Bioconductor that a repository is, or nothing."""
    for source in universe.sources:
        if source.name == repository and _RELEASE in source.names:
            records = source.records(_RELEASE)
            return _minor(records[0].version) if records else ""
    return ""
