"""Made roots are kept and shared; what is used is whole and of the very packages, whatever lies in the cache."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from debian_archives import deb, entry

from pyrlab.adapters.debian import root_cache, rootfs
from pyrlab.errors import BuildError, HashMismatchError

HOURS = 3600


@dataclass
class Machine:
    """A user's machine: a cache of roots, any number of work folders, and the packages of a root."""

    folder: Path
    debs: dict[Path, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """The cache of roots."""
        return self.folder / "cache/roots"

    def tar(self, project: str) -> Path:
        """Return where a project has its root."""
        folder = self.folder / project
        folder.mkdir(exist_ok=True)
        return folder / "root.tar"

    def ensure(self, project: str, extra: Mapping[str, bytes] | None = None) -> Path:
        """Make sure that a project has its root, and return it."""
        target = self.tar(project)
        root_cache.ensure_tar(self.debs, target, extra_files=extra or {}, cache=self.cache)
        return target

    def kept(self) -> list[Path]:
        """Return the tars in the cache, without reading them, which would be a use."""
        return [path for path in self.cache.iterdir() if not path.suffix]

    def cached(self, tar: Path) -> Path:
        """Return a work folder's tar as it is called in the cache."""
        return next(path for path in self.kept() if path.samefile(tar))

    def leave(self, path: Path, hours: float) -> None:
        """Let a file not have been used for a while, and no work folder have it."""
        then = time.time() - hours * HOURS
        os.utime(path, (then, path.stat().st_mtime))
        for other in self.folder.glob("*/root.tar"):
            if other.samefile(path):
                other.unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with a root of one package."""
    package = deb(tmp_path, "a", entry("./etc/a", b"a" * 5000))
    return Machine(tmp_path, {package: hashlib.sha256(package.read_bytes()).hexdigest()})


@pytest.fixture
def whole(machine: Machine) -> bytes:
    """Return the bytes of that machine's root."""
    return b"".join(rootfs.tar_chunks(machine.debs, extra_files={}))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that gets an item whenever a tar is made."""
    times: list[None] = []

    def count(*arguments: object, **options: object) -> object:
        times.append(None)
        return real(*arguments, **options)  # type: ignore[arg-type]

    real = rootfs.tar_chunks
    monkeypatch.setattr(rootfs, "tar_chunks", count)
    return times


def test_a_second_work_folder_gets_the_root_that_was_made(machine: Machine, whole: bytes, made: list[None]) -> None:
    """The very file: it takes no time and no room."""
    first, second = machine.ensure("one"), machine.ensure("two")
    assert made == [None]
    assert second.samefile(first)
    assert second.read_bytes() == whole
    assert sorted(path.name for path in second.parent.iterdir()) == ["root.tar", "root.tar.key"]


def test_another_root_is_made_anew(machine: Machine, made: list[None]) -> None:
    """Of other packages, with other files, or by other code."""
    one = machine.ensure("one").read_bytes()
    with_file = machine.ensure("one", {"etc/b": b"b"}).read_bytes()
    assert machine.ensure("one", {"etc/b": b"c"}).read_bytes() != with_file
    assert machine.ensure("one").read_bytes() == one
    assert len(made) == 3
    package = deb(machine.folder, "b", entry("./etc/b", b"b"))
    machine.debs[package] = hashlib.sha256(package.read_bytes()).hexdigest()
    assert machine.ensure("one").read_bytes() != one
    assert len(made) == 4


def test_other_code_makes_another_root(machine: Machine, monkeypatch: pytest.MonkeyPatch, made: list[None]) -> None:
    machine.ensure("one")
    monkeypatch.setattr(rootfs, "code", lambda: "another")
    machine.ensure("one")
    machine.ensure("two")
    assert len(made) == 2


def test_a_root_that_is_whole_stays_untouched(machine: Machine, made: list[None]) -> None:
    """BuildKit sends it again otherwise. The cache is not needed for that."""
    target = machine.ensure("one")
    before = target.stat()
    for path in machine.cache.iterdir():
        path.unlink()
    machine.ensure("one")
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert made == [None]


def in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(600)
        file.write(b"other")


def in_place_and_as_old(path: Path) -> None:
    before = path.stat()
    in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def shorter(path: Path) -> None:
    os.truncate(path, 600)


def another(path: Path) -> None:
    """Put the attacker's own file under the good one's name."""
    other = path.with_name("attack")
    other.write_bytes(b"x" * path.stat().st_size)
    other.replace(path)


def gone(path: Path) -> None:
    path.unlink()


def symbolic(path: Path) -> None:
    other = path.parent.parent / "elsewhere"
    other.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(other)


DAMAGES = [in_place, in_place_and_as_old, shorter, another, gone, symbolic]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_root_in_the_cache_has_no_effect(
    machine: Machine, whole: bytes, damage: Callable[[Path], None]
) -> None:
    """The right name and other bytes: it goes, and the root is made anew, as a file."""
    machine.ensure("one").unlink()
    (cached,) = machine.kept()
    damage(cached)
    target = machine.ensure("two")
    assert target.read_bytes() == whole
    assert not target.is_symlink()
    assert machine.kept() == [cached]
    assert cached.samefile(target)


@pytest.mark.parametrize("damage", [in_place, in_place_and_as_old, shorter])
def test_a_root_that_is_changed_in_a_work_folder_is_changed_everywhere_and_found_out(
    machine: Machine, whole: bytes, damage: Callable[[Path], None]
) -> None:
    """It is one file: in the cache, too, and in the work folders of other projects."""
    damage(machine.ensure("one"))
    machine.tar("two")
    os.link(machine.tar("one"), machine.tar("two"))
    (machine.tar("two").with_name("root.tar.key")).write_bytes(
        machine.tar("one").with_name("root.tar.key").read_bytes()
    )
    for project in ("three", "two", "one"):
        assert machine.ensure(project).read_bytes() == whole, project
    (cached,) = machine.kept()
    assert all(cached.samefile(machine.tar(project)) for project in ("one", "two", "three"))


@pytest.mark.parametrize("damage", [another, gone, symbolic])
def test_a_root_that_is_replaced_in_a_work_folder_comes_from_the_cache(
    machine: Machine, whole: bytes, made: list[None], damage: Callable[[Path], None]
) -> None:
    target = machine.ensure("one")
    damage(target)
    assert machine.ensure("one").read_bytes() == whole
    assert not target.is_symlink()
    assert made == [None]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("\xff", id="no-text"),
        pytest.param("pyrlab-root {digest} ../../precious\n", id="a-way-out"),
        pytest.param("pyrlab-root {digest} {zeros}\n", id="nothing-there"),
        pytest.param("pyrlab-root {zeros} {other}\n", id="of-another-root"),
    ],
)
def test_a_hostile_note_in_the_cache_has_no_effect(machine: Machine, whole: bytes, text: str) -> None:
    """Nothing outside the cache is touched."""
    precious = machine.folder / "precious"
    precious.write_bytes(b"precious")
    other = machine.cached(machine.ensure("other", {"etc/b": b"b"})).name
    earlier = set(machine.cache.glob("*.key"))
    machine.ensure("one").unlink()
    (note,) = {*machine.cache.glob("*.key")} - earlier
    note.write_text(text.format(digest=note.stem, zeros="0" * 64, other=other), encoding="latin-1")
    assert machine.ensure("one").read_bytes() == whole
    assert precious.read_bytes() == b"precious"


def test_another_file_system_gets_a_copy_once(
    machine: Machine, whole: bytes, made: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    target = machine.ensure("one")
    (cached,) = machine.kept()
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (whole, 0o644)
    assert not target.samefile(cached)
    inode = target.stat().st_ino
    assert machine.ensure("one").stat().st_ino == inode
    in_place(target)
    assert machine.ensure("one").read_bytes() == whole
    assert made == [None]


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_a_root_is_readable_whatever_the_umask(machine: Machine, umask: int) -> None:
    before = os.umask(umask)
    try:
        target = machine.ensure("one")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in [target, *machine.cache.iterdir()]}
    assert modes == {0o644}


def test_those_used_last_are_kept(machine: Machine, made: list[None], monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as there is room. Those that were just asked for may be linked in a moment."""
    for number in range(5):
        path = machine.cached(machine.ensure("one", {"etc/b": b"%d" % number}))
        machine.leave(path, 5 - number)
    monkeypatch.setattr(root_cache, "ROOM", int(3.5 * path.stat().st_size))
    machine.ensure("one", {"etc/b": b"5"})
    assert len(machine.kept()) == 3
    for number in (3, 4, 5):
        machine.ensure("two", {"etc/b": b"%d" % number})
    assert len(made) == 6
    machine.ensure("two", {"etc/b": b"2"})
    assert len(made) == 7
    assert len(machine.kept()) == 4


def test_what_a_work_folder_has_is_kept(machine: Machine, made: list[None], monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no more room for that."""
    monkeypatch.setattr(root_cache, "ROOM", 0)
    for number in range(5):
        path = machine.ensure(f"project-{number}", {"etc/b": b"%d" % number})
        os.utime(path, (0, path.stat().st_mtime))
    machine.tar("project-0").unlink()
    for number in range(1, 5):
        machine.ensure(f"copy-{number}", {"etc/b": b"%d" % number})
    assert len(made) == 5
    assert len(machine.kept()) == 4


def test_a_full_disk_is_named_and_leaves_nothing(
    machine: Machine, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            machine.ensure("one")
    assert caught.value.filename == str(machine.cache)
    assert list(machine.cache.iterdir()) == []
    assert list(machine.tar("one").parent.iterdir()) == []
    assert machine.ensure("one").read_bytes() == whole


@pytest.mark.parametrize("content", [b"no package", b""])
def test_a_damaged_package_leaves_nothing(machine: Machine, content: bytes) -> None:
    bad = machine.folder / "bad_1_all.deb"
    bad.write_bytes(content)
    machine.debs[bad] = hashlib.sha256(content).hexdigest()
    with pytest.raises(BuildError, match=r"bad_1_all.deb is damaged"):
        machine.ensure("one")
    assert list(machine.cache.iterdir()) == []


def test_no_root_is_made_of_other_bytes_than_the_lock_says(machine: Machine) -> None:
    """It would be kept, for all projects, under the name of the good one."""
    (package,) = machine.debs
    deb(machine.folder, "a", entry("./etc/a", b"b" * 5000))
    with pytest.raises(HashMismatchError, match=r"^the bytes of a_1_all.deb are not those that the lock names$"):
        machine.ensure("one")
    assert package.exists()
    assert list(machine.cache.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from pyrlab.adapters.debian import root_cache
name, number, package, digest, target, cache = sys.argv[1:]
calls, real = [], getattr(os, name)
def killed(*arguments, **options):
    calls.append(name)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)
setattr(os, name, killed)
root_cache.ensure_tar({Path(package): digest}, Path(target), extra_files={}, cache=Path(cache))
"""


@pytest.mark.parametrize(
    ("call", "number"),
    [
        pytest.param("fsync", 1, id="half-written"),
        pytest.param("replace", 1, id="written"),
        pytest.param("link", 1, id="in-the-cache"),
        pytest.param("replace", 2, id="linked"),
        pytest.param("fsync", 2, id="in-the-work-folder"),
        pytest.param("replace", 3, id="no-note-written"),
        pytest.param("replace", 4, id="one-note-written"),
    ],
)
def test_a_killed_run_leaves_nothing_that_is_taken_for_whole(
    machine: Machine, whole: bytes, call: str, number: int
) -> None:
    """And what it left half written goes, a day later."""
    ((package, digest),) = machine.debs.items()
    arguments = [call, str(number), str(package), digest, str(machine.tar("one")), str(machine.cache)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    for project in ("one", "two"):
        assert machine.ensure(project).read_bytes() == whole
    assert len(machine.kept()) == 1
    for part in machine.cache.glob("*.part"):
        os.utime(part, (0, 0))
    machine.ensure("one", {"etc/b": b"b"})
    assert list(machine.cache.glob("*.part")) == []


def test_runs_at_once_do_not_disturb_each_other(machine: Machine, whole: bytes) -> None:
    """In work folders of their own, as each is used by one run at a time."""
    with ThreadPoolExecutor(8) as pool:
        for tar in pool.map(machine.ensure, [f"project-{number}" for number in range(16)]):
            assert tar.read_bytes() == whole
    assert len(machine.kept()) == 1
    assert all(Path(path).suffix != ".part" for path in machine.cache.iterdir())
