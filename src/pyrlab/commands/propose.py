"""`propose`: what an upgrade changed becomes a branch of the remote, for a pull request."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pyrlab.adapters import files
from pyrlab.adapters.git_branch import Repository
from pyrlab.model.changes import shortened
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.held import FILE as HELD
from pyrlab.steps.architecture import all_locked

BRANCH = "pyrlab/upgrade"
# Below the work folder; `upgrade` writes it.
REPORT = "upgrade/report.md"
TITLE = "Upgrade the locks"
# What a pull request says: the report, or its beginning.
DESCRIPTION = "upgrade/description.md"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was proposed: the names of the changed files, and whether the branch had them already."""

    files: tuple[str, ...]
    pushed: bool


def propose(settings: Settings, *, merge_request: str) -> Proposal | None:
    """Push the changed locks, and what is held back, as the branch BRANCH; return None when nothing is changed.

    The branch is one commit upon the one that is checked out. With ``merge_request``, the name of a branch, GitLab is
    asked to open or update a merge request into that branch, with the upgrade's report.
    Raises UsageError and NetworkError.
    """
    repository = Repository(settings.project)
    work = settings.workspace.work
    folders = {one.locks_of for one in all_locked(settings)}
    locks = [(PurePosixPath(folder) / lock).as_posix() for folder in sorted(folders) for lock in settings.graph.locks]
    commit = repository.commit([*locks, HELD], TITLE, work=work)
    if commit is None:
        return None
    text = _describe(work)
    options = _options(merge_request, text) if merge_request else []
    pushed = repository.push(commit, BRANCH, options=options)
    return Proposal(tuple(repository.changed(commit)), pushed)


def _describe(work: Path) -> str:
    """Return what a pull request says, and leave it in a file for those who open one."""
    report = work / REPORT
    if not report.exists():
        return TITLE
    text = shortened(report.read_text(encoding="utf-8"))
    files.write({work / DESCRIPTION: text})
    return text


def _options(target: str, text: str) -> list[str]:
    """Return GitLab's push options. A line break is written as backslash and n: git takes none."""
    description = text.replace("\r", "").replace("\n", "\\n")
    return [
        "merge_request.create",
        f"merge_request.target={target}",
        f"merge_request.title={TITLE}",
        f"merge_request.description={description}",
    ]
