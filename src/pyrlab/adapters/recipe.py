"""The build steps' own files, out of docker/: the same bytes and modes whatever the checkout's umask and line ends."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from pyrlab.errors import UsageError

# What belongs to a recipe. Editors, Python and merges leave other files beside them, which decide nothing.
_OWN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:\.(?:py|sh|R|json|toml|lock|in|txt))?")
# Where docker/ keeps what, and what the folder is called in the build context `recipe`.
FOLDERS = {
    "root": "install/root",
    "debs": "install/debs",
    "python": "install/python",
    "r": "install/r",
    "lab": "install/lab",
    "lock": "lock",
    "proxies": "install/proxies",
    "trial": "install/trial",
}
STAGES = "stages"


def read(docker: Path) -> dict[str, bytes]:
    """Return the recipe's files by path in the build context, with newlines as Unix has them.

    Raises UsageError where a folder is missing.
    """
    return {
        f"{name}/{path.name}": path.read_bytes().replace(b"\r\n", b"\n")
        for name, folder in FOLDERS.items()
        for path in _files(docker / folder)
    }


def stage_template(docker: Path, name: str) -> str:
    """Return the text of a template of the Dockerfile."""
    return (docker / STAGES / f"{name}.Dockerfile").read_text(encoding="utf-8")


def is_program(content: bytes) -> bool:
    """Tell whether a file is run: the checkout's own mode may be another system's."""
    return content.startswith(b"#!")


def digests(files: dict[str, bytes]) -> dict[str, str]:
    """Return a digest of each file, and of each folder: of path, mode and bytes."""
    found = {
        path: hashlib.sha256(b"755 " * is_program(content) + content).hexdigest() for path, content in files.items()
    }
    for folder in FOLDERS:
        lines = [f"{path} {digest}" for path, digest in sorted(found.items()) if path.startswith(f"{folder}/")]
        found[folder] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return found


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise UsageError(
            f"the project has no folder {folder.parent.name}/{folder.name}",
            remedy="restore docker/ from version control: git checkout -- docker",
        )
    for path in sorted(folder.iterdir()):
        if _OWN.fullmatch(path.name) and path.is_file():
            yield path
