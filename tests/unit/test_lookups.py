"""Looking files up in all archives of the settings; nothing of it is ever an error of the lock."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive_server import Archive, serve

from pyrlab.adapters import http
from pyrlab.adapters.http import Web
from pyrlab.model.settings import Settings
from pyrlab.steps.lookups import find_files, r_sources


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Run an archive of two suites with a Release file each."""
    monkeypatch.setattr(http, "BACKOFF", 0.0)
    (tmp_path / "archive").mkdir()
    with serve(Archive(tmp_path / "archive", Web(tmp_path / "web"))) as running:
        for suite, header in (("stable", "zlib"), ("extra", "archive")):
            running.publish(suite, "Contents-amd64", f"usr/include/{header}.h libdevel/lib{header}-dev\n")
            running.publish(suite, "source/Sources", f"Package: {header}\nBinary: r-cran-{header}\n")
            folder = running.folder / "dists" / suite
            listed = [
                f" {hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size} {file.relative_to(folder)}\n"
                for file in folder.rglob("*.gz")
            ]
            (folder / "Release").write_text(f"Codename: {suite}\nSHA256:\n{''.join(listed)}", encoding="utf-8")
        yield running


@pytest.fixture
def settings(archive: Archive, load_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Return settings that name both suites, and a flat folder, which has no indexes of this kind."""
    lines = [f"deb [trusted=yes] {archive.url} {suite}" for suite in ("stable main", "extra main", "./")]
    return load_settings(f"[base]\napt_sources = {lines}\n", XDG_CACHE_HOME=str(tmp_path / "cache"))


def test_all_archives_of_the_settings_are_read(settings: Settings) -> None:
    said: list[str] = []
    found = find_files(settings, ["include/zlib.h", "include/archive.h"], architecture="amd64", say=said.append)
    assert found == {"include/zlib.h": {"libzlib-dev"}, "include/archive.h": {"libarchive-dev"}}
    assert said == ["looking up in Debian's Contents: include/zlib.h, include/archive.h"]


def test_without_files_nothing_is_asked(archive: Archive, settings: Settings) -> None:
    assert find_files(settings, [], architecture="amd64", say=pytest.fail) == {}
    assert archive.asked == []


def test_an_archive_that_cannot_be_read_is_a_warning(archive: Archive, settings: Settings) -> None:
    (archive.folder / "dists/extra/Release").unlink()
    said: list[str] = []
    found = find_files(settings, ["include/zlib.h", "include/archive.h"], architecture="amd64", say=said.append)
    assert found == {"include/zlib.h": {"libzlib-dev"}}
    assert said[-1].startswith("warning: it stays unknown which Debian package has include/archive.h:")
    assert f"all indexes of {archive.url}/dists/extra: " in said[-1]


def test_sources_of_all_archives_are_read_and_what_is_missed_is_said(archive: Archive, settings: Settings) -> None:
    said: list[str] = []
    assert "r-cran-zlib" in (text := r_sources(settings, architecture="amd64", say=said.append))
    assert "r-cran-archive" in text
    assert said == []
    archive.damage("extra", "source/Sources.gz", b"out of step")
    (settings.cache / "indexes-1").rename(settings.cache / "swept")
    assert "r-cran-archive" not in r_sources(settings, architecture="amd64", say=said.append)
    assert f"main/source/Sources of {archive.url}/dists/extra: it does not fit its Release file" in said[0]


def test_archives_for_other_machines_are_not_read(
    archive: Archive, load_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    lines = [
        f"deb [trusted=yes arch={arch}] {archive.url} {suite} main"
        for arch, suite in (("amd64", "stable"), ("arm64", "extra"))
    ]
    settings = load_settings(f"[base]\napt_sources = {lines}\n", XDG_CACHE_HOME=str(tmp_path / "cache"))
    said: list[str] = []
    text = r_sources(settings, architecture="amd64", say=said.append)
    assert ("r-cran-zlib" in text, "r-cran-archive" in text, said) == (True, False, [])
    found = find_files(settings, ["include/zlib.h"], architecture="amd64", say=said.append)
    assert found == {"include/zlib.h": {"libzlib-dev"}}


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        pytest.param(1, "a0", id="one"),
        pytest.param(3, "a0, a1, a2", id="as-many-as-are-shown"),
        pytest.param(4, "a0, a1, a2 …", id="more"),
    ],
)
def test_what_is_looked_up_is_told_in_one_line(settings: Settings, count: int, shown: str) -> None:
    said: list[str] = []
    find_files(settings, [f"a{number}" for number in range(count)], architecture="amd64", say=said.append)
    assert said[0] == f"looking up in Debian's Contents: {shown}"


def test_sources_of_an_archive_that_cannot_be_read_are_said_to_be_missed(archive: Archive, settings: Settings) -> None:
    (archive.folder / "dists/extra/Release").unlink()
    said: list[str] = []
    text = r_sources(settings, architecture="amd64", say=said.append)
    assert ("r-cran-zlib" in text, "r-cran-archive" in text) == (True, False)
    assert f"all indexes of {archive.url}/dists/extra: " in said[0]
