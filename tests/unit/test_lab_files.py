"""How a lab saves, where the file system is not the usual one. In real labs it is tried by the smoke tests."""

import builtins
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, Any

import pytest
from graphs import SOURCE

Open = Callable[[Path], AbstractContextManager[IO[Any]]]


class HttpError(Exception):
    """Takes the place of Tornado's error."""


class Jupyters:
    """Takes the place of Jupyter's own manager."""

    use_atomic_writing = True

    @contextmanager
    def atomic_writing(self, os_path: str) -> Iterator[IO[Any]]:
        """Write over the file."""
        with Path(os_path).open("w", encoding="utf-8") as file:
            yield file

    @contextmanager
    def perm_to_403(self, os_path: str) -> Iterator[None]:
        """Change nothing."""
        del os_path
        yield


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open a file to be saved, as a lab does."""
    for name in ("jupyter_server", "jupyter_server.services", "jupyter_server.services.contents", "tornado"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    manager, web = ModuleType("manager"), ModuleType("web")
    manager.AsyncLargeFileManager = Jupyters  # type: ignore[attr-defined]
    web.HTTPError = HttpError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jupyter_server.services.contents.largefilemanager", manager)
    monkeypatch.setitem(sys.modules, "tornado.web", web)
    settings = SimpleNamespace(ServerApp=SimpleNamespace())
    monkeypatch.setattr(builtins, "get_config", lambda: settings, raising=False)
    source = SOURCE / "docker/install/lab/lab_files.py"
    exec(compile(source.read_text("utf-8"), source, "exec"), {"__name__": "lab_files"})  # noqa: S102 - as Jupyter does
    return lambda path: settings.ServerApp.contents_manager_class().atomic_writing(str(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that was saved before."""
    (tmp_path / "a.txt").write_text("old", encoding="utf-8")
    return tmp_path / "a.txt"


def test_a_file_is_replaced(opened: Open, file: Path) -> None:
    before = file.stat().st_ino
    with opened(file) as draft:
        draft.write("new")
    assert (file.read_text("utf-8"), file.stat().st_ino == before) == ("new", False)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("call", ["listxattr", "chown"])
def test_a_file_system_without_rights_or_attributes_is_written_to(
    opened: Open, file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Then the file is written over, as Jupyter does."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, call, refuse)
    before = file.stat().st_ino
    with opened(file) as draft:
        draft.write("new")
    assert (file.read_text("utf-8"), file.stat().st_ino) == ("new", before)
    assert list(file.parent.iterdir()) == [file]


def test_a_disk_without_room_for_one_more_file_is_told(
    opened: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its inodes are used up: bytes may be left."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(HttpError, match=r"a.txt was not saved: the disk is full. The file is as it was"), opened(file):
        pass
    assert file.read_text("utf-8") == "old"


@pytest.mark.parametrize(
    ("links", "says"),
    [
        pytest.param(1, "a.txt was not saved: the disk is full. The file is as it was; make room", id="replaced"),
        pytest.param(2, "a.txt was not saved: the disk is full. Look whether it is whole; make", id="written-over"),
    ],
)
def test_a_full_disk_is_told_and_what_it_did(opened: Open, file: Path, links: int, says: str) -> None:
    if links > 1:
        (file.parent / "b.txt").hardlink_to(file)

    with pytest.raises(HttpError, match=says), opened(file):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert len(list(file.parent.iterdir())) == links
