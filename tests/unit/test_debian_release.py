"""A suite's Release file: its names, its date, how apt counts it, and the files that it vouches for."""

from datetime import UTC, datetime

import pytest

from pyrlab.errors import BuildError
from pyrlab.model.debian import AUTOMATIC_UPGRADES, NOT_AUTOMATIC, PRIORITY
from pyrlab.model.debian_release import IndexFile, Release

HASH = "ab" * 32


def release(text: str = "", *paths: str) -> Release:
    """Parse a Release file with these fields and files."""
    lines = "".join(f" {HASH} 10 {path}\n" for path in paths)
    return Release.parse(f"{text}\nSHA256:\n{lines}" if paths else text, where="its Release file")


def test_all_that_counts_is_read() -> None:
    read = release(
        "Suite: stable\nCodename: trixie\nValid-Until: Sat, 02 Aug 2025 10:00:00 UTC\nAcquire-By-Hash: yes\n"
        "Architectures: all amd64\nComponents: main contrib\nNo-Support-for-Architecture-all: Packages",
        "main/binary-amd64/Packages.xz",
    )
    assert read == Release(
        suite="stable",
        codename="trixie",
        valid_until=datetime(2025, 8, 2, 10, tzinfo=UTC),
        by_hash=True,
        weight=PRIORITY,
        architectures=("all", "amd64"),
        components=("main", "contrib"),
        apart=False,
        files={"main/binary-amd64/Packages.xz": IndexFile("main/binary-amd64/Packages.xz", 10, HASH)},
    )


def test_what_is_not_said_is_as_little_as_can_be() -> None:
    assert release("Origin: me") == Release(
        suite="",
        codename="",
        valid_until=None,
        by_hash=False,
        weight=PRIORITY,
        architectures=(),
        components=(),
        apart=True,
        files={},
    )


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        pytest.param("NotAutomatic: yes", NOT_AUTOMATIC, id="experimental"),
        pytest.param("NotAutomatic: yes\nButAutomaticUpgrades: yes", AUTOMATIC_UPGRADES, id="backports"),
        pytest.param("ButAutomaticUpgrades: yes", PRIORITY, id="says-nothing-alone"),
        pytest.param("NotAutomatic: no\nButAutomaticUpgrades: no", PRIORITY, id="no"),
        pytest.param("NotAutomatic: yes\nButAutomaticUpgrades: no", NOT_AUTOMATIC, id="no-upgrades"),
    ],
)
def test_an_archive_counts_as_apt_counts_it(text: str, weight: int) -> None:
    assert release(text).weight == weight


@pytest.mark.parametrize(
    ("text", "called"),
    [
        pytest.param("Suite: stable\nCodename: trixie", True, id="codename"),
        pytest.param("Suite: trixie\nCodename: thirteen", True, id="suite"),
        pytest.param("Suite: trixie", True, id="suite-alone"),
        pytest.param("Codename: forky", False, id="another"),
        pytest.param("Origin: me", True, id="says-nothing"),
    ],
)
def test_a_suite_goes_by_either_name(text: str, *, called: bool) -> None:
    assert release(text).is_called("trixie") is called


def test_forms_are_tried_the_smallest_first() -> None:
    read = release("", "main/binary-amd64/Packages", "main/binary-amd64/Packages.gz", "main/binary-amd64/Packages.xz")
    (forms,) = read.indexes("main", "amd64")
    assert [form.path.rpartition("/")[2] for form in forms] == ["Packages.xz", "Packages.gz", "Packages"]
    assert forms[0].by_hash == f"main/binary-amd64/by-hash/SHA256/{HASH}"
    assert IndexFile("Packages", 1, HASH).by_hash == f"by-hash/SHA256/{HASH}"
    assert read.indexes("contrib", "amd64") == []


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        pytest.param("Architectures: all amd64", ["amd64", "all"], id="apart"),
        pytest.param("Architectures: amd64", ["amd64"], id="no-such-architecture"),
        pytest.param("Architectures: all amd64\nNo-Support-for-Architecture-all: Packages", ["amd64"], id="in-each"),
        pytest.param("Architectures: all amd64\nNo-Support-for-Architecture-all: Other", ["amd64", "all"], id="other"),
    ],
)
def test_packages_of_all_architectures_may_be_apart(fields: str, names: list[str]) -> None:
    read = release(fields, "main/binary-amd64/Packages", "main/binary-all/Packages")
    assert [forms[0].path for forms in read.indexes("main", "amd64")] == [
        f"main/binary-{name}/Packages" for name in names
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"SHA256:\n {HASH} many Packages\n", id="size"),
        pytest.param("Valid-Until: tomorrow", id="date"),
        pytest.param("SHA256:\n Packages\n", id="too-few-words"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        release(text)
    assert (str(caught.value), caught.value.remedy) == (
        "its Release file cannot be read",
        "tell whoever keeps this archive, or use another one",
    )
