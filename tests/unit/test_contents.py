"""Looking files up in an archive's Contents, also on a day when the archive is out of step with itself."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import Archive, serve

from pyrlab.adapters import http
from pyrlab.adapters.debian import contents
from pyrlab.adapters.debian.contents import Found
from pyrlab.adapters.debian.indexes import Suite
from pyrlab.adapters.http import Web

INDEX = "Contents-amd64"
STABLE = """\
etc/zlib.h                                              misc/decoy
usr/include/x86_64-linux-gnu/openssl/configuration.h    libdevel/libssl-dev
usr/include/two words.h                                 libdevel/libblank-dev
usr/include/zlib.h                                      libdevel/zlib1g-dev,libdevel/zlib-ng-dev
usr/lib/x86_64-linux-gnu/libz.so                        libdevel/zlib1g-dev
usr/lib/x86_64-linux-gnu/libz.so.1                      libs/zlib1g
usr/lib/x86_64-linux-gnu/pkgconfig/zlib.pc              libdevel/zlib1g-dev
usr/share/doc/include/zlib.h                            doc/decoy
usr/share/pkgconfig/iso-codes.pc                        misc/iso-codes
"""
UPDATES = "usr/include/archive.h libdevel/libarchive-dev\n"
ZLIB = {"include/zlib.h": {"zlib1g-dev", "zlib-ng-dev"}}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Run an empty archive; nobody waits before another attempt."""
    monkeypatch.setattr(http, "BACKOFF", 0.0)
    (tmp_path / "archive").mkdir()
    with serve(Archive(tmp_path / "archive", Web(tmp_path / "web", retries=1))) as running:
        yield running


def find(tmp_path: Path, files: list[str], *suites: Suite) -> Found:
    return contents.find(files, suites, architecture="amd64", cache=tmp_path / "kept")


@pytest.mark.parametrize(
    ("file", "packages"),
    [
        pytest.param("include/zlib.h", {"zlib1g-dev", "zlib-ng-dev"}, id="two-packages"),
        pytest.param("include/openssl/configuration.h", {"libssl-dev"}, id="folder-of-an-architecture"),
        pytest.param("include/two words.h", {"libblank-dev"}, id="a-blank"),
        pytest.param("lib/libz.so", {"zlib1g-dev"}, id="library"),
        pytest.param("lib/libz.so.1", {"zlib1g"}, id="library-to-load"),
        pytest.param("lib/pkgconfig/zlib.pc", {"zlib1g-dev"}, id="pkg-config"),
        pytest.param("share/pkgconfig/iso-codes.pc", {"iso-codes"}, id="pkg-config-for-all"),
    ],
)
@pytest.mark.parametrize("form", [pytest.param(form, id=form or "plain") for form in ("", ".gz", ".xz")])
def test_a_file_has_the_packages_that_the_index_names(
    archive: Archive, tmp_path: Path, form: str, file: str, packages: set[str]
) -> None:
    suite = archive.publish("stable", INDEX, STABLE, form=form)
    found = find(tmp_path, [file, "include/nowhere.h"], suite)
    assert found.packages == {file: packages}
    # All was read: what is not found is in no package.
    assert (found.unknown, found.warning) == ((), "")


def test_all_suites_and_the_packages_of_all_architectures_count(archive: Archive, tmp_path: Path) -> None:
    stable = archive.publish("stable", INDEX, STABLE)
    updates = archive.publish("updates", INDEX, UPDATES)
    common = archive.publish("common", "Contents-all", "usr/include/eigen.h libdevel/libeigen3-dev\n")
    other = archive.publish("other", "Contents-arm64", "usr/include/arm.h libdevel/libarm-dev\n")
    asked = ["include/zlib.h", "include/archive.h", "include/eigen.h", "include/arm.h"]
    found = find(tmp_path, asked, stable, updates, common, other)
    assert found.packages == {**ZLIB, "include/archive.h": {"libarchive-dev"}, "include/eigen.h": {"libeigen3-dev"}}


def test_an_index_that_stays_the_same_is_read_once(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, STABLE)
    assert find(tmp_path, ["include/zlib.h"], suite).packages == ZLIB
    asked = len(archive.asked)
    archive.damage("stable", f"{INDEX}.gz", None)
    assert find(tmp_path, ["include/zlib.h"], suite).packages == ZLIB
    assert len(archive.asked) == asked


def test_an_index_is_had_under_its_hash(archive: Archive, tmp_path: Path) -> None:
    """The plain name is that of tomorrow's index already."""
    suite = archive.publish("stable", INDEX, STABLE, by_hash=True)
    archive.damage("stable", f"{INDEX}.gz", gzip.compress(UPDATES.encode()))
    assert find(tmp_path, ["include/zlib.h"], suite).packages == ZLIB


def test_where_the_hash_is_not_there_the_plain_name_will_do(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, STABLE)
    hashed = Suite(suite.shown, suite.components, suite.files, by_hash=True, read=suite.read)
    assert find(tmp_path, ["include/zlib.h"], hashed).packages == ZLIB


def test_another_form_will_do(archive: Archive, tmp_path: Path) -> None:
    packed = archive.publish("stable", INDEX, STABLE, form=".xz")
    plain = archive.publish("stable", INDEX, STABLE, form=".gz")
    archive.damage("stable", f"{INDEX}.xz", b"something else")
    both = Suite(plain.shown, plain.components, {**packed.files, **plain.files}, by_hash=False, read=plain.read)
    found = find(tmp_path, ["include/zlib.h"], both)
    assert found.packages == ZLIB
    assert found.missed == ()


def same_size(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda data: data + b"x", "does not fit its Release file (", id="another-size"),
        pytest.param(same_size, "does not fit its Release file (another SHA-256)", id="other-bytes"),
        pytest.param(lambda data: data[: len(data) // 2], "does not fit its Release file (", id="truncated"),
        pytest.param(lambda _: None, "it is not there", id="not-found"),
    ],
)
def test_what_one_suite_lacks_the_other_still_tells(
    archive: Archive, tmp_path: Path, damage: object, reason: str
) -> None:
    stable = archive.publish("stable", INDEX, STABLE)
    updates = archive.publish("updates", INDEX, UPDATES)
    file = archive.folder / f"dists/updates/main/{INDEX}.gz"
    assert callable(damage)
    archive.damage("updates", f"{INDEX}.gz", damage(file.read_bytes()))
    found = find(tmp_path, ["include/zlib.h", "include/archive.h"], stable, updates)
    assert found.packages == ZLIB
    assert found.unknown == ("include/archive.h",)
    assert "which Debian package has include/archive.h:" in found.warning
    assert f"main/{INDEX} of {archive.url}/dists/updates: " in found.warning
    assert reason in found.warning
    assert "-dev package to r_debs.txt" in found.warning
    assert "dists/stable" not in found.warning


def test_an_answer_that_breaks_off_is_asked_for_again_and_then_missed(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, STABLE)
    path = f"/dists/stable/main/{INDEX}.gz"
    archive.cut.add(path)
    found = find(tmp_path, ["include/zlib.h"], suite)
    assert found.unknown == ("include/zlib.h",)
    assert "broke off" in found.warning
    assert archive.asked.count(path) == 2
    archive.cut.clear()
    assert find(tmp_path, ["include/zlib.h"], suite).packages == ZLIB


def test_nothing_is_warned_of_when_all_was_found_elsewhere(archive: Archive, tmp_path: Path) -> None:
    stable = archive.publish("stable", INDEX, STABLE)
    updates = archive.publish("updates", INDEX, UPDATES)
    archive.damage("updates", f"{INDEX}.gz", None)
    found = find(tmp_path, ["include/zlib.h"], stable, updates)
    assert found.packages == ZLIB
    assert (found.unknown, found.warning) == ((), "")


def test_a_copy_from_before_stands_in(archive: Archive, tmp_path: Path) -> None:
    before = archive.publish("stable", INDEX, STABLE)
    assert find(tmp_path, ["include/zlib.h"], before).packages == ZLIB
    after = archive.publish("stable", INDEX, STABLE + UPDATES)
    archive.damage("stable", f"{INDEX}.gz", b"out of step")
    found = find(tmp_path, ["include/zlib.h", "include/archive.h"], after)
    assert found.packages == ZLIB
    assert found.unknown == ("include/archive.h",)
    assert "(used: the copy from before)" in found.warning
    # The new index is taken as soon as it can be had, and the old copy goes.
    archive.publish("stable", INDEX, STABLE + UPDATES)
    assert find(tmp_path, ["include/archive.h"], after).packages == {"include/archive.h": {"libarchive-dev"}}
    assert len(list((tmp_path / "kept").rglob("*.gz"))) == 1


def test_a_damaged_copy_is_had_anew(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, STABLE)
    find(tmp_path, ["include/zlib.h"], suite)
    (kept,) = (tmp_path / "kept").rglob("*.gz")
    kept.write_bytes(kept.read_bytes()[:-20])
    assert find(tmp_path, ["include/zlib.h"], suite).packages == ZLIB


def test_many_unknown_files_are_not_all_listed(archive: Archive, tmp_path: Path) -> None:
    suite = archive.publish("stable", INDEX, STABLE)
    archive.damage("stable", f"{INDEX}.gz", None)
    files = [f"include/h{number}.h" for number in range(9)]
    found = find(tmp_path, files, suite)
    assert found.unknown == tuple(files)
    assert "include/h4.h …" in found.warning
    assert "h5.h" not in found.warning


def test_an_index_longer_than_a_block_loses_no_line(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_BLOCK", 7)
    suite = archive.publish("stable", INDEX, STABLE.rstrip("\n"))
    asked = ["include/zlib.h", "lib/libz.so", "share/pkgconfig/iso-codes.pc"]
    assert set(find(tmp_path, asked, suite).packages) == set(asked)
