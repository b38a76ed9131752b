"""The evidence of an upgrade: what is told of it, out of what was seen, and the files that are kept of that."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from debian.debian_support import Version as DebVersion
from packaging.version import Version

from pyrlab.adapters import files
from pyrlab.adapters.debian import archive
from pyrlab.adapters.docker import tags
from pyrlab.adapters.http import Web
from pyrlab.adapters.python import advisories
from pyrlab.errors import PyrlabError
from pyrlab.model import changes
from pyrlab.model.changes import OTHER_FILES, Change
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.bumps import Member, Package
from pyrlab.model.upgrade.compose import DEBS, PYTHON, R, members
from pyrlab.model.upgrade.held import ECOSYSTEMS, Holds
from pyrlab.model.upgrade.notebooks import Difference
from pyrlab.model.upgrade.report import (
    SECURITY_UPDATE,
    Advisory,
    HeldBack,
    ImageFigures,
    NotebookRun,
    Report,
    Updates,
)
from pyrlab.model.upgrade.report_html import html
from pyrlab.model.upgrade.report_markdown import markdown
from pyrlab.steps import fetch

Say = Callable[[str], None]
FOLDER, MARKDOWN, HTML = "upgrade", "report.md", "report.html"
_SECURITY = "-security"
# How versions compare, by kind of lock.
_ORDERS: Mapping[str, Callable[[str], Any]] = {DEBS: DebVersion, PYTHON: Version, R: DebVersion}


def updates(old: Locks, new: Locks, asked: Iterable[Package]) -> tuple[Updates, ...]:
    """Return what changed, by ecosystem; what the lists ask for first."""
    wanted = set(asked)
    found = []
    for kind, ecosystem in ECOSYSTEMS.items():
        own = [member for member in members(old, new) if member.package.ecosystem == kind]
        direct = tuple(_change(member) for member in own if member.package in wanted)
        others = tuple(_change(member) for member in own if member.package not in wanted)
        if own:
            found.append(Updates(ecosystem, direct, others))
    return tuple(found)


def _change(member: Member) -> Change:
    name = member.package.name
    if member.old == member.new:
        return Change(OTHER_FILES, name, member.old, member.new)
    [change] = changes.diff({name: member.old}, {name: member.new}, _ORDERS[member.package.ecosystem])
    return change


def held_back(holds: Holds, locks: Locks) -> tuple[HeldBack, ...]:
    """Return what is held, with the version at which it stays."""
    versions = {Package(PYTHON, pin.name): pin.version for lock in locks.python.values() for pin in lock.pins} | {
        Package(DEBS, pin.name): pin.version for pin in locks.debs.pins()
    }
    if locks.debs.base:
        versions[Package(DEBS, locks.debs.base.image)] = locks.debs.base.python
    if locks.r:
        versions |= {Package(DEBS, pin.name): pin.version for pin in locks.r.debs}
        versions |= {Package(R, pin.name): pin.version for pin in locks.r.packages}
    kinds = {ecosystem: kind for kind, ecosystem in ECOSYSTEMS.items()}
    return tuple(HeldBack(held, versions.get(Package(kinds[held.ecosystem], held.name), "")) for held in holds.entries)


def is_older(ecosystem: str, version: str, other: str) -> bool:
    """Tell whether a version is before another, as its ecosystem orders them."""
    order = _ORDERS[next(kind for kind, name in ECOSYSTEMS.items() if name == ecosystem)]
    return bool(order(version) < order(other))


def images(
    old: Settings, new: Settings, starts: Mapping[str, tuple[float | None, float | None]]
) -> tuple[ImageFigures, ...]:
    """Return the sizes of all images before and after, and how long the labs took to answer."""
    return tuple(
        ImageFigures(name, tags.size_of(old.tag(name)), tags.size_of(new.tag(name)), *starts.get(name, (None, None)))
        for name in old.graph.images
    )


def runs(differences: Mapping[str, tuple[Difference, ...]], outputs: Mapping[str, str]) -> tuple[NotebookRun, ...]:
    """Return what each notebook showed, by its path: ``outputs`` gives ``LAB-PATH`` by test."""
    return tuple(NotebookRun(outputs[test].partition("-")[2], found) for test, found in sorted(differences.items()))


def known_vulnerabilities(
    settings: Settings, changed: Sequence[Updates], architecture: str, *, say: Say
) -> tuple[tuple[Advisory, ...], tuple[str, ...]]:
    """Return which known vulnerabilities the updates repair, and the sources that could not be asked."""
    say("asking which known vulnerabilities this repairs")
    found: list[Advisory] = []
    unreachable = []
    for source, ask in (("the Python index", _of_python), ("Debian's security suite", _of_debian)):
        try:
            found += ask(settings, changed, architecture)
        except PyrlabError:
            unreachable.append(source)
    return tuple(found), tuple(unreachable)


def _moved(changed: Sequence[Updates], kind: str) -> list[Change]:
    return [one for group in changed if group.ecosystem == ECOSYSTEMS[kind] for one in group.all if one.kind == "up"]


def _of_python(settings: Settings, changed: Sequence[Updates], architecture: str) -> list[Advisory]:
    del architecture
    moves = [advisories.Move(one.name, one.old, one.new) for one in _moved(changed, PYTHON)]
    web = Web(settings.cache, ca_file=settings.ca_file, proxies=settings.proxies)
    found = advisories.repaired(web, settings.python_index, moves)
    return [Advisory(ECOSYSTEMS[PYTHON], move.name, ids, "the Python index") for move, ids in found.items()]


def _of_debian(settings: Settings, changed: Sequence[Updates], architecture: str) -> list[Advisory]:
    """Return the updates that Debian's security suite brought: it says which, and the changelog says what of."""
    moves = _moved(changed, DEBS)
    if not moves:
        return []
    web = fetch.debian_web(settings)
    sources = [source for source in archive.base_sources(settings) if source.suite.endswith(_SECURITY)]
    index = archive.read_index(settings, sources, architecture=architecture, web=web)
    return [
        Advisory(ECOSYSTEMS[DEBS], one.name, (SECURITY_UPDATE,), "Debian's security suite")
        for one in moves
        if one.new in {record.version for record in index.versions(one.name)}
    ]


def write(settings: Settings, report: Report) -> Path:
    """Write the report as Markdown and as HTML into the work folder, and return the latter."""
    folder = settings.workspace.work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    files.write({folder / MARKDOWN: markdown(report), folder / HTML: html(report)})
    return folder / HTML
