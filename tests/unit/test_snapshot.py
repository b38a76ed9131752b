"""What the URLs of dated snapshots say, and R's list of an Archive."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest

from pyrlab.model.cran.archive_index import ArchiveIndex
from pyrlab.model.cran.snapshot import Snapshot, codename_of, days_of

DAYS = ["2017-10-10", "2026-10-30", "2026-11-03"]


@pytest.mark.parametrize(
    ("path", "date", "codename", "dates"),
    [
        pytest.param("/cran/2026-11-02", "2026-11-02", "", "/__api__/repos/cran/", id="sources"),
        pytest.param("/cran/2026-11-02/", "2026-11-02", "", "/__api__/repos/cran/", id="slash"),
        pytest.param(
            "/cran/__linux__/trixie/2026-11-02", "2026-11-02", "trixie", "/__api__/repos/cran/", id="binaries"
        ),
        pytest.param(
            "/rspm/all/__linux__/manylinux_2_28/2026-11-02",
            "2026-11-02",
            "manylinux_2_28",
            "/rspm/__api__/repos/all/",
            id="below-a-path",
        ),
        pytest.param(
            "/cran/2026-11-02/bin/linux/trixie-x86_64/4.5",
            "2026-11-02",
            "trixie",
            "/__api__/repos/cran/",
            id="machine-and-r",
        ),
        pytest.param(
            "/bioconductor/2026-11-02/packages/3.21/bioc",
            "2026-11-02",
            "",
            "/__api__/repos/bioconductor/",
            id="bioconductor",
        ),
    ],
)
def test_a_url_names_a_snapshot(path: str, date: str, codename: str, dates: str) -> None:
    found = Snapshot.of(f"https://me:pw@ppm.example.org{path}")
    assert found == Snapshot(date, codename, f"https://me:pw@ppm.example.org{dates}transaction-dates")


@pytest.mark.parametrize("path", ["", "/cran/latest", "/cran/5", "/2026-11-02", "/cran/2026-11-02x"])
def test_a_url_without_a_day(path: str) -> None:
    assert Snapshot.of(f"https://ppm.example.org{path}") is None


def test_r_universe_has_binaries_without_a_day() -> None:
    assert codename_of("https://lab.example.org/bin/linux/noble-x86_64/4.5") == "noble"
    assert codename_of("https://noble.example.org/cran?x=/__linux__/noble/") == ""


@pytest.mark.parametrize(
    ("date", "codename", "days", "remedy"),
    [
        pytest.param("2026-11-02", "", DAYS, ": 2026-10-30 or 2026-11-03", id="between"),
        pytest.param("2027-01-01", "", DAYS, ": 2026-11-03", id="future"),
        pytest.param("2014-09-17", "", DAYS, ": 2017-10-10", id="too-early"),
        pytest.param("2026-11-02", "trixie", [], ": some days have no snapshot, or not yet", id="days-not-known"),
        pytest.param("2026-10-30", "forky", DAYS, "perhaps nothing for forky: leave that part", id="codename"),
    ],
)
def test_the_nearest_days_are_named(date: str, codename: str, days: list[str], remedy: str) -> None:
    assert remedy in Snapshot(date, codename, "").remedy(days)


@pytest.mark.parametrize(
    ("data", "days"),
    [
        pytest.param(b'[{"alias": "2026-11-02", "id": 9}, {"alias": "2026-11-01"}]', ["2026-11-01", "2026-11-02"]),
        pytest.param(b'[{"alias": null}, {"alias": "latest"}, {}, 3]', []),
        pytest.param(b'{"error": "no such repository"}', []),
        pytest.param(b"<html>", []),
        pytest.param(b"\xff", []),
    ],
    ids=["days", "others", "error", "web-page", "bytes"],
)
def test_days_are_read_out_of_what_a_server_says(data: bytes, days: list[str]) -> None:
    assert days_of(data) == days


ROWS = b"\0\0\0\x10zoo/zoo_1.7.tar.gz\0\0\0\x10zoo/zoo_1.8-12.tar.gz\0R.zoo/R.zoo_1.0.tar.gz"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_r_packs_its_list_in_several_ways(pack: Callable[[bytes], bytes]) -> None:
    """A dot in a name is a dot."""
    index = ArchiveIndex(pack(ROWS))
    assert index.files("zoo") == ["zoo_1.7.tar.gz", "zoo_1.8-12.tar.gz"]
    assert index.files("R.zoo") == ["R.zoo_1.0.tar.gz"]
    assert index.files("Rxzoo") == index.files("z") == []


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_list_is_an_error(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match=r"^is damaged: "):
        ArchiveIndex(pack(ROWS)[:-12])
