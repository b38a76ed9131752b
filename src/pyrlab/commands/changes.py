"""`changes`: what is different between the locks of an earlier commit and those of now, for whoever reviews it."""

from pyrlab.adapters import files, git, lock_files
from pyrlab.errors import StaleLockError, UsageError
from pyrlab.model import changes as model
from pyrlab.model.changes import Change
from pyrlab.model.locks.lockset import Earlier, differences
from pyrlab.model.settings import Settings

# Below the work folder.
FILE = "changes.md"


def changes(settings: Settings, commit: str) -> dict[str, list[Change]]:
    """Return what changed in each lock since a commit of the project's repository, and write it down as Markdown.

    There is no such file where nothing changed. Raises UsageError for what is no commit, and StaleLockError.
    """
    if not git.is_commit(settings.project, commit):
        raise UsageError(f"{commit!r} is no commit of {settings.project}", remedy="name one, as in: HEAD^ or main")
    before = _then(settings, commit).by_file(settings.graph)
    after = lock_files.read_earlier(settings, warn=lambda _: None).by_file(settings.graph)
    found = differences(before, after)
    settings.workspace.work.mkdir(parents=True, exist_ok=True)
    path = settings.workspace.work / FILE
    if any(found.values()):
        files.write({path: model.shortened(model.markdown(found))})
    else:
        path.unlink(missing_ok=True)
    return found


def _then(settings: Settings, commit: str) -> Earlier:
    """Return the locks as a commit has them."""
    try:
        return lock_files.parse_earlier(
            settings, lambda name: git.text(settings.project / name, commit), warn=lambda _: None
        )
    except StaleLockError as error:
        raise UsageError(f"{commit}: {error}", remedy="name a commit whose locks are whole") from error
