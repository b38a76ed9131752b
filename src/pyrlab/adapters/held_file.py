"""held.toml of a project, read from its file."""

from pyrlab.adapters import files
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.held import FILE, Holds, parse


def read_holds(settings: Settings) -> Holds:
    """Return what a project holds back; nothing where it has no such file. Raises UsageError."""
    path = settings.project / FILE
    return parse(files.read(path, remedy="") if path.exists() else "")
