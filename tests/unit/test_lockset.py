"""The locks of a project: how they hang together, and how they are read from their files."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import lock_samples as samples
import pytest

from pyrlab.adapters import lock_files
from pyrlab.errors import StaleLockError
from pyrlab.model.lists import Lists
from pyrlab.model.locks import TAKEN, EditedLockError, OldFormatError, debs, python, r
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.lockset import Earlier, Lock, Locks, glibc_of, python_of, r_of
from pyrlab.model.settings import Settings

ReadLists = Callable[[Mapping[str, str]], Lists]
LoadSettings = Callable[..., Settings]
LOCKS: Mapping[str, Lock] = {
    "debs.lock": samples.DEBS,
    "requirements.lock": samples.PYTHON,
    "r_packages.lock": samples.R,
}
NAMES = pytest.mark.parametrize("name", LOCKS)


@pytest.fixture
def settings(load_settings: LoadSettings) -> Settings:
    """Return the settings of a project that says nothing of its own."""
    return load_settings()


@pytest.fixture
def lists(read_lists: ReadLists) -> Lists:
    """Return empty lists."""
    return read_lists({})


def made_of(lists: Lists, settings: Settings, *more: DebPin) -> Locks:
    """Return locks that fit the lists, the settings and each other. ``more`` are debs that replace the root's."""
    replaced = {pin.name for pin in more}
    names = {request.name for request in lists.all_debs} - {"r-base-core"} - replaced
    sections = {
        "root": samples.DEBS.sections["root"],
        "pyrlab-base": tuple(sorted([*map(samples.deb, names), *more])),
        "rlab-base": (samples.deb("r-base-core", "4.5.0-3"),),
    }
    made = debs.input_of(lists, settings.suite)
    debs_lock = replace(samples.DEBS, input=made, sections=sections)
    requests = lists.python["pylab"]
    python_lock = replace(
        samples.PYTHON,
        input=python.input_of(requests, settings.suite),
        pins=tuple(sorted(samples.wheel(request.name) for request in requests)),
    )
    r_lock = replace(
        samples.R,
        input=r.input_of(lists, settings.suite, ("debian",)),
        packages=tuple(samples.r_pin(request.name) for request in lists.r),
        debs_body=debs_lock.body,
    )
    return Locks(debs_lock, {"pylab": python_lock}, r_lock)


def test_locks_that_were_made_together_agree(lists: Lists, settings: Settings) -> None:
    """With the architecture known, or not."""
    made_of(lists, settings).check(lists, settings)
    made_of(lists, settings).check(lists, settings, architecture="amd64")


def test_a_pair_of_locks_from_two_branches_is_noticed(lists: Lists, settings: Settings) -> None:
    """Each is whole, and fits the lists; apt solved them apart."""
    ours, theirs = made_of(lists, settings), made_of(lists, settings, samples.deb("tini", "2"))
    merged = Locks(theirs.debs, ours.python, ours.r)
    with pytest.raises(StaleLockError) as caught:
        merged.check(lists, settings)
    message = "r_packages.lock stands on another debs.lock than this one: was one of them merged?"
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- r")
    merged.check(lists, settings, kinds=("debs", "python"))


@pytest.mark.parametrize(
    ("deb", "message"),
    [
        pytest.param(
            samples.deb("python3", "3.14.0-1"),
            "requirements.lock is for Python 3.13, and the root has 3.14",
            id="python",
        ),
        pytest.param(
            samples.deb("libc6", "2.42-1"),
            "requirements.lock is for glibc 2.41, and debs.lock has glibc 2.42",
            id="glibc",
        ),
    ],
)
def test_distributions_are_for_the_root_that_is_locked(
    lists: Lists, settings: Settings, deb: DebPin, message: str
) -> None:
    """Another Python or C library takes other wheels."""
    with pytest.raises(StaleLockError) as caught:
        made_of(lists, settings, deb).check(lists, settings)
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")


def test_every_distribution_has_a_file_for_the_locked_architecture(lists: Lists, settings: Settings) -> None:
    """Not for another one alone."""
    locks = made_of(lists, settings)
    lock = locks.python["pylab"]
    others = tuple(samples.wheel(pin.name, pin.version, architecture="arm64") for pin in lock.pins[:2])
    locks = replace(locks, python={"pylab": replace(lock, pins=(*others, *lock.pins[2:]))})
    with pytest.raises(StaleLockError) as caught:
        locks.check(lists, settings)
    message = f"requirements.lock names no file for amd64 of {others[0].name}, {others[1].name}"
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")
    locks.check(lists, settings, kinds=("debs", "r"))


@pytest.mark.parametrize(
    ("version", "glibc"),
    [
        pytest.param("2.41-12+deb13u3", "2.41", id="revision"),
        pytest.param("1:2.36-9", "2.36", id="epoch"),
        pytest.param("2.41", "2.41", id="native"),
        pytest.param("2.41.1-2", "2.41", id="release-of-a-release"),
    ],
)
def test_the_c_librarys_version_is_upstreams(version: str, glibc: str) -> None:
    """Wheels speak of it without Debian's revision."""
    assert glibc_of(replace(samples.DEBS, sections={"root": (samples.deb("libc6", version),)})) == glibc


def test_versions_of_what_is_not_locked_are_empty() -> None:
    """A lock without a root has no Python, C library and R, and that is no traceback."""
    empty = replace(samples.DEBS, sections={"root": ()})
    assert (python_of(empty), glibc_of(empty), r_of(empty)) == ("", "", "")


def test_each_lock_has_its_digest_by_file(lists: Lists, settings: Settings) -> None:
    """Which images carry, so that an image says what it was made from."""
    locks = made_of(lists, settings)
    assert locks.bodies(settings.graph) == {
        "debs.lock": locks.debs.body,
        "requirements.lock": locks.python["pylab"].body,
        "r_packages.lock": locks.r.body if locks.r else "",
    }


def write(project: Path, **others: bytes) -> None:
    """Write the sample locks, some of them as other bytes: ``debs_lock`` is debs.lock."""
    for name, lock in LOCKS.items():
        (project / name).write_bytes(others.get(name.replace(".", "_"), lock.render().encode()))


def with_bytes(settings: Settings, name: str, content: bytes) -> Settings:
    """Give the project of these settings the sample locks, one of them with other content."""
    write(settings.project, **{name.replace(".", "_"): content})
    return settings


def both(settings: Settings) -> list[Callable[[], object]]:
    """Return the two ways to read locks: for building, and for locking anew."""
    return [
        lambda: lock_files.read_locks(settings),
        lambda: lock_files.read_earlier(settings, warn=samples.never),
    ]


def test_all_locks_are_read(settings: Settings) -> None:
    """Each from its own file."""
    write(settings.project)
    assert lock_files.read_locks(settings) == Locks(samples.DEBS, {"pylab": samples.PYTHON}, samples.R)
    earlier = lock_files.read_earlier(settings, warn=samples.never)
    assert earlier == Earlier(samples.DEBS, {"pylab": samples.PYTHON}, samples.R)


@NAMES
def test_a_missing_lock_is_stale_and_none_to_keep(settings: Settings, name: str) -> None:
    """A project that was never locked says so; locking begins with nothing."""
    write(settings.project)
    (settings.project / name).unlink()
    with pytest.raises(StaleLockError) as caught:
        lock_files.read_locks(settings)
    kind = {"debs.lock": "debs", "requirements.lock": "python", "r_packages.lock": "r"}[name]
    assert (str(caught.value), caught.value.remedy) == (f"there is no {name}", f"nox -s lock -- {kind}")
    earlier = lock_files.read_earlier(settings, warn=samples.never).by_file(settings.graph)
    assert earlier == {other: lock for other, lock in LOCKS.items() if other != name}


@NAMES
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte-order-mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_checkout_of_another_system_is_the_same_lock(settings: Settings, name: str, mark: str, end: str) -> None:
    """With other line ends, or a byte order mark."""
    with_bytes(settings, name, (mark + LOCKS[name].render().replace("\n", end)).encode())
    assert lock_files.read_locks(settings) == Locks(samples.DEBS, {"pylab": samples.PYTHON}, samples.R)
    assert lock_files.read_earlier(settings, warn=samples.never).by_file(settings.graph) == LOCKS


@NAMES
@pytest.mark.parametrize(
    ("encoding", "note", "said"),
    [
        pytest.param("utf-16", "# a", "UTF-16", id="utf-16"),
        pytest.param("utf-16", "# ÿé", "UTF-16", id="utf-16-letters"),
        pytest.param("utf-16-be", "# a", "UTF-16", id="utf-16-without-a-mark"),
        pytest.param("utf-16-be", "# ÿé", "UTF-16", id="utf-16-without-a-mark-letters"),
        pytest.param("latin-1", "# ÿé", "another encoding", id="latin-1-letters"),
    ],
)
def test_another_encoding_is_said(settings: Settings, name: str, encoding: str, note: str, said: str) -> None:
    """No traceback, and no lock that loses its pins."""
    with_bytes(settings, name, f"{note}\n{LOCKS[name].render()}".encode(encoding))
    for use in both(settings):
        with pytest.raises(StaleLockError) as caught:
            use()
        assert str(caught.value) == f"{name} is not UTF-8 text: it is in {said}"
        assert caught.value.remedy == f"git checkout -- {name}; or save it as UTF-8"


@NAMES
def test_a_folder_in_the_place_of_a_lock_is_said(settings: Settings, name: str) -> None:
    """As anything that the system does not let us read."""
    write(settings.project)
    path = settings.project / name
    path.unlink()
    path.mkdir()
    for use in both(settings):
        with pytest.raises(StaleLockError) as caught:
            use()
        message = f"{name} cannot be read: Is a directory"
        assert (str(caught.value), caught.value.remedy) == (message, f"make it a file that you can read: {path}")


@NAMES
def test_a_lock_with_a_conflict_is_never_dropped(settings: Settings, name: str) -> None:
    """Locking would move every pin."""
    with_bytes(settings, name, f"<<<<<<< ours\n{LOCKS[name].render()}".encode())
    for use in both(settings):
        with pytest.raises(StaleLockError) as caught:
            use()
        assert str(caught.value) == f"{name} has a conflict marker of git in line 1"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        pytest.param("debs.lock", "bash 1 ", "bash 1:1 ", "bash 1:1 is not what was locked", id="debs"),
        pytest.param("requirements.lock", "cffi==1", "cffi==2", "cffi 2 is not what was locked", id="python"),
        pytest.param("r_packages.lock", '"1.0"', '"2.0"', "repr 2.0 is not what was locked", id="r"),
    ],
)
def test_locking_keeps_the_pins_of_an_edited_lock_and_warns(
    settings: Settings, name: str, old: str, new: str, message: str
) -> None:
    """Whoever resolved a merge by hand can go on: all is solved and hashed again."""
    with_bytes(settings, name, LOCKS[name].render().replace(old, new, 1).encode())
    with pytest.raises(EditedLockError):
        lock_files.read_locks(settings)
    said: list[str] = []
    kept = lock_files.read_earlier(settings, warn=said.append).by_file(settings.graph)[name]
    assert said == [f"{name} was edited or merged by hand: {message}; {TAKEN}"]
    assert kept.versions().keys() == LOCKS[name].versions().keys()
    assert kept != LOCKS[name]


def test_an_earlier_format_keeps_its_pins(settings: Settings) -> None:
    """For locking; building says what to do."""
    text = f"# input: sha256:0\n# suite: trixie\n# architecture: amd64\n[root]\ncurl 8 amd64 sha256:{'a' * 64} auto\n"
    with_bytes(settings, "debs.lock", text.encode())
    with pytest.raises(OldFormatError) as caught:
        lock_files.read_locks(settings)
    assert caught.value.remedy == "nox -s lock -- debs, which keeps its pins"
    kept = lock_files.read_earlier(settings, warn=samples.never).debs
    assert kept is not None
    assert kept.versions() == {"curl (root)": "8"}


def test_names_are_those_that_differences_show() -> None:
    """Of all locks there are."""
    earlier = Earlier(None, {"pylab": samples.PYTHON}, samples.R)
    assert earlier.names() == [*samples.R.versions(), *samples.PYTHON.versions()]
    assert Earlier(None).names() == []


@pytest.mark.parametrize(
    ("list_file", "line", "kind"),
    [
        pytest.param("base_debs.txt", "curl", "debs", id="debs"),
        pytest.param("requirements.in", "numpy", "python", id="python"),
        pytest.param("r_packages.txt", "zoo", "r", id="r"),
    ],
)
def test_only_the_locks_that_are_asked_for_are_checked(
    read_lists: ReadLists, settings: Settings, list_file: str, line: str, kind: str
) -> None:
    """The command line names them."""
    locks = made_of(read_lists({}), settings)
    changed = read_lists({list_file: line})
    for name in ("debs", "python", "r"):
        if name == kind:
            with pytest.raises(StaleLockError, match=line):
                locks.check(changed, settings, kinds=(name,))
        else:
            locks.check(changed, settings, kinds=(name,))


def test_locks_are_for_one_architecture(lists: Lists, settings: Settings) -> None:
    with pytest.raises(StaleLockError, match="arm64"):
        made_of(lists, settings).check(lists, settings, architecture="arm64")
