"""debs.lock: one package a line, in sections."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import lock_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.lists import BASE_DEBS, R_DEBS, Lists
from pyrlab.model.locks import OldFormatError, debs
from pyrlab.model.locks.debs import DebPin, DebsLock

ReadLists = Callable[[Mapping[str, str]], Lists]
HEADER = "# Made by hand.\n# input: sha256:0\n# suite: trixie\n# architecture: amd64\n"
PIN = f"curl 8.14.1-2 amd64 sha256:{'a' * 64} requested"
WHOLE = f"curl 8.14.1-2 amd64 sha256:{'a' * 64} 100 pool/curl.deb requested"
WRONG = {
    "path-above": WHOLE.replace("pool/", "pool/../../"),
    "path-absolute": WHOLE.replace("pool/", "/pool/"),
    "path-is-an-url": WHOLE.replace("pool/", "https://x/"),
    "path-of-no-deb": WHOLE.replace(".deb", ".txt"),
    "size": WHOLE.replace(" 100 ", " -1 "),
    "size-without-end": WHOLE.replace(" 100 ", f" {'9' * 5000} "),
    "hash": WHOLE.replace("sha256:a", "sha256:g"),
    "short-hash": WHOLE.replace("sha256:a", "sha256:"),
    "name": WHOLE.replace("curl ", "cu/rl ", 1),
}


@given(pin=samples.DEB_PINS)
def test_a_pin_is_parsed_as_it_is_written(pin: DebPin) -> None:
    """Both directions of one line."""
    assert DebPin.parse(str(pin), where="debs.lock:1") == pin


@given(lock=samples.debs_locks(), data=st.data())
def test_order_of_pins_does_not_change_the_file(lock: DebsLock, data: st.DataObject) -> None:
    """The same pins give the same bytes."""
    shuffled = {name: tuple(data.draw(st.permutations(pins))) for name, pins in lock.sections.items()}
    assert replace(lock, sections=shuffled).render() == lock.render()


def test_a_lock_looks_like_this() -> None:
    """A golden file, small enough to read. What it holds beside pins is a part of its format: see FORMAT."""
    curl = DebPin("curl", "8.14.1-2", "amd64", "a" * 64, 269000, "pool/main/c/curl.deb", requested=True)
    zlib = DebPin("zlib1g", "1:1.3", "amd64", "b" * 64, 88000, "pool/main/z/zlib1g.deb")
    lock = DebsLock("sha256:0", "trixie", "amd64", {"root": (zlib,), "pyrlab-base": (curl,)})
    assert lock.render() == (
        "# Made by `nox -s lock`. Do not edit.\n# format: 2\n"
        "# input: sha256:0\n# suite: trixie\n# architecture: amd64\n"
        "# body: sha256:e8eb0f901d2b3390fd68585eaff6b7bcc33127280bda2493b5ed49fb9cd83907\n# sums: gVwFyQ==\n"
        f"\n[root]\nzlib1g 1:1.3 amd64 sha256:{'b' * 64} 88000 pool/main/z/zlib1g.deb auto\n"
        f"\n[pyrlab-base]\ncurl 8.14.1-2 amd64 sha256:{'a' * 64} 269000 pool/main/c/curl.deb requested\n"
    )


def test_the_first_format_keeps_its_pins_for_locking_alone() -> None:
    """It had neither sizes nor paths; building needs both."""
    text = HEADER + f"[root]\n{PIN}\n"
    with pytest.raises(OldFormatError) as caught:
        DebsLock.parse(text)
    assert str(caught.value) == "debs.lock has format 1, of an earlier pyrlab; this one needs 2"
    assert caught.value.remedy == "nox -s lock -- debs, which keeps its pins"
    kept = DebsLock.earlier(text, warn=samples.never)
    assert kept.sections == {"root": (DebPin("curl", "8.14.1-2", "amd64", "a" * 64, requested=True),)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "debs.lock has no line '# input: …'", id="empty"),
        pytest.param(
            HEADER.replace("# suite: trixie\n", "") + "[root]\n", "debs.lock has no line '# suite: …'", id="no-suite"
        ),
        pytest.param(HEADER, "debs.lock has no [root] section", id="no-root"),
        pytest.param(HEADER + "[root]\n[base", "debs.lock:6: '[base' is not a pin", id="half-a-section"),
        pytest.param(HEADER + "[root]\nbase]", "debs.lock:6: 'base]' is not a pin", id="other-half-of-a-section"),
        pytest.param(HEADER + PIN, "debs.lock:5: a pin before the first [section]", id="pin-without-section"),
        pytest.param(HEADER + "[root]\n\ncurl 8\n", "debs.lock:7: 'curl 8' is not a pin", id="too-few-words"),
        pytest.param(
            HEADER + f"[root]\n{PIN.replace('requested', 'wanted')}",
            f"debs.lock:6: {PIN.replace('requested', 'wanted')!r} is not a pin",
            id="unknown-mark",
        ),
        *(
            pytest.param(HEADER + f"[root]\n{line}", f"debs.lock:6: {line!r} is not a pin", id=name)
            for name, line in WRONG.items()
        ),
    ],
)
def test_a_garbled_lock_is_stale(text: str, message: str) -> None:
    """The message names the line. Locking could not keep these pins, so the remedy is not to lock."""
    with pytest.raises(StaleLockError) as caught:
        DebsLock.earlier(text, warn=samples.never)
    assert str(caught.value) == message
    restore = "git checkout -- debs.lock; or delete it, and nox -s lock makes it anew, with the newest versions"
    assert caught.value.remedy == restore


def test_a_section_that_is_there_twice_is_named() -> None:
    """As after a merge."""
    with pytest.raises(StaleLockError) as caught:
        DebsLock.earlier(HEADER + "[root]\n\n[root]\n", warn=samples.never)
    assert str(caught.value) == "debs.lock:7: the section [root] is there twice, first in line 5"
    assert caught.value.remedy == "keep one of the two, then: nox -s lock -- debs"


def locked(*pins: DebPin, lists: Lists) -> DebsLock:
    """Return a lock of these pins that fits ``lists``."""
    return DebsLock(
        debs.input_of(lists, "trixie"),
        "trixie",
        "amd64",
        {"root": (), "pyrlab-base": tuple(sorted(pins)), "rlab-base": ()},
    )


def pinned(*names: str) -> list[DebPin]:
    """Return a pin for each name."""
    return [DebPin(name, "1", "amd64", "a" * 64) for name in names]


REQUIRED = ("ca-certificates", "libnss-extrausers", "locales", "tini", "r-base-core")


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
    ],
)
def test_a_lock_for_something_else_is_stale(
    read_lists: ReadLists, wanted: dict[str, str | tuple[str, ...]], message: str, remedy: str
) -> None:
    """Suite and architecture are a part of what was asked; who serves the packages is not."""
    lists = read_lists({})
    lock = locked(*pinned(*REQUIRED), lists=lists)
    arguments = {"suite": "trixie", "apt_sources": (), "architecture": "amd64"} | wanted
    with pytest.raises(StaleLockError) as caught:
        debs.check(lock, lists, **arguments)  # type: ignore[arg-type]
    assert (str(caught.value), caught.value.remedy) == (message, remedy)
    debs.check(lock, lists, suite="trixie", apt_sources=("deb x",), architecture="amd64")


def test_an_image_without_a_section_is_named(read_lists: ReadLists) -> None:
    """As after a new image in docker/images.toml."""
    lists = read_lists({})
    lock = replace(locked(*pinned(*REQUIRED), lists=lists), sections={"root": ()})
    with pytest.raises(StaleLockError) as caught:
        debs.check(lock, lists, suite="trixie", apt_sources=(), architecture=None)
    message = "debs.lock has no section for pyrlab-base, rlab-base"
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- debs")


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
    assert str(caught.value) == "debs.lock was made from other lists than these"


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
    order = samples.DEBS.order
    assert order(older) < order(newer)
