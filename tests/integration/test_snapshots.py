"""Dated snapshots as Posit Package Manager serves them: no folders, binaries by User-Agent, files behind a redirect.

Source: its public documentation, and what pak, renv and rv send and read.
"""

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from cran_server import CranServer, PackageManager, archive_rds, put, r_package

from pyrlab.adapters.cran.repository import Repository
from pyrlab.adapters.http import Web
from pyrlab.errors import ListError, NetworkError
from pyrlab.model.cran.record import Record
from pyrlab.model.cran.resolver import Universe, resolve
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

DAY = "2026-11-02"
OLD = ("1.8-11", "1.8-12", "1.8-13")
NEWEST = "1.8-14"
PLAIN = f"/cran/{DAY}"
BINARIES = f"/cran/__linux__/trixie/{DAY}"
EXPLICIT = f"/cran/{DAY}/bin/linux/trixie-x86_64/4.5"
BUILT = "R 4.5.0; ; 2026-10-01 00:00:00 UTC; unix"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what is served: zoo with three old versions, and its binary for R 4.5 on trixie."""
    path = tmp_path / "served"
    contrib = f"cran/{DAY}/src/contrib"
    put(path, f"{contrib}/PACKAGES.gz", gzip.compress(f"Package: zoo\nVersion: {NEWEST}\n".encode()))
    put(path, f"{contrib}/zoo_{NEWEST}.tar.gz", source(NEWEST))
    for version in OLD:
        put(path, f"{contrib}/Archive/zoo/zoo_{version}.tar.gz", source(version))
    # The list is that of all days: it has what came later, too.
    later = ["1.8-15", "1.8-16"]
    put(path, f"{contrib}/Meta/archive.rds", archive_rds({"zoo": files_of(*OLD, NEWEST, *later), "zzz": []}))
    put(path, f"binaries/4.5-trixie/zoo_{NEWEST}.tar.gz", r_package("zoo", NEWEST, Built=BUILT))
    days = [{"alias": day, "id": number} for number, day in enumerate(["2026-10-30", DAY, "2026-11-04"])]
    put(path, "__api__/repos/cran/transaction-dates", json.dumps(days).encode())
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[PackageManager]:
    with PackageManager(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def no_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read nobody's passwords."""
    monkeypatch.setenv("NETRC", "/dev/null")


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "cache", timeout=5)


def source(version: str) -> bytes:
    return r_package("zoo", version, Repository="RSPM")


def files_of(*versions: str) -> list[str]:
    return [f"zoo_{version}.tar.gz" for version in versions]


def snapshot(server: CranServer, web: Web, path: str = BINARIES, *, r: str = "4.5.0") -> Repository:
    return Repository("cran", f"{server.url}{path}", web, r=r, architecture="amd64")


def chosen(repository: Repository, operator: str, version: str) -> str:
    """Return the file of the version that a line ``zoo OPERATOR VERSION`` of the list gets."""
    request = RRequest("zoo", operator, version, "r_packages.txt:1")
    solution = resolve([request], Universe(RVersion.parse("4.5.0"), [repository]))
    return solution.packages["zoo"].record.file


@pytest.mark.parametrize("path", [PLAIN, BINARIES, EXPLICIT])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "not-listed"])
def test_an_exact_older_version_is_found(
    server: PackageManager, web: Web, folder: Path, path: str, *, listed: bool
) -> None:
    """Also where nothing says that it is there."""
    if not listed:
        (folder / f"cran/{DAY}/src/contrib/Meta/archive.rds").unlink()
    repository = snapshot(server, web, path)
    assert chosen(repository, "==", "1.8-12") == "src/contrib/Archive/zoo/zoo_1.8-12.tar.gz"
    record = repository.describe("zoo", "1.8-12")
    assert isinstance(record, Record)
    [file] = repository.files(record)
    assert file.kind == "source"
    assert repository.fetch("zoo", file).read_bytes() == (folder / f"cran/{DAY}" / file.path).read_bytes()


def test_an_exact_version_that_the_list_lacks_is_tried_once(server: PackageManager, web: Web, folder: Path) -> None:
    """The list may be older than what is there. What is not there after all is said as before."""
    contrib = f"cran/{DAY}/src/contrib"
    put(folder, f"{contrib}/Meta/archive.rds", archive_rds({"zoo": files_of("1.8-11")}))
    repository = snapshot(server, web)
    assert chosen(repository, "==", "1.8-12") == "src/contrib/Archive/zoo/zoo_1.8-12.tar.gz"
    server.hits.clear()
    with pytest.raises(ListError) as caught:
        chosen(repository, "==", "1.8-9")
    assert [hit.path.rpartition("/")[2] for hit in server.hits].count("zoo_1.8-9.tar.gz") == 1
    assert str(caught.value) == (
        "r_packages.txt:1: zoo == 1.8-9 cannot be had; there is zoo 1.8-14 (cran), 1.8-11 (cran, archived)"
    )


@pytest.mark.parametrize("path", [PLAIN, BINARIES])
def test_a_bound_is_met_out_of_the_list_of_the_archive(server: PackageManager, web: Web, path: str) -> None:
    """What came after that day is no old version of it. The list is read once."""
    repository = snapshot(server, web, path)
    assert repository.archived("zoo") == ("1.8-13", "1.8-12", "1.8-11")
    assert repository.archived("nothing") == repository.archived("zzz") == ()
    assert chosen(repository, "<", "1.8-13").endswith("zoo_1.8-12.tar.gz")
    assert [hit.path for hit in server.hits].count(f"{path}/src/contrib/Meta/archive.rds") == 1


def test_a_bound_without_any_list_says_what_there_is(server: PackageManager, web: Web, folder: Path) -> None:
    (folder / f"cran/{DAY}/src/contrib/Meta/archive.rds").unlink()
    with pytest.raises(ListError) as caught:
        chosen(snapshot(server, web), "<", "1.8")
    assert str(caught.value) == "r_packages.txt:1: zoo < 1.8 cannot be had; there is zoo 1.8-14 (cran)"
    assert caught.value.remedy.endswith(
        "cran lists no old versions of zoo: if you know one that it has, write zoo == VERSION"
    )


def test_a_damaged_list_of_the_archive_is_told(
    server: PackageManager, web: Web, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An exact version is still found."""
    put(folder, f"cran/{DAY}/src/contrib/Meta/archive.rds", gzip.compress(bytes(999))[:-9])
    repository = snapshot(server, web)
    with caplog.at_level(logging.WARNING):
        assert chosen(repository, "==", "1.8-12").endswith("zoo_1.8-12.tar.gz")
    assert "src/contrib/Meta/archive.rds of cran is damaged: " in caplog.text


@pytest.mark.parametrize(
    ("day", "codename", "remedy"),
    [
        pytest.param("2026-11-03", "", f": {DAY} or 2026-11-04", id="no-snapshot-that-day"),
        pytest.param("2026-11-03", "trixie", f": {DAY} or 2026-11-04", id="nor-binaries"),
        pytest.param("2099-01-01", "", ": 2026-11-04", id="future"),
        pytest.param("2014-09-17", "", ": 2026-10-30", id="too-early"),
        pytest.param("2026-10-30", "forky", "perhaps nothing for forky", id="codename"),
    ],
)
def test_a_day_without_a_snapshot_is_told_with_the_nearest(
    server: PackageManager, web: Web, day: str, codename: str, remedy: str
) -> None:
    middle = f"__linux__/{codename}/" if codename else ""
    with pytest.raises(NetworkError) as caught:
        snapshot(server, web, f"/cran/{middle}{day}").index()
    where = f"{server.url}/cran/{middle}{day}/src/contrib"
    assert str(caught.value) == f"cran has no snapshot of {day}: no PACKAGES.gz or PACKAGES in {where}"
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("middle", ["", "__linux__/trixie/"])
def test_a_day_that_is_a_bad_request_has_no_snapshot_either(server: PackageManager, web: Web, middle: str) -> None:
    """Posit Package Manager answers 400 below a day that it does not have."""
    server.refusals.add(f"/cran/{middle}2026-11-03")
    with pytest.raises(NetworkError) as caught:
        snapshot(server, web, f"/cran/{middle}2026-11-03").index()
    assert str(caught.value).startswith("cran has no snapshot of 2026-11-03: ")
    assert f"{DAY} or 2026-11-04" in caught.value.remedy


def test_a_server_that_does_not_tell_its_days(server: PackageManager, web: Web, folder: Path) -> None:
    (folder / "__api__/repos/cran/transaction-dates").unlink()
    with pytest.raises(NetworkError) as caught:
        snapshot(server, web, "/cran/2026-11-03").index()
    assert caught.value.remedy == (
        "name a day that it has in r.repositories of pyrlab.toml: some days have no snapshot, or not yet"
    )


def test_all_forms_of_a_snapshot_are_one_repository(server: PackageManager, web: Web, folder: Path) -> None:
    """One index, one source under one path: a lock that was made with one form is good with the other."""
    plain, binaries, explicit = (snapshot(server, web, path) for path in (PLAIN, BINARIES, EXPLICIT))
    [record] = plain.records("zoo")
    assert [record] == list(binaries.records("zoo")) == list(explicit.records("zoo"))
    binary, same = binaries.files(record)
    assert plain.files(record) == (same,)
    assert explicit.files(record) == (binary,)
    assert (binary.kind, same.kind) == ("binary", "source")
    assert plain.fetch("zoo", same).read_bytes() == (folder / f"cran/{DAY}" / same.path).read_bytes()


@pytest.mark.parametrize(
    ("r", "served", "said"),
    [
        pytest.param("4.5.2", {}, "", id="fits"),
        pytest.param("4.6.0", {}, "cran has no binary for R 4.6 on x86_64 of zoo", id="a-new-r-has-sources-at-first"),
        pytest.param(
            "4.6.0",
            {"4.6-trixie": BUILT},
            "cran has no binary for R 4.6 on x86_64 of zoo (only for R 4.5.0)",
            id="built-for-another-r",
        ),
        pytest.param(
            "4.6.0",
            {"4.6-trixie": "R 4.6.0; aarch64-unknown-linux-gnu; 2026-10-01; unix"},
            "cran has no binary for R 4.6 on x86_64 of zoo (only for R 4.6.0 on aarch64-unknown-linux-gnu)",
            id="built-for-another-machine",
        ),
    ],
)
def test_where_no_binary_fits_the_source_is_taken_and_that_is_said(
    server: PackageManager, web: Web, folder: Path, r: str, served: dict[str, str], said: str
) -> None:
    """The name and the headers of a file count for nothing."""
    for tag, built in served.items():
        put(folder, f"binaries/{tag}/zoo_{NEWEST}.tar.gz", r_package("zoo", NEWEST, Built=built))
    repository = snapshot(server, web, r=r)
    files = repository.files(repository.records("zoo")[0])
    assert [file.kind for file in files] == (["source"] if said else ["binary", "source"])
    assert repository.missed({"zoo": files}) == said


def test_a_url_that_names_another_r_has_nothing_that_fits(server: PackageManager, web: Web) -> None:
    """It gives its binary to everybody, so there is no source to take instead."""
    repository = snapshot(server, web, EXPLICIT, r="4.6.0")
    with pytest.raises(ListError) as caught:
        repository.files(repository.records("zoo")[0])
    assert str(caught.value).startswith("zoo: cran has only a binary for another R or machine (R 4.5.0;")


def test_sources_of_a_plain_repository_are_nothing_to_tell(server: PackageManager, web: Web) -> None:
    repository = snapshot(server, web, PLAIN, r="4.6.0")
    assert repository.missed({"zoo": repository.files(repository.records("zoo")[0])}) == ""


def test_many_packages_without_a_binary_are_told_shortly(server: PackageManager, web: Web) -> None:
    names = {f"p{number:02}": () for number in range(12)}
    assert snapshot(server, web).missed(names).endswith(" of p00, p01, p02, p03, p04, p05, p06, p07, p08, p09, 2 more")


def test_a_token_opens_a_snapshot(folder: Path, web: Web) -> None:
    """As the user __token__, in what is said of a day, too; messages do not show it."""
    with PackageManager(folder, credentials=("__token__", "s3cret")) as server:
        url = server.url.replace("//", "//__token__:s3cret@")
        repository = Repository("cran", f"{url}{BINARIES}", web, r="4.5.0", architecture="amd64")
        assert len(repository.files(repository.records("zoo")[0])) == 2
        with pytest.raises(NetworkError) as caught:
            Repository("cran", f"{url}/cran/2026-11-03", web, r="4.5.0", architecture="amd64").index()
    assert f"{DAY} or 2026-11-04" in caught.value.remedy
    assert "s3cret" not in f"{caught.value} {caught.value.remedy}"


def test_bioconductor_is_dated_as_well(server: PackageManager, web: Web, folder: Path) -> None:
    put(folder, f"bioconductor/{DAY}/packages/3.21/bioc/src/contrib/PACKAGES", b"Package: limma\nVersion: 3.64.0\n")
    repository = snapshot(server, web, f"/bioconductor/{DAY}/packages/3.21/bioc")
    assert list(repository.names) == ["limma"]
