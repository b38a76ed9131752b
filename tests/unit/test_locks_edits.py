"""What holds for all three locks: any edit is noticed and named, an earlier format keeps its pins."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, Self

import lock_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.locks import TAKEN, EditedLockError, OldFormatError
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RFile, RLock, RPin

# An R package of a repository that is not Debian.
R_PIN = RPin("uuid", "1.0", "lab", requested=False, files=(RFile("source", "src/contrib/uuid_1.0.tar.gz", "0" * 64),))


class Lock(Protocol):
    """What the three kinds of lock can do."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it strictly."""

    @classmethod
    def earlier(cls, text: str, *, warn: Callable[[str], None]) -> Self:
        """Read it for its pins."""

    def versions(self) -> dict[str, str]:
        """Return versions by name."""
        ...

    def render(self) -> str:
        """Return its text."""


def earlier(kind: type[Lock]) -> Callable[[str], Lock]:
    """Return the reader of a kind of lock that takes pins over, where it must not warn."""
    return lambda text: kind.earlier(text, warn=samples.never)


KINDS = pytest.mark.parametrize(
    ("kind", "drawn"),
    [
        pytest.param(DebsLock, samples.debs_locks(), id="debs"),
        pytest.param(PythonLock, samples.python_locks(), id="python"),
        pytest.param(RLock, samples.r_locks(), id="r"),
    ],
)
SAMPLES = pytest.mark.parametrize(
    "lock",
    [
        pytest.param(samples.DEBS, id="debs"),
        pytest.param(samples.PYTHON, id="python"),
        pytest.param(samples.R, id="r"),
    ],
)


@KINDS
@given(data=st.data())
def test_a_lock_is_parsed_as_it_is_rendered(
    kind: type[Lock], drawn: st.SearchStrategy[Lock], data: st.DataObject
) -> None:
    """For the value and for the bytes; and nobody edited it."""
    lock = data.draw(drawn)
    text = lock.render()
    assert kind.parse(text) == lock
    assert kind.parse(text).render() == text
    assert kind.earlier(text, warn=samples.never) == lock


@KINDS
@given(data=st.data())
def test_line_ends_blank_lines_and_remarks_say_nothing(
    kind: type[Lock], drawn: st.SearchStrategy[Lock], data: st.DataObject
) -> None:
    """A checkout on Windows, an editor's byte order mark, a note: the lock is the same."""
    lock = data.draw(drawn)
    lines = lock.render().split("\n")
    lines.insert(data.draw(st.integers(0, 3)), data.draw(st.sampled_from(["", "# a note of mine", "#"])))
    assert kind.parse("\ufeff" + "\r\n".join(lines)) == lock


def edited(lines: list[str], data: st.DataObject) -> list[str]:
    """Return the lines with one edit of one that says something: any but blank lines and the first."""
    says = [number for number, line in enumerate(lines) if line.strip() and number]
    number = data.draw(st.sampled_from(says))
    line = lines[number]
    how = data.draw(st.sampled_from(["remove", "double", "swap", "character", "cut", "insert"]))
    at = data.draw(st.integers(0, len(line) - 1))
    character = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    if how == "remove":
        return [*lines[:number], *lines[number + 1 :]]
    if how == "double":
        return [*lines[:number], line, *lines[number:]]
    if how == "swap":
        other = data.draw(st.sampled_from(says))
        swapped = list(lines)
        swapped[number], swapped[other] = lines[other], line
        return swapped
    new = {"character": line[:at] + character + line[at + 1 :], "cut": line[:at] + line[at + 1 :]}
    return [*lines[:number], new.get(how, line[:at] + character + line[at:]), *lines[number + 1 :]]


@KINDS
@given(data=st.data())
def test_any_edit_is_noticed(kind: type[Lock], drawn: st.SearchStrategy[Lock], data: st.DataObject) -> None:
    """A character, or a line that is gone, doubled, or in another place."""
    before = data.draw(drawn).render().split("\n")
    after = edited(before, data)
    if after == before or _without_blank(after) == _without_blank(before):
        return
    with pytest.raises(StaleLockError):
        kind.parse("\n".join(after))


def _without_blank(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip()]


@SAMPLES
def test_every_single_character_counts(lock: Lock) -> None:
    """Each place of a small lock, one after the other."""
    text = lock.render()
    start = text.index("\n") + 1
    for at in range(start, len(text)):
        if text[at] == "\n":
            continue
        with pytest.raises(StaleLockError):
            type(lock).parse(text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :])


@pytest.mark.parametrize(
    ("lock", "change", "edits", "command"),
    [
        pytest.param(
            samples.PYTHON,
            lambda text: text.replace(str(samples.wheel("cachetools")), ""),
            "a pin is missing before certifi 1",
            "nox -s lock -- python",
            id="python-first-removed",
        ),
        pytest.param(
            samples.PYTHON,
            lambda text: text.replace(str(samples.wheel("certifi", "1", "requests")), ""),
            "a pin is missing between cachetools 1 and cffi 1",
            "nox -s lock -- python",
            id="certifi-removed",
        ),
        pytest.param(
            samples.PYTHON,
            lambda text: text.replace(str(samples.wheel("requests")), ""),
            "a pin is missing after numpy 2.3.1",
            "nox -s lock -- python",
            id="python-parent-removed",
        ),
        pytest.param(
            samples.PYTHON,
            lambda text: text.replace("numpy==2.3.1", "numpy==1.0"),
            "numpy 1.0 is not what was locked",
            "nox -s lock -- python",
            id="numpy-set-to-another-version",
        ),
        pytest.param(
            samples.DEBS,
            lambda text: text.replace(f"{samples.deb('libc6', '2.41-12')}\n", ""),
            "a pin is missing between bash 1 and python3 3.13.5-1",
            "nox -s lock -- debs",
            id="libc6-removed",
        ),
        pytest.param(
            samples.DEBS,
            lambda text: text.replace(f"{samples.deb('tini')}\n", f"{samples.deb('git')}\n{samples.deb('tini')}\n"),
            "git 1 is not what was locked",
            "nox -s lock -- debs",
            id="deb-added",
        ),
        pytest.param(
            samples.DEBS,
            lambda text: (
                text.replace("bash 1 ", "bash 2 ")
                .replace("bash_1_", "bash_2_")
                .replace(f"{samples.deb('python3', '3.13.5-1')}\n", "")
            ),
            "bash 2 is not what was locked; a pin is missing between libc6 2.41-12 and zlib1g 1",
            "nox -s lock -- debs",
            id="deb-edited-and-another-removed",
        ),
        pytest.param(
            samples.DEBS,
            lambda text: "\n".join(line for line in text.split("\n") if " 1000 " not in line),
            "7 pins are missing",
            "nox -s lock -- debs",
            id="all-removed",
        ),
        pytest.param(
            samples.DEBS,
            lambda text: text.replace("suite: trixie", "suite: forky"),
            "what its header says, or the order of its pins",
            "nox -s lock -- debs",
            id="header",
        ),
        pytest.param(
            samples.R,
            lambda text: text.replace('name = "uuid"\nversion = "1.0"', 'name = "uuid"\nversion = "1.1"'),
            "uuid 1.1 is not what was locked",
            "nox -s lock -- r",
            id="r-version",
        ),
        pytest.param(
            samples.R,
            lambda text: text.replace('debs = "sha256:', 'debs = "sha256:0'),
            "what its header says, or the order of its pins",
            "nox -s lock -- r",
            id="r-stands-on-something-else",
        ),
    ],
)
def test_edits_are_named(lock: Lock, change: Callable[[str], str], edits: str, command: str) -> None:
    """Building refuses them; locking keeps the versions as they are and says so."""
    text = change(lock.render())
    with pytest.raises(EditedLockError) as caught:
        type(lock).parse(text)
    file = str(caught.value).split(" ")[0]
    message = f"{file} was edited or merged by hand: {edits}"
    assert str(caught.value) == message
    assert caught.value.remedy == f"git checkout -- {file}; or take its pins as they are: {command}"
    said: list[str] = []
    kept = type(lock).earlier(text, warn=said.append)
    assert said == [f"{message}; {TAKEN}"]
    assert len(kept.versions().items() - lock.versions().items()) <= 1


@pytest.mark.parametrize("version", ["2", "2-1", "1:2"])
def test_a_debs_version_that_was_set_by_hand_is_refused(version: str) -> None:
    """Locking would take another version's file for it."""
    text = samples.DEBS.render().replace("bash 1 ", f"bash {version} ")
    with pytest.raises(StaleLockError) as caught:
        DebsLock.earlier(text, warn=samples.never)
    assert str(caught.value) == f"debs.lock: bash {version} has the file of another version, bash_1_amd64.deb"
    assert caught.value.remedy.startswith("versions are not set here: git checkout -- debs.lock; ")


def with_r_file(file: str) -> str:
    """Return a lock of one R package, uuid 1.0, with a file of this name, in which somebody has edited something."""
    pin = replace(R_PIN, files=(RFile("source", f"src/contrib/{file}", "0" * 64),))
    text = replace(samples.R, packages=(pin,), repositories=("lab",)).render()
    return text.replace("requested = false", "requested = true")


R_FILES = pytest.mark.parametrize("file", ["uuid_1.0.tar.gz", "uuid_1.0_R_x86_64-pc-linux-gnu.tar.gz"])


@R_FILES
def test_an_r_packages_version_that_was_set_by_hand_is_refused(file: str) -> None:
    """Its repository would be blamed for a file that is another version's. The list is where a version belongs."""
    with pytest.raises(StaleLockError) as caught:
        RLock.earlier(with_r_file(file).replace('version = "1.0"', 'version = "1.1"'), warn=samples.never)
    assert str(caught.value) == f"r_packages.lock: uuid 1.1 has the file of another version, {file}"
    assert caught.value.remedy.startswith("versions are not set here: git checkout -- r_packages.lock; r_packages.txt")


@R_FILES
def test_other_edits_leave_an_r_packages_version(file: str) -> None:
    assert RLock.earlier(with_r_file(file), warn=lambda _: None).versions()["uuid"] == "1.0"


def test_a_commits_file_says_nothing_of_versions() -> None:
    text = with_r_file("0123abcd.tar.gz").replace('version = "1.0"', 'version = "1.1"')
    assert RLock.earlier(text, warn=lambda _: None).versions()["uuid"] == "1.1"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        pytest.param(DebsLock, samples.DEBS.render().replace("bash 1 ", "bash 2 "), "debs.lock was edited", id="debs"),
        pytest.param(
            RLock,
            replace(samples.R, packages=(R_PIN,), repositories=("lab",)).render().replace('"1.0"', '"1.1"'),
            "r_packages.lock was edited",
            id="r",
        ),
    ],
)
def test_a_build_does_not_send_to_a_lock_that_refuses(kind: type[Lock], text: str, message: str) -> None:
    """Its remedy for other edits is to lock with these pins."""
    with pytest.raises(EditedLockError, match=message) as caught:
        kind.parse(text)
    assert caught.value.remedy.startswith("versions are not set here: git checkout -- ")


@pytest.mark.parametrize(
    ("version", "file"),
    [
        pytest.param("1:1", "bash_1_", id="no-epoch"),
        pytest.param("1:1", "bash_1%3a1_", id="epoch-as-apt-writes-it"),
        pytest.param("1-2", "bash_1_", id="no-revision"),
        pytest.param("1", "bash_current_", id="no-version"),
    ],
)
def test_archives_may_call_a_file_otherwise(version: str, file: str) -> None:
    text = samples.DEBS.render().replace("bash 1 ", f"bash {version} ").replace("bash_1_", file)
    assert DebsLock.earlier(text, warn=lambda _: None).version_of("bash") == version


def test_of_an_edited_lock_only_the_versions_are_believed() -> None:
    """Below a version that was set by hand are the files of another one; and a hash may have been set by anybody."""
    text = samples.PYTHON.render().replace("numpy==2.3.1", "numpy==1.0")
    kept = PythonLock.earlier(text, warn=lambda _: None)
    assert kept.versions() == samples.PYTHON.versions() | {"numpy": "1.0"}
    assert not any(pin.hashes or pin.files for pin in kept.pins)
    text = samples.R.render().replace("requested = true", "requested = false", 1)
    of_r = RLock.earlier(text, warn=lambda _: None)
    assert of_r.versions() == samples.R.versions()
    assert not any(file.sha256 for pin in of_r.packages for file in pin.files)


@pytest.mark.parametrize(
    ("lock", "block", "message", "remedy"),
    [
        pytest.param(
            samples.DEBS,
            f"{samples.deb('bash')}\n",
            "debs.lock:12: bash is there twice, first in line 11",
            "keep one of the two, then: nox -s lock -- debs",
            id="deb",
        ),
        pytest.param(
            samples.PYTHON,
            str(samples.wheel("cffi")),
            "requirements.lock:21: cffi is there twice, first in line 17",
            "keep one of the two, then: nox -s lock -- python",
            id="distribution",
        ),
    ],
)
def test_a_package_that_is_there_twice_is_named_by_line(lock: Lock, block: str, message: str, remedy: str) -> None:
    """Whoever merged has to say which of the two; locking cannot know."""
    text = lock.render()
    for read in (type(lock).parse, earlier(type(lock))):
        with pytest.raises(StaleLockError) as caught:
            read(text.replace(block, block + block))
        assert (str(caught.value), caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize("table", ["package", "deb", "build-deb"])
def test_an_r_package_or_a_deb_that_is_there_twice_is_named_by_line(table: str) -> None:
    """The file of a package has a name too, which counts where it is."""
    blocks = samples.R.render().split("\n[[")
    index = next(number for number, block in enumerate(blocks) if block.startswith(f"{table}]]"))
    end = next((n for n in range(index + 1, len(blocks)) if not blocks[n].startswith("package.file")), len(blocks))
    text = "\n[[".join([*blocks[:index], *blocks[index:end], *blocks[index:]])
    with pytest.raises(StaleLockError, match=r"^r_packages\.lock:\d+: \S+ is there twice, first in line \d+$"):
        RLock.parse(text)


def test_a_deb_that_compiles_is_none_that_rlab_has() -> None:
    """What rlab holds is there when packages are compiled."""
    lock = replace(samples.R, build_debs=samples.R.debs[:1])
    with pytest.raises(StaleLockError, match=r"^r_packages\.lock:\d+: libuv is there twice, first in line \d+$"):
        RLock.parse(lock.render())


@SAMPLES
@pytest.mark.parametrize(
    "marker", ["<<<<<<< HEAD", ">>>>>>> theirs", "=======", "||||||| base"], ids=["ours", "theirs", "between", "base"]
)
def test_a_conflict_of_git_is_said(lock: Lock, marker: str) -> None:
    """Whoever reads it, also locking."""
    for read in (type(lock).parse, earlier(type(lock))):
        with pytest.raises(StaleLockError, match=r"has a conflict marker of git in line 2$") as caught:
            read(lock.render().replace("\n", f"\n{marker}\n", 1))
        name = str(caught.value).split(" ")[0]
        assert caught.value.remedy.startswith(f"git checkout --ours -- {name} (or --theirs), then: nox -s lock -- ")


@SAMPLES
def test_a_merge_without_conflict_is_noticed(lock: Lock) -> None:
    """The seal of one side, and a pin of the other."""
    text = lock.render()
    others = {
        DebsLock: (f"{samples.deb('tini')}\n", f"{samples.deb('tini')}\n{samples.deb('wget', '3')}\n", "wget 3"),
        PythonLock: (
            str(samples.wheel("requests")),
            f"{samples.wheel('requests')}{samples.wheel('scipy', '3')}",
            "scipy 3",
        ),
        RLock: ('version = "1.0"', 'version = "3"', "repr 3"),
    }
    old, new, name = others[type(lock)]
    with pytest.raises(EditedLockError, match=rf": {name} is not what was locked$"):
        type(lock).parse(text.replace(old, new, 1))


@SAMPLES
def test_a_newer_format_is_not_guessed_at(lock: Lock) -> None:
    """Neither for building nor for locking."""
    text = lock.render().replace("format: 2", "format: 77").replace("format = 3", "format = 77")
    for read in (type(lock).parse, earlier(type(lock))):
        with pytest.raises(
            StaleLockError, match=r"lock has format 77, and this pyrlab knows [23]: a newer one made it$"
        ) as caught:
            read(text)
        assert not isinstance(caught.value, OldFormatError)
        assert "use the newer pyrlab" in caught.value.remedy


@pytest.mark.parametrize("value", ["x", "1.5", "0", "-1", "٢"])
def test_a_format_that_is_no_number_is_said(value: str) -> None:
    """Not a traceback."""
    with pytest.raises(StaleLockError, match=r"^debs\.lock has the format .*, which is no number$"):
        DebsLock.parse(samples.DEBS.render().replace("format: 2", f"format: {value}"))
