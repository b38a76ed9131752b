"""debs.lock: one package a line, in sections."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.lists import BASE_DEBS, R_DEBS, Lists
from pyrlab.model.locks import debs
from pyrlab.model.locks.debs import DebPin, DebsLock

ReadLists = Callable[[Mapping[str, str]], Lists]
SECTIONS = ("root", "pyrlab-base", "rlab-base")
HEADER = "# Made by hand.\n# input: sha256:0\n# suite: trixie\n# architecture: amd64\n"
PIN = f"curl 8.14.1-2 amd64 sha256:{'a' * 64} requested"

PINS = st.builds(
    DebPin,
    name=st.from_regex(r"[a-z][a-z0-9+.-]{1,6}", fullmatch=True),
    version=st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9]{1,2})?", fullmatch=True),
    architecture=st.sampled_from(["all", "amd64"]),
    sha256=st.integers(0, 2**256 - 1).map("{:064x}".format),
    requested=st.booleans(),
)
LOCKS = st.builds(
    DebsLock,
    input=st.sampled_from(["sha256:0", "sha256:f"]),
    suite=st.sampled_from(["trixie", "forky"]),
    architecture=st.sampled_from(["amd64", "arm64"]),
    sections=st.fixed_dictionaries(
        {name: st.sets(PINS, max_size=4).map(lambda s: tuple(sorted(s))) for name in SECTIONS}
    ),
)


@given(pin=PINS)
def test_a_pin_is_parsed_as_it_is_written(pin: DebPin) -> None:
    """Both directions of one line."""
    assert DebPin.parse(str(pin), where="debs.lock:1") == pin


@given(lock=LOCKS)
def test_a_lock_is_parsed_as_it_is_rendered(lock: DebsLock) -> None:
    """Parse then render is the identity, for the value and for the bytes."""
    assert DebsLock.parse(lock.render()) == lock
    assert DebsLock.parse(lock.render()).render() == lock.render()


@given(lock=LOCKS, data=st.data())
def test_order_of_pins_does_not_change_the_file(lock: DebsLock, data: st.DataObject) -> None:
    """The same pins give the same bytes."""
    shuffled = {name: tuple(data.draw(st.permutations(pins))) for name, pins in lock.sections.items()}
    assert DebsLock(lock.input, lock.suite, lock.architecture, shuffled).render() == lock.render()


def test_a_lock_looks_like_this() -> None:
    """A golden file, small enough to read."""
    curl = DebPin("curl", "8.14.1-2", "amd64", "a" * 64, requested=True)
    zlib = DebPin("zlib1g", "1:1.3", "amd64", "b" * 64)
    lock = DebsLock("sha256:0", "trixie", "amd64", {"root": (zlib,), "pyrlab-base": (curl,)})
    assert lock.render() == (
        "# Made by `nox -s lock` from `base_debs.txt` and `r_debs.txt`. Do not edit.\n"
        "# input: sha256:0\n# suite: trixie\n# architecture: amd64\n"
        f"\n[root]\nzlib1g 1:1.3 amd64 sha256:{'b' * 64} auto\n"
        f"\n[pyrlab-base]\n{PIN}\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "debs.lock has no line '# input: …'", id="empty"),
        pytest.param(
            HEADER.replace("# suite: trixie\n", "") + "[root]\n", "debs.lock has no line '# suite: …'", id="no-suite"
        ),
        pytest.param(HEADER, "debs.lock has no [root] section", id="no-root"),
        pytest.param(HEADER + PIN, "debs.lock:5: a pin before the first [section]", id="pin-without-section"),
        pytest.param(HEADER + "[root]\n\ncurl 8\n", "debs.lock:7: 'curl 8' is not a pin", id="too-few-words"),
        pytest.param(
            HEADER + f"[root]\n{PIN.replace('requested', 'wanted')}",
            f"debs.lock:6: {PIN.replace('requested', 'wanted')!r} is not a pin",
            id="unknown-mark",
        ),
    ],
)
def test_a_garbled_lock_is_stale(text: str, message: str) -> None:
    """The message names the line, the remedy makes the lock anew."""
    with pytest.raises(StaleLockError) as caught:
        DebsLock.parse(text)
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- debs")


def locked(*pins: DebPin, lists: Lists) -> DebsLock:
    """Return a lock of these pins that fits ``lists``."""
    return DebsLock(
        debs.input_of(lists, "trixie", ()), "trixie", "amd64", {"root": (), "pyrlab-base": tuple(sorted(pins))}
    )


def pinned(*names: str) -> list[DebPin]:
    """Return a pin for each name."""
    return [DebPin(name, "1", "amd64", "a" * 64) for name in names]


REQUIRED = ("ca-certificates", "locales", "tini", "r-base-core")


def test_a_lock_of_these_lists_passes(read_lists: ReadLists) -> None:
    """With the architecture known, or not."""
    lists = read_lists({BASE_DEBS: "curl"})
    lock = locked(*pinned("curl", *REQUIRED), lists=lists)
    debs.check(lock, lists, suite="trixie", apt_sources=(), architecture="amd64")
    debs.check(lock, lists, suite="trixie", apt_sources=(), architecture=None)


@pytest.mark.parametrize(
    ("wanted", "message", "remedy"),
    [
        pytest.param(
            {"suite": "forky"}, "debs.lock is for trixie, and the settings want forky", "nox -s lock", id="suite"
        ),
        pytest.param(
            {"architecture": "arm64"},
            "debs.lock is for amd64, and the engine is arm64",
            "nox -s lock",
            id="architecture",
        ),
        pytest.param(
            {"apt_sources": ("deb x",)},
            "debs.lock was made from other lists than base_debs.txt and r_debs.txt",
            "nox -s lock -- debs",
            id="sources",
        ),
    ],
)
def test_a_lock_for_something_else_is_stale(
    read_lists: ReadLists, wanted: dict[str, str | tuple[str, ...]], message: str, remedy: str
) -> None:
    """Suite, architecture and sources are a part of what was asked."""
    lists = read_lists({})
    lock = locked(*pinned(*REQUIRED), lists=lists)
    arguments = {"suite": "trixie", "apt_sources": (), "architecture": "amd64"} | wanted
    with pytest.raises(StaleLockError) as caught:
        debs.check(lock, lists, **arguments)  # type: ignore[arg-type]
    assert (str(caught.value), caught.value.remedy) == (message, remedy)


def test_lines_that_the_lock_lacks_are_named(read_lists: ReadLists) -> None:
    """Each with the list that has it."""
    lock = locked(*pinned(*REQUIRED), lists=read_lists({}))
    lists = read_lists({BASE_DEBS: "\ncurl", R_DEBS: "littler=0.3"})
    with pytest.raises(StaleLockError) as caught:
        debs.check(lock, lists, suite="trixie", apt_sources=(), architecture=None)
    assert str(caught.value) == "debs.lock lacks curl (base_debs.txt:2), littler=0.3 (r_debs.txt:1)"


def test_a_line_that_was_dropped_makes_the_lock_stale(read_lists: ReadLists) -> None:
    """Nothing lacks, and still the lock holds more than the lists want."""
    lock = locked(*pinned("curl", *REQUIRED), lists=read_lists({BASE_DEBS: "curl"}))
    with pytest.raises(StaleLockError) as caught:
        debs.check(lock, read_lists({BASE_DEBS: ""}), suite="trixie", apt_sources=(), architecture=None)
    assert str(caught.value) == "debs.lock was made from other lists than base_debs.txt and r_debs.txt"


def test_the_upper_image_decides_which_version_is_installed() -> None:
    """A package of the root that an image above replaces."""
    below, above = DebPin("libc6", "2.41-1", "amd64", "a" * 64), DebPin("libc6", "2.41-2", "amd64", "b" * 64)
    lock = DebsLock("sha256:0", "trixie", "amd64", {"root": (below,), "pyrlab-base": (above,)})
    assert lock.version_of("libc6") == "2.41-2"
    assert lock.version_of("libc7") is None
    assert lock.versions() == {"libc6 (root)": "2.41-1", "libc6 (pyrlab-base)": "2.41-2"}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("1.9", "1.10", id="numeric"),
        pytest.param("9.0", "1:1.0", id="epoch"),
        pytest.param("1.0~rc1", "1.0", id="tilde-is-before"),
        pytest.param("1.0-1", "1.0-1+b1", id="binary-rebuild"),
    ],
)
def test_order_is_that_of_dpkg(older: str, newer: str) -> None:
    """So that up and down in a difference are what apt means by them."""
    assert debs.order(older) < debs.order(newer)
