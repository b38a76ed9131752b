"""Files: one is saved whole or stays as it was, and a folder is listed whatever else happens in it.

A part of jupyter_server_config.py. Jupyter itself writes over the old file, of which it keeps a copy beside it; where
the last bytes do not fit, or the lab is killed then, half a file is left. And where a file goes, or gets another name,
while its folder is listed, Jupyter says that there is no such folder.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

# Every file has it where SELinux labels files, and a new one gets it from its folder.
FROM_THE_FOLDER = {"security.selinux"}
FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "your quota of the disk is used up"}
INSUFFICIENT_STORAGE = 507
NOT_FOUND = 404
# Jupyter asks this manager for each file of a folder that it lists.
_is_listing = ContextVar("_is_listing", default=False)


class LabContentsManager(AsyncLargeFileManager):
    """Jupyter's own, with its own way kept for files that cannot be replaced."""

    async def get(self, path: str, content: bool = True, **kwargs: object) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """Return what the file or folder at ``path`` is, and what is in it."""
        if _is_listing.get() and not content:
            with _left_out_if_gone():
                return await super().get(path, content, **kwargs)
        before = _is_listing.set(content)
        try:
            return await super().get(path, content, **kwargs)
        finally:
            _is_listing.reset(before)

    @contextmanager
    def atomic_writing(self, os_path: str, *args: object, **kwargs: object) -> Iterator[IO[Any]]:
        """Open a file for writing that takes the place of the one at ``os_path`` when all of it is on the disk."""
        target = Path(os.path.realpath(os_path))
        with _full_disk_to_507(target, "The file is as it was"):
            draft = _draft(target) if self.use_atomic_writing else None
        if draft is None:
            with (
                _full_disk_to_507(target, "Look whether it is whole"),
                super().atomic_writing(os_path, *args, **kwargs) as file,
            ):
                yield file
            return
        with _full_disk_to_507(target, "The file is as it was"):
            try:
                with self.perm_to_403(os_path), _open(draft, *args, **kwargs) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                _replace(target, draft)
            finally:
                draft.unlink(missing_ok=True)


@contextmanager
def _left_out_if_gone() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, HTTPError) as error:
        if isinstance(error, HTTPError) and error.status_code != NOT_FOUND:
            raise
        # What nobody may look at is left out of a list without a word.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error


@contextmanager
def _full_disk_to_507(target: Path, state: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        why = f"{target.name} was not saved: {FULL[error.errno]}. {state}; make room and save again."
        raise HTTPError(INSUFFICIENT_STORAGE, why) from error


def _draft(target: Path) -> Path | None:
    """Make an empty file beside ``target`` that can take its place, with its owners and rights; None if none can."""
    draft = target.with_name(f".~{secrets.token_hex(8)}")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except PermissionError:
        return None
    try:
        old = target.stat()
        # Another name of the same file, or rights beyond the usual ones, would be lost.
        more = set(os.listxattr(target)) - FROM_THE_FOLDER
        if old.st_nlink == 1 and not more and os.access(target, os.W_OK):
            os.chown(draft, old.st_uid, old.st_gid)
            draft.chmod(old.st_mode & 0o7777)
            return draft
    except FileNotFoundError:
        return draft
    except OSError:
        # Not this user's, or of a file system that knows no such rights or attributes.
        pass
    draft.unlink()
    return None


def _open(draft: Path, *, text: bool = True, encoding: str = "utf-8", newline: str = "\n") -> IO[Any]:
    return draft.open("w", encoding=encoding, newline=newline) if text else draft.open("wb")


def _replace(target: Path, draft: Path) -> None:
    try:
        draft.replace(target)
    except OSError as error:
        # A file that is mounted by itself can only be written over.
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(draft, target)


c = get_config()  # noqa: F821 - Jupyter puts it there
c.ServerApp.contents_manager_class = LabContentsManager
