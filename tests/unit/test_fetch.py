"""Fetching into the store: just what sections pin, by hash, from archives and repositories that are folders."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pyrlab.adapters.cran import repository
from pyrlab.adapters.http import Wanted, Web
from pyrlab.errors import GoneError, HashMismatchError, NetworkError
from pyrlab.model import servers
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.sections import PinnedFile, Section, deb_section
from pyrlab.model.settings import Settings
from pyrlab.steps import fetch as steps
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
    assert bring(settings, r_section(*kinds)) == (of_kinds(brought), ["downloading 1 R package"])


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
        ["downloading 1 package (0 MB) of Debian"],
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
    assert bring(settings, r_section("source"))[1] == ["downloading 1 R package"]


def test_without_sections_nothing_is_brought(settings: Settings) -> None:
    """Not even a folder is made."""
    assert bring(settings) == ({}, [])
    assert not (settings.cache / "files").exists()


def test_a_binary_that_was_moved_to_the_archive_is_found_there(settings: Settings, shelf: Path) -> None:
    """Repositories move what is no longer the newest."""
    archived = shelf / "src/contrib/Archive/cli" / Path(PATHS["binary"]).name
    archived.parent.mkdir(parents=True)
    (shelf / PATHS["binary"]).rename(archived)
    assert bring(settings, r_section("source", "binary"))[0] == of_kinds(["binary"])


def test_what_is_compiled_instead_of_a_lost_binary_is_said(settings: Settings, shelf: Path) -> None:
    (shelf / PATHS["binary"]).unlink()
    _, told = bring(settings, r_section("source", "binary"))
    assert told[0] == "downloading 1 R package"
    assert told[1].startswith("cli: mine has cli_3.6.5.tar.gz no longer")
    assert told[1].endswith("; the source of cli that is locked beside it is compiled instead")


def test_repositories_are_asked_for_this_r_and_machine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Package managers give binaries by these."""
    asked = []

    def connect(given: Settings, *, r: str, architecture: str) -> dict[str, repository.Repository]:
        asked.append((given, r, architecture))
        return real(given, r=r, architecture=architecture)

    real = repository.connect
    monkeypatch.setattr(repository, "connect", connect)
    fetch(settings, [r_section("source")], r="4.5.0", architecture="arm64", say=lambda _: None)
    assert asked == [(settings, "4.5.0", "arm64")]


class Recorder(Web):
    """Downloads nothing: notes what would be, and how."""

    def fetch_all(
        self, wanted: Sequence[Wanted], *, agent: str, progress: Callable[[int], None] = lambda _: None
    ) -> list[Wanted]:
        """Take the place of the real one."""
        del agent, progress
        self.wanted = [*wanted]
        seen.append(self)
        return []


seen: list[Recorder] = []


DIRECT = {"NO_PROXY": "localhost,127.0.0.1,::1"}


@pytest.mark.parametrize(
    ("toml", "environment", "proxies"),
    [
        pytest.param("", {}, {}, id="direct"),
        pytest.param("", {"HTTPS_PROXY": "http://p:1"}, {"HTTPS_PROXY": "http://p:1", **DIRECT}, id="proxy"),
        pytest.param(
            '[network]\napt_proxy = "http://apt:2"',
            {"HTTPS_PROXY": "http://p:1"},
            {"HTTP_PROXY": "http://apt:2", "HTTPS_PROXY": "http://apt:2"},
            id="proxy-for-debs",
        ),
    ],
)
def test_debs_come_from_debians_own_mirrors_by_their_proxy(
    load_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    toml: str,
    environment: Mapping[str, str],
    proxies: Mapping[str, str],
) -> None:
    """Those of the suite, then its security updates."""
    seen.clear()
    made: list[Mapping[str, object]] = []

    def web(*given: Path, **options: object) -> Recorder:
        made.append(options)
        return Recorder(*given)

    monkeypatch.setattr(steps, "Web", web)
    settings = load_settings(toml, XDG_CACHE_HOME=str(tmp_path / "cache"), **environment)
    steps.fetch(settings, [deb_section("rlab.debs", [HELLO])], r="", architecture="amd64", say=lambda _: None)
    (wanted,) = seen[0].wanted
    assert [url.partition("/debian")[2] for url in wanted.urls] == [f"/{HELLO.path}", f"-security/{HELLO.path}"]
    assert (wanted.sha256, wanted.size, wanted.name) == (HELLO.sha256, HELLO.size, "hello 2.10-5")
    assert made == [{"ca_file": None, "proxies": proxies, "kind": servers.DEBIAN}]
    unstable = replace(settings, suite="sid")
    steps.fetch(unstable, [deb_section("rlab.debs", [HELLO])], r="", architecture="amd64", say=lambda _: None)
    assert len(seen[1].wanted[0].urls) == 1, "unstable has no security updates"


def test_sizes_are_told_in_megabytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "Web", Recorder)
    pins = [replace(HELLO, name=name, sha256=name * 64, size=1_300_000) for name in "ab"]
    told: list[str] = []
    steps.fetch(settings, [deb_section("rlab.debs", pins)], r="", architecture="amd64", say=told.append)
    assert told == ["downloading 2 packages (3 MB) of Debian"]


@pytest.mark.parametrize(
    ("host", "unverified"),
    [
        pytest.param("", (), id="none"),
        pytest.param("index.example", ("index.example",), id="one"),
        # URLs are read in lower case.
        pytest.param("Index.Example", ("index.example",), id="capitals"),
    ],
)
def test_the_python_index_is_asked_as_the_settings_say(
    load_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    unverified: object,
) -> None:
    made: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def web(*given: object, **options: object) -> str:
        made.append((given, options))
        return "web"

    monkeypatch.setattr(steps, "Web", web)
    monkeypatch.setattr(steps, "PythonIndex", lambda *given: given)
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    settings = load_settings(
        f'[network]\npython_index = "https://index.example/simple"\npython_trusted_host = "{host}"',
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        HTTP_PROXY="http://p:1",
        SSL_CERT_FILE=str(authorities),
    )
    index: object = steps.python_index(settings)
    assert index == ("web", "https://index.example/simple")
    proxies = {"HTTP_PROXY": "http://p:1", **DIRECT}
    expected = {
        "ca_file": authorities,
        "proxies": proxies,
        "unverified_hosts": unverified,
        "kind": servers.PYTHON,
    }
    assert made == [((settings.cache,), expected)]
