"""What others should read, they can, whatever the umask of whoever ran pyrlab."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrlab.adapters import files, temporary
from pyrlab.adapters.docker.engine import Kind
from pyrlab.errors import UsageError
from pyrlab.steps.notebooks import open_folder


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
    made = open_folder(tmp_path / "notebooks", kind=Kind())
    assert mode(made.path) == "0o755"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(Kind(rootless=True), "rootless", id="rootless"),
        pytest.param(Kind(remapped=True), "with mapped users", id="userns-remap"),
    ],
)
def test_a_lab_whose_users_are_others_here_is_refused_a_folder_that_it_could_not_write(
    tmp_path: Path, kind: Kind, words: str
) -> None:
    """There the owner of the folder is another user inside the lab."""
    with pytest.raises(UsageError, match=rf"^the Docker engine is {words}, and its labs could not write") as caught:
        open_folder(tmp_path, kind=kind)
    assert caught.value.remedy.startswith(f"chmod -R o+rwX {tmp_path}, or ")
    tmp_path.chmod(0o777)
    open_folder(tmp_path, kind=kind)


def test_with_selinux_the_notebooks_are_labelled_and_nothing_that_must_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label is for all files in the folder: those of a home folder let sshd read its keys, and programs theirs."""
    selinux = Kind(selinux=True)
    folder = tmp_path / "me/notebooks"
    monkeypatch.setenv("HOME", str(folder.parent))
    assert open_folder(folder, kind=selinux).relabel
    assert not open_folder(folder, kind=Kind()).relabel
    (folder / "home").symlink_to(folder.parent)
    (folder / "a:b").mkdir()
    for refused in (folder.parent, tmp_path, folder / "home", folder / "a:b"):
        refused.chmod(0o777)
        open_folder(refused, kind=Kind())
        with pytest.raises(UsageError, match=r"SELinux") as caught:
            open_folder(refused, kind=selinux)
        assert "--notebooks" in caught.value.remedy
