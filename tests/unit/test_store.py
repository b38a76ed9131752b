"""The store: what is in it is whole and right, whoever shares it."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.adapters.store import Store
from pyrlab.errors import HashMismatchError

DATA = b"a whole file"
SHA256 = hashlib.sha256(DATA).hexdigest()
DAYS = 24 * 60 * 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(folder)


def keep(store: Store, data: bytes) -> Path:
    return store.add([data])[0]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def make_older(path: Path, days: float) -> None:
    then = time.time() - days * DAYS
    os.utime(path, (then, then))


def test_a_file_is_kept_under_its_hash_and_readable_by_all(store: Store, folder: Path) -> None:
    """Whatever the umask: builds read it as somebody else."""
    umask = os.umask(0o077)
    try:
        path, found = store.add([DATA[:5], DATA[5:]], sha256=SHA256, size=len(DATA), name="abc")
    finally:
        os.umask(umask)
    assert (path.read_bytes(), found) == (DATA, SHA256)
    assert path.stat().st_mode & 0o777 == 0o644
    assert store.get(SHA256) == path
    assert names(folder) == [SHA256]


def test_a_full_disk_is_named(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says of a write names no file; and nothing half done stays."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        store.add([DATA])
    assert caught.value.filename == str(folder)
    assert names(folder) == []


def test_an_error_of_whoever_gives_the_bytes_is_not_the_disks(store: Store) -> None:
    def chunks() -> Iterator[bytes]:
        yield DATA
        raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    with pytest.raises(ConnectionResetError) as caught:
        store.add(chunks())
    assert caught.value.filename is None


@pytest.mark.parametrize("name", ["../precious", "", ".", "a" * 63])
def test_what_is_no_hash_leads_to_no_file(store: Store, folder: Path, name: str) -> None:
    """What has other bytes than its name says is removed, so no name may lead out of the store."""
    store.add([DATA])
    (folder.parent / "precious").write_bytes(DATA)
    assert store.get(name) is None
    assert store.get(str(folder.parent / "precious")) is None
    assert (folder.parent / "precious").exists()


def test_the_same_bytes_are_one_file_that_stays(store: Store, folder: Path) -> None:
    """It is linked into build contexts, which must not see another file."""
    path = keep(store, DATA)
    before = path.stat()
    assert keep(Store(folder), DATA) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(folder) == [SHA256]


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.get(SHA256) is None


@pytest.mark.parametrize("damage", [DATA[:-1], b"A whole file", b""], ids=["truncated", "changed", "empty"])
@pytest.mark.parametrize("known", [True, False], ids=["same-run", "next-run"])
def test_a_damaged_file_is_removed_and_can_come_again(
    store: Store, folder: Path, damage: bytes, *, known: bool
) -> None:
    path = keep(store, DATA)
    assert store.get(SHA256)
    path.write_bytes(damage)
    later = store if known else Store(folder)
    assert later.get(SHA256) is None
    assert names(folder) == []
    assert keep(later, DATA).read_bytes() == DATA


MISMATCH = "abc 1.0 has other bytes than the lock says"
REMEDY = "find out why before you trust it; nox -s lock -- --upgrade-package NAME takes it as it is"


@pytest.mark.parametrize(
    ("data", "sha256", "size"),
    [
        pytest.param(b"another file", SHA256, 0, id="other-bytes"),
        pytest.param(b"another file", SHA256, len(DATA), id="other-bytes-of-this-size"),
        pytest.param(DATA[:-1], SHA256, len(DATA), id="too-few"),
        pytest.param(DATA[:-1], "", len(DATA), id="too-few-without-a-hash"),
        pytest.param(b"", SHA256, len(DATA), id="nothing"),
        pytest.param(DATA + b"!", SHA256, len(DATA), id="too-many"),
        pytest.param(DATA + b"!", "", len(DATA), id="too-many-without-a-hash"),
    ],
)
def test_other_bytes_are_refused_and_leave_nothing(
    store: Store, folder: Path, data: bytes, sha256: str, size: int
) -> None:
    with pytest.raises(HashMismatchError) as caught:
        store.add([data], sha256=sha256, size=size, name="abc 1.0")
    assert (str(caught.value), caught.value.remedy) == (MISMATCH, REMEDY)
    assert names(folder) == []


def test_a_server_that_sends_without_end_is_cut_off(store: Store, folder: Path) -> None:
    """The chunk beyond the size is the last that is read."""
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield bytes(1000)

    with pytest.raises(HashMismatchError):
        store.add(endless(), sha256=SHA256, size=2500, name="abc 1.0")
    assert len(read) == 3
    assert names(folder) == []


def test_an_interrupted_download_leaves_nothing(store: Store, folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield DATA
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(broken())
    assert names(folder) == []


@given(st.binary(max_size=2000), st.integers(min_value=1, max_value=100))
def test_chunks_do_not_matter(tmp_path_factory: pytest.TempPathFactory, data: bytes, length: int) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    chunks = [data[start : start + length] for start in range(0, len(data), length)]
    digest = hashlib.sha256(data).hexdigest()
    path, found = store.add(chunks, sha256=digest, size=len(data))
    assert (path.read_bytes(), found, store.get(digest)) == (data, digest, path)


def test_processes_and_threads_share_it(store: Store, folder: Path) -> None:
    """All add the same files at once, each reader sees whole files only."""
    code = (
        "import sys, pathlib; from pyrlab.adapters.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]))\n"
        "for number in range(20): store.get(store.add([b'%d' % number * 9999])[1]).stat()\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    others = [subprocess.Popen(command, env=environment) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda number: keep(store, b"%d" % (number % 20) * 9999), range(80)))
    assert [other.wait(timeout=60) for other in others] == [0, 0]
    assert names(folder) == sorted({path.name for path in added})
    assert all(Store(folder).get(name) for name in names(folder))


def test_a_build_gets_the_file_itself(store: Store, tmp_path: Path) -> None:
    """A hard link costs no space; what was there is replaced."""
    path = keep(store, DATA)
    target = tmp_path / "section" / "abc-1.0.whl"
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    store.link(SHA256, target)
    assert target.samefile(path)
    assert names(target.parent) == ["abc-1.0.whl"]


def test_what_the_store_lacks_leaves_the_target(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "abc-1.0.whl"
    target.write_bytes(b"earlier")
    with pytest.raises(FileNotFoundError):
        store.link("0" * 64, target)
    assert target.read_bytes() == b"earlier"


def refuse(*_: object, **__: object) -> None:
    raise OSError(18, "Invalid cross-device link")


def test_another_file_system_gets_a_copy(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time of the file, and once: the copy that is right stays the same file."""
    path = keep(store, DATA)
    make_older(path, 3)
    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "section" / "copy"
    store.link(SHA256, target)
    assert target.read_bytes() == DATA
    assert not target.samefile(path)
    assert (target.stat().st_mode & 0o777, target.stat().st_mtime_ns) == (0o644, path.stat().st_mtime_ns)
    inode = target.stat().st_ino
    store.link(SHA256, target)
    assert target.stat().st_ino == inode
    assert names(target.parent) == ["copy"]


def test_a_link_that_is_right_stays_untouched(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read or written, so that a build with nothing to do is quick."""
    keep(store, DATA)
    target = tmp_path / "abc"
    store.link(SHA256, target)
    monkeypatch.setattr(os, "link", None)
    monkeypatch.setattr(hashlib, "file_digest", None)
    Store(tmp_path / "files").link(SHA256, target)


def test_a_symbolic_link_becomes_the_file(store: Store, tmp_path: Path) -> None:
    """A build context would carry the link, and the file is not in it."""
    path = keep(store, DATA)
    target = tmp_path / "abc"
    target.symlink_to(path)
    store.link(SHA256, target)
    assert not target.is_symlink()
    assert target.samefile(path)


def test_use_does_not_look_like_a_change(store: Store, tmp_path: Path) -> None:
    """BuildKit would send the file to the engine again."""
    path = keep(store, DATA)
    make_older(path, 30)
    changed = path.stat().st_mtime_ns
    store.get(SHA256)
    store.link(SHA256, tmp_path / "used")
    assert path.stat().st_mtime_ns == changed
    assert path.stat().st_atime > time.time() - 60


def test_pruning_takes_what_is_unused(store: Store, folder: Path) -> None:
    """Files of 100 bytes, unused for 0.9 to 3.9 days, one of which a lock names."""
    files = [keep(store, b"%d" % number * 100) for number in range(4)]
    for days, path in enumerate(files):
        make_older(path, days + 0.9)
    kept = {files[3].name}
    assert store.unused(kept) == {files[1]: 100, files[2]: 100}
    assert store.prune(kept) == 200
    assert names(folder) == sorted([files[0].name, files[3].name])
    assert store.prune(kept) == 0


def test_a_file_of_a_folder_that_is_about_to_go_is_unused(store: Store, tmp_path: Path) -> None:
    path = keep(store, DATA)
    for name in ("one", "two"):
        store.link(SHA256, tmp_path / name)
    make_older(path, 5)
    inode = (path.stat().st_dev, path.stat().st_ino)
    assert store.unused(released={inode: 1}) == {}
    assert store.unused(released={inode: 2}) == {path: len(DATA)}


@pytest.mark.parametrize("spared", ["recent", "used", "in-a-workspace"])
def test_pruning_spares_what_is_in_use(store: Store, folder: Path, tmp_path: Path, spared: str) -> None:
    path = keep(store, DATA)
    if spared == "in-a-workspace":
        store.link(SHA256, tmp_path / "linked")
    if spared != "recent":
        make_older(path, 5)
    if spared == "used":
        store.get(SHA256)
    assert store.prune() == 0
    assert names(folder) == [SHA256]


def test_pruning_may_spare_less(store: Store, folder: Path) -> None:
    """What is unused for an hour is in use by nobody who needs it for seconds."""
    for data, days in ((b"new", 0.5 / 24), (b"old", 2 / 24)):
        make_older(keep(store, data), days)
    assert store.prune() == 0
    assert store.prune(idle=3600) == len(b"old")
    assert names(folder) == [hashlib.sha256(b"new").hexdigest()]


def test_what_is_asked_for_is_not_pruned_while_it_is_hashed(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes a while for a large file: another process prunes then."""
    path = keep(store, DATA)
    make_older(path, 5)

    def prune(file: BufferedReader, algorithm: str) -> object:
        assert Store(folder).prune() == 0
        return real(file, algorithm)

    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", prune)
    assert Store(folder).get(SHA256) == path
    assert path.exists()


def test_what_goes_while_it_is_asked_for_is_none(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keep(store, DATA)

    def take_away(*arguments: object, **options: object) -> None:
        path.unlink()
        real(*arguments, **options)  # type: ignore[arg-type]

    real = os.utime
    monkeypatch.setattr(os, "utime", take_away)
    assert Store(folder).get(SHA256) is None


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_none(store: Store, folder: Path, tmp_path: Path, kind: str) -> None:
    """Builds would be given the link, whatever is behind it; and a pipe is waited for without an end."""
    folder.mkdir()
    if kind == "link":
        (tmp_path / "other").write_bytes(DATA)
        (folder / SHA256).symlink_to(tmp_path / "other")
    else:
        os.mkfifo(folder / SHA256)
    assert store.get(SHA256) is None
    path = keep(store, DATA)
    assert path.is_file()
    assert not path.is_symlink()
    assert path.read_bytes() == DATA


def test_pruning_meets_other_processes(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file is gone when its turn comes, another one is linked into a build by then."""
    gone, taken, idle = (keep(store, data) for data in (b"gone", b"taken", b"idle"))
    for days, path in enumerate((idle, taken, gone)):
        make_older(path, days + 2)

    def at_once(*arguments: object, **options: object) -> list[Path]:
        gone.unlink()
        os.link(taken, folder.parent / "section")
        return sorted(*arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("pyrlab.adapters.store.sorted", at_once, raising=False)
    assert store.prune() == len(b"idle")
    assert names(folder) == [taken.name]


def test_nothing_to_prune_is_nothing(store: Store) -> None:
    assert store.prune() == 0


def sweep_by_adding(store: Store) -> None:
    keep(store, DATA)


def sweep_by_pruning(store: Store) -> None:
    store.prune()


@pytest.mark.parametrize("work", [sweep_by_adding, sweep_by_pruning])
def test_leftovers_of_killed_runs_are_swept(store: Store, folder: Path, work: Callable[[Store], None]) -> None:
    """Those that no download still writes to."""
    folder.mkdir()
    for name, days in {"old.part": 2.0, "new.part": 0.5}.items():
        (folder / name).write_bytes(b"half")
        make_older(folder / name, days)
    work(store)
    assert set(names(folder)) - {SHA256} == {"new.part"}
