"""Build contexts: exactly what is wanted, with the same modes and times everywhere."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pyrlab.adapters.context import EPOCH, fill, moment
from pyrlab.adapters.store import Store

DATA = b"a wheel"
SHA256 = hashlib.sha256(DATA).hexdigest()
SEGMENTS = st.sampled_from(["a", "b", "c.txt", ".d"])
NAMES = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
CONTENTS = st.binary(max_size=5) | st.just(b"#!/bin/sh\n")
TREES = st.dictionaries(NAMES, CONTENTS, max_size=6).filter(
    lambda tree: not any(other.startswith(f"{name}/") for name in tree for other in tree)
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store that has one file."""
    store = Store(tmp_path / "files")
    store.add([DATA])
    return store


@pytest.fixture(params=[0o077, 0o000, 0o022], ids=["umask-077", "umask-000", "umask-022"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Let the process have a umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder by path, folders too; a symbolic link as what it says."""
    return {
        str(path.relative_to(folder)): str(path.readlink()).encode()
        if path.is_symlink()
        else b"folder"
        if path.is_dir()
        else path.read_bytes()
        for path in folder.rglob("*")
    }


def with_folders(tree: dict[str, bytes]) -> dict[str, bytes]:
    """Return a tree with the folders that its paths go through."""
    return {str(parent): b"folder" for name in tree for parent in list(Path(name).parents)[:-1]} | tree


@given(before=TREES, contents=TREES, others=st.sets(NAMES, max_size=3))
def test_a_folder_holds_exactly_what_is_wanted(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, bytes], contents: dict[str, bytes], others: set[str]
) -> None:
    """Whatever was in it: files where folders must be, folders where files must be, hidden ones."""
    files = dict.fromkeys(others, SHA256)
    wanted = contents | dict.fromkeys(files, DATA)
    assume(not any(other.startswith(f"{name}/") for name in wanted for other in wanted))
    assume(not contents.keys() & files.keys())
    base = tmp_path_factory.mktemp("context")
    store = Store(base / "files")
    store.add([DATA])
    fill(base / "section", before, {}, link=store.link)
    fill(base / "section", contents, files, link=store.link)
    assert tree_of(base / "section") == with_folders(wanted)


def test_modes_are_the_same_whatever_the_umask(tmp_path: Path, store: Store, umask: int) -> None:
    """Programs are those that say what runs them. The layers of two users are then the same."""
    del umask
    folder = tmp_path / "section"
    contents = {"deep/er/plan.json": b"{}", "deep/run": b"#!/bin/sh\n", "list": b""}
    fill(folder, contents, {"deep/wheels/abc.whl": SHA256}, link=store.link)
    modes = {path: path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]}
    assert {path.name for path, mode in modes.items() if mode == 0o755} == {"section", "deep", "er", "wheels", "run"}
    assert {path.name for path, mode in modes.items() if mode == 0o644} == {"plan.json", "list", "abc.whl"}
    assert len(modes) == 8


def test_wrong_modes_and_times_are_mended(tmp_path: Path, store: Store) -> None:
    """Such as an earlier run's, or a copy's."""
    folder = tmp_path / "section"
    fill(folder, {"a/list": b"x"}, {}, link=store.link)
    path = folder / "a/list"
    path.chmod(0o600)
    path.parent.chmod(0o700)
    folder.chmod(0o700)
    os.utime(path, (0, 0))
    fill(folder, {"a/list": b"x"}, {}, link=store.link)
    assert [place.stat().st_mode & 0o777 for place in (folder, path.parent, path)] == [0o755, 0o755, 0o644]
    assert path.stat().st_mtime == moment(b"x")


@given(one=st.binary(max_size=9), other=st.binary(max_size=9))
@example(one=b"1.0", other=b"1.1")
def test_a_files_time_is_decided_by_its_content(one: bytes, other: bytes) -> None:
    """BuildKit takes a file of the same name, size and time for the one that it has."""
    assert (moment(one) == moment(other)) == (one == other)
    assert EPOCH - 2**24 < moment(one) <= EPOCH


def test_another_content_of_the_same_size_has_another_time(tmp_path: Path, store: Store) -> None:
    """On the file itself; and the first content has its first time again."""
    folder = tmp_path / "section"
    times = []
    for content in (b"numpy 2.3.1", b"numpy 2.3.2", b"numpy 2.3.1"):
        fill(folder, {"list": content}, {}, link=store.link)
        assert (folder / "list").read_bytes() == content
        times.append((folder / "list").stat().st_mtime)
    assert times == [moment(b"numpy 2.3.1"), moment(b"numpy 2.3.2"), moment(b"numpy 2.3.1")]
    assert times[0] != times[1]


def test_what_is_right_stays_untouched(tmp_path: Path, store: Store) -> None:
    """Neither written nor linked again: a build with nothing to do is quick."""
    folder = tmp_path / "section"
    contents, files = {"list": b"x", "run": b"#!/bin/sh\n"}, {"abc.whl": SHA256}
    fill(folder, contents, files, link=store.link)
    before = {path.name: (path.stat().st_ino, path.stat().st_ctime_ns) for path in folder.iterdir()}
    fill(folder, contents, files, link=store.link)
    after = {path.name: (path.stat().st_ino, path.stat().st_ctime_ns) for path in folder.iterdir()}
    assert {name: after[name] for name in contents} == {name: before[name] for name in contents}
    assert after["abc.whl"][0] == before["abc.whl"][0]


def test_a_damaged_file_is_mended(tmp_path: Path, store: Store) -> None:
    """Though its time and mode are right."""
    folder = tmp_path / "section"
    fill(folder, {"list": b"numpy"}, {}, link=store.link)
    (folder / "list").write_bytes(b"nunpy")
    os.utime(folder / "list", (moment(b"numpy"), moment(b"numpy")))
    fill(folder, {"list": b"numpy"}, {}, link=store.link)
    assert tree_of(folder) == {"list": b"numpy"}


@pytest.mark.parametrize("name", ["list", "abc.whl"])
def test_a_stale_file_of_the_same_name_is_replaced(tmp_path: Path, store: Store, name: str) -> None:
    """And whoever still reads the old one, reads all of it."""
    folder = tmp_path / "section"
    folder.mkdir()
    (folder / name).write_bytes(b"a stale one")
    with (folder / name).open("rb") as reader:
        fill(folder, {"list": b"new"}, {"abc.whl": SHA256}, link=store.link)
        assert reader.read() == b"a stale one"
    assert tree_of(folder) == {"list": b"new", "abc.whl": DATA}


@pytest.mark.parametrize("name", ["list", "abc.whl", "other"])
def test_a_symbolic_link_never_stays(tmp_path: Path, store: Store, name: str) -> None:
    """Not even to the right bytes: the builder would get the link, and what is behind it is never written."""
    folder = tmp_path / "section"
    folder.mkdir()
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    os.utime(outside, (moment(b"x"), moment(b"x")))
    (folder / name).symlink_to(outside if name == "list" else tmp_path / "files" / SHA256)
    fill(folder, {"list": b"x"}, {"abc.whl": SHA256}, link=store.link)
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert tree_of(folder) == {"list": b"x", "abc.whl": DATA}
    assert outside.read_bytes() == b"x"


def test_a_symbolic_link_to_a_folder_is_not_followed(tmp_path: Path, store: Store) -> None:
    folder, outside = tmp_path / "section", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    folder.mkdir()
    (folder / "a").symlink_to(outside)
    (folder / "b").symlink_to(outside)
    fill(folder, {"a/list": b"x"}, {}, link=store.link)
    assert tree_of(folder) == {"a": b"folder", "a/list": b"x"}
    assert tree_of(outside) == {"kept": b"kept"}


def test_nothing_half_written_stays(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old file; the next run makes it right, whatever a killed one left."""
    folder = tmp_path / "section"
    fill(folder, {"list": b"old"}, {}, link=store.link)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", full)
        with pytest.raises(OSError, match="No space left"):
            fill(folder, {"list": b"new"}, {}, link=store.link)
    assert tree_of(folder) == {"list": b"old"}
    (folder / ".0123.half").write_bytes(b"n")
    fill(folder, {"list": b"new"}, {}, link=store.link)
    assert tree_of(folder) == {"list": b"new"}


def test_what_the_store_lacks_is_an_error(tmp_path: Path, store: Store) -> None:
    """And no empty file."""
    with pytest.raises(FileNotFoundError):
        fill(tmp_path / "section", {}, {"abc.whl": "0" * 64}, link=store.link)
    assert tree_of(tmp_path / "section") == {}
