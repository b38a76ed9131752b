"""What the archive's Sources tell of R packages, and what is said when they cannot be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import Archive, serve

from pyrlab.adapters import http
from pyrlab.adapters.debian.indexes import Suite
from pyrlab.adapters.debian.sources import read_r_sources
from pyrlab.adapters.http import Web
from pyrlab.model.cran.debian import parse_stanzas

INDEX = "source/Sources"
XML = """\
Package: r-cran-xml
Format: 3.0 (quilt)
Binary: r-cran-xml
Architecture: any
Build-Depends: debhelper-compat (= 13),
 libxml2-dev,
 r-base-dev
Build-Depends-Indep: dh-r
Checksums-Sha256:
 0123 456 xml.tar.xz
"""
OTHER = "Package: hello\nBinary: hello\nBuild-Depends: help2man\n"
MANY = "Package: rjava\nBinary: libjri-java,\n r-cran-rjava\nBuild-Depends: default-jdk\n"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Run an empty archive; nobody waits before another attempt."""
    monkeypatch.setattr(http, "BACKOFF", 0.0)
    (tmp_path / "archive").mkdir()
    with serve(Archive(tmp_path / "archive", Web(tmp_path / "web", retries=0))) as running:
        yield running


def test_of_r_packages_the_fields_that_count_are_read(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, f"{OTHER}\n{XML}\n{OTHER}\n{MANY}", form=".xz")
    sources = read_r_sources([suite], cache=tmp_path / "kept")
    assert sources.warning == ""
    assert [set(stanza) for stanza in parse_stanzas(sources.text).values()] == [
        {"Package", "Binary", "Build-Depends", "Build-Depends-Indep"},
        {"Package", "Binary", "Build-Depends"},
    ]
    assert "libxml2-dev" in sources.text
    assert "hello" not in sources.text


def test_a_suite_without_sources_beside_one_with_them_is_fine(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, XML)
    own = archive.publish("own", "Contents-amd64", "")
    sources = read_r_sources([own, suite], cache=tmp_path / "kept")
    assert (list(parse_stanzas(sources.text)), sources.warning) == (["r-cran-xml"], "")


def test_an_archive_without_sources_is_said(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", "Contents-amd64", "")
    sources = read_r_sources([suite], cache=tmp_path / "kept")
    assert sources.text == ""
    assert f"main/source/Sources of {archive.url}/dists/stable: it is not there" in sources.warning
    assert "add the -dev package that it misses to r_debs.txt" in sources.warning


def test_a_broken_index_is_said_unless_there_is_a_copy_from_before(archive: Archive, tmp_path: Path) -> None:
    def read(suite: Suite) -> tuple[str, str]:
        sources = read_r_sources([suite], cache=tmp_path / "kept")
        return sources.text, sources.warning

    suite = archive.publish("stable", INDEX, XML)
    archive.damage("stable", f"{INDEX}.gz", b"out of step")
    text, warning = read(suite)
    assert text == ""
    assert "does not fit its Release file (11 bytes, not" in warning

    archive.publish("stable", INDEX, XML)
    first, _ = read(suite)
    newer = archive.publish("stable", INDEX, XML + "\n" + MANY)
    archive.damage("stable", f"{INDEX}.gz", None)
    assert read(newer) == (first, "")
