"""`import`: what a DESCRIPTION, an renv.lock or a lock of pak names goes into the list of R packages."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pyrlab.adapters import files, git, lock_files
from pyrlab.adapters.lists_files import read_list, read_lists
from pyrlab.errors import StaleLockError, UsageError
from pyrlab.model import imports
from pyrlab.model.imports.found import Found, Refused
from pyrlab.model.imports.merge import Line, Merged, merge
from pyrlab.model.imports.proposal import Proposal, has_bioconductor, propose
from pyrlab.model.lists import IMPLIED
from pyrlab.model.locks.lockset import r_of
from pyrlab.model.settings import Settings

_REMEDY = "name a DESCRIPTION, an renv.lock or a lock of pak: nox -s import -- FILE"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an import into the list called ``file``."""

    file: str
    found: Found
    merged: Merged
    proposal: Proposal
    notes: tuple[str, ...]


def import_file(settings: Settings, path: Path) -> Outcome:
    """Add to the project's list of R packages what a file has, and return what was done. Settings are not changed.

    Raises UsageError, and ListError when the file or a list cannot be read; then nothing was changed.
    """
    if settings.graph.with_r is None:
        raise UsageError("no image of this project has R packages", remedy="say in docker/images.toml which one has")
    found = imports.read(_content(path), name=path.name)
    if not has_bioconductor(found, settings.r_repositories):
        found = _without_bioconductor(found)
    lists = read_lists(settings.project, settings.graph)
    own: list[Line] = [*(request for request in lists.r if request.where != IMPLIED), *lists.r_commits]
    file = settings.project / settings.graph.with_r.r
    before = read_list(file)
    merged = merge(before, own, found)
    if merged.text != before:
        # Where the list is a link to a file, that file is the list.
        files.write({file.resolve(): merged.text})
    proposal = propose(found, settings.r_repositories, day=git.committed(path.resolve()) or _changed(path))
    return Outcome(file.name, found, merged, proposal, (*found.notes, *_note_on_r(settings, found)))


def _content(path: Path) -> bytes:
    if not path.exists():
        raise UsageError(f"there is no {path}", remedy=_REMEDY)
    if not path.is_file():
        raise UsageError(f"{path} is no file", remedy=_REMEDY)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="make it readable for you") from error


def _changed(path: Path) -> str:
    return f"{datetime.fromtimestamp(path.stat().st_mtime, tz=UTC):%Y-%m-%d}"


def _without_bioconductor(found: Found) -> Found:
    """Return the file without packages that only Bioconductor has, as no repository is one of Bioconductor's."""
    release = f"Bioconductor {found.release}".strip()
    reason = (
        f"it comes from {release}, of which r.repositories has none: add it by docs/r-packages.md, and import again"
    )
    wanted = tuple(request for request in found.wanted if request.name not in found.bioconductor)
    refused = tuple(Refused(name, reason) for name in sorted(found.bioconductor))
    return replace(found, wanted=wanted, refused=(*found.refused, *refused))


def _note_on_r(settings: Settings, found: Found) -> tuple[str, ...]:
    """Say when the file was made with another R than the one that is locked."""
    try:
        lock = lock_files.read_earlier(settings, warn=lambda _: None).debs
    except StaleLockError:
        lock = None
    here = r_of(lock) if lock else ""
    if not here or not found.r or found.r.split(".")[:2] == here.split(".")[:2]:
        return ()
    return (f"{found.kind} was made with R {found.r}, and this project has R {here}: old versions may not compile",)
