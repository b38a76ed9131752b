"""What apt and uv say of servers that misbehave, as one message: the words are those of apt 3.0 and uv 0.13."""

import pytest

from pyrlab.adapters import network
from pyrlab.adapters.docker import buildkit
from pyrlab.errors import BuildError, NetworkError

HOST = "m.test:8080"
BASE = f"http://{HOST}/debian"
FILE = f"{BASE}/dists/trixie/InRelease"
PACKAGES = f"{BASE}/dists/trixie/main/binary-amd64/Packages"
SOME = "E: Some index files failed to download. They have been ignored, or old ones used instead."
PORTAL = "Clearsigned file isn't valid, got 'NOSPLIT' (does the network require authentication?)"
SETTINGS = "base.apt_sources and r.apt_sources in pyrlab.toml, and APTPROXY"
PAGE = f"http://{HOST}/simple/tabulate/"


def of_apt(reason: str, *, url: str = FILE, end: str = SOME) -> str:
    """Return what ``apt-get update --quiet --error-on=any`` prints when it cannot have a file."""
    return (
        f"Ign:1 {BASE} trixie InRelease\n"
        f"Err:1 {BASE} trixie InRelease\n"
        f"  {reason}\n"
        "Reading package lists...\n"
        f"E: Failed to fetch {url}  {reason}\n"
        f"{end}\n"
    )


def unsigned(form: str = "not", file: str = "InRelease") -> str:
    """Return what apt says last, of a file that it did not get, too; "no longer" where it has an earlier one."""
    return f"E: The repository '{BASE} trixie {file}' is {form} signed."


def without_release(reason: str, words: str) -> str:
    """Return what apt prints when there is neither an InRelease file nor a Release file."""
    return (
        f"Ign:1 {BASE} trixie InRelease\nErr:2 {BASE} trixie Release\n  {reason}\nReading package lists...\n"
        f"E: The repository '{BASE} trixie Release' {words} a Release file.\n"
    )


def of_step(said: str) -> str:
    """Return BuildKit's output of a step that prints this."""
    return "".join(f"#7 1.0 {line}\n" for line in said.splitlines()) + "#7 ERROR: exit code: 100\n"


@pytest.mark.parametrize(
    ("said", "message", "remedy"),
    [
        pytest.param(
            of_apt("401  Unauthorized [IP: 192.0.2.1 80]", end=unsigned()),
            f"{FILE} refused this user (401 Unauthorized)",
            "put the user into ~/.netrc, or as ${VARIABLE} into the URL; check ",
            id="401",
        ),
        pytest.param(
            of_apt("403  Forbidden [IP: 192.0.2.1 80]", end=unsigned("no longer")),
            f"{FILE} refused this user (403 Forbidden)",
            "put the user into ~/.netrc, or as ${VARIABLE} into the URL; check ",
            id="403-with-an-earlier-copy",
        ),
        pytest.param(
            of_apt("403  Forbidden [IP: 192.0.2.1 80]", url=PACKAGES),
            f"{PACKAGES} refused this user (403 Forbidden)",
            "put the user into ~/.netrc, or as ${VARIABLE} into the URL; check ",
            id="403-of-an-index",
        ),
        pytest.param(
            without_release("404  Not Found [IP: 192.0.2.1 80]", "does not have"),
            f"{BASE} gave no Release file of trixie (404 Not Found)",
            "check the URL and the suite: ",
            id="404",
        ),
        pytest.param(
            without_release("404  Not Found [IP: 192.0.2.1 80]", "no longer has"),
            f"{BASE} gave no Release file of trixie (404 Not Found)",
            "check the URL and the suite: ",
            id="404-with-an-earlier-copy",
        ),
        pytest.param(
            without_release("Redirection loop encountered", "does not have").partition("lists...\n")[2],
            f"{BASE} gave no Release file of trixie",
            "check the URL and the suite: ",
            id="404-whose-first-lines-are-cut",
        ),
        pytest.param(
            without_release("Redirection loop encountered", "does not have"),
            f"{BASE} gave no Release file of trixie (Redirection loop encountered)",
            "check the URL and the suite: ",
            id="leads-in-a-circle",
        ),
        pytest.param(
            of_apt("404  Not Found [IP: 192.0.2.1 80]", url=PACKAGES),
            f"{PACKAGES} is not there (404 Not Found)",
            "check the URL: ",
            id="404-of-an-index",
        ),
        pytest.param(
            of_apt("503  Service Unavailable [IP: 192.0.2.1 80]", end=unsigned()),
            f"{FILE} answered 503 Service Unavailable",
            "try again in some minutes; else check ",
            id="503",
        ),
        pytest.param(
            of_apt("429  Too Many Requests [IP: 192.0.2.1 80]", end=unsigned()),
            f"{FILE} answered 429 Too Many Requests",
            "try again in some minutes; else check ",
            id="429",
        ),
        pytest.param(
            of_apt("418  Teapot [IP: 192.0.2.1 80]", end=unsigned()),
            f"{FILE} answered 418 Teapot",
            "try again in some minutes; else check ",
            id="418",
        ),
        pytest.param(
            of_apt(PORTAL, end=unsigned()),
            f"{FILE} is no Release file of an archive: it may be a sign-in page of this network",
            f"open {HOST} in a browser; check the network, and ",
            id="captive-portal",
        ),
        pytest.param(
            of_apt(PORTAL, end=unsigned("no longer")),
            f"{FILE} is no Release file of an archive: it may be a sign-in page of this network",
            f"open {HOST} in a browser; check the network, and ",
            id="captive-portal-with-an-earlier-copy",
        ),
        pytest.param(
            of_apt("511  Network Authentication Required [IP: 192.0.2.1 80]", end=unsigned()),
            f"{FILE} is no Release file of an archive: it may be a sign-in page of this network",
            f"open {HOST} in a browser; check the network, and ",
            id="511",
        ),
        *(
            pytest.param(
                of_apt(f"{words} [IP: 192.0.2.1 80]"),
                f"{FILE} did not answer in time, or broke off ({shown})",
                "try again in some minutes; else check the network, and ",
                id=name,
            )
            for name, words, shown in (
                ("half-a-file", "Undetermined Error", "Undetermined Error"),
                (
                    "half-a-chunk",
                    "Error reading from server. Remote end closed connection",
                    "Error reading from server",
                ),
                ("hangs", "Connection failed", "Connection failed"),
                ("hangs-in-the-middle", "Connection timed out", "Connection timed out"),
                ("no-http", "Bad header line Bad header data", "Bad header line"),
                (
                    "proxy-that-hangs",
                    "Reading from proxy failed - select (115: Operation now in progress)",
                    "Reading from proxy failed",
                ),
            )
        ),
    ],
)
def test_an_archive_that_misbehaves_is_one_message(said: str, message: str, remedy: str) -> None:
    """With the host, what happened, and the settings to look at. That it is not signed is no fault of a key here."""
    error = buildkit.explain(of_step(said))
    assert (type(error), str(error)) == (NetworkError, message)
    assert error.remedy.startswith(f"{remedy}{SETTINGS}")
    assert error.detail.startswith(said.strip())


@pytest.mark.parametrize(
    ("reason", "message", "remedy"),
    [
        pytest.param(
            "SSL connection failed: error:0A000086:SSL routines::certificate verify failed / Success [IP: 192.0.2.1]",
            f"the certificate of {HOST} is not trusted, has expired, or is for another name: apt does not say which",
            "name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml; else look at the clock",
            id="certificate",
        ),
        pytest.param(
            "SSL connection failed: error:0A000126:SSL routines::unexpected eof while reading / Success [IP: ::1 80]",
            f"{HOST} hung up before it showed a certificate: it is busy, or speaks no TLS",
            "try again in some minutes; else look at https://",
            id="no-tls",
        ),
        pytest.param(
            "SSL connection failed: error:0A00010B:SSL routines::wrong version number / Success [IP: 192.0.2.1]",
            f"{HOST} hung up before it showed a certificate: it is busy, or speaks no TLS",
            "try again in some minutes; else look at https://",
            id="proxy-with-a-page",
        ),
        pytest.param(
            "Invalid response from proxy: HTTP/1.1 403 Forbidden  Content-Length: 0  Connection: close     "
            "[IP: 192.0.2.1 80]",
            f"the proxy before {HOST} does not let us reach it (403 Forbidden)",
            "ask whoever runs the proxy, or reach the host without it: NO_PROXY",
            id="proxy-that-refuses",
        ),
        pytest.param(
            "Invalid response from proxy: HTTP/1.1 502 Bad Gateway  Content-Length: 0  Connection: close     "
            "[IP: 192.0.2.1 80]",
            f"the proxy before {HOST} does not let us reach it (502 Bad Gateway)",
            "ask whoever runs the proxy, or reach the host without it: NO_PROXY",
            id="proxy-that-does-not-reach-it",
        ),
    ],
)
def test_what_stands_between_is_told_from_the_archive(reason: str, message: str, remedy: str) -> None:
    error = buildkit.explain(of_step(of_apt(reason, url=FILE.replace("http:", "https:"))))
    assert (type(error), str(error)) == (NetworkError, message)
    assert error.remedy.startswith(remedy)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(unsigned(file="Release"), id="no-signature"),
        pytest.param(f"Reading package lists...\n{unsigned('no longer', file='Release')}", id="no-longer"),
        pytest.param(
            of_apt("403  Forbidden [IP: 192.0.2.1 80]", end=unsigned()).replace("m.test:8080", "a.test")
            + unsigned(file="Release"),
            id="beside-one-that-refuses",
        ),
        pytest.param(
            f"W: OpenPGP signature verification failed: {BASE} trixie InRelease: Sub-process /usr/bin/sqv returned an "
            f"error code (1), error message is: Missing key B878, which is needed to verify signature.\n{unsigned()}",
            id="another-key",
        ),
        pytest.param(
            of_apt(
                "403  Forbidden [IP: 192.0.2.1 80]", url=FILE.replace("trixie", "updates"), end=unsigned(file="Release")
            ),
            id="beside-a-suite-that-refuses",
        ),
        pytest.param(
            of_apt("403  Forbidden", url=FILE.replace("trixie", "updates"), end=unsigned()),
            id="of-a-file-that-came",
        ),
    ],
)
def test_a_signature_that_is_missing_or_bad_stays_that(said: str) -> None:
    """Nobody may be sent to a proxy's settings, who should not trust what came."""
    error = network.explain(said, said)
    assert (type(error), str(error)) == (BuildError, f"{BASE} has no valid signature of the keys that count for it")


@pytest.mark.parametrize("form", ["not", "no longer"])
def test_apt_has_no_order_for_what_it_could_not_have(form: str) -> None:
    """Of several archives behind one proxy it says "not signed" before the reason, as well as after it."""
    reason = "407  Proxy Authentication Required [IP: 127.0.0.1 3128]"
    lines = of_apt(reason, end="").splitlines()
    error = network.explain("\n".join([*lines[:-2], unsigned(form), *lines[-2:]]), "")
    assert isinstance(error, NetworkError)
    assert str(error) == f"the proxy before {HOST} wants a user and a password, or refuses the given ones (407)"


@pytest.mark.parametrize("user", ["me:hush@", "me:hu(sh@", "me:hu'sh@", "me:hu,sh@", "me:%2fhu%40sh@"])
def test_no_message_shows_a_password(user: str) -> None:
    """Of what it could not fetch apt shows the user, in a form of its own, and not where it says "not signed"."""
    said = of_apt("403  Forbidden [IP: 192.0.2.1 80]", end="").replace("http://", f"http://{user}") + unsigned()
    error = buildkit.explain(of_step(said))
    assert (type(error), str(error)) == (NetworkError, f"{FILE} refused this user (403 Forbidden)")
    assert "hu" not in f"{error.remedy} {error.detail}"
    assert str(network.explain(said, "")) == str(error)
    proxy = of_apt("511  Network Authentication Required", end="").replace("http://", f"http://{user}")
    error = buildkit.explain(of_step(proxy))
    assert error.remedy.startswith(f"open {HOST} in a browser")


def test_words_of_a_package_are_none_of_apts_or_uvs() -> None:
    """Whatever else runs in a step may print them."""
    for said in (f"Failed to fetch {FILE} 404 Not Found", "note: unexpected JSON from `foo`"):
        assert network.explain(said, "") is None


@pytest.mark.parametrize(
    ("said", "message", "remedy"),
    [
        pytest.param(
            f"error: Request failed after 3 retries in 7.1s\n  cause: Failed to fetch: {PAGE}\n"
            f"  cause: HTTP status server error (503 Service Unavailable) for url ({PAGE})\n",
            f"{PAGE} answered 503 Service Unavailable",
            "try again in some minutes; else check PIPPROXY",
            id="503",
        ),
        pytest.param(
            f"error: Failed to fetch: {PAGE}\n  cause: HTTP status client error (418 Teapot) for url ({PAGE})\n",
            f"{PAGE} answered 418 Teapot",
            "try again in some minutes; else check PIPPROXY",
            id="418",
        ),
        pytest.param(
            f"error: Failed to fetch: {PAGE}\n"
            f"  cause: HTTP status server error (511 Network Authentication Required) for url ({PAGE})\n",
            f"{PAGE} is no page of a Python index: it may be a sign-in page of this network",
            f"open {HOST} in a browser; check the network, and PIPPROXY",
            id="511",
        ),
        pytest.param(
            f"error: Failed to fetch: {PAGE}a.whl\n"
            f"  cause: HTTP status client error (403 Forbidden) for url ({PAGE}a.whl)\n",
            f"{PAGE}a.whl refused this user (403 Forbidden)",
            "check the user and password in PIPPROXY",
            id="403-of-a-wheel",
        ),
        *(
            pytest.param(
                f"error: {said}\n",
                f"{PAGE} is no page of a Python index: it may be a sign-in page of this network",
                f"open {HOST} in a browser; check the network, and PIPPROXY",
                id=name,
            )
            for name, said in (
                ("page-of-no-type", f"Missing `Content-Type` header for `{PAGE}`"),
                (
                    "page-of-another-type",
                    f'Unsupported `Content-Type` "text/plain" for `{PAGE}`. Expected JSON or HTML.',
                ),
                (
                    "page-that-says-json",
                    f"Received some unexpected JSON from `{PAGE}`\n  cause: expected value at line 1 column 1",
                ),
            )
        ),
        *(
            pytest.param(
                f"error: Failed to fetch: {PAGE}\n  cause: error sending request for url ({PAGE})\n  cause: {said}\n",
                f"{HOST} did not answer in time, or broke off ({said})",
                "try again in some minutes; else check the network, and PIPPROXY",
                id=name,
            )
            for name, said in (
                ("hangs", "operation timed out"),
                ("hangs-up", "connection closed before message completed"),
                ("half-a-page", "end of file before message length reached"),
                ("no-http", "invalid HTTP version parsed"),
            )
        ),
        pytest.param(
            f"error: Failed to fetch: {PAGE}\n  cause: client error (Connect)\n  cause: tls handshake eof\n",
            f"{HOST} hung up before it showed a certificate: it is busy, or speaks no TLS",
            "try again in some minutes; else look at https://",
            id="no-tls",
        ),
        pytest.param(
            f"error: Failed to fetch: {PAGE}\n  cause: client error (Connect)\n  cause: tunnel error: unsuccessful\n",
            f"the proxy before {HOST} does not let us reach it",
            "ask whoever runs the proxy, or reach the host without it: NO_PROXY",
            id="proxy-that-refuses",
        ),
    ],
)
def test_an_index_that_misbehaves_is_one_message(said: str, message: str, remedy: str) -> None:
    error = network.explain(said, said)
    assert isinstance(error, NetworkError)
    assert str(error) == message
    assert error.remedy.startswith(remedy)
