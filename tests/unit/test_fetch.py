"""Fetching into the store: just what sections pin, by hash, from archives and repositories that are folders."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pyrlab.errors import GoneError, HashMismatchError, NetworkError
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.sections import PinnedFile, Section, deb_section
from pyrlab.model.settings import Settings
from pyrlab.steps.fetch import fetch, names_in_store, store_of

BYTES = {"source": b"source of cli", "binary": b"binary of cli"}
SHA256 = {kind: hashlib.sha256(data).hexdigest() for kind, data in BYTES.items()}
PATHS = {"source": "src/contrib/cli_3.6.5.tar.gz", "binary": "bin/contrib/cli_3.6.5.tar.gz"}
DEB = b"the deb of hello"
HELLO = DebPin(
    "hello", "2.10-5", "amd64", hashlib.sha256(DEB).hexdigest(), len(DEB), "pool/main/h/hello/hello_2.10-5_amd64.deb"
)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Return a folder that is an archive with hello, and a repository with both files of cli."""
    for path, data in [(HELLO.path, DEB), *((PATHS[kind], BYTES[kind]) for kind in PATHS)]:
        file = tmp_path / "shelf" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
    return tmp_path / "shelf"


@pytest.fixture
def settings(load_settings: Callable[..., Settings], shelf: Path, tmp_path: Path) -> Settings:
    """Return the settings of a project with that archive and that repository."""
    toml = f"""
    [base]
    apt_sources = ["deb {shelf.as_uri()} trixie main"]
    [r]
    repositories = ["debian", "mine={shelf.as_uri()}"]
    """
    return load_settings(toml, XDG_CACHE_HOME=str(tmp_path / "cache"))


def r_section(*kinds: str) -> Section:
    """Return a section of cli alone, for which the lock has files of these kinds."""
    files = tuple(RFile(kind, PATHS[kind], SHA256[kind]) for kind in kinds)
    pin = RPin("cli", "3.6.5", "mine", requested=True, files=files)
    return Section("rlab.r", files=tuple(PinnedFile(file.sha256, file.sha256, 0, pin, file) for file in files))


def bring(settings: Settings, *sections: Section) -> tuple[dict[str, str], list[str]]:
    """Fetch sections; return what a build would be given, as hashes by name, and what was told."""
    told: list[str] = []
    fetch(settings, sections, r="4.5.0", architecture="amd64", say=told.append)
    store = store_of(settings)
    names = {name: sha256 for section in sections for name, sha256 in names_in_store(store, section)}
    for sha256 in names.values():
        assert store.get(sha256), "it can be linked into a build context"
    return names, told


def of_kinds(kinds: Iterable[str]) -> dict[str, str]:
    """Return what a build is given of cli's files of these kinds."""
    return {SHA256[kind]: SHA256[kind] for kind in kinds}


@pytest.mark.parametrize(
    ("kinds", "brought"),
    [
        pytest.param(["source"], ["source"], id="source"),
        pytest.param(["source", "binary"], ["binary"], id="binary-before-source"),
    ],
)
def test_each_r_package_brings_one_file(settings: Settings, kinds: list[str], brought: list[str]) -> None:
    """A binary spares compiling."""
    assert bring(settings, r_section(*kinds)) == (of_kinds(brought), ["downloading 1 R packages"])


@pytest.mark.parametrize("rebuilt", [pytest.param(b"", id="gone"), pytest.param(b"rebuilt", id="other-bytes")])
def test_where_the_locked_binary_is_lost_the_source_is_brought(settings: Settings, shelf: Path, rebuilt: bytes) -> None:
    """Repositories keep binaries for less long, and make them anew under the same name."""
    (shelf / PATHS["binary"]).unlink()
    if rebuilt:
        (shelf / PATHS["binary"]).write_bytes(rebuilt)
    assert bring(settings, r_section("source", "binary"))[0] == of_kinds(["source"])


def test_a_source_with_other_bytes_is_refused(settings: Settings, shelf: Path) -> None:
    """There is nothing left to take in its place."""
    (shelf / PATHS["source"]).write_bytes(b"changed")
    with pytest.raises(HashMismatchError, match=r"^cli: cli_3\.6\.5\.tar\.gz in mine is not the file that was locked$"):
        bring(settings, r_section("source"))


def test_an_r_package_that_is_nowhere_any_more_is_an_error(settings: Settings, shelf: Path) -> None:
    """Neither at its place nor in the Archive."""
    (shelf / PATHS["source"]).unlink()
    with pytest.raises(NetworkError, match=r"^cli: mine has cli_3\.6\.5\.tar\.gz no longer"):
        bring(settings, r_section("source"))


def test_a_deb_is_brought_under_the_name_that_the_installer_reads(settings: Settings) -> None:
    """From the pinned path below the archive, and its size is told."""
    section = deb_section("rlab.debs", [HELLO])
    assert bring(settings, section) == (
        {"hello_2.10-5_amd64.deb": HELLO.sha256},
        ["downloading 1 packages (0 MB) of Debian"],
    )


def test_a_deb_that_the_archive_has_no_longer_is_named(settings: Settings, shelf: Path) -> None:
    """With its version, all such debs at once."""
    (shelf / HELLO.path).unlink()
    with pytest.raises(GoneError, match=r"^the archive no longer has hello 2\.10-5$"):
        bring(settings, deb_section("rlab.debs", [HELLO]))


@pytest.mark.parametrize("changed", [pytest.param(DEB.upper(), id="same-size"), pytest.param(DEB + b"!", id="longer")])
def test_a_deb_with_other_bytes_is_refused(settings: Settings, shelf: Path, changed: bytes) -> None:
    """Whoever gives it: nothing of it stays in the store."""
    (shelf / HELLO.path).write_bytes(changed)
    with pytest.raises(HashMismatchError, match=r"^hello 2\.10-5 has other bytes than the lock says$"):
        bring(settings, deb_section("rlab.debs", [HELLO]))
    assert list((settings.cache / "files").iterdir()) == []


@pytest.mark.parametrize(
    "kinds", [pytest.param(["source"], id="source"), pytest.param(["source", "binary"], id="binary-and-source")]
)
def test_what_the_store_has_needs_no_network(settings: Settings, shelf: Path, kinds: list[str]) -> None:
    """A second build downloads nothing, and says nothing of it."""
    sections = [deb_section("rlab.debs", [HELLO]), r_section(*kinds)]
    first, told = bring(settings, *sections)
    assert len(told) == 2
    for path in (HELLO.path, *(PATHS[kind] for kind in kinds)):
        (shelf / path).unlink()
    assert bring(settings, *sections) == (first, [])


def test_a_damaged_file_of_the_store_is_brought_anew(settings: Settings) -> None:
    """What the store has counts only as long as its bytes are right."""
    bring(settings, r_section("source"))
    (settings.cache / "files" / SHA256["source"]).write_bytes(b"damaged")
    assert bring(settings, r_section("source"))[1] == ["downloading 1 R packages"]


def test_without_sections_nothing_is_brought(settings: Settings) -> None:
    """Not even a folder is made."""
    assert bring(settings) == ({}, [])
    assert not (settings.cache / "files").exists()
