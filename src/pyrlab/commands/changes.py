"""`changes`: what is different between the locks of an earlier commit and those of now, for whoever reviews it."""

from pathlib import PurePosixPath

from pyrlab.adapters import files, git, lock_files
from pyrlab.errors import StaleLockError, UsageError
from pyrlab.model import changes as model
from pyrlab.model.changes import Change
from pyrlab.model.locks.lockset import Earlier, differences
from pyrlab.model.settings import Settings
from pyrlab.steps.architecture import all_locked

# Below the work folder.
FILE = "changes.md"


def changes(settings: Settings, commit: str) -> dict[str, list[Change]]:
    """Return what changed in each lock since a commit of the project's repository, and write it down as Markdown.

    The locks of each architecture count. There is no such file where nothing changed.
    Raises UsageError for what is no commit, and StaleLockError.
    """
    if not git.is_commit(settings.project, commit):
        raise UsageError(f"{commit!r} is no commit of {settings.project}", remedy="name one, as in: HEAD^ or main")
    found = {
        (PurePosixPath(one.locks_of) / lock).as_posix(): rows
        for one in all_locked(settings)
        for lock, rows in _since(one, commit).items()
    }
    settings.workspace.work.mkdir(parents=True, exist_ok=True)
    path = settings.workspace.work / FILE
    if any(found.values()):
        files.write({path: model.shortened(model.markdown(found))})
    else:
        path.unlink(missing_ok=True)
    return found


def _since(settings: Settings, commit: str) -> dict[str, list[Change]]:
    """Return what changed in each lock of one architecture."""
    before = _then(settings, commit).by_file(settings.graph)
    after = lock_files.read_earlier(settings, warn=lambda _: None).by_file(settings.graph)
    return differences(before, after)


def _then(settings: Settings, commit: str) -> Earlier:
    """Return the locks as a commit has them."""
    try:
        return lock_files.parse_earlier(
            settings, lambda name: git.text(settings.workspace.locks / name, commit), warn=lambda _: None
        )
    except StaleLockError as error:
        raise UsageError(f"{commit}: {error}", remedy="name a commit whose locks are whole") from error
