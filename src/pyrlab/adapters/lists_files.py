"""The lists of a project, read from their files."""

from pathlib import Path

from pyrlab.errors import ListError
from pyrlab.model.lists import BASE_DEBS, PYTHON, R_DEBS, Lists, R


def read_lists(project: Path) -> Lists:
    """Read the lists of a project. Raises ListError with file and line."""
    return Lists.parse({name: _read(project / name) for name in (BASE_DEBS, R_DEBS, PYTHON, R)})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ListError(f"{path.name} is missing", remedy=f"create it, empty if you want nothing: {path}") from error
    except UnicodeDecodeError as error:
        raise ListError(f"{path.name} is not UTF-8 text: {error}", remedy="save it as UTF-8") from error
