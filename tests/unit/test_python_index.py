"""A Python index as users meet it: JSON or HTML, with a password, behind a mirror, or not an index at all."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from index_server import IndexServer, serve

from pyrlab.adapters.http import NotThereError, RefusedError, Web
from pyrlab.adapters.python.index import NoPageError, PythonIndex
from pyrlab.errors import HashMismatchError, ListError, NetworkError
from pyrlab.model.locks.python import PythonFile, PythonPin

WHEEL = "abc-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"
ARM = "abc-1.0-cp313-cp313-manylinux_2_28_aarch64.whl"
PURE = "abc-1.0-py3-none-any.whl"
SDIST = "abc-1.0.tar.gz"
CHECK = "check PIPPROXY, or network.python_index in pyrlab.toml"
KINDS = pytest.mark.parametrize("kind", ["json", "json-without-sizes", "html", "html-without-hashes"])


def sha256_of(filename: str) -> str:
    return hashlib.sha256(filename.encode()).hexdigest()


def file_of(filename: str, architecture: str = "amd64") -> PythonFile:
    return PythonFile(architecture, filename, len(filename), sha256_of(filename))


def pin_of(*filenames: str, file: PythonFile | None = None) -> PythonPin:
    hashes = tuple(sorted(f"sha256:{sha256_of(filename)}" for filename in filenames))
    return PythonPin("abc", "1.0", "", hashes, ("list",), (file,) if file else ())


def put(folder: Path, path: str, content: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)


def publish(folder: Path, *filenames: str, kind: str = "json", base: str = "../../files") -> None:
    """Put files, whose bytes are their names, and the page of abc into a served folder."""
    for filename in filenames:
        put(folder, f"files/{filename}", filename.encode())
    if kind.startswith("json"):
        files = [
            {"filename": name, "url": f"{base}/{name}", "hashes": {"sha256": sha256_of(name)}, "size": len(name)}
            for name in filenames
        ]
        if kind == "json-without-sizes":
            files = [{key: value for key, value in file.items() if key != "size"} for file in files]
        page = json.dumps({"meta": {"api-version": "1.1"}, "name": "abc", "files": files, "versions": ["1.0"]})
    else:
        fragments = {name: f"#sha256={sha256_of(name)}" if kind == "html" else "" for name in filenames}
        links = [f'<a href="{base}/{name}{fragments[name]}">{name}</a><br>' for name in filenames]
        page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
    put(folder, "simple/abc/index.html", page.encode())


@pytest.fixture(autouse=True)
def no_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "/dev/null")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "served"


@pytest.fixture
def server(folder: Path) -> Iterator[IndexServer]:
    with serve(folder) as running:
        yield running


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "cache", timeout=5, retries=0)


@pytest.fixture
def lab(server: IndexServer, web: Web) -> PythonIndex:
    return PythonIndex(web, f"{server.url}/simple")


def choose(
    lab: PythonIndex,
    pin: PythonPin,
    *,
    python: str = "3.13",
    architecture: str = "amd64",
    earlier: PythonPin | None = None,
) -> PythonFile:
    chosen = lab.choose_files(
        [pin], python=python, glibc="2.41", architecture=architecture, earlier=[earlier] if earlier else []
    )
    return chosen["abc"]


@KINDS
def test_each_kind_of_page_gives_the_same_choice(lab: PythonIndex, folder: Path, kind: str) -> None:
    """What a page does not say, the file itself does."""
    names = [SDIST, PURE, WHEEL, ARM, "abc-1.0.1-cp313-cp313-manylinux_2_28_x86_64.whl", "abc-1.0.tar.gz.asc"]
    publish(folder, *names, kind=kind)
    pin = pin_of(SDIST, PURE, WHEEL, ARM)
    assert choose(lab, pin) == file_of(WHEEL)
    assert choose(lab, pin, architecture="arm64") == file_of(ARM, "arm64")
    assert choose(lab, pin, python="3.14") == file_of(PURE)


@KINDS
def test_only_files_that_the_lock_allows_count(lab: PythonIndex, folder: Path, kind: str) -> None:
    """A wheel that came after the lock is not taken, though it fits better."""
    publish(folder, WHEEL, PURE, SDIST, kind=kind)
    assert choose(lab, pin_of(PURE, SDIST)) == file_of(PURE)
    with pytest.raises(ListError) as caught:
        choose(lab, pin_of("something else"))
    assert str(caught.value) == (
        "abc 1.0: the Python index has no file that the lock allows and Python 3.13 on amd64 can install"
    )
    assert caught.value.remedy == "ask for another version of it, or: nox -s lock -- --upgrade-package abc"


def test_an_earlier_choice_stays_without_a_question(lab: PythonIndex, folder: Path, server: IndexServer) -> None:
    publish(folder, WHEEL, PURE)
    pin = pin_of(WHEEL, PURE)
    for file in (file_of(PURE), file_of(WHEEL)):
        assert choose(lab, pin, earlier=replace(pin, files=(file,))) == file
    assert server.asked == []


OLDER = "abc-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
NEWER = "abc-1.0-cp313-cp313-manylinux_2_42_x86_64.whl"


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param(pin_of(WHEEL, ARM, file=file_of(ARM, "arm64")), id="another-architecture"),
        pytest.param(pin_of(WHEEL, file=PythonFile("amd64", PURE, 9, "0" * 64)), id="hash-that-the-lock-lacks"),
        pytest.param(replace(pin_of(WHEEL, file=file_of(PURE)), version="0.9"), id="another-version"),
        pytest.param(pin_of(WHEEL, OLDER, file=file_of(OLDER)), id="another-python"),
        pytest.param(pin_of(WHEEL, NEWER, file=file_of(NEWER)), id="older-c-library"),
        pytest.param(pin_of(WHEEL), id="lock-of-format-1"),
    ],
)
def test_an_earlier_choice_that_no_longer_holds(lab: PythonIndex, folder: Path, earlier: PythonPin) -> None:
    publish(folder, WHEEL)
    assert choose(lab, pin_of(WHEEL, ARM, PURE, OLDER, NEWER), earlier=earlier) == file_of(WHEEL)


@KINDS
def test_a_locked_file_is_fetched_from_where_the_page_says(
    lab: PythonIndex, web: Web, folder: Path, server: IndexServer, kind: str
) -> None:
    publish(folder, WHEEL, SDIST, kind=kind)
    told: list[int] = []
    lab.fetch_all([(pin_of(WHEEL, SDIST), file_of(WHEEL))], progress=told.append)
    path = web.cached(sha256_of(WHEEL))
    assert path is not None
    assert path.read_bytes() == WHEEL.encode()
    assert told == [len(WHEEL)]
    assert (f"/files/{WHEEL}", False) in server.asked


def test_a_page_elsewhere_has_its_links_there(lab: PythonIndex, folder: Path, server: IndexServer, web: Web) -> None:
    """A redirect, as mirrors and load balancers answer."""
    publish(folder / "mirror", WHEEL)
    server.redirects["/simple/abc/"] = f"{server.url}/mirror/simple/abc/"
    lab.fetch_all([(pin_of(WHEEL), file_of(WHEEL))])
    assert web.cached(sha256_of(WHEEL))


def test_a_project_that_the_index_lacks(lab: PythonIndex, server: IndexServer) -> None:
    with pytest.raises(NotThereError) as caught:
        choose(lab, pin_of(WHEEL))
    message = f"the Python index has no abc: {server.url}/simple/abc/ is not there"
    assert (str(caught.value), caught.value.remedy) == (message, CHECK)


@pytest.mark.parametrize("gone", ["from-the-page", "from-the-server"])
def test_a_file_that_left_the_index(lab: PythonIndex, folder: Path, gone: str) -> None:
    publish(folder, WHEEL, SDIST)
    if gone == "from-the-page":
        publish(folder, SDIST)
    else:
        (folder / "files" / WHEEL).unlink()
    with pytest.raises(NotThereError) as caught:
        lab.fetch_all([(pin_of(WHEEL, SDIST), file_of(WHEEL)), (pin_of(WHEEL, SDIST), file_of(SDIST))])
    assert str(caught.value) == "the Python index no longer has abc 1.0"
    assert caught.value.remedy == "nox -s lock -- python --upgrade-package NAME, for each of them"


def test_other_bytes_under_the_same_name_on_the_page(lab: PythonIndex, folder: Path) -> None:
    """An index where files may be replaced."""
    publish(folder, WHEEL)
    with pytest.raises(HashMismatchError) as caught:
        lab.fetch_all([(pin_of(PURE), replace(file_of(PURE), filename=WHEEL))])
    assert str(caught.value) == f"abc 1.0: the index now has other bytes as {WHEEL}"
    assert caught.value.remedy == (
        "find out why before you trust them; nox -s lock -- --upgrade-package abc takes them"
    )


@pytest.mark.parametrize("kind", ["json", "html", "html-without-hashes"])
@pytest.mark.parametrize("content", [b"other bytes", WHEEL.encode()[:-1] + b"!", WHEEL.encode() + b"!"])
def test_other_bytes_than_the_page_says(
    lab: PythonIndex, web: Web, folder: Path, tmp_path: Path, kind: str, content: bytes
) -> None:
    """Nothing of them stays."""
    publish(folder, WHEEL, kind=kind)
    put(folder, f"files/{WHEEL}", content)
    with pytest.raises(HashMismatchError) as caught:
        lab.fetch_all([(pin_of(WHEEL), file_of(WHEEL))])
    assert str(caught.value) == "abc 1.0 has other bytes than the lock says"
    assert web.cached(sha256_of(WHEEL)) is None
    assert not (tmp_path / "cache/files" / hashlib.sha256(content).hexdigest()).exists()


@pytest.mark.parametrize("base", ["../../files", "{url}/files"], ids=["relative", "absolute"])
def test_a_password_opens_page_and_files_and_is_never_shown(web: Web, folder: Path, base: str) -> None:
    with serve(folder, "me:s3cret") as closed:
        publish(folder, WHEEL, base=base.format(url=closed.url))
        lab = PythonIndex(web, f"{closed.with_user('me:s3cret')}/simple")
        lab.fetch_all([(pin_of(WHEEL), file_of(WHEEL))])
        assert web.cached(sha256_of(WHEEL))
        assert "s3cret" not in repr(lab.files(pin_of(WHEEL)))
        (folder / "files" / WHEEL).write_bytes(b"other")
        failures = []
        for index, pin in (
            (lab, replace(pin_of(WHEEL), name="nothing")),
            (PythonIndex(web, f"{closed.with_user('me:s3cret-but-wrong')}/simple"), pin_of(WHEEL)),
            (PythonIndex(web, f"{closed.with_user('me:s3cret')}/files/{WHEEL}/"), pin_of(WHEEL)),
        ):
            with pytest.raises(NetworkError) as caught:
                choose(index, pin)
            failures.append(caught.value)
    missing, refused, _ = failures
    assert str(missing) == f"the Python index has no nothing: {closed.url}/simple/nothing/ is not there"
    assert isinstance(refused, RefusedError)
    assert str(refused) == f"{closed.url}/simple/abc/ refused this user (401 Unauthorized)"
    assert refused.remedy == f"put the user into ~/.netrc, or into the URL: {CHECK}"
    assert not any("s3cret" in f"{failure} {failure.remedy} {failure.detail}" for failure in failures)


def test_a_password_is_not_given_to_another_server(web: Web, folder: Path) -> None:
    """An index often lists files of another host."""
    with serve(folder) as files, serve(folder, "me:pw") as closed:
        publish(folder, WHEEL, base=f"{files.url}/files")
        lab = PythonIndex(web, f"{closed.with_user('me:pw')}/simple")
        lab.fetch_all([(pin_of(WHEEL), file_of(WHEEL))])
        assert files.asked == [(f"/files/{WHEEL}", False)]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b'<a href="/help">help</a>', id="links"),
        pytest.param(b'<a href="xyz-1.0.tar.gz#sha256=0">xyz-1.0.tar.gz</a>', id="another-project"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"files": [', id="cut"),
        pytest.param(b'{"error": "x"}', id="another-json"),
        pytest.param(b'{"meta": {"api-version": "2.0"}, "name": "abc", "files": []}', id="newer-than-we-know"),
        pytest.param(
            b'{"meta": {"api-version": "1.0"}, "name": "abc", "files": [{"filename": "abc-1.0.tar.gz"}]}',
            id="half-a-file",
        ),
        pytest.param(b'{"meta": 1, "files": 2}', id="wrong-types"),
        pytest.param(bytes(range(256)), id="binary"),
    ],
)
def test_a_page_of_something_else(lab: PythonIndex, server: IndexServer, folder: Path, page: bytes) -> None:
    put(folder, "simple/abc/index.html", page)
    with pytest.raises(NoPageError) as caught:
        choose(lab, pin_of(WHEEL))
    assert str(caught.value) == f"{server.url}/simple/abc/ is no page of a Python index"
    assert caught.value.remedy == f"the URL must be that of the simple API, which ends in /simple as a rule: {CHECK}"


def test_a_web_page_may_be_one_to_sign_in_at(lab: PythonIndex, server: IndexServer, folder: Path) -> None:
    put(folder, "simple/abc/index.html", b"<html>sign in</html>")
    with pytest.raises(NoPageError) as caught:
        choose(lab, pin_of(WHEEL))
    told = f"{server.url}/simple/abc/ is no page of a Python index: it may be a sign-in page of this network"
    assert str(caught.value) == told
    assert caught.value.remedy.startswith(
        f"open {server.url.removeprefix('http://')} in a browser; else the URL must be "
    )


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b'<html><head><meta name="pypi:repository-version" content="1.0"></head></html>', id="html"),
        pytest.param(b'{"meta": {"api-version": "1.0"}, "name": "abc", "files": []}', id="json"),
    ],
)
def test_a_project_without_files_is_a_page_all_the_same(lab: PythonIndex, folder: Path, page: bytes) -> None:
    put(folder, "simple/abc/index.html", page)
    with pytest.raises(ListError):
        choose(lab, pin_of(WHEEL))
