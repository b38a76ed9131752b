"""Build contexts: folders that hold exactly what is wanted, each file whole, with fixed modes and times."""

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

# Put the file that has this SHA-256 at a path.
Link = Callable[[str, Path], None]


def fill(folder: Path, contents: Mapping[str, bytes], files: Mapping[str, str], *, link: Link, epoch: int) -> None:
    """Make ``folder`` hold ``contents`` and, by name, the files with these hashes; what else is in it goes.

    ``link`` is asked for each file, and leaves alone what is right: BuildKit then sees at a glance what is new.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    wanted = {*contents, *files}
    for path in sorted(folder.rglob("*"), reverse=True):
        name = str(path.relative_to(folder))
        if path.is_dir() and not path.is_symlink():
            if not any(other.startswith(f"{name}/") for other in wanted):
                shutil.rmtree(path)
        elif name not in wanted:
            path.unlink()
    for name, content in contents.items():
        _write(folder / name, content, epoch)
    for name, sha256 in files.items():
        link(sha256, folder / name)


def _write(path: Path, content: bytes, epoch: int) -> None:
    mode = 0o755 if content.startswith(b"#!") else 0o644
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    half = path.with_name(f".{uuid.uuid4().hex}.half")
    half.write_bytes(content)
    half.chmod(mode)
    os.utime(half, (epoch, epoch))
    half.replace(path)
