"""Build contexts: folders that hold exactly what is wanted, each file whole, with fixed modes and times."""

import contextlib
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

# No file of a context is younger, in seconds: 2025-01-01. Some of these files go into the images.
EPOCH = 1735689600
# Put the file that has this SHA-256 at a path.
Link = Callable[[str, Path], None]


def fill(folder: Path, contents: Mapping[str, bytes], files: Mapping[str, str], *, link: Link) -> None:
    """Make ``folder`` hold ``contents`` and, by name, the files with these hashes; what else is in it goes.

    ``link`` is asked for each file, and leaves alone what is right: BuildKit then sees at a glance what is new.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    wanted = {*contents, *files}
    folders = {str(parent) for name in wanted for parent in PurePath(name).parents} - {"."}
    for path in sorted(folder.rglob("*"), reverse=True):
        name = str(path.relative_to(folder))
        if path.is_dir() and not path.is_symlink():
            if name not in folders:
                shutil.rmtree(path)
        elif name not in wanted:
            path.unlink()
    # The outer ones first.
    for name in sorted(folders):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o755)
    for name, content in contents.items():
        _write(folder / name, content)
    for name, sha256 in files.items():
        link(sha256, folder / name)


def moment(content: bytes) -> int:
    """Return the time that a file with this content gets, in seconds: always the same, and another one's differs.

    BuildKit takes a file of the same name, size and time for the one that it was sent before, even by another project.
    """
    return EPOCH - int(hashlib.sha256(content).hexdigest()[:6], 16)


def _write(path: Path, content: bytes) -> None:
    mode, time = 0o755 if content.startswith(b"#!") else 0o644, moment(content)
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        is_right = (found.st_mode, int(found.st_mtime)) == (stat.S_IFREG | mode, time)
        if is_right and path.read_bytes() == content:
            return
    half = path.with_name(f".{uuid.uuid4().hex}.half")
    try:
        half.write_bytes(content)
        half.chmod(mode)
        os.utime(half, (time, time))
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
