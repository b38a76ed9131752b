"""Whole files: read with an error that says what to do, and written all or none."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyrlab.errors import StaleLockError


def read(path: Path, *, remedy: str) -> str:
    """Return a lock's text. Raises StaleLockError when there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StaleLockError(f"there is no {path.name}", remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise StaleLockError(
            f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}",
            remedy=f"git checkout -- {path.name}; or save it as UTF-8",
        ) from error


def write(texts: Mapping[Path, str]) -> None:
    """Replace files as a whole, all or none: temporary names beside them, synced, and then only renames are left."""
    ready: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            ready.append((Path(name), path))
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
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
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait for the few renames, so that files which belong together change together."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
