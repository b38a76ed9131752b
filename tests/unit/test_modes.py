"""What others should read, they can, whatever the umask of whoever ran pyrlab."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrlab.adapters import files, temporary
from pyrlab.errors import UsageError
from pyrlab.steps import labs


@pytest.fixture(params=[0o077, 0o002, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set a umask for a test."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    """Return a path's permissions in octal."""
    return oct(path.stat().st_mode & 0o777)


@pytest.mark.usefixtures("umask")
def test_locks_are_readable(tmp_path: Path) -> None:
    """They are committed, and built by others."""
    files.write({tmp_path / "debs.lock": "x"})
    assert mode(tmp_path / "debs.lock") == "0o644"


@pytest.mark.usefixtures("umask")
def test_a_temporary_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    """It may hold passwords."""
    with temporary.folder(tmp_path) as folder:
        assert mode(folder) == "0o700"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("umask")
def test_a_lab_can_enter_the_folder_that_serve_makes(tmp_path: Path) -> None:
    """It may run as another user than the one who makes it."""
    made = labs.folder(tmp_path / "notebooks", rootless=False)
    assert mode(made.path) == "0o755"


def test_a_lab_of_a_rootless_engine_is_refused_a_folder_that_it_could_not_write(tmp_path: Path) -> None:
    """There the owner of the folder is another user inside the lab."""
    with pytest.raises(UsageError, match=r"^the Docker engine is rootless, and its labs could not write") as caught:
        labs.folder(tmp_path, rootless=True)
    assert caught.value.remedy.startswith(f"chmod -R o+rwX {tmp_path}, or ")
    tmp_path.chmod(0o777)
    labs.folder(tmp_path, rootless=True)
