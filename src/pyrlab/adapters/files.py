"""Whole files: read with an error that says what to do, and written all or none."""

import codecs
import contextlib
import errno
import json
import os
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyrlab.adapters.process import INTERRUPTS
from pyrlab.errors import StaleLockError

# No room on the disk, or none that is left to this user.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises OSError, also for what is no regular file.

    A pipe would be waited for without an end, and a device such as /dev/zero fills the memory.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.read_bytes()  # of a folder the system says that it is one


def read(path: Path, *, remedy: str) -> str:
    """Return a lock's text. Raises StaleLockError, with ``remedy`` when there is no such file."""
    try:
        content = read_bytes(path)
    except FileNotFoundError as error:
        raise StaleLockError(f"there is no {path.name}", remedy=remedy) from error
    except OSError as error:
        raise StaleLockError(
            f"{path.name} cannot be read: {error.strerror}", remedy=f"make it a file that you can read: {path}"
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf_8(path, content) from error
    if "\0" in text:
        # Half of UTF-16 is valid UTF-8.
        raise _not_utf_8(path, content)
    return text


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file of our own, or an executed notebook, says; nothing where it is not there or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _not_utf_8(path: Path, content: bytes) -> StaleLockError:
    is_utf_16 = b"\0" in content or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return StaleLockError(
        f"{path.name} is not UTF-8 text: it is in {'UTF-16' if is_utf_16 else 'another encoding'}",
        remedy=f"git checkout -- {path.name}; or save it as UTF-8",
    )


def write(texts: Mapping[Path, str]) -> None:
    """Replace files as a whole, all or none: temporary names beside them, synced, and then only renames are left."""
    ready: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            ready.append((Path(name), path))
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
        with _undisturbed():
            for temporary, path in ready:
                temporary.replace(path)
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Let the error of a full disk name ``folder``, where it names nothing: what write(2) refuses has no name."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(folder)
        raise


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let an interrupt wait for the few renames, so that files which belong together change together."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
