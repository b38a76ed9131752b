"""What all locks share: digests, headers, differences, and writing that leaves no half of a file."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.adapters import files
from pyrlab.errors import StaleLockError
from pyrlab.model import locks
from pyrlab.model.changes import Change, diff
from pyrlab.model.cran.version import RVersion

PINS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1.0", "1.9", "1.10", "2.0"]))
LINES = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {"zoo": "1.0"}, [Change("added", "zoo", "", "1.0")], id="added"),
        pytest.param({"zoo": "1.0"}, {}, [Change("removed", "zoo", "1.0", "")], id="removed"),
        pytest.param({"zoo": "1.9"}, {"zoo": "1.10"}, [Change("up", "zoo", "1.9", "1.10")], id="up-by-number"),
        pytest.param({"zoo": "1.10"}, {"zoo": "1.9"}, [Change("down", "zoo", "1.10", "1.9")], id="down"),
        pytest.param(
            {"xts": "1", "zoo": "1"},
            {"zoo": "2", "abc": "1"},
            [Change("added", "abc", "", "1"), Change("removed", "xts", "1", ""), Change("up", "zoo", "1", "2")],
            id="sorted-by-name",
        ),
    ],
)
def test_diff_says_which_way_a_pin_went(old: dict[str, str], new: dict[str, str], expected: list[Change]) -> None:
    """One change a pin, in the order of names."""
    assert diff(old, new, RVersion.parse) == expected


@given(pins=PINS)
def test_a_lock_does_not_differ_from_itself(pins: dict[str, str]) -> None:
    """Nothing changed is an empty difference."""
    assert diff(pins, dict(reversed(pins.items())), RVersion.parse) == []


@given(old=PINS, new=PINS)
def test_a_difference_leads_from_old_to_new_and_back(old: dict[str, str], new: dict[str, str]) -> None:
    """Applied to the old pins it gives the new ones; the way back is its mirror image."""
    changes = diff(old, new, RVersion.parse)
    applied = old | {change.name: change.new for change in changes}
    assert {name: version for name, version in applied.items() if version} == new
    opposite = {"added": "removed", "removed": "added", "up": "down", "down": "up"}
    mirrored = [Change(opposite[change.kind], change.name, change.new, change.old) for change in changes]
    assert diff(new, old, RVersion.parse) == mirrored


def test_digest_is_sha_256_of_the_lines() -> None:
    """A golden value: locks that are out there carry it."""
    expected = "sha256:5a4855ed24c7361f269fb2aa7f530ec48c7d2fbf15584e6299655be85a0b1c97"
    assert locks.digest(["suite trixie", "base curl"]) == expected


@given(one=LINES, other=LINES)
def test_digests_of_different_lines_differ(one: list[str], other: list[str]) -> None:
    """Lines do not run into each other."""
    assert (locks.digest(one) == locks.digest(other)) == (one == other)


def test_header_says_who_made_the_file() -> None:
    """Comment lines, that pip and people skip."""
    expected = "# Made by `nox -s lock`. Do not edit.\n# suite: trixie\n"
    assert locks.header("nox -s lock", [("suite", "trixie")]) == expected


@given(fields=st.dictionaries(st.from_regex("[a-z]{1,8}", fullmatch=True), st.from_regex("[!-~]*", fullmatch=True)))
def test_header_fields_are_read_as_written(fields: dict[str, str]) -> None:
    """Render, then parse, is the identity."""
    text = locks.header("nox -s lock", fields.items()) + "\nzoo 1.0\n"
    assert locks.parse_header(text, fields, name="debs.lock") == fields


def test_a_missing_header_field_is_named() -> None:
    """The lock is stale, and the remedy is the lock's own."""
    with pytest.raises(StaleLockError) as caught:
        locks.parse_header("# suite: trixie\n", ("suite", "input"), name="debs.lock")
    assert str(caught.value) == "debs.lock has no line '# input: …'"
    restore = "git checkout -- debs.lock; or delete it, and nox -s lock makes it anew, with the newest versions"
    assert caught.value.remedy == restore


def test_a_missing_lock_is_stale(tmp_path: Path) -> None:
    """A project that was never locked says so."""
    with pytest.raises(StaleLockError) as caught:
        files.read(tmp_path / "debs.lock", remedy="nox -s lock -- debs")
    assert (str(caught.value), caught.value.remedy) == ("there is no debs.lock", "nox -s lock -- debs")


def test_write_replaces_a_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Everybody can read the new one, as is usual for a file under version control."""
    path = tmp_path / "debs.lock"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o600)
    files.write({path: "new ✓\n"})
    assert files.read(path, remedy="") == "new ✓\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    """Half a text that cannot be encoded reaches neither the file nor the folder."""
    path = tmp_path / "debs.lock"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        files.write({path: "new \ud800"})
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_replaced_together_or_not_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "first.lock", tmp_path / "second.lock"
    first.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        files.write({first: "new", second: "\ud800"})
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("first.lock", "old")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_interrupt_comes_between_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Nor is it lost: it ends the run right afterwards."""
    first, second = tmp_path / "first.lock", tmp_path / "second.lock"
    rename = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        renamed = rename(path, target)
        signal.raise_signal(number)
        return renamed

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            files.write({first: "new", second: "new"})
    finally:
        signal.signal(number, before)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["new", "new"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        pytest.param("a", "a 2 is not what was locked", id="one"),
        pytest.param("abcdef", "; ".join(f"{name} 2 is not what was locked" for name in "abcdef"), id="all-shown"),
        pytest.param(
            "abcdefgh", "; ".join(f"{name} 2 is not what was locked" for name in "abcdef") + "; and 2 more", id="many"
        ),
    ],
)
def test_of_many_edits_the_first_are_named(names: str, said: str) -> None:
    # A pin that stays lies between each two, so that each edit is one of its own.
    before = locks.Body(("suite trixie",), tuple(f"{name}{end}" for name in names for end in (" 1", "_ 1")))
    after = replace(before, pins=tuple(pin.replace(" 1", " 2") if "_" not in pin else pin for pin in before.pins))
    with pytest.raises(locks.EditedLockError) as caught:
        after.check(before.digest, before.sums, 0, name="debs.lock", remedy="do this")
    assert (str(caught.value), caught.value.remedy) == (f"debs.lock was edited or merged by hand: {said}", "do this")


@pytest.mark.parametrize("sums", [pytest.param("", id="none"), pytest.param("%%", id="garbled")])
def test_without_sums_an_edit_is_noticed_too(sums: str) -> None:
    body = locks.Body((), ("a 1",))
    body.check(body.digest, sums, 0, name="debs.lock", remedy="")
    with pytest.raises(locks.EditedLockError):
        body.check("sha256:0", sums, 0, name="debs.lock", remedy="")
    with pytest.raises(locks.EditedLockError, match=r"^debs\.lock was edited or merged by hand: line 3$"):
        body.check(body.digest, sums, 3, name="debs.lock", remedy="")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("# a: 1\n\nb 1\nc 1\n", 0, id="as-written"),
        pytest.param("\n# a note\n# a: 1\nb 1\n\n\nc 1", 0, id="blank-lines-and-notes"),
        pytest.param("# a: 2\n\nb 1\nc 1\n", 1, id="in-the-header"),
        pytest.param("# a: 1\n\nb 1\n\nc 2\n", 5, id="a-pin"),
        pytest.param("# a: 1\n\nb 1\n", 4, id="the-last-is-gone"),
        pytest.param("# a: 1\n\nb 1\nc 1\nd 1\n", 6, id="one-more"),
        pytest.param("# a: 1\n\n b 1\nc 1\n", 3, id="a-space"),
    ],
)
def test_the_first_line_that_was_edited_is_found(text: str, line: int) -> None:
    assert locks.first_edit(text, "# a: 1\n\nb 1\nc 1\n") == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("<<<<<<< HEAD\na 1\n", 1, id="first-line"),
        pytest.param("a 1\n\n=======\nb 1\n", 3, id="in-between"),
        pytest.param("a 1\r\n>>>>>>> theirs", 2, id="last-line-of-windows"),
    ],
)
def test_a_conflict_is_named_by_its_line(text: str, line: int) -> None:
    with pytest.raises(StaleLockError) as caught:
        locks.check_text(text, name="debs.lock", remedy="nox -s lock -- debs")
    assert str(caught.value) == f"debs.lock has a conflict marker of git in line {line}"
    assert caught.value.remedy == "git checkout --ours -- debs.lock (or --theirs), then: nox -s lock -- debs"


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        pytest.param(
            ("a 1", "b 2", "d 1"), "b 2 is not what was locked; a pin is missing between a 1 and d 1", id="in"
        ),
        pytest.param(("b 2", "d 1"), "b 2 is not what was locked; 2 pins are missing before d 1", id="first"),
        pytest.param(("a 1", "b 1", "c 1"), "a pin is missing after c 1", id="last"),
        pytest.param((), "4 pins are missing", id="all"),
        pytest.param(("a 1", "b 1", "c 1", "cc 1", "d 1"), "cc 1 is not what was locked", id="one-more"),
    ],
)
def test_pins_that_are_gone_are_told_by_their_neighbours(pins: tuple[str, ...], said: str) -> None:
    before = locks.Body(("suite trixie",), ("a 1", "b 1", "c 1", "d 1"))
    with pytest.raises(locks.EditedLockError) as caught:
        replace(before, pins=pins).check(before.digest, before.sums, 1, name="debs.lock", remedy="")
    assert str(caught.value) == f"debs.lock was edited or merged by hand: {said}"
