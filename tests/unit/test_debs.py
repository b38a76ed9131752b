"""The DESCRIPTION in a deb, and debs in which it cannot be read."""

import hashlib
import tarfile
from pathlib import Path

import pytest
from debian_archives import ar, deb, entry

from pyrlab.adapters.debian.debs import description
from pyrlab.adapters.store import Store

PLACE = "./usr/lib/R/site-library/zoo/DESCRIPTION"


def described(folder: Path, content: bytes) -> dict[str, str]:
    """Return the DESCRIPTION of a deb with these bytes."""
    store = Store(folder / "store")
    _, sha256 = store.add([content], sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    return dict(description(store, sha256, folder / "notes"))


def deb_of(folder: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a deb with these members."""
    return deb(folder, "r-cran-zoo", *entries).read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"Package: zoo\nVersion: 1.0\n", id="plain"),
        pytest.param(b"\xef\xbb\xbfPackage: zoo\nVersion: 1.0\n", id="byte-order-mark"),
        pytest.param(b"Package: zoo\r\nVersion: 1.0\r\n", id="crlf"),
    ],
)
def test_the_description_of_a_deb_is_read(tmp_path: Path, text: bytes) -> None:
    """Also the second time, from the note."""
    content = deb_of(tmp_path, entry(PLACE, text), entry(PLACE.replace("zoo", "zoo/tests/x"), b"Package: other\n"))
    for _ in range(2):
        assert described(tmp_path, content) == {"Package": "zoo", "Version": "1.0"}


def test_a_deb_without_an_r_package_has_no_description(tmp_path: Path) -> None:
    assert described(tmp_path, deb_of(tmp_path, entry("./usr/share/doc/zoo/copyright", b"free"))) == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no deb at all", id="no-deb"),
        pytest.param(b"", id="empty"),
        pytest.param(ar({"debian-binary": b"2.0\n", "control.tar.gz": b""}), id="no-data"),
        pytest.param(ar({"debian-binary": b"2.0\n", "control.tar.gz": b"", "data.tar.xz": b"junk"}), id="damaged"),
    ],
)
def test_a_deb_that_cannot_be_read_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the deb cannot be read: \S"):
        described(tmp_path, content)


def test_a_description_that_is_a_dangling_link_is_a_value_error(tmp_path: Path) -> None:
    link = entry(PLACE, type=tarfile.SYMTYPE, linkname="../gone")
    with pytest.raises(ValueError, match=r"^its DESCRIPTION is a link to nothing in the deb$"):
        described(tmp_path, deb_of(tmp_path, link))
