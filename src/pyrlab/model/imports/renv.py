"""renv.lock: the packages of a library with their versions, and where each came from.

Source: renv's own schema of the file, and how renv restores it.
"""

from collections.abc import Mapping
from typing import Any

from pyrlab.model.imports.found import Collector, Found, NamedUrl, json_table, text_of
from pyrlab.model.locks.tables import Table

KIND = "renv.lock"
# Names that renv's versions have given to repositories like CRAN.
_REPOSITORY = frozenset({"repository", "cran", "ppm", "p3m", "rspm"})
_BIOCONDUCTOR = frozenset({"bioconductor", "bioc"})
_ELSEWHERE = {
    "gitlab": "it comes from GitLab",
    "bitbucket": "it comes from Bitbucket",
    "git": "it comes from a git repository of its own",
    "git2r": "it comes from a git repository of its own",
    "xgit": "it comes from a git repository of its own",
    "url": "it comes from a URL",
    "local": "it is a local package",
    "cellar": "it is a local package",
    "unknown": "renv did not know where it comes from",
}


def read(document: Mapping[str, Any]) -> Found:
    """Read the file's JSON. Raises ValueError that says what has a wrong type."""
    collector = Collector(KIND)
    packages = document["Packages"]
    # R writes an empty list where a table has no entries.
    if packages == []:
        packages = {}
    if not isinstance(packages, dict):
        raise ValueError("'Packages' is not a table")  # noqa: TRY004 - of the file, not of the program
    for key, record in packages.items():
        _take(key, json_table(record, f"package {key!r}"), collector)
    r = json_table(document.get("R") or {}, "'R'")
    bioconductor = json_table(document.get("Bioconductor") or {}, "'Bioconductor'")
    return Found(
        kind=KIND,
        wanted=tuple(collector.wanted),
        refused=tuple(collector.refused),
        bioconductor=frozenset(collector.bioconductor),
        release=text_of(bioconductor, "Version"),
        repositories=_repositories(r),
        r=text_of(r, "Version"),
        commits=collector.commits,
    )


def _take(key: str, record: Table, collector: Collector) -> None:
    name = text_of(record, "Package") or key
    version = text_of(record, "Version")
    repository = text_of(record, "Repository")
    source = text_of(record, "Source") or ("Repository" if repository else "unknown")
    origin = source.lower()
    if name == "renv":
        collector.refuse(name, "what renv does here, pyrlab does")
    elif origin == "github":
        collector.take_commit(name, record)
    elif origin in _ELSEWHERE:
        collector.refuse(name, _ELSEWHERE[origin])
    elif origin not in _REPOSITORY | _BIOCONDUCTOR:
        collector.refuse(name, f"it comes from {source}")
    elif not version:
        collector.refuse(name, "it has no version")
    else:
        bioconductor = origin in _BIOCONDUCTOR or repository.lower().startswith("bioc")
        collector.take(name, "==", version, bioconductor=bioconductor)


def _repositories(r: Table) -> tuple[NamedUrl, ...]:
    """Return the repositories: a list of names and URLs or, in files by hand, a table."""
    found = r.values.get("Repositories") or []
    if isinstance(found, dict):
        found = [{"Name": name, "URL": url} for name, url in found.items()]
    if not isinstance(found, list):
        raise ValueError("'Repositories' of 'R' is not a list")  # noqa: TRY004 - of the file, not of the program
    tables = [json_table(one, "a repository") for one in found]
    return tuple(NamedUrl(text_of(table, "Name"), text_of(table, "URL")) for table in tables)
