"""The files of R packages that a build needs, brought by the lock's hashes into a folder that the build is given.

This machine downloads them, not the build: so a repository may be a folder, and credentials never enter a build.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyrlab.adapters.cran import repository
from pyrlab.adapters.cran.repository import Repository
from pyrlab.adapters.http import THREADS
from pyrlab.errors import HashMismatchError, NetworkError
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.settings import Settings

FOLDER = "r-files"


def provide(settings: Settings, lock: RLock, *, r: str, architecture: str, say: Callable[[str], None]) -> None:
    """Fill the folder with exactly what the lock names, each file called by its SHA-256.

    Raises NetworkError, or HashMismatchError where a repository has other bytes under the same name.
    """
    folder = settings.workspace.work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    repositories = repository.connect(settings, r=r, architecture=architecture)
    ours = [pin for pin in lock.packages if pin.files]
    if not all(any((folder / file.sha256).exists() for file in pin.files) for pin in ours):
        say("downloading R packages")
    with ThreadPoolExecutor(THREADS) as pool:
        brought = list(pool.map(lambda pin: _bring(repositories[pin.repository], pin, folder), ours))
    wanted = {name for names in brought for name in names}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def _bring(source: Repository, pin: RPin, folder: Path) -> list[str]:
    """Bring the package's binary, or where that is not to be had any more, its source; return the file's name."""
    *others, last = sorted(pin.files, key=lambda file: file.kind)
    for file in others:
        try:
            return [_link(source, pin.name, file, folder)]
        except (NetworkError, HashMismatchError):
            continue
    return [_link(source, pin.name, last, folder)]


def _link(source: Repository, name: str, file: RFile, folder: Path) -> str:
    target = folder / file.sha256
    if not target.exists():
        path = source.fetch(name, file)
        part = target.with_suffix(".part")
        part.unlink(missing_ok=True)
        try:
            os.link(path, part)
        except OSError:
            # Another file system than the cache's.
            shutil.copyfile(path, part)
        part.replace(target)
    return target.name
