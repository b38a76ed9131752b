"""CRAN-like repositories as users meet them: real servers, on this machine, that also fail, move and change files."""

import gzip
import hashlib
import http.server
import json
import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cran_server import CranServer, Hit, put, r_package, tarball

from pyrlab.adapters.cran.repository import Repository
from pyrlab.adapters.http import NotThereError, RefusedError, Web, public
from pyrlab.errors import HashMismatchError, ListError, NetworkError
from pyrlab.model.cran.record import Record, Unread
from pyrlab.model.cran.version import RVersion
from pyrlab.model.locks.r import RFile

R_AGENT = "R (4.5.0 x86_64-pc-linux-gnu x86_64 linux-gnu)"
HERE = "src/contrib/abc_1.0.tar.gz"
ARCHIVE = "src/contrib/Archive/abc"
BUILT = "R 4.5.1; x86_64-pc-linux-gnu; 2025-05-01 10:00:00 UTC; unix"
ABC = Record("abc", RVersion.parse("1.0"), HERE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository's folder with one package."""
    path = tmp_path / "served"
    put(path, HERE, r_package("abc", "1.0"))
    put(path, "src/contrib/PACKAGES", b"Package: abc\nVersion: 1.0\n")
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[CranServer]:
    with CranServer(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that would have been made: no test waits, or reads this machine's netrc."""
    made: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", made.append)
    monkeypatch.setenv("NETRC", "/dev/null")
    return made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "cache", timeout=5)


@pytest.fixture
def open_repository(web: Web, server: CranServer) -> Callable[..., Repository]:
    """Return a function that opens the served folder, or another URL, as the repository ``lab``."""

    def make(url: str = server.url, *, r: str = "4.5.0", architecture: str = "amd64") -> Repository:
        return Repository("lab", url, web, r=r, architecture=architecture)

    return make


@pytest.fixture
def lab(open_repository: Callable[..., Repository]) -> Repository:
    return open_repository()


def kept(tmp_path: Path) -> list[str]:
    """Return the names of the files in the cache."""
    return sorted(path.name for path in (tmp_path / "cache" / "files").glob("*"))


# Downloads


def test_a_download_is_kept_by_its_hash_and_asked_for_again(server: CranServer, web: Web, folder: Path) -> None:
    """The second time the server says that nothing changed; when it did, the new bytes come."""
    url = f"{server.url}/{HERE}"
    first, again = web.get(url, agent="pyrlab"), web.get(url, agent="pyrlab")
    assert first == again
    assert first.path.read_bytes() == (folder / HERE).read_bytes()
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    put(folder, HERE, b"other")
    assert web.get(url, agent="pyrlab").path.read_bytes() == b"other"
    assert server.hits == [Hit("GET", f"/{HERE}", "pyrlab", status) for status in (200, 304, 200)]


@pytest.mark.parametrize("damage", ["gone", "short", "garbled-note"])
def test_a_damaged_cache_is_filled_anew(server: CranServer, web: Web, tmp_path: Path, damage: str) -> None:
    first = web.get(f"{server.url}/{HERE}", agent="pyrlab")
    whole = first.path.read_bytes()
    if damage == "gone":
        first.path.unlink()
    elif damage == "short":
        first.path.write_bytes(b"short")
    else:
        next((tmp_path / "cache/urls").glob("*")).write_bytes(b"{")
    assert web.get(f"{server.url}/{HERE}", agent="pyrlab").path.read_bytes() == whole
    assert server.statuses == [200, 200]


def test_without_validators_a_file_is_downloaded_again(server: CranServer, web: Web) -> None:
    server.validators = False
    assert web.get(f"{server.url}/{HERE}", agent="a") == web.get(f"{server.url}/{HERE}", agent="a")
    assert server.statuses == [200, 200]


def test_agents_do_not_share_an_answer(server: CranServer, web: Web, folder: Path) -> None:
    """One URL may be two files."""
    put(folder / "binaries", HERE, b"binary")
    assert web.get(f"{server.url}/{HERE}", agent=R_AGENT).path.read_bytes() == b"binary"
    assert web.get(f"{server.url}/{HERE}", agent="pyrlab").path.read_bytes() != b"binary"
    web.get(f"{server.url}/{HERE}", agent=R_AGENT)
    assert server.statuses == [200, 200, 304]


@pytest.mark.parametrize("path", [HERE, "src/contrib/PACKAGES"])
def test_bytes_are_those_of_the_file(server: CranServer, web: Web, folder: Path, path: str) -> None:
    """Whatever the server packs, or says that it packed, on the way."""
    server.packs = True
    assert web.get(f"{server.url}/{path}", agent="a").path.read_bytes() == (folder / path).read_bytes()


def test_the_cache_vouches_for_bytes_not_for_names(server: CranServer, web: Web) -> None:
    got = web.get(f"{server.url}/{HERE}", agent="pyrlab")
    assert web.cached(got.sha256) == got.path
    assert web.cached("0" * 64) is None
    got.path.write_bytes(b"changed")
    assert web.cached(got.sha256) is None


def test_eight_threads_download_at_once(server: CranServer, web: Web, folder: Path, tmp_path: Path) -> None:
    """Different files, and one file that all want."""
    hashes = {put(folder, f"f{number}", b"%d" % number * 9999) for number in range(24)}
    urls = [f"{server.url}/f{number}" for number in range(24)] + [f"{server.url}/{HERE}"] * 24
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda url: web.get(url, agent="pyrlab"), urls))
    assert {one.sha256 for one in got[:24]} == hashes
    assert len({one.sha256 for one in got[24:]}) == 1
    assert kept(tmp_path) == sorted({one.sha256 for one in got})


@pytest.mark.parametrize(
    ("trouble", "waits"), [pytest.param("failures", [0.2, 0.4], id="503"), pytest.param("cuts", [0.2, 0.4], id="cut")]
)
def test_a_passing_trouble_is_overcome(
    server: CranServer, web: Web, folder: Path, pauses: list[float], trouble: str, waits: list[float]
) -> None:
    setattr(server, trouble, 2)
    assert web.get(f"{server.url}/{HERE}", agent="a").path.read_bytes() == (folder / HERE).read_bytes()
    assert pauses == waits


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        pytest.param("3", 3.0, id="seconds"),
        pytest.param("9999", 10.0, id="too-long"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", 0.0, id="date-that-is-over"),
        pytest.param("soon", 0.2, id="nonsense"),
    ],
)
def test_a_busy_server_says_how_long_to_wait(
    server: CranServer, web: Web, pauses: list[float], asked: str, waited: float
) -> None:
    server.failures, server.retry_after = 1, asked
    web.get(f"{server.url}/{HERE}", agent="a")
    assert pauses == [waited]


def test_lasting_troubles_end_in_one_clear_error(server: CranServer, web: Web, tmp_path: Path) -> None:
    """Each says what happened and how often; nothing half-written stays."""
    url = f"{server.url}/{HERE}"
    server.failures = 4
    with pytest.raises(NetworkError, match=f"^{url} answered 503 Service Unavailable, 4 times$"):
        web.get(url, agent="a")
    server.cuts = 4
    with pytest.raises(NetworkError, match=f"^{url} broke off .*, 4 times$"):
        web.get(url, agent="a")
    impatient = Web(tmp_path / "cache", timeout=0.1, retries=1)
    server.hangs = 2
    with pytest.raises(NetworkError, match=rf"^{url} did not answer within 0\.1 s, 2 times$") as caught:
        impatient.get(url, agent="a")
    assert "HTTPS_PROXY" in caught.value.remedy
    assert kept(tmp_path) == []


def test_a_server_that_is_off(web: Web) -> None:
    with pytest.raises(NetworkError, match=r"could not be reached \(Connection refused\), 4 times$") as caught:
        web.get("http://127.0.0.1:9/x", agent="a")
    assert caught.value.exit_code == 6


def test_a_full_disk_or_ctrl_c_leaves_nothing(
    server: CranServer, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error goes on as it is."""
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(_: int, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("pyrlab.adapters.store.os.fsync", fail)
        with pytest.raises(type(error)):
            web.get(f"{server.url}/{HERE}", agent="a")
        assert kept(tmp_path) == []


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_missing_file_is_not_there(server: CranServer, web: Web, folder: Path, scheme: str) -> None:
    """It is not asked for twice."""
    url = f"{server.url}/none" if scheme == "http" else f"{folder.as_uri()}/none"
    with pytest.raises(NotThereError, match=f"^{url} is not there$") as caught:
        web.get(url, agent="a")
    assert caught.value.exit_code == 6
    assert len(server.hits) == (scheme == "http")


def test_a_file_url_is_read_anew_each_time(web: Web, folder: Path) -> None:
    """A later change of the original does not reach the cache."""
    put(folder, "my file", b"one")
    first = web.get(f"{folder.as_uri()}/my%20file", agent="a")
    put(folder, "my file", b"two")
    assert first.path.read_bytes() == b"one"
    assert web.get(f"{folder.as_uri()}/my%20file", agent="a").path.read_bytes() == b"two"


# Credentials, proxies, certificates


@pytest.mark.parametrize("way", ["url", "netrc"])
def test_credentials_come_from_the_url_or_netrc(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """They open the door, and are neither in the cache nor in the log."""
    secret = "pä:ss@w/rd" if way == "url" else "s3cret"
    if way == "netrc":
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {secret}\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    web = Web(tmp_path / "cache")
    with CranServer(folder, credentials=("me", secret)) as server, caplog.at_level(logging.DEBUG, logger="pyrlab"):
        base = server.url.replace("//", "//me:p%C3%A4%3Ass%40w%2Frd@") if way == "url" else server.url
        web.get(f"{base}/{HERE}?token=hush", agent="a")
        web.get(f"{base}/{HERE}?token=hush", agent="a")
    assert server.statuses == [200, 304]
    notes = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "cache/urls").glob("*"))
    assert set(json.loads(notes)) == {"sha256", "conditions"}
    assert f"GET {server.url}/{HERE}: 200" in caplog.text
    assert [word for word in ("hush", "p%C3", "ss@w", "s3cret") if word in caplog.text + notes] == []


@pytest.mark.parametrize("user", ["", "me:wrong@"])
def test_a_refused_user_is_told_where_to_put_another(folder: Path, web: Web, user: str) -> None:
    with CranServer(folder, credentials=("me", "right")) as server, pytest.raises(RefusedError) as caught:
        web.get(server.url.replace("//", f"//{user}") + "/x?token=hush", agent="a")
    assert str(caught.value) == f"{server.url}/x refused this user (401 Unauthorized)"
    assert "netrc" in caught.value.remedy
    assert "${VARIABLE} into the URL in r.repositories of pyrlab.toml" in caught.value.remedy


def test_credentials_do_not_follow_a_redirect_to_another_server(folder: Path, web: Web) -> None:
    with CranServer(folder) as other, CranServer(folder, credentials=("me", "pw")) as server:
        server.redirects["/moved"] = f"{other.url}/{HERE}"
        got = web.get(server.url.replace("//", "//me:pw@") + "/moved", agent="a")
    assert got.path.read_bytes() == (folder / HERE).read_bytes()
    assert [hit.authorization for hit in server.hits] == ["Basic bWU6cHc="]
    assert [(hit.path, hit.authorization) for hit in other.hits] == [(f"/{HERE}", "")]


@pytest.mark.parametrize(
    ("no_proxy", "proxied"),
    [
        pytest.param("", True, id="unset"),
        pytest.param("example.org, 127.0.0.1", False, id="address"),
        pytest.param("127.0.0.0/8", False, id="network"),
        pytest.param("*", False, id="all"),
        pytest.param("10.0.0.0/8,0.0.1", True, id="other-hosts"),
    ],
)
def test_no_proxy_decides_who_is_asked(folder: Path, tmp_path: Path, no_proxy: str, *, proxied: bool) -> None:
    with CranServer(folder) as proxy, CranServer(folder) as server:
        web = Web(tmp_path / "cache", proxies={"HTTP_PROXY": proxy.url, "NO_PROXY": no_proxy})
        web.get(f"{server.url}/{HERE}", agent="a")
        assert (len(proxy.hits), len(server.hits)) == ((1, 0) if proxied else (0, 1))


def test_a_redirect_may_lead_out_of_no_proxy(folder: Path, tmp_path: Path) -> None:
    """Each hop is decided by itself; names end as NO_PROXY says."""
    with CranServer(folder) as proxy, CranServer(folder) as server:
        server.redirects["/far"] = f"http://cran.example.org/{HERE}"
        web = Web(tmp_path / "cache", proxies={"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"})
        web.get(f"{server.url}/far", agent="a")
    assert [hit.path for hit in proxy.hits] == [f"http://cran.example.org/{HERE}"]


def test_proxies_of_the_environment_are_left_to_the_settings(
    server: CranServer, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their passwords, too, also behind a redirect."""
    monkeypatch.setenv("http_proxy", "http://me:pw@127.0.0.1:9")
    server.redirects["/moved"] = f"/{HERE}"
    assert web.get(f"{server.url}/moved", agent="a").sha256
    assert [(hit.path, hit.authorization) for hit in server.hits] == [("/moved", ""), (f"/{HERE}", "")]


def test_certificates_of_ones_own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ca_file the server is not trusted, and the message says what to set."""
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here"],
            *["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (tmp_path / "both.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    with CranServer(folder, tls=tmp_path / "both.pem") as server:
        url = f"{server.url}/{HERE}"
        assert Web(tmp_path / "cache", ca_file=certificate).get(url, agent="a").sha256
        with pytest.raises(NetworkError, match=f"^{url}: no trusted connection: ") as caught:
            Web(tmp_path / "cache").get(url, agent="a")
    assert caught.value.remedy.startswith("name your own certificates: SSL_CERT_FILE, or network.ca_file in ")


@contextmanager
def secure(folder: Path, tmp_path: Path, certificate: trustme.LeafCert) -> Iterator[CranServer]:
    """Serve a folder with a certificate and its key."""
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with CranServer(folder, tls=tmp_path / "server.pem") as server:
        yield server


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_whom_this_machine_trusts_is_trusted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company adds its root to the machine's store; here the variable names another one."""
    company = trustme.CA()
    company.cert_pem.write_to_path(tmp_path / "store.pem")
    with secure(folder, tmp_path, company.issue_cert("127.0.0.1")) as server:
        with pytest.raises(NetworkError, match="no trusted connection"):
            Web(tmp_path / "cache").get(f"{server.url}/{HERE}", agent="a")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
        web = Web(tmp_path / "cache")
        assert web.get(f"{server.url}/{HERE}", agent="a").sha256
        # A host whose certificate is not looked at changes nothing for the others.
        host = server.url.removeprefix("https://")
        assert Web(tmp_path / "other", unverified_hosts=[host]).get(f"{server.url}/{HERE}", agent="a").sha256
        assert web.get(f"{server.url}/{HERE}", agent="a").sha256


@pytest.mark.parametrize(
    ("name", "days", "says", "remedy"),
    [
        pytest.param("127.0.0.1", -1, "certificate has expired", "look at this machine's clock", id="expired"),
        pytest.param("a.test", 1, "IP address mismatch", "look at the host's name in this URL", id="another-host"),
    ],
)
def test_a_certificate_that_will_not_do_is_told_at_once(
    folder: Path, tmp_path: Path, name: str, days: int, says: str, remedy: str
) -> None:
    """Neither is mended by another list of authorities, nor by asking again."""
    company = trustme.CA()
    company.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = company.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days))
    with secure(folder, tmp_path, certificate) as server, pytest.raises(NetworkError) as caught:
        Web(tmp_path / "cache", ca_file=tmp_path / "ca.pem").get(f"{server.url}/{HERE}", agent="a")
    assert str(caught.value).startswith(f"{server.url}/{HERE}: no trusted connection: ")
    assert says in str(caught.value)
    assert caught.value.remedy.startswith(remedy)
    assert "times" not in str(caught.value)


class Gate(http.server.BaseHTTPRequestHandler):
    """A proxy that lets nobody through."""

    asked: list[str]

    def do_GET(self) -> None:
        """Refuse."""
        self.asked.append(self.path)
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_CONNECT = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("user", "says", "remedy"),
    [
        pytest.param("", "wants a user and a password (407)", "http://USER:PASSWORD@HOST:PORT", id="no-user"),
        pytest.param("me:hush@", "refuses this user and password (407)", "special characters as %XX", id="wrong"),
    ],
)
def test_a_proxy_that_wants_a_user_is_asked_once(
    tmp_path: Path, scheme: str, user: str, says: str, remedy: str
) -> None:
    asked: list[str] = []
    handler = type("Handler", (Gate,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), f"http://{user}{address}")
        with pytest.raises(NetworkError) as caught:
            Web(tmp_path / "cache", proxies=proxies).get(f"{scheme}://cran.test/x", agent="a")
        server.shutdown()
    assert str(caught.value) == f"{scheme}://cran.test/x: the proxy {address} {says}"
    assert remedy in caught.value.remedy
    assert len(asked) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(tmp_path: Path, free_port: int, scheme: str) -> None:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), f"http://me:hush@127.0.0.1:{free_port}")
    with pytest.raises(NetworkError) as caught:
        Web(tmp_path / "cache", proxies=proxies, retries=1).get(f"{scheme}://cran.test/x", agent="a")
    assert str(caught.value) == (
        f"{scheme}://cran.test/x could not be reached by the proxy 127.0.0.1:{free_port} (Connection refused), 2 times"
    )
    assert "HTTP_PROXY" in caught.value.remedy


def test_a_public_url_has_no_secret() -> None:
    assert public("https://me:pw@example.org:8443/a/b?token=x#y") == "https://example.org:8443/a/b"


# Index and Archive


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_the_index_is_read_once(lab: Repository, server: CranServer, folder: Path, *, packed: bool) -> None:
    if packed:
        put(folder, "src/contrib/PACKAGES.gz", gzip.compress(b"Package: xyz\nVersion: 2.0\n"))
    assert list(lab.index().names) == (["xyz"] if packed else ["abc"])
    assert lab.index() is lab.index()
    assert server.statuses == ([200] if packed else [404, 200])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        pytest.param("PACKAGES.gz", b"", "is empty", id="empty"),
        pytest.param(
            "PACKAGES.gz", gzip.compress(bytes(999))[:-9], "is truncated: its gzip data has no end", id="truncated"
        ),
        pytest.param(
            "PACKAGES", b"\n <!DOCTYPE html>", "is a web page: it may be a sign-in page of this network", id="web-page"
        ),
    ],
)
def test_a_bad_index_is_named_with_its_reason(
    lab: Repository, server: CranServer, folder: Path, name: str, data: bytes, reason: str
) -> None:
    put(folder, f"src/contrib/{name}", data)
    with pytest.raises(NetworkError) as caught:
        lab.index()
    assert str(caught.value) == f"the index of lab, {server.url}/src/contrib/{name}, {reason}"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("PACKAGES.gz", gzip.compress(b""), id="gzip"),
        pytest.param("PACKAGES", b"", id="plain"),
    ],
)
def test_an_empty_repository_has_no_packages(
    lab: Repository, folder: Path, caplog: pytest.LogCaptureFixture, name: str, data: bytes
) -> None:
    """R writes such an index for an empty folder; it is said, in case that something else is wrong."""
    put(folder, f"src/contrib/{name}", data)
    assert list(lab.names) == []
    assert "the index of lab has no packages" in caplog.text


def test_a_repository_without_index(open_repository: Callable[..., Repository], server: CranServer) -> None:
    with pytest.raises(NetworkError) as caught:
        open_repository(f"{server.url}/elsewhere/").index()
    where = f"{server.url}/elsewhere/src/contrib"
    assert str(caught.value) == f"lab has no index: no PACKAGES.gz or PACKAGES in {where}"
    assert "the folder above src/contrib" in caught.value.remedy


def test_a_bad_request_is_a_failure_and_nothing_that_is_missing(lab: Repository, server: CranServer) -> None:
    """Only dated snapshots say so of what they do not have; elsewhere a proxy may be in the way."""
    server.refusals.add("/src")
    with pytest.raises(NetworkError) as caught:
        lab.index()
    assert str(caught.value) == f"{server.url}/src/contrib/PACKAGES.gz answered 400 Bad Request"
    assert caught.value.remedy.startswith("check this URL: ")
    with pytest.raises(NetworkError, match="answered 400"):
        lab.describe("abc", "0.9")


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_archived_versions_are_newest_first(
    open_repository: Callable[..., Repository], folder: Path, scheme: str
) -> None:
    """By R's order; what is no tarball of this package does not count."""
    files = ["abc_0.9.tar.gz", "abc_0.10-1.tar.gz", "abc_0.2.tar.gz", "abc_1..2.tar.gz", "abcd_3.0.tar.gz", "README"]
    for file in files:
        put(folder, f"{ARCHIVE}/{file}", b"")
    repository = open_repository() if scheme == "http" else open_repository(folder.as_uri())
    assert repository.archived("abc") == ("0.10-1", "0.9", "0.2")
    assert repository.archived("nothing") == ()


def test_a_listing_of_another_make(lab: Repository, server: CranServer, folder: Path) -> None:
    """Percent signs, whole paths, capitals, and each file twice, as servers write them."""
    put(
        folder,
        "list.html",
        b"<A HREF=abc%5F0.1.tar.gz>x</A> <a href='/a/abc_0.2.tar.gz?x=1&amp;y'>y</a> <a href=abc_0.2.tar.gz>",
    )
    server.redirects[f"/{ARCHIVE}/"] = f"{server.url}/list.html"
    assert lab.archived("abc") == ("0.2", "0.1")


def test_a_forbidden_listing_is_none(lab: Repository, server: CranServer, folder: Path) -> None:
    put(folder, f"{ARCHIVE}/abc_0.9.tar.gz", b"")
    server.listings = False
    assert lab.archived("abc") == ()


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_an_archived_version_describes_itself(lab: Repository, folder: Path, compression: str) -> None:
    """Dependencies are those of that tarball."""
    package = r_package(
        "abc", "0.9-1", compression=compression, encoding="latin-1", Author="Zoë", Imports="xyz (> 1.0)"
    )
    put(folder, f"{ARCHIVE}/abc_0.9-1.tar.gz", package)
    record = lab.describe("abc", "0.9-1")
    assert isinstance(record, Record)
    assert (record.file, str(record.version)) == (f"{ARCHIVE}/abc_0.9-1.tar.gz", "0.9-1")
    assert [str(one) for one in record.dependencies] == ["xyz > 1.0"]
    assert lab.describe("abc", "0.8") is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"<html>", "it is a web page", id="page"),
        pytest.param(r_package("abc", "0.8"), "it holds abc 0.8", id="another-version"),
        pytest.param(
            r_package("abc", "0.9", Imports="xyz (>= later)"),
            "its DESCRIPTION cannot be read: Imports: 'xyz (>= later)' is not a dependency of an R package",
            id="unreadable",
        ),
        pytest.param(
            r_package("abc", "0.9", OS_type="windows"),
            "its DESCRIPTION cannot be read: it is for 'windows' only (OS_type)",
            id="windows",
        ),
    ],
)
def test_an_archived_version_of_no_use_says_why(lab: Repository, folder: Path, data: bytes, reason: str) -> None:
    """It is in the way of no other version."""
    put(folder, f"{ARCHIVE}/abc_0.9.tar.gz", data)
    assert lab.describe("abc", "0.9") == Unread(reason)


def test_a_repository_says_what_its_index_says(lab: Repository, folder: Path) -> None:
    """Which records are of no use, and what its packages need."""
    put(folder, "src/contrib/PACKAGES", b"Package: abc\nVersion: 1.0\nImports: xyz\n\nPackage: win\nVersion: later\n")
    assert lab.broken("win") == ("Version: 'later' is not an R version",)
    assert (lab.broken("abc"), lab.needs("xyz"), lab.needs("abc")) == ((), True, False)


# Files of a record


def test_a_plain_repository_serves_a_source(lab: Repository, server: CranServer, folder: Path) -> None:
    sha256 = hashlib.sha256((folder / HERE).read_bytes()).hexdigest()
    assert lab.files(ABC) == (RFile("source", HERE, sha256),)
    assert server.hits == [Hit("GET", f"/{HERE}", R_AGENT, 200)]


def test_a_repository_with_binaries_serves_both(lab: Repository, server: CranServer, folder: Path) -> None:
    source = hashlib.sha256((folder / HERE).read_bytes()).hexdigest()
    binary = put(folder / "binaries", HERE, r_package("abc", "1.0", Built=BUILT))
    assert lab.files(ABC) == (RFile("binary", HERE, binary), RFile("source", HERE, source))
    assert [hit.agent for hit in server.hits] == [R_AGENT, "pyrlab"]


@pytest.mark.parametrize("plain", ["the-same", "missing"])
def test_only_a_binary_is_served(lab: Repository, folder: Path, plain: str) -> None:
    package = r_package("abc", "1.0", Built=BUILT)
    sha256 = put(folder / "binaries", HERE, package)
    if plain == "missing":
        (folder / HERE).unlink()
    else:
        put(folder, HERE, package)
    assert lab.files(ABC) == (RFile("binary", HERE, sha256),)


@pytest.mark.parametrize(
    ("built", "architecture", "kinds"),
    [
        pytest.param(BUILT, "amd64", ["binary", "source"], id="ours"),
        pytest.param("R 4.5.0; ; 2025-05-01; unix", "arm64", ["binary", "source"], id="no-compiled-code"),
        pytest.param(BUILT, "arm64", ["source"], id="another-architecture"),
        pytest.param("R 4.4.3; ; 2025-05-01; unix", "amd64", ["source"], id="another-r"),
        pytest.param("R 4.5.0; aarch64-apple-darwin20; 2025; unix", "arm64", ["source"], id="another-system"),
        pytest.param("yesterday", "amd64", ["source"], id="not-readable"),
    ],
)
def test_a_binary_for_another_machine_is_left_out(
    open_repository: Callable[..., Repository], folder: Path, built: str, architecture: str, kinds: list[str]
) -> None:
    put(folder / "binaries", HERE, r_package("abc", "1.0", Built=built))
    assert [file.kind for file in open_repository(architecture=architecture).files(ABC)] == kinds


def test_nothing_that_fits_is_an_error(lab: Repository, folder: Path) -> None:
    put(folder, HERE, r_package("abc", "1.0", Built="R 4.4.3; ; 2025; unix"))
    with pytest.raises(ListError) as caught:
        lab.files(ABC)
    assert str(caught.value) == "abc: lab has only a binary for another R or machine (R 4.4.3; ; 2025; unix)"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(r_package("abc", "1.1"), "it holds abc 1.1", id="another-version"),
        pytest.param(r_package("Abc", "1.0"), "it holds Abc 1.0", id="another-package"),
        pytest.param(b"<html>sign in</html>", "it is a web page", id="web-page"),
        pytest.param(r_package("abc", "1.0")[:60], "it is damaged: ", id="truncated"),
        pytest.param(b"", "it is damaged: ", id="empty"),
        pytest.param(tarball({"abc/R/DESCRIPTION": b""}), "it has no DESCRIPTION", id="no-description"),
        pytest.param(tarball({"abc/DESCRIPTION": b""}), "its DESCRIPTION is empty", id="empty-description"),
        pytest.param(
            tarball({"abc/DESCRIPTION": b"Package: abc\n"}),
            "its DESCRIPTION cannot be read: the field Version is missing",
            id="no-version",
        ),
    ],
)
def test_a_file_that_is_not_the_package(
    lab: Repository, server: CranServer, folder: Path, data: bytes, reason: str
) -> None:
    put(folder, HERE, data)
    with pytest.raises(NetworkError) as caught:
        lab.files(ABC)
    assert str(caught.value).startswith(f"{server.url}/{HERE} of lab is not abc 1.0: {reason}")


def test_the_hash_of_an_index_must_hold(lab: Repository, folder: Path) -> None:
    """It is the source's; a binary beside it has another."""
    right = hashlib.sha256((folder / HERE).read_bytes()).hexdigest()
    put(folder / "binaries", HERE, r_package("abc", "1.0", Built=BUILT))
    assert len(lab.files(Record("abc", RVersion.parse("1.0"), HERE, sha256=right))) == 2
    with pytest.raises(HashMismatchError, match=f"^abc: {HERE} has another SHA-256 than the index of lab says$"):
        lab.files(Record("abc", RVersion.parse("1.0"), HERE, sha256="0" * 64))


# Locked files


@pytest.fixture
def locked(folder: Path) -> RFile:
    return RFile("source", HERE, hashlib.sha256((folder / HERE).read_bytes()).hexdigest())


def test_a_locked_file_is_fetched_once(lab: Repository, server: CranServer, folder: Path, locked: RFile) -> None:
    """With its bytes in the cache no server is needed."""
    assert lab.fetch("abc", locked).read_bytes() == (folder / HERE).read_bytes()
    assert lab.fetch("abc", locked)
    assert server.hits == [Hit("GET", f"/{HERE}", "pyrlab", 200)]


def test_a_locked_binary_is_fetched_as_r_does(lab: Repository, server: CranServer, folder: Path) -> None:
    binary = RFile("binary", HERE, put(folder / "binaries", HERE, b"binary"))
    assert lab.fetch("abc", binary).read_bytes() == b"binary"
    assert [hit.agent for hit in server.hits] == [R_AGENT]


@pytest.mark.parametrize("left", ["nothing", "other-bytes"])
def test_a_file_that_moved_to_the_archive_is_found(lab: Repository, folder: Path, locked: RFile, left: str) -> None:
    whole = (folder / HERE).read_bytes()
    put(folder, f"{ARCHIVE}/abc_1.0.tar.gz", whole)
    (folder / HERE).unlink()
    if left == "other-bytes":
        put(folder, HERE, b"rebuilt")
    assert lab.fetch("abc", locked).read_bytes() == whole


@pytest.mark.parametrize("archive", [None, b"neither"], ids=["not-archived", "archived-otherwise"])
def test_changed_bytes_are_refused(lab: Repository, folder: Path, locked: RFile, archive: bytes | None) -> None:
    put(folder, HERE, b"changed")
    if archive:
        put(folder, f"{ARCHIVE}/abc_1.0.tar.gz", archive)
    with pytest.raises(HashMismatchError) as caught:
        lab.fetch("abc", locked)
    assert str(caught.value) == "abc: abc_1.0.tar.gz in lab is not the file that was locked"
    assert "`nox -s lock -- --upgrade-package abc`" in caught.value.remedy


def test_a_file_that_is_nowhere(lab: Repository, folder: Path, locked: RFile) -> None:
    (folder / HERE).unlink()
    with pytest.raises(NotThereError) as caught:
        lab.fetch("abc", locked)
    assert str(caught.value) == f"abc: lab has abc_1.0.tar.gz no longer, neither at {HERE} nor in its Archive"
    assert caught.value.remedy == "nox -s lock -- --upgrade-package abc"


def test_many_threads_share_one_repository(lab: Repository, server: CranServer, folder: Path) -> None:
    """The index is still read once."""
    records = []
    for number in range(16):
        path = f"src/contrib/p{number}_1.0.tar.gz"
        put(folder, path, r_package(f"p{number}", "1.0"))
        records.append(Record(f"p{number}", RVersion.parse("1.0"), path))
    with ThreadPoolExecutor(8) as pool:
        assert len({id(index) for index in pool.map(lambda _: lab.index(), range(8))}) == 1
        assert [files[0].path for files in pool.map(lab.files, records)] == [record.file for record in records]
    assert server.statuses == [404, *[200] * 17]


def test_a_token_in_the_query_goes_along(open_repository: Callable[..., Repository], server: CranServer) -> None:
    """And is not in a message."""
    repository = open_repository(f"{server.url}/?token=hush")
    assert "abc" in repository.index().names
    assert server.hits[0].path == "/src/contrib/PACKAGES.gz?token=hush"
    with pytest.raises(NotThereError) as caught:
        repository.files(Record("xyz", RVersion.parse("1.0"), "src/contrib/xyz_1.0.tar.gz"))
    assert "hush" not in str(caught.value)
