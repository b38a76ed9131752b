"""What source distributions say that builds them: read without running anything, whatever is in the archive."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from index_server import serve

from pyrlab.adapters.http import Web
from pyrlab.adapters.python import source_distribution
from pyrlab.adapters.python.index import PythonIndex
from pyrlab.adapters.python.source_distribution import build_requirements
from pyrlab.errors import ListError
from pyrlab.model.lists import PythonRequest
from pyrlab.model.locks.python import PythonFile, PythonPin

COMPRESSIONS = pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zip"])


def pack(files: Mapping[str, bytes], compression: str = "gz") -> bytes:
    """Return an archive of these files, in this order."""
    data = io.BytesIO()
    if compression == "zip":
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=data, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


def described(*requires: str) -> bytes:
    return f"[build-system]\nrequires = {json.dumps(requires)}\nbuild-backend = 'x'\n".encode()


def read(tmp_path: Path, data: bytes) -> list[str]:
    """Return the build requirements of an archive, as texts."""
    path = tmp_path / "sdist"
    path.write_bytes(data)
    return [str(requirement) for requirement in build_requirements(path, name="abc 1.0")]


@COMPRESSIONS
def test_a_source_distribution_says_what_builds_it(tmp_path: Path, compression: str) -> None:
    """The pyproject.toml at its top; others are examples and tests."""
    files = {
        "abc-1.0/tests/pyproject.toml": described("wrong"),
        "abc-1.0/setup.py": b"raise SystemExit",
        "abc-1.0/pyproject.toml": described("hatchling>=1.2", "cython; python_version<'3'"),
    }
    assert read(tmp_path, pack(files, compression)) == ["hatchling>=1.2", 'cython; python_version < "3"']


@COMPRESSIONS
@pytest.mark.parametrize("more", [{}, {"abc-1.0/pyproject.toml": b"[tool.black]\n"}], ids=["none", "another-table"])
def test_setuptools_builds_what_says_nothing(tmp_path: Path, compression: str, more: dict[str, bytes]) -> None:
    assert read(tmp_path, pack({"abc-1.0/setup.py": b"raise SystemExit", **more}, compression)) == ["setuptools"]


@pytest.mark.parametrize("compression", ["gz", "zip"])
@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param({"abc/setup.py": b"", "def/setup.py": b""}, "its files are not in one folder", id="two-folders"),
        pytest.param({}, "its files are not in one folder", id="empty"),
        pytest.param({"../pyproject.toml": described("x")}, "it has a file '../pyproject.toml'", id="outside"),
        pytest.param({"/abc/pyproject.toml": described("x")}, "it has a file '/abc/pyproject.toml'", id="absolute"),
        pytest.param({"abc/pyproject.toml": bytes(2**20 + 1)}, "its pyproject.toml is too long", id="long"),
        pytest.param({"abc/pyproject.toml": b"= ="}, "Invalid statement (at line 1, column 1)", id="no-toml"),
        pytest.param(
            {"abc/pyproject.toml": b"\xff"},
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
            id="no-text",
        ),
        pytest.param({"abc/pyproject.toml": b"build-system = 1"}, "'int' object has no attribute 'get'", id="no-table"),
        pytest.param(
            {"abc/pyproject.toml": b"build-system.requires = 'x'"}, "build-system.requires is no list", id="text"
        ),
        pytest.param(
            {"abc/pyproject.toml": b"build-system.requires = [1]"}, "expected string or bytes-like object", id="numbers"
        ),
        pytest.param({"abc/pyproject.toml": described("not a requirement")}, "Expected ", id="no-requirement"),
    ],
)
def test_a_strange_archive_is_refused(tmp_path: Path, files: dict[str, bytes], reason: str, compression: str) -> None:
    """With the reason, of which Python's own words may go on."""
    with pytest.raises(ListError) as caught:
        read(tmp_path, pack(files, compression))
    assert str(caught.value).startswith(f"abc 1.0 is a source distribution that cannot be read: {reason}")
    assert caught.value.remedy == "ask for another version of it"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="web-page"),
        pytest.param(b"\x1f\x8b", id="two-bytes"),
        pytest.param(gzip.compress(b"x" * 999)[:-9], id="cut"),
        pytest.param(gzip.compress(b"x" * 999), id="packed-text"),
        pytest.param(b"\xfd7zXZ\0 and nothing that is packed", id="no-xz"),
        pytest.param(b"BZh and nothing that is packed", id="no-bzip2"),
        pytest.param(b"PK\x03\x04", id="zip-begins"),
        pytest.param(pack({"abc/a": b"a" * 999}, "zip")[:-9], id="zip-cut"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ListError, match=r"^abc 1\.0 is a source distribution that cannot be read: "):
        read(tmp_path, data)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE], ids=["link", "hard", "pipe"])
def test_a_link_is_no_pyproject(tmp_path: Path, kind: bytes) -> None:
    """It might be any file of this machine."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("abc-1.0/pyproject.toml")
        member.type = kind
        member.linkname = "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ListError, match=r": its pyproject\.toml is a link$"):
        read(tmp_path, data.getvalue())


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_distribution, "LONGEST_SDIST", 10**6)
    files = {"abc-1.0/a": bytes(10**7), "abc-1.0/pyproject.toml": described("x")}
    with pytest.raises(ListError, match=r": it is too large$"):
        read(tmp_path, pack(files))


@pytest.mark.parametrize("compression", ["gz", "zip"])
def test_an_archive_of_very_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setattr(source_distribution, "MOST_MEMBERS", 5)
    with pytest.raises(ListError, match=r": it has too many files$"):
        read(tmp_path, pack({f"abc-1.0/{number}": b"" for number in range(9)}, compression))


def test_nothing_of_an_archive_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read(tmp_path, pack({"abc-1.0/setup.py": b"", "abc-1.0/pyproject.toml": described("x")}))
    assert [path.name for path in tmp_path.iterdir()] == ["sdist"]


def tool(name: str, version: str) -> PythonPin:
    return PythonPin(name, version, "", (f"sha256:{'0' * 64}",), ("list",))


TOOLS = [tool("hatchling", "1.33.0"), tool("setuptools", "80.9.0"), tool("setuptools-scm", "10.3.4")]
REQUESTS = [PythonRequest("abc", "abc", "requirements.in:7")]


def check(tmp_path: Path, *requires: str, requests: list[PythonRequest] = REQUESTS) -> list[str]:
    """Let an index of one source distribution and one wheel check its backends; return the paths that were asked."""
    data = pack({"abc-1.0/pyproject.toml": described(*requires)})
    sha256 = hashlib.sha256(data).hexdigest()
    folder = tmp_path / "served"
    (folder / "simple/abc").mkdir(parents=True)
    (folder / "abc-1.0.tar.gz").write_bytes(data)
    (folder / "simple/abc/index.html").write_text(f'<a href="../../abc-1.0.tar.gz#sha256={sha256}">abc-1.0.tar.gz</a>')
    source = PythonPin("abc", "1.0", "", (f"sha256:{sha256}",), ("list",))
    source = replace(source, files=(PythonFile("amd64", "abc-1.0.tar.gz", len(data), sha256),))
    wheel = replace(tool("xyz", "1"), files=(PythonFile("amd64", "xyz-1-py3-none-any.whl", 1, "0" * 64),))
    with serve(folder) as server:
        lab = PythonIndex(Web(tmp_path / "cache", timeout=5, retries=0), f"{server.url}/simple")
        lab.check_backends([source, wheel], TOOLS, requests, python="3.13", architecture="amd64")
        return [path for path, _ in server.asked]


def test_backends_that_are_pinned_are_enough(tmp_path: Path) -> None:
    """By whichever spelling; what only another system needs does not count. Wheels are not asked for."""
    wants = ["Hatchling>=1.2", "setuptools_scm[toml]", "colorama; os_name == 'nt'", "tomli; python_version < '3.11'"]
    assert check(tmp_path, *wants) == ["/simple/abc/", "/abc-1.0.tar.gz"]


LOCK = "docker/install/python/tools.lock"


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        pytest.param(["hatchling", "maturin>=1"], f"maturin>=1, which {LOCK} does not pin", id="unknown"),
        pytest.param(
            ["hatchling<1", "x"],
            f"hatchling<1, x, which {LOCK} does not pin; {LOCK} pins hatchling 1.33.0",
            id="another-version",
        ),
        pytest.param(
            ["hatchling @ https://example.org/x.zip"],
            f"hatchling, which {LOCK} does not pin; {LOCK} pins hatchling 1.33.0",
            id="url",
        ),
    ],
)
def test_a_backend_that_is_not_pinned_is_named(tmp_path: Path, requires: list[str], reason: str) -> None:
    with pytest.raises(ListError) as caught:
        check(tmp_path, *requires)
    assert str(caught.value) == f"requirements.in:7: abc 1.0 comes as source only, and to build it wants {reason}"
    assert caught.value.remedy == (
        "ask for a version of it that has a wheel, or add that to docker/install/python/tools.in "
        "and pin it: nox -s relock"
    )


def test_what_no_list_names_is_said_without_a_line(tmp_path: Path) -> None:
    """Some other distribution wants it."""
    with pytest.raises(ListError, match=r"^abc 1\.0 comes as source only"):
        check(tmp_path, "maturin", requests=[])
