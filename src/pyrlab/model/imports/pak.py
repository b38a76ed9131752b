"""pak's lock file, pkg.lock by its default name: an installation plan, of which only what was asked for is taken over.

Source: pkgdepends, which writes and reads it.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pyrlab.model.imports.found import Collector, Found, NamedUrl, text_of
from pyrlab.model.locks.tables import Table

KIND = "pak.lock"
FORMATS = (1, 2)
_REPOSITORY = frozenset({"cran", "standard", "any"})
_ELSEWHERE = {
    "gitlab": "it comes from GitLab",
    "git": "it comes from a git repository of its own",
    "url": "it comes from a URL",
    "local": "it is a local package",
    "installed": "it was installed on that machine already",
}
_R = re.compile(r"(?:R version )?([0-9]+\.[0-9]+\.[0-9]+)")


def read(document: Mapping[str, Any]) -> Found:
    """Read the file's JSON. Raises ValueError that says what has a wrong type."""
    number = document.get("lockfile_version")
    if number not in FORMATS:
        raise ValueError(f"it has the format {number!r}, and known are {' and '.join(map(str, FORMATS))}")
    tables = {text_of(table, "package"): table for table in Table(document, "the file").tables("packages")}
    collector = Collector(KIND)
    taken: list[Table] = []
    for table in _direct(tables, collector):
        _take(table, collector)
        taken.append(table)
    match = _R.match(text_of(Table(document, "the file"), "r_version"))
    urls = dict.fromkeys(url for table in taken if (url := _repository(table)))
    return Found(
        kind=KIND,
        wanted=tuple(collector.wanted),
        refused=tuple(collector.refused),
        bioconductor=frozenset(collector.bioconductor),
        repositories=tuple(NamedUrl(_name(url), url) for url in urls),
        r=match[1] if match else "",
        commits=collector.commits,
    )


def _direct(tables: Mapping[str, Table], collector: Collector) -> list[Table]:
    """Return the packages that somebody asked for; in the place of a folder, those that it needs.

    ``pak::lockfile_create()`` asks for ``deps::.``, which is no package, but the dependencies of one.
    """
    found: dict[str, Table] = {}
    for name, table in tables.items():
        if not table.flag("direct"):
            continue
        if text_of(table, "type") != "deps":
            found[name] = table
            continue
        for needed in table.texts("dependencies", ()):
            if needed in tables:
                found[needed] = tables[needed]
            else:
                # Without an entry it is R's own, or nobody knows where it comes from.
                collector.take(needed)
    return list(found.values())


def _take(table: Table, collector: Collector) -> None:
    name, version, kind = text_of(table, "package"), text_of(table, "version"), text_of(table, "type")
    if kind == "github":
        collector.take_commit(name, _metadata(table))
    elif kind in _ELSEWHERE:
        collector.refuse(name, _ELSEWHERE[kind])
    elif kind not in {*_REPOSITORY, "bioc"}:
        collector.refuse(name, f"pak calls it {kind or 'nothing'}, which is no kind of package that pyrlab knows")
    elif not version:
        collector.refuse(name, "it has no version")
    else:
        bioconductor = kind == "bioc" or text_of(table, "repotype") == "bioc"
        collector.take(name, "==", version, bioconductor=bioconductor)


def _metadata(table: Table) -> Table:
    """Return what pak would write into the DESCRIPTION; R writes a table without entries as a list."""
    found = table.values.get("metadata") or {}
    return Table(found if isinstance(found, dict) else {}, f"the metadata of {table.where}")


def _repository(table: Table) -> str:
    """Return the URL of the repository that pak took a package from, or nothing."""
    if text_of(table, "type") not in {*_REPOSITORY, "bioc"}:
        return ""
    said = text_of(_metadata(table), "RemoteRepos")
    sources = table.texts("sources", ())
    return said or next((url.partition("/src/contrib/")[0] for url in sources if "/src/contrib/" in url), "")


def _name(url: str) -> str:
    """Return a name for a repository, for which pak has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return "cran" if "cran" in f"{parts.hostname}{parts.path}".lower() else str(parts.hostname or "").partition(".")[0]
