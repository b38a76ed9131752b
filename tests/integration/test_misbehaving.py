"""An archive and an index that misbehave, asked by the real apt and uv in the steps of `lock`.

Whatever the server does wrong, it ends in one message with its host, as a matter of the network, and the locks stay.
"""

import contextlib
import datetime as dt
import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from conftest import Project, images_of

PAGE = b"<!DOCTYPE html><html><title>Sign in</title>Welcome to our hotel</html>"
DAY = dt.timedelta(days=1)
# The messages of apt's step, and of uv's.
Says = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """What a server answers to everything; ``missing`` are bytes that it promises and does not send.

    With ``silent`` it answers nothing, and hangs up after so many seconds.
    """

    status: int = 200
    body: bytes = b"What you asked for.\n"
    kind: str = "text/plain"
    missing: int = 0
    silent: float | None = None


@contextlib.contextmanager
def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Answer so on this machine's loopback; yield the host with its port, and who asked for what, each time."""
    asked: list[tuple[str, str]] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.headers["User-Agent"], self.path))
            if answer.silent is not None:
                over.wait(answer.silent)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body) + answer.missing))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        # Who does not trust a certificate hangs up, which is no error of the tests'.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            over.set()
            server.shutdown()


def lock_fails(project: Project, url: str, says: Says, **environment: str) -> None:
    """Lock debs, and Python packages, from this server alone: both must say what it did."""
    project.write("pyrlab.toml", f'[base]\napt_sources = ["deb {url} trixie main"]\n{images_of()}')
    given = {"PIPPROXY": f"{url}/simple/", **environment}
    for kind, message, setting in (("debs", says[0], "base.apt_sources"), ("python", says[1], "PIPPROXY")):
        outcome = project.run("lock", kind, **given)
        error, remedy = outcome.output.splitlines()[-2:]
        assert (outcome.status, remedy[:7]) == (6, "  try: "), outcome.output
        expected = message.format(host=url.partition("//")[2], url=url)
        assert re.fullmatch(f"error: {expected}", error), outcome.output
        assert setting in remedy or "clock" in remedy, outcome.output
        assert "Traceback" not in outcome.output, outcome.output


RELEASE = "{url}/dists/trixie/InRelease"
PAGE_OF = "{url}/simple/[a-z-]+/"
REFUSES = "the Python package index {url}/simple/ refuses us: HTTP"
SIGN_IN = "it may be a sign-in page of this network"
LATE = r"did not answer in time, or broke off \([A-Za-z ]+\)"
CASES = {
    "401": (Answer(401), (rf"{RELEASE} refused this user \(401 Unauthorized\)", f"{REFUSES} 401")),
    "403": (Answer(403), (rf"{RELEASE} refused this user \(403 Forbidden\)", f"{REFUSES} 403")),
    "404": (
        Answer(404),
        (
            r"{url} gave no Release file of trixie \(404 Not Found\)",
            "{url}/simple/ has neither [a-z-]+ nor [a-z-]+: it may be no Python index",
        ),
    ),
    "500": (Answer(500), (f"{RELEASE} answered 500 Internal Server Error", f"{PAGE_OF} answered 500 .*")),
    "503": (Answer(503), (f"{RELEASE} answered 503 Service Unavailable", f"{PAGE_OF} answered 503 .*")),
    "sign-in-page": (
        Answer(body=PAGE, kind="text/html"),
        (
            f"{RELEASE} is no Release file of an archive: {SIGN_IN}",
            f"{PAGE_OF} is no page of a Python index: {SIGN_IN}",
        ),
    ),
    "half": (Answer(body=b"x" * 100, kind="text/html", missing=900), (f"{RELEASE} {LATE}", f"{{host}} {LATE}")),
    "hung-up": (Answer(silent=0), (f"{RELEASE} {LATE}", f"{{host}} {LATE}")),
}


@pytest.mark.parametrize(("answer", "says"), CASES.values(), ids=CASES)
def test_a_server_that_misbehaves_ends_in_one_message(untouched: Project, answer: Answer, says: Says) -> None:
    with answering(answer) as (host, asked):
        lock_fails(untouched, f"http://{host}", says)
    # The programs themselves have asked, and not this machine for them.
    assert {agent.partition("/")[0].partition(" ")[0] for agent, _ in asked} >= {"Debian", "uv"}


@pytest.mark.parametrize(
    ("begins", "ends", "says"),
    [pytest.param(-2, -1, "has expired", id="expired"), pytest.param(1, 2, "is not valid yet", id="not-yet-valid")],
)
def test_a_certificate_out_of_its_time_is_told(
    untouched: Project, tmp_path: Path, begins: int, ends: int, says: str
) -> None:
    authority, now = trustme.CA(), dt.datetime.now(dt.UTC)
    issued = authority.issue_cert("127.0.0.1", not_before=now + begins * DAY, not_after=now + ends * DAY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    of_apt = "the certificate of {host} is not trusted, has expired, or is for another name: apt does not say which"
    with answering(Answer(), context) as (host, _):
        given = {"SSL_CERT_FILE": str(tmp_path / "authority.pem")}
        lock_fails(untouched, f"https://{host}", (of_apt, f"the certificate of {{host}} {says}"), **given)


@pytest.mark.nightly
def test_a_server_that_hangs_is_asked_again_and_then_told(untouched: Project) -> None:
    """Whoever waits for them waits for minutes: both try four times, and apt asks twice each time."""
    with answering(Answer(silent=600)) as (host, asked):
        lock_fails(untouched, f"http://{host}", (f"{RELEASE} {LATE}", f"{{host}} {LATE}"))
    counts = Counter((agent.partition("/")[0], path) for agent, path in asked)
    assert {(program, count) for (program, _), count in counts.items()} == {("Debian APT-HTTP", 8), ("uv", 4)}
