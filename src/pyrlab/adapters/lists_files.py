"""The lists of a project, and the image graph that says which there are, read from their files."""

from pathlib import Path

from pyrlab.adapters import files
from pyrlab.errors import ListError, UsageError
from pyrlab.model.graph import FILE, Graph
from pyrlab.model.lists import Lists


def read_graph(project: Path) -> Graph:
    """Read the project's docker/images.toml. Raises UsageError."""
    path = project / FILE
    try:
        text = files.read_bytes(path).decode("utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"{project} is no pyrlab project: it has no {FILE}", remedy="go to the project's folder, and try again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{FILE} cannot be read: {reason}", remedy=f"restore it from version control: git checkout -- {FILE}"
        ) from error
    return Graph.parse(text)


def read_lists(project: Path, graph: Graph) -> Lists:
    """Read the lists of a project. Raises ListError with file and line."""
    names = [name for image in graph.images.values() for name in image.lists]
    return Lists.parse(graph, {name: _read(project / name) for name in names})


def read_list(path: Path) -> str:
    """Return a list's text with all its bytes: line ends and a byte order mark, too. Raises ListError."""
    return _decode(path, "utf-8")


def _read(path: Path) -> str:
    return _decode(path, "utf-8-sig")


def _decode(path: Path, encoding: str) -> str:
    try:
        return files.read_bytes(path).decode(encoding)
    except FileNotFoundError as error:
        raise ListError(f"{path.name} is missing", remedy=f"create it, empty if you want nothing: {path}") from error
    except OSError as error:
        raise ListError(
            f"{path.name} cannot be read: {error.strerror}", remedy=f"make it a file that you can read: {path}"
        ) from error
    except UnicodeDecodeError as error:
        raise ListError(f"{path.name} is not UTF-8 text: {error}", remedy="save it as UTF-8") from error
