"""Archives, indexes and repositories that misbehave: asked again within bounds, then one message that helps.

The server is real, and does one thing wrong, whatever it is asked. Nothing of what it gives may be used or kept.
"""

import base64
import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import bad_server
import pytest
import trustme
from bad_server import DAY, NOW, PAGE, answer
from debian_archives import Mirror, keyring

from pyrlab.adapters import http
from pyrlab.adapters.cran import repository
from pyrlab.adapters.debian import archive
from pyrlab.errors import BuildError, HashMismatchError, PyrlabError
from pyrlab.model.debian_sources import parse_sources
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.sections import PinnedFile, Section, deb_section
from pyrlab.model.settings import Settings
from pyrlab.steps import base
from pyrlab.steps import fetch as steps

DATA = b"the very bytes that are locked"
SHA256 = hashlib.sha256(DATA).hexdigest()
DEB = DebPin("hello", "2.10-5", "amd64", SHA256, len(DATA), "pool/hello_2.10-5_amd64.deb")
SOURCE = RFile("source", "src/contrib/cli_3.6.5.tar.gz", SHA256)
R = RPin("cli", "3.6.5", "mine", requested=True, files=(SOURCE,))
RETRIES = 3


def read_archive(settings: Settings) -> None:
    archive.read_index(settings, archive.base_sources(settings), architecture="amd64", web=steps.debian_web(settings))


def read_page(settings: Settings) -> None:
    steps.python_index(settings).page("abc")


def read_repository(settings: Settings) -> None:
    repository.connect(settings, r="4.5.0", architecture="amd64")["mine"].index()


def ask_registry(settings: Settings) -> None:
    base.resolve(settings, architecture="amd64")


def bring(*sections: Section) -> Callable[[Settings], None]:
    def run(settings: Settings) -> None:
        steps.fetch(settings, sections, r="4.5.0", architecture="amd64", say=lambda _: None)

    return run


@dataclass(frozen=True)
class Step:
    """What pyrlab does with a server: the first path that it asks for, and the setting that its remedy names.

    A registry is named by its host alone, and asked by TLS: without it on loopback only, and then after that.
    """

    run: Callable[[Settings], None]
    path: str
    setting: str
    named_by_host: bool = False

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What the server shows itself by."""
        return bad_server.certificate(authority()) if self.named_by_host else None


STEPS = {
    "archive": Step(read_archive, "/dists/trixie/InRelease", "base.apt_sources in pyrlab.toml"),
    "deb": Step(bring(deb_section("x", [DEB])), f"/{DEB.path}", "base.apt_sources in pyrlab.toml"),
    "index": Step(read_page, "/abc/", "network.python_index in pyrlab.toml"),
    "repository": Step(read_repository, "/src/contrib/PACKAGES.gz", "r.repositories"),
    "registry": Step(ask_registry, "/v2/team/base/manifests/1", "base.image", named_by_host=True),
    "R-file": Step(
        bring(Section("x", files=(PinnedFile(SHA256, SHA256, 0, R, SOURCE),))), f"/{SOURCE.path}", "r.repositories"
    ),
}
EACH_STEP = pytest.mark.parametrize("step", [pytest.param(step, id=name) for name, step in STEPS.items()])
# Those whose setting says with TLS or without.
EACH_STEP_BY_URL = pytest.mark.parametrize(
    "step", [pytest.param(step, id=name) for name, step in STEPS.items() if not step.named_by_host]
)


@cache
def authority() -> trustme.CA:
    """Return the authority that the tests trust."""
    return trustme.CA()


@dataclass
class Scene:
    """A project whose archive, index and repository are one server. ``environment`` has its proxies."""

    load: Callable[..., Settings]
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)

    def fail(self, step: Step, url: str) -> PyrlabError:
        """Run a step, which must end in an error of ours and leave nothing behind, and return it."""
        toml = f"""
        [base]
        source = "registry"
        image = "{url.partition("//")[2]}/team/base:1"
        apt_sources = ["deb {url} trixie main"]
        [network]
        python_index = "{url}"
        [r]
        repositories = ["mine={url}"]
        """
        settings = self.load(toml, XDG_CACHE_HOME=str(self.cache), **self.environment)
        with pytest.raises(PyrlabError) as caught:
            step.run(settings)
        store = steps.store_of(settings)
        assert store.get(SHA256) is None
        assert not [*self.cache.rglob("*.part")], "what is half written is gone"
        return caught.value


@pytest.fixture
def scene(load_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return a scene in which nobody waits long."""
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setattr(http, "BACKOFF", 0.001)
    # A busy machine answers later than its own servers would.
    monkeypatch.setattr(http, "TIMEOUT", 0.6)
    (tmp_path / "ca").mkdir()
    certificates = bad_server.trusted(authority(), tmp_path / "ca")
    return Scene(load_settings, tmp_path / "cache", {"SSL_CERT_FILE": str(certificates)})


def paths(server: bad_server.BadServer) -> list[str]:
    return [line.split()[1] for line in server.asked]


@pytest.mark.parametrize(
    ("says", "times", "message"),
    [
        pytest.param(answer("500 Internal Server Error"), 4, "answered 500 Internal Server Error, 4 times", id="500"),
        pytest.param(answer("502 Bad Gateway"), 4, "answered 502 Bad Gateway, 4 times", id="502"),
        pytest.param(answer("504 Gateway Timeout"), 4, "answered 504 Gateway Timeout, 4 times", id="504"),
        pytest.param(answer("503 Busy", Retry_After="0"), 4, "answered 503 Busy, 4 times", id="503"),
        pytest.param(answer("429 Slow", Retry_After="0"), 4, "answered 429 Slow, 4 times", id="429"),
        pytest.param(
            answer("503 Busy", Retry_After="Sat, 01 Jan 99999 00:00:00 GMT"), 4, "answered 503 Busy", id="absurd-wait"
        ),
        pytest.param(b"", 4, "did not answer within 0.6 s, 4 times", id="hangs"),
        pytest.param(
            answer("200 OK", DATA[:9], length=len(DATA)),
            4,
            "broke off or could not be reached (only 9 bytes came), 4 times",
            id="half-a-file",
        ),
        pytest.param(b"\0\1\2\3\r\n\r\n", 4, "broke off or could not be reached", id="no-http"),
        pytest.param(answer("403 Forbidden"), 1, "refused this user (403 Forbidden)", id="403"),
        pytest.param(
            answer("401 Unauthorized", WWW_Authenticate="Basic realm=x"),
            1,
            "refused this user (401 Unauthorized)",
            id="401",
        ),
        pytest.param(answer("418 Teapot"), 1, "answered 418 Teapot", id="418"),
        pytest.param(answer("511 Network Authentication Required"), 1, "answered 511 Network", id="511"),
        pytest.param(answer("200 OK", PAGE), 1, "sign-in", id="captive-portal"),
        pytest.param(answer("302 Found", Location="/"), 0, "", id="leads-in-a-circle"),
    ],
)
@EACH_STEP
def test_a_server_that_misbehaves_ends_in_one_message(
    scene: Scene, step: Step, says: bytes, times: int, message: str
) -> None:
    """With the host, what was asked for, and the setting to look at. What may pass is tried again, a few times."""
    with bad_server.serve(says, step.tls) as server:
        error = scene.fail(step, server.url)
    told = f"{error}"
    assert f"127.0.0.1:{server.port}" in told
    assert step.path in told or "/src/contrib" in told or "/team/base, 1, cannot be had" in told
    assert message in told
    assert step.setting in error.remedy
    assert error.exit_code == 6
    if times:
        first = paths(server)[0]
        # Who is asked for a user by a registry asks once more, as that one.
        assert paths(server).count(first) == times + (step.named_by_host and "401" in message)


@EACH_STEP
def test_what_is_not_there_is_said_at_once(scene: Scene, step: Step) -> None:
    with bad_server.serve(answer("404 Not Found")) as server:
        error = scene.fail(step, server.url)
    assert len(set(paths(server))) == len(paths(server)), "nothing is asked for twice"
    assert error.exit_code in {4, 6}
    assert "pyrlab.toml" in error.remedy or "nox -s lock -- --upgrade-package cli" in error.remedy


@pytest.mark.parametrize("name", ["deb", "R-file"])
@pytest.mark.parametrize(
    "says",
    [
        pytest.param(answer("200 OK", DATA, length=len(DATA) - 9), id="says-less"),
        pytest.param(answer("200 OK", DATA + b"and more"), id="longer"),
        pytest.param(answer("200 OK", DATA[::-1]), id="other-bytes"),
        pytest.param(answer("200 OK"), id="empty"),
    ],
)
def test_a_file_of_another_length_or_other_bytes_is_not_used(scene: Scene, name: str, says: bytes) -> None:
    with bad_server.serve(says) as server:
        error = scene.fail(STEPS[name], server.url)
    assert isinstance(error, HashMismatchError)
    assert "hello 2.10-5" in str(error) or "cli" in str(error)


def test_a_web_page_in_the_place_of_a_file_is_no_attack(scene: Scene) -> None:
    """Somebody has to sign in. That a file has other bytes would send them looking for something else."""
    with bad_server.serve(answer("200 OK", PAGE)) as server:
        error = scene.fail(STEPS["deb"], server.url)
    assert str(error) == (
        f"Debian archive: {server.url}/{DEB.path} is a web page, not hello 2.10-5: it may be a sign-in page of this "
        "network"
    )
    assert error.remedy.startswith(f"open 127.0.0.1:{server.port} in a browser; check the network, and APTPROXY")


# ---- Certificates, and clocks


@EACH_STEP
def test_a_server_that_hangs_up_before_its_certificate_is_asked_again(scene: Scene, step: Step) -> None:
    """It is busy, or being started anew: nobody has to look for certificates."""
    with bad_server.serve(b"x", bad_server.Hangup(ssl.PROTOCOL_TLS_SERVER)) as server:
        error = scene.fail(step, server.url)
    assert "hung up before it showed a certificate: it is busy, or speaks no TLS, 4 times" in str(error)
    assert "certificates" not in error.remedy


@pytest.mark.parametrize(
    ("tls", "why", "remedy"),
    [
        pytest.param(
            lambda: bad_server.certificate(trustme.CA()),
            "unable to get local issuer certificate",
            "name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml; check this URL: ",
            id="untrusted",
        ),
        pytest.param(
            lambda: bad_server.certificate(authority(), begins=NOW - 400 * DAY, ends=NOW - 365 * DAY),
            "certificate has expired",
            "look at this machine's clock: date; where it is right, tell whoever keeps the server",
            id="expired-or-clock-a-year-ahead",
        ),
        pytest.param(
            lambda: bad_server.certificate(authority(), begins=NOW + 365 * DAY, ends=NOW + 400 * DAY),
            "certificate is not yet valid",
            "look at this machine's clock: date; where it is right, tell whoever keeps the server",
            id="clock-a-year-behind",
        ),
    ],
)
@EACH_STEP
def test_a_certificate_that_does_not_hold_is_said_at_once(
    scene: Scene, step: Step, tls: Callable[[], Any], why: str, remedy: str
) -> None:
    with bad_server.serve(answer("200 OK", DATA), tls()) as server:
        error = scene.fail(step, server.url)
    assert f"{server.url}{step.path}: no trusted connection: {why}" in str(error)
    assert error.remedy.startswith(remedy)
    assert server.asked == []


@EACH_STEP_BY_URL
def test_a_server_without_tls_says_so(scene: Scene, step: Step) -> None:
    with bad_server.serve(answer("200 OK", DATA)) as server:
        error = scene.fail(step, server.url.replace("http:", "https:"))
    assert "speaks no TLS" in str(error)
    assert step.setting in error.remedy


@pytest.mark.parametrize("name", list(STEPS))
def test_a_trusted_server_is_the_counterexample(scene: Scene, name: str) -> None:
    """With the same authority and a certificate that holds, it is about what the server gives."""
    with bad_server.serve(answer("404 Not Found"), bad_server.certificate(authority())) as server:
        scene.fail(STEPS[name], server.url)
    assert server.asked


def test_an_archive_past_its_date_may_be_a_wrong_clock(tmp_path: Path) -> None:
    """The clock is played: a year ahead."""
    mirror = Mirror()
    until = NOW + 7 * DAY
    mirror.publish("trixie", "", Valid_Until=f"{until:%a, %d %b %Y %H:%M:%S} UTC")
    line = f"deb [signed-by={keyring(tmp_path, 'archive')}] http://mirror.example/debian trixie main"
    assert archive.read(parse_sources([line]), "amd64", mirror.get, now=NOW).missing == ()
    with pytest.raises(BuildError, match="past its Valid-Until date") as caught:
        archive.read(parse_sources([line]), "amd64", mirror.get, now=NOW + 365 * DAY)
    assert caught.value.remedy.endswith("; else look at this machine's clock")


# ---- Names and proxies


@EACH_STEP_BY_URL
def test_a_name_that_nobody_knows_is_said(scene: Scene, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = scene.fail(step, "http://mirror.invalid")
    assert (
        f"http://mirror.invalid{step.path} broke off or could not be reached (Name or service not known), 4 times"
        in (str(error))
    )
    assert step.setting in error.remedy
    assert asked == ["mirror.invalid"] * (RETRIES + 1)


@EACH_STEP_BY_URL
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(scene: Scene, step: Step, scheme: str) -> None:
    proxy = bad_server.nobody()
    scene.environment |= {"HTTP_PROXY": f"http://me:hunter2@{proxy}", "HTTPS_PROXY": f"http://me:hunter2@{proxy}"}
    error = scene.fail(step, f"{scheme}://mirror.invalid")
    assert f"{scheme}://mirror.invalid{step.path} could not be reached by the proxy {proxy} " in str(error)
    assert str(error).endswith("(Connection refused), 4 times")
    assert "HTTP_PROXY and HTTPS_PROXY" in error.remedy
    assert "hunter2" not in f"{error} {error.remedy} {error.detail}"


@EACH_STEP_BY_URL
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_is_told_from_the_server(scene: Scene, step: Step, scheme: str) -> None:
    """It is asked once: a password does not come by waiting."""
    with bad_server.serve(answer("407 Proxy Authentication Required")) as proxy:
        scene.environment |= {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        error = scene.fail(step, f"{scheme}://mirror.invalid")
    assert str(error).endswith(
        f"{scheme}://mirror.invalid{step.path}: the proxy 127.0.0.1:{proxy.port} wants a user and a password (407)"
    )
    assert "http://USER:PASSWORD@HOST:PORT, in HTTP_PROXY and HTTPS_PROXY, or APTPROXY" in error.remedy
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("trust", [{}, {"SSL_CERT_FILE": ""}], ids=["named", "own"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_hears_of_its_user_in_utf_8(scene: Scene, scheme: str, trust: dict[str, str]) -> None:
    """As from apt and uv. Latin-1 has no euro sign."""
    with bad_server.serve(answer("403 Forbidden")) as proxy:
        url = f"http://m%C3%A4x:%E2%82%AC%2F@127.0.0.1:{proxy.port}"
        scene.environment |= {"HTTP_PROXY": url, "HTTPS_PROXY": url, **trust}
        scene.fail(STEPS["index"], f"{scheme}://mirror.invalid")
    assert f"Basic {base64.b64encode('mäx:€/'.encode()).decode()}" in proxy.users[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_whose_certificate_does_not_hold_learns_no_password(scene: Scene, scheme: str) -> None:
    """Also on the way to a server that has none."""
    with bad_server.serve(answer("403 Forbidden"), bad_server.certificate(trustme.CA())) as proxy:
        url = f"https://me:hunter2@127.0.0.1:{proxy.port}"
        scene.environment |= {"HTTP_PROXY": url, "HTTPS_PROXY": url}
        error = scene.fail(STEPS["index"], f"{scheme}://mirror.invalid")
    assert proxy.asked == proxy.users == []
    assert f": no trusted connection to the proxy 127.0.0.1:{proxy.port}: unable to get local issuer" in str(error)
    assert error.remedy.startswith("name your own certificates: SSL_CERT_FILE")


@pytest.mark.parametrize(("scheme", "name"), [("http", "the proxy 127.0.0.1:"), ("https", "a proxy ")])
def test_a_proxy_behind_a_redirect_is_told(scene: Scene, scheme: str, name: str) -> None:
    with (
        bad_server.serve(answer("407 No")) as proxy,
        bad_server.serve(answer("302 Found", Location=f"{scheme}://far.invalid/")) as server,
    ):
        scene.environment |= {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        error = scene.fail(STEPS["index"], server.url)
    assert f"{server.url}/abc/: {name}" in str(error)
    assert "wants a user and a password (407)" in str(error)


@EACH_STEP
def test_a_proxy_that_refuses_a_host_is_told_from_one_that_refuses_a_user(scene: Scene, step: Step) -> None:
    """It is asked once, and the remedy is none that looks at the server."""
    with bad_server.serve(answer("403 Forbidden")) as proxy:
        scene.environment |= {"HTTPS_PROXY": f"http://me:hunter2@127.0.0.1:{proxy.port}"}
        error = scene.fail(step, "https://mirror.invalid")
    assert str(error).endswith(
        f"https://mirror.invalid{step.path}: the proxy 127.0.0.1:{proxy.port} refuses to connect to this host "
        "(403 Forbidden)"
    )
    assert error.remedy == "ask whoever runs the proxy, or reach the host without it: NO_PROXY"
    assert len(proxy.asked) == 1


@EACH_STEP
def test_a_proxy_that_does_not_reach_the_server_says_why(scene: Scene, step: Step) -> None:
    with bad_server.serve(answer("502 Bad Gateway")) as proxy:
        scene.environment |= {"HTTPS_PROXY": proxy.url}
        error = scene.fail(step, "https://mirror.invalid")
    assert str(error).endswith(f"could not be reached by the proxy 127.0.0.1:{proxy.port} (502 Bad Gateway), 4 times")


def test_an_address_that_hangs_leaves_time_for_the_next_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As IPv6 does where it is there and leads nowhere: here, a port whose queue is full."""
    monkeypatch.setattr(http, "TIMEOUT", 60.0)
    began = time.monotonic()
    monkeypatch.setattr(http, "CONNECT", 0.2)
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - so it is written
            waiting.connect_ex(full.getsockname())
        server = stack.enter_context(bad_server.serve(answer("418 Teapot")))
        places = [full.getsockname(), ("127.0.0.1", server.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        error = scene.fail(STEPS["index"], "http://both.invalid")
    assert str(error) == "Python index: http://both.invalid/abc/ answered 418 Teapot"
    assert time.monotonic() - began < 50, "the longer time is for those who are connected"
