"""`doctor`: one line for each finding, a remedy where it is not well, and an end to every check."""

import base64
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from pathlib import Path

import bad_server
import index_server
import pytest
import trustme
from graphs import SOURCE
from hypothesis import given
from hypothesis import strategies as st
from local_server import listening
from machine import INDEX, Project

from pyrlab.adapters import host, process
from pyrlab.adapters.docker import buildkit, engine
from pyrlab.commands import doctor as commands
from pyrlab.errors import EngineError
from pyrlab.model import doctor, reach
from pyrlab.model.added import Added, Package
from pyrlab.model.debian_sources import Source
from pyrlab.model.doctor import Check, State
from pyrlab.model.reach import DEBIAN, PYTHON, Answer, Question, R
from pyrlab.model.settings import Settings
from pyrlab.steps import reaching
from pyrlab.steps.side_by_side import Look, side_by_side
from pyrlab.steps.workspace import busy

CommandLine = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
GB = 10**9


def adding(*says: str, fits: bool = True) -> Added:
    package = Package("python", "six", "1.0", wanted=True, image="", fits=fits, whole=True, source="", note="")
    return Added((package,), says)


CLOCK = (
    "let the network set it: sudo timedatectl set-ntp true, or on a Mac Date & Time in its settings; certificates and "
    "signed indexes are refused by a wrong clock"
)


@pytest.mark.parametrize(
    ("check", "name", "state", "found", "remedy"),
    [
        pytest.param(
            doctor.architecture("arm64", ["amd64", "riscv64"]),
            "architecture",
            State.ILL,
            "the engine is arm64, and the locks are for amd64 and riscv64",
            "lock for this one, beside the others: nox -s lock; or use an engine on amd64",
            id="other-architecture",
        ),
        pytest.param(
            doctor.architecture("arm64", ["amd64", "arm64"]),
            "architecture",
            State.WELL,
            "arm64, as the locks",
            "",
            id="same-architecture",
        ),
        pytest.param(
            doctor.architecture("arm64", []),
            "architecture",
            State.WELL,
            "arm64; no lock names another",
            "",
            id="no-lock",
        ),
        pytest.param(
            doctor.disk("engine's disk", "/x", 999_000_000, 3 * GB),
            "engine's disk",
            State.ILL,
            "999 MB free on the disk of /x, and a first build takes 3.0 GB",
            "make room: nox -s clean, docker builder prune",
            id="little-room",
        ),
        pytest.param(
            doctor.disk("disk", "/x", 3 * GB, 3 * GB),
            "disk",
            State.WELL,
            "3.0 GB free on the disk of /x",
            "",
            id="just-enough",
        ),
        pytest.param(
            doctor.memory(GB, 2),
            "memory",
            State.ILL,
            "the engine has 1.0 GB and 2 processors; to compile large R packages takes 2.0 GB",
            "give the engine's machine more, or compile one by one: build.jobs = 1 in pyrlab.toml",
            id="little-memory",
        ),
        pytest.param(
            doctor.memory(2 * GB, 2), "memory", State.WELL, "the engine has 2.0 GB and 2 processors", "", id="memory"
        ),
        pytest.param(
            doctor.inotify(100, 1024),
            "inotify",
            State.ILL,
            "100 watches and 1024 instances a user: labs watch files, and fail with 'too many open files'",
            "sudo sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=1024",
            id="few-watches",
        ),
        pytest.param(
            doctor.inotify(100_000, 127),
            "inotify",
            State.ILL,
            "100000 watches and 127 instances a user: labs watch files, and fail with 'too many open files'",
            "sudo sysctl fs.inotify.max_user_watches=100000 fs.inotify.max_user_instances=512",
            id="few-instances",
        ),
        pytest.param(
            doctor.inotify(8192, 128),
            "inotify",
            State.WELL,
            "8192 watches and 128 instances a user",
            "",
            id="watches",
        ),
        pytest.param(
            doctor.clock("clock", "the servers", NOW, NOW - timedelta(days=365)),
            "clock",
            State.ILL,
            "this machine's is 365 days ahead of that of the servers",
            CLOCK,
            id="a-year-ahead",
        ),
        pytest.param(
            doctor.clock("clock", "the servers", NOW, NOW - timedelta(days=1)),
            "clock",
            State.ILL,
            "this machine's is 1 day ahead of that of the servers",
            CLOCK,
            id="a-day-ahead",
        ),
        pytest.param(
            doctor.clock("engine's clock", "the engine", NOW, NOW + timedelta(minutes=60)),
            "engine's clock",
            State.ILL,
            "this machine's is 1 hour behind that of the engine",
            CLOCK,
            id="an-hour-behind",
        ),
        pytest.param(
            doctor.clock("clock", "the servers", NOW, NOW - timedelta(minutes=125)),
            "clock",
            State.ILL,
            "this machine's is 2 hours ahead of that of the servers",
            CLOCK,
            id="hours",
        ),
        pytest.param(
            doctor.clock("clock", "the servers", NOW, NOW - timedelta(minutes=59, seconds=59)),
            "clock",
            State.ILL,
            "this machine's is 59 minutes ahead of that of the servers",
            CLOCK,
            id="minutes",
        ),
        pytest.param(
            doctor.clock("clock", "the servers", NOW, NOW + timedelta(minutes=5)),
            "clock",
            State.WELL,
            "as that of the servers",
            "",
            id="about-the-same",
        ),
        pytest.param(
            doctor.certificates("/ca", [], NOW),
            "certificates",
            State.ILL,
            "/ca has none",
            "name a PEM file: SSL_CERT_FILE, or network.ca_file in pyrlab.toml",
            id="no-certificate",
        ),
        pytest.param(
            doctor.certificates("/ca", [NOW - timedelta(days=9), NOW - timedelta(days=1)], NOW),
            "certificates",
            State.ILL,
            "/ca has 2 certificates, expired on 2026-11-28",
            "ask who runs this network for a new one",
            id="expired",
        ),
        pytest.param(
            doctor.certificates("/ca", [NOW - timedelta(days=1), NOW + timedelta(days=1)], NOW),
            "certificates",
            State.WELL,
            "/ca has 2 certificates, 1 of them expired",
            "",
            id="one-expired",
        ),
        pytest.param(
            doctor.certificates("/ca", [NOW], NOW),
            "certificates",
            State.WELL,
            "/ca has 1 certificate, the first ends on 2026-11-29",
            "",
            id="good-certificate",
        ),
        pytest.param(
            doctor.certificates("/ca", [NOW + timedelta(days=9), NOW + timedelta(days=1)], NOW),
            "certificates",
            State.WELL,
            "/ca has 2 certificates, the first ends on 2026-11-30",
            "",
            id="good-certificates",
        ),
        pytest.param(
            doctor.caches({"the store": 2 * GB, "images": 5_000_000}),
            "caches",
            State.WELL,
            "the store 2.0 GB, images 5 MB",
            "",
            id="caches",
        ),
        pytest.param(
            doctor.labs(["a"], ["b", "c"]),
            "labs",
            State.WELL,
            "1 lab of this project, 2 of others: b; c",
            "",
            id="labs",
        ),
        pytest.param(
            doctor.labs([], []), "labs", State.WELL, "0 labs of this project, none of others", "", id="no-labs"
        ),
        pytest.param(
            doctor.added("rstudio", None),
            "added packages",
            State.UNTOLD,
            "rstudio: its image does not tell",
            "nox -s build; nox -s restart -- rstudio",
            id="added-before-it-was-told",
        ),
        pytest.param(
            doctor.added("jupyter", adding("six 1.0 was added", "it fits no longer", fits=False)),
            "added packages",
            State.ILL,
            "jupyter: six 1.0 was added; it fits no longer",
            "add them again in the lab, or have them pinned: nox -s stop adopt -- jupyter; nox -s lock",
            id="added-and-unfit",
        ),
        pytest.param(
            doctor.added("jupyter", adding("six 1.0 was added")),
            "added packages",
            State.WELL,
            "jupyter: six 1.0 was added",
            "",
            id="added",
        ),
        pytest.param(
            doctor.added("jupyter", Added()), "added packages", State.WELL, "jupyter: none", "", id="nothing-added"
        ),
        pytest.param(doctor.leftovers([]), "leftovers", State.WELL, "none of killed runs", "", id="nothing-left"),
        pytest.param(
            doctor.leftovers(["/a", "/b"]),
            "leftovers",
            State.ILL,
            "killed runs left /a, /b",
            "nox -s doctor -- --fix",
            id="left",
        ),
        pytest.param(
            doctor.failed("engine", EngineError("no engine", remedy="nox -s engine")),
            "engine",
            State.ILL,
            "no engine",
            "nox -s engine",
            id="error",
        ),
        pytest.param(
            doctor.untold("clock", "no server told"), "clock", State.UNTOLD, "no server told", "", id="untold"
        ),
    ],
)
def test_a_finding_is_one_line(check: Check, name: str, state: State, found: str, remedy: str) -> None:
    """All that a user sees of it, and the same in JSON."""
    assert check == Check(name, state, found, remedy)
    assert json.dumps(check.table()) == json.dumps(
        {"name": name, "state": str(state), "found": found, "remedy": remedy}
    )


PAGE = b'<!DOCTYPE html><a href="../../pip-25.whl">pip-25.whl</a>'
PORTAL = b"<!DOCTYPE html><title>Welcome to the hotel</title>"


OF_DEBIAN = (
    "check the network, and APTPROXY, HTTP_PROXY and HTTPS_PROXY, or network.apt_proxy and base.apt_sources in "
    "pyrlab.toml"
)
OF_PYTHON = (
    "check the network, and PIPPROXY, PIPHOST, HTTP_PROXY and HTTPS_PROXY, or network.python_index in pyrlab.toml"
)
OF_R = "check the network, and r.repositories in pyrlab.toml, HTTP_PROXY and HTTPS_PROXY"
ELSE = " answered with something else: it may be a sign-in page of this network"
OPEN = "open mirror.test:8 in a browser; "
USER = "put the user into ~/.netrc, or into the URL"


@pytest.mark.parametrize(
    ("kind", "answer", "found", "remedy"),
    [
        pytest.param(DEBIAN, Answer(200, b"Origin: Debian\nCodename: trixie\n"), " answers", "", id="release"),
        pytest.param(DEBIAN, Answer(200, b"Origin: Debian\nSuite: trixie\n"), " answers", "", id="suite"),
        pytest.param(PYTHON, Answer(200, PAGE), " answers", "", id="index"),
        pytest.param(R, Answer(200, b"Package: zoo\nVersion: 1\n"), " answers", "", id="repository"),
        pytest.param(R, Answer(200, b"Codename: trixie\n"), ELSE, OPEN + OF_R, id="another-index"),
        pytest.param(PYTHON, Answer(200, PORTAL), ELSE, OPEN + OF_PYTHON, id="portal"),
        pytest.param(DEBIAN, Answer(200, b""), ELSE, OPEN + OF_DEBIAN, id="empty"),
        pytest.param(
            PYTHON,
            Answer(407),
            ": the proxy p.test:3128 wants a user and a password",
            "write them into the proxy's URL, http://USER:PASSWORD@HOST:PORT, in HTTP_PROXY and HTTPS_PROXY, or "
            "APTPROXY; special characters as %XX",
            id="proxy-user",
        ),
        pytest.param(PYTHON, Answer(401), " refused this user (401)", USER, id="no-user"),
        pytest.param(R, Answer(403), " refused this user (403)", USER, id="refused"),
        pytest.param(DEBIAN, Answer(404), " answered 404", OF_DEBIAN, id="not-there"),
        pytest.param(R, Answer(503), " answered 503", OF_R, id="broken"),
        pytest.param(
            DEBIAN, Answer(error="Connection refused"), " cannot be reached: Connection refused", OF_DEBIAN, id="down"
        ),
    ],
)
def test_an_answer_is_judged_by_what_it_is(kind: str, answer: Answer, found: str, remedy: str) -> None:
    question = Question(kind, "x", "http://me:secret@mirror.test:8/a/b", {"HTTP_PROXY": "http://me:secret@p.test:3128"})
    check = reach.judge("network", question, answer)
    state = State.ILL if remedy else State.WELL
    assert check == Check("network", state, f"{kind} x at mirror.test:8{found}", remedy)
    assert "secret" not in f"{check}{question}"


@given(st.integers(-(10**9), 10**9))
def test_a_clock_is_as_wrong_one_way_as_the_other(seconds: int) -> None:
    there = NOW + timedelta(seconds=seconds)
    one, other = doctor.clock("c", "x", NOW, there), doctor.clock("c", "x", there, NOW)
    assert one.state == other.state
    assert (one.state is State.WELL) == (abs(seconds) <= 300)
    assert one.found.replace("behind", "ahead of") == other.found.replace("behind", "ahead of")


def test_a_wrong_clock_has_a_remedy_for_each_system() -> None:
    remedy = doctor.clock("c", "x", NOW, NOW - timedelta(days=1)).remedy
    assert "timedatectl set-ntp true" in remedy
    assert "on a Mac" in remedy


@given(st.lists(st.integers(0, 10**13), min_size=2, max_size=2))
def test_more_room_is_never_worse(sizes: list[int]) -> None:
    less, more = (doctor.disk("d", "/", size, doctor.ENGINE_ROOM).state for size in sorted(sizes))
    assert not (less is State.WELL and more is State.ILL)


@given(st.lists(st.sampled_from(State)))
def test_all_is_well_where_nothing_is_ill(states: list[State]) -> None:
    """What cannot be told is no reason to fail; what is ill in two ways is named once."""
    checks = [Check(str(number), state, "") for number, state in enumerate(states)]
    ill = [str(number) for number, state in enumerate(states) if state is State.ILL]
    assert doctor.not_well([*checks, *checks]) == ill


@given(st.text(), st.text())
def test_no_date_of_a_server_is_a_fault(date: str, age: str) -> None:
    found = reach.server_time([Answer(date=date, age=age), Answer(date=format_datetime(NOW), age="")])
    assert found is not None


def test_a_cached_answer_tells_its_age() -> None:
    old = Answer(date=format_datetime(NOW - timedelta(hours=2)), age="7200")
    older = Answer(date=format_datetime(NOW - timedelta(days=2)))
    assert reach.server_time([older, old]) == NOW
    assert reach.server_time([Answer()]) is None
    assert reach.server_time([Answer(), Answer(date="Sun, 29 Nov 2026 12:00:00 -0000")]) == NOW
    assert reach.server_time([Answer(date="Sun, 29 Nov 2026 13:00:00 +0100")]) == NOW


@given(st.text(st.sampled_from('{}[]":,statusheaddateageerror0 '), max_size=40))
def test_what_the_probe_did_not_write_is_an_error(text: str) -> None:
    try:
        reach.parse_answers(text)
    except ValueError:
        return
    assert json.loads(text) == []


def test_what_the_probe_is_given_and_gives_back_is_whole() -> None:
    """The file of questions, the list of answers; a name that an answer lacks is told."""
    proxies = {"HTTP_PROXY": "http://p.test:1", "NO_PROXY": "none.test"}
    asked = [Question(DEBIAN, "x", "http://m.test/x", proxies), Question(PYTHON, "pip", "https://i.test/", {}, False)]  # noqa: FBT003
    assert json.loads(reach.request(asked)) == [
        {"url": "http://m.test/x", "proxies": {"HTTP_PROXY": "http://p.test:1"}, "verified": True},
        {"url": "https://i.test/", "proxies": {}, "verified": False},
    ]
    answer = {"status": 200, "head": "pip-\u00fc", "date": "today", "age": "7", "error": "late"}
    assert reach.parse_answers(json.dumps([answer])) == [Answer(200, b"pip-\xfc", "today", "7", "late")]
    for key in answer:
        with pytest.raises(ValueError, match=f"^not what the probe writes: '{key}'$"):
            reach.parse_answers(json.dumps([{name: value for name, value in answer.items() if name != key}]))


def test_a_question_names_a_server_without_its_user() -> None:
    """To open in a browser, to ask for its time; a folder has neither."""
    asked = [Question(PYTHON, "pip", url) for url in ("https://a@b:me@i.test:8/s/pip/", "file:///mnt/pip/")]
    assert [(one.host, one.root, one.is_web) for one in asked] == [
        ("i.test:8", "https://i.test:8/", True),
        ("pip", "file://pip/", False),
    ]


def test_proxies_are_shown_without_their_users(load_settings: Callable[..., Settings]) -> None:
    settings = load_settings(
        APTPROXY="http://cache.test:3142",
        PIPPROXY="https://me:secret@index.test/simple?token=secret",
        HTTPS_PROXY="me:secret@proxy.test:3128",
        NO_PROXY="10.0.0.0/8,.test",
    )
    shown = reach.shown_proxies(settings)
    assert shown == (
        "APTPROXY http://cache.test:3142, PIPPROXY https://…@index.test/simple, "
        "HTTPS_PROXY http://…@proxy.test:3128, "
        "NO_PROXY 10.0.0.0/8,.test,localhost,127.0.0.1,::1"
    )
    trusting = load_settings(
        "", APTPROXY="http://cache.test:3142/?key=secret", PIPPROXY="https://index.test/s", PIPHOST="index.test"
    )
    assert reach.shown_proxies(trusting) == (
        "APTPROXY http://cache.test:3142/, PIPPROXY https://index.test/s, PIPHOST index.test"
    )


def test_every_index_of_the_settings_is_asked_by_its_own_proxy(load_settings: Callable[..., Settings]) -> None:
    settings = load_settings(
        '[r]\nrepositories = ["debian", "cran=https://cran.test/"]\n[network]\npython_trusted_host = "index.test"\n',
        APTPROXY="http://cache.test:3142",
        HTTPS_PROXY="http://proxy.test:3128",
    )
    sources = [Source("http://deb.test/debian", "trixie"), Source("file:/mnt/flat", "./", trusted=True)]
    cache = {"HTTP_PROXY": "http://cache.test:3142", "HTTPS_PROXY": "http://cache.test:3142"}
    proxy = {"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "localhost,127.0.0.1,::1"}
    assert reach.questions(settings, sources, "https://index.test/simple/") == [
        Question("Debian archive", "trixie", "http://deb.test/debian/dists/trixie/InRelease", cache),
        Question("Debian archive", "./", "file:/mnt/flat/./Release", cache),
        Question("Python index", "pip", "https://index.test/simple/pip/", proxy, verified=False),
        Question("R repository", "cran", "https://cran.test/src/contrib/PACKAGES", proxy),
    ]
    debian, *_ = reach.questions(replace(settings, apt_proxy=""), sources, "https://index.test/simple/")
    assert debian.proxies == proxy


@pytest.mark.parametrize(
    ("trusted", "index", "verified"),
    [
        pytest.param("", "https://index.test/s/", True, id="none"),
        pytest.param("index.test", "https://me:pw@index.test:8443/s/", False, id="any-port"),
        pytest.param("index.test:8443", "https://index.test:8443/s/", False, id="port"),
        pytest.param("index.test:8443", "https://index.test/s/", True, id="another-port"),
        pytest.param("other.test", "https://index.test/s/", True, id="another-host"),
    ],
)
def test_an_index_that_is_trusted_needs_no_certificate(
    load_settings: Callable[..., Settings],
    trusted: str,
    index: str,
    verified: bool,  # noqa: FBT001
) -> None:
    settings = replace(load_settings(), python_trusted_host=trusted)
    (asked,) = (one for one in reach.questions(settings, [], index) if one.kind == PYTHON)
    assert asked.verified is verified


# ---- Asking: from this machine, and by the script that a build step runs


@dataclass
class Server:
    """What stands for an index: ``status``, ``body``, ``date`` (or now) and ``age`` (or none) are its answer.

    ``seen`` are the paths and users of requests.
    """

    port: int = 0
    status: int = 200
    body: bytes = PAGE
    date: str = ""
    age: str = ""
    hangs: threading.Event | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server on 127.0.0.1 that answers everything, as a proxy too."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.seen.append((self.path, self.headers.get("Authorization", "")))
            if state.hangs:
                state.hangs.wait(20)
            self.send_response(state.status)
            if state.age:
                self.send_header("Age", state.age)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return state.date or super().date_time_string(timestamp)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as port:
        state.port = port
        yield state
        if state.hangs:
            state.hangs.set()


Ask = Callable[..., Answer]


@pytest.fixture(params=["host", "build"])
def ask(request: pytest.FixtureRequest, load_settings: Callable[..., Settings], tmp_path: Path) -> Ask:
    """Return what asks one question: this machine's way, and the script's, each as it is."""
    run = subprocess.run

    def by_script(question: Question, **_: str) -> Answer:
        (tmp_path / "questions").write_text(reach.request([question]), encoding="utf-8")
        script = SOURCE / "docker/lock/probe-network"
        text = script.read_text(encoding="utf-8").replace("TIMEOUT = 15", "TIMEOUT = 0.3")
        (tmp_path / "probe").write_text(text, encoding="utf-8")
        command = [sys.executable, "-I", *(str(tmp_path / name) for name in ("probe", "questions", "out"))]
        run(command, check=True, timeout=60, env={**os.environ, "no_proxy": "", "NO_PROXY": ""})
        (answer,) = reach.parse_answers((tmp_path / "out/answers").read_text(encoding="utf-8"))
        return answer

    def by_host(question: Question, **environment: str) -> Answer:
        settings = load_settings("", XDG_CACHE_HOME=str(tmp_path / "cache"), **environment)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reaching, "WEB_TIMEOUT", 0.3)
            return reaching._ask(settings, question)  # noqa: SLF001 - what the network's line is made of

    return by_host if request.param == "host" else by_script


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        pytest.param(200, PAGE, State.WELL, id="index"),
        pytest.param(200, PORTAL, State.ILL, id="portal"),
        pytest.param(404, b"", State.ILL, id="not-there"),
        pytest.param(407, b"", State.ILL, id="proxy-user"),
        pytest.param(500, b"", State.ILL, id="broken"),
    ],
)
def test_both_ways_of_asking_say_the_same(ask: Ask, server: Server, status: int, body: bytes, state: State) -> None:
    server.status, server.body, server.date, server.age = status, body, format_datetime(NOW, usegmt=True), "60"
    question = Question(PYTHON, "pip", f"http://me:se%20cret@127.0.0.1:{server.port}/simple/pip/")
    answer = ask(question)
    assert answer == Answer(status, body, "Sun, 29 Nov 2026 12:00:00 GMT", "60")
    assert reach.judge("network", question, answer).state is state
    assert server.seen == [("/simple/pip/", "Basic " + base64.b64encode(b"me:se cret").decode())]


def test_both_ways_go_by_the_proxy(ask: Ask, server: Server) -> None:
    question = Question(PYTHON, "pip", "http://index.test/pip/", {"HTTP_PROXY": f"http://127.0.0.1:{server.port}"})
    assert ask(question).head == PAGE
    assert [path for path, _ in server.seen] == ["http://index.test/pip/"]


def test_who_is_led_elsewhere_does_not_take_the_user_along(ask: Ask, tmp_path: Path) -> None:
    with index_server.serve(tmp_path, "me:pw") as first, index_server.serve(tmp_path) as second:
        first.redirects["/pip/"] = f"{second.url}/pip/"
        ask(Question(PYTHON, "pip", f"{first.with_user('me:pw')}/pip/"))
    assert first.asked == [("/pip/", True)]
    assert second.asked == [("/pip/", False)]


def test_who_speaks_something_else_is_one_answer_of_many(ask: Ask) -> None:
    with bad_server.serve(b"SSH-2.0-OpenSSH_10.0\r\n") as server:
        assert ask(Question(PYTHON, "pip", f"{server.url}/pip/")).error


def test_a_proxy_that_wants_a_user_says_so_on_the_way_to_https_too(ask: Ask) -> None:
    with bad_server.serve(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as proxy:
        question = Question(PYTHON, "pip", "https://index.test/pip/", {"HTTPS_PROXY": proxy.url})
        assert "wants a user" in reach.judge("network", question, ask(question)).found


def test_who_shows_no_certificate_that_holds_learns_nothing(
    load_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for its time all the same: a wrong clock refuses every certificate."""
    said = b"HTTP/1.1 200 OK\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
    with bad_server.serve(said, bad_server.certificate(trustme.CA())) as server:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        url = server.url.replace("//", "//me:s3cret@")
        settings = load_settings(
            f'[base]\napt_sources = ["deb {server.url}/t0ken/debian trixie main"]\n',
            XDG_CACHE_HOME=str(tmp_path / "cache"),
            PIPPROXY=f"{url}/t0ken/simple",
        )
        checks = list(reaching.from_here(settings))
    assert set(server.asked) == {"GET / HTTP/1.1"}
    assert server.users == []
    assert [check.state for check in checks[:-1]] == [State.ILL, State.ILL]
    assert checks[-1].name == "clock"
    assert checks[-1].state is not State.UNTOLD


def test_a_variable_in_a_urls_path_is_shown_nowhere(load_settings: Callable[..., Settings], tmp_path: Path) -> None:
    settings = load_settings(
        '[base]\napt_sources = ["deb http://127.0.0.1:9/${WORD}/debian trixie main"]\n'
        '[r]\nrepositories = ["lab=http://127.0.0.1:9/${WORD}/cran"]\n',
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        PIPPROXY="http://127.0.0.1:9/simple",
        WORD="s3cret-path",
    )
    checks = list(reaching.from_here(settings))
    assert len(checks) == 4
    assert not any("s3cret-path" in f"{check.found} {check.remedy}" for check in checks)


@pytest.mark.parametrize("text", ["2026-11-29T13:00:00.123456789+01:00", "2026-11-29T12:00:00Z"])
def test_an_engine_tells_its_time_in_its_own_zone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            del tz
            return cls(2026, 11, 29, 12, tzinfo=UTC)

    monkeypatch.setattr(commands, "datetime", Clock)
    monkeypatch.setattr(engine, "info", lambda: {"SystemTime": text})
    assert commands._engine_clock().state is State.WELL  # noqa: SLF001 - one line of many


def test_nobody_waits_for_a_server_that_hangs(ask: Ask, server: Server) -> None:
    server.hangs = threading.Event()
    start = time.monotonic()
    answer = ask(Question(PYTHON, "pip", f"http://127.0.0.1:{server.port}/pip/?token=secret"))
    assert answer.error
    assert "secret" not in answer.error
    assert time.monotonic() - start < 10


def test_a_server_that_is_not_there_is_told(ask: Ask) -> None:
    answer = ask(Question(PYTHON, "pip", "http://127.0.0.1:9/pip/"))
    assert "refused" in answer.error.lower()


def test_the_ends_of_certificates_are_read(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    ends = host.certificate_ends(tmp_path / "ca.pem")
    assert len(ends) == 1
    assert ends[0] > datetime.now(UTC)
    (tmp_path / "none.pem").write_text("no certificate\n", encoding="utf-8")
    assert host.certificate_ends(tmp_path / "none.pem") == []
    assert ssl.create_default_context(cafile=tmp_path / "ca.pem")


# ---- Whole runs


def test_a_check_that_hangs_is_a_line_like_the_others() -> None:
    never = threading.Event()
    looks = [
        Look("hangs", lambda: [doctor.well("hangs", str(never.wait(20)))], 0.1),
        Look("quick", lambda: [doctor.well("quick", "done")], 20),
        Look("breaks", lambda: [doctor.well("breaks", str({"y": 0}["x"]))], 20),
        Look("refused", lambda: [doctor.well("refused", Path("/nowhere/x").read_text("utf-8"))], 20),
    ]
    start = time.monotonic()
    checks, overdue = side_by_side(looks)
    never.set()
    assert time.monotonic() - start < 10
    assert overdue
    assert [(check.name, check.state) for check in checks] == [
        ("hangs", State.ILL),
        ("quick", State.WELL),
        ("breaks", State.UNTOLD),
        ("refused", State.UNTOLD),
    ]
    assert checks[0].found == "it did not end within 0.1 s"
    assert checks[2].found == "a fault of pyrlab's own: KeyError: 'x'"


def test_what_a_check_found_before_its_time_was_over_counts_and_its_program_ends(tmp_path: Path) -> None:
    ended = threading.Event()
    script = f"import pathlib, time; pathlib.Path({str(tmp_path / 'started')!r}).touch(); time.sleep(60)"

    def look() -> Iterator[Check]:
        yield doctor.well("late", "the first answers")
        try:
            process.run([sys.executable, "-c", script], timeout=60)
        finally:
            ended.set()

    checks, overdue = side_by_side([Look("late", look, 1.0)])
    assert overdue
    assert [check.found for check in checks] == ["the first answers", "it did not end within 1 s"]
    assert ended.is_set()


def test_an_interrupt_ends_what_a_check_has_started(tmp_path: Path) -> None:
    """Programs have a session of their own: a terminal's Ctrl-C does not reach them."""
    started, ended = tmp_path / "started", threading.Event()
    script = f"import os, pathlib, time; pathlib.Path({str(started)!r}).write_text(str(os.getpid())); time.sleep(60)"

    def run() -> list[Check]:
        try:
            process.run([sys.executable, "-c", script], timeout=60)
        finally:
            ended.set()
        return []

    def press() -> None:
        while not (started.exists() and started.read_text("utf-8")):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # A shell's background jobs ignore the signal, and so do the tests if they are one.
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side([Look("program", run, 60)])
    finally:
        signal.signal(signal.SIGINT, own)
    assert ended.is_set()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text("utf-8")), 0)


@pytest.fixture
def sick(project: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Mapping[str, str]:
    """Stand in a project without locks and without an engine; its archives are a server's that has nothing."""

    def run(command: list[str], **_: object) -> str:
        raise process.MissingProgramError(command[0])

    server.status = 404
    url = f"http://127.0.0.1:{server.port}"
    toml = f'[base]\napt_sources = ["deb {url} trixie main"]\n[network]\npython_index = "{url}"\n'
    (project / "pyrlab.toml").write_text(toml, encoding="utf-8")
    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "fedora"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.chdir(project)
    return {"url": url}


@pytest.mark.usefixtures("sick")
def test_a_sick_machine_is_told_what_to_do(command_line: CommandLine) -> None:
    status, shown, said = command_line("doctor")
    assert status == 11
    lines = {tuple(line.split()[:3]): line for line in shown.splitlines()}
    assert lines["not", "well", "engine"].endswith("no docker command on the PATH; try: nox -s engine")
    assert lines["not", "well", "locks"].endswith("there is no debs.lock; try: nox -s lock -- debs")
    assert "answered 404; try: check the network, and" in lines["not", "well", "network"]
    assert "no engine that builds answers" in lines["not", "told", "network"]
    assert said.splitlines()[-2:] == [
        "error: not well: engine, locks, network",
        "  try: their lines say what to do",
    ]


@pytest.mark.usefixtures("sick")
def test_json_has_every_line_and_the_same_status(command_line: CommandLine) -> None:
    status, shown, _ = command_line("doctor", "--json")
    tables = json.loads(shown)
    assert status == 11
    assert {"engine", "disk", "locks", "network", "clock"} <= {table["name"] for table in tables}
    assert all(set(table) == {"name", "state", "found", "remedy"} for table in tables)
    assert all(table["remedy"] for table in tables if table["state"] == "not well")


@pytest.mark.usefixtures("sick")
def test_fix_removes_what_killed_runs_left_and_nothing_else(command_line: CommandLine, project: Path) -> None:
    work = project / ".pyrlab"
    dead = [work / ".tmp-999999999-x/secret", project / "cache/pyrlab/.tmp-999999998-y/z"]
    alive = [work / f".tmp-{os.getpid()}-x/mine", work / "root/root.tar", project / "cache/pyrlab/files/new.part"]
    old = project / "cache/pyrlab/files/old.part"
    for path in [*dead, *alive, old]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(old, (1, 1))
    _, shown, _ = command_line("doctor")
    line = next(line for line in shown.splitlines() if "leftovers" in line)
    assert all(str(path) in line for path in [dead[0].parent, dead[1].parent, old])
    assert line.endswith("; try: nox -s doctor -- --fix")
    assert all(path.exists() for path in [*dead, *alive, old])

    _, shown, said = command_line("doctor", "--fix")
    assert "none of killed runs" in shown
    assert f"removed {dead[0].parent}" in said
    assert not any(path.exists() for path in [*dead, old])
    assert all(path.exists() for path in alive)


def test_a_healthy_machine_is_well(
    command_line: CommandLine, sick: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs an engine is told by the real one, in the integration tests."""
    del sick
    monkeypatch.setattr(commands, "_engine", lambda: [doctor.failed("buildx", EngineError("old", remedy="newer"))])
    monkeypatch.setattr(commands, "_on_the_engine", lambda _: [Look("x", lambda: [doctor.well("x", "y")])])
    monkeypatch.setattr(commands, "_on_this_machine", lambda _: [])
    status, shown, _ = command_line("doctor")
    assert (status, [line.split()[0] for line in shown.splitlines()]) == (11, ["not", "ok", "not"])
    monkeypatch.setattr(commands, "_engine", lambda: [doctor.well("engine", "z")])
    monkeypatch.setattr(reaching, "in_a_build", lambda _: [doctor.untold("network", "no lock")])
    status, shown, said = command_line("doctor")
    assert (status, shown.splitlines()[-1]) == (0, "All is well.")
    assert "error" not in said


@pytest.mark.parametrize(
    ("info", "state"),
    [
        pytest.param({"DockerRootDir": "/", "OperatingSystem": "Debian"}, (State.WELL, State.ILL), id="here"),
        pytest.param(
            {"DockerRootDir": "/var/lib/docker", "OperatingSystem": "Docker Desktop"}, (State.UNTOLD,), id="desktop"
        ),
    ],
)
def test_an_engines_disk_is_looked_at_where_it_is_this_machines(
    monkeypatch: pytest.MonkeyPatch, info: Mapping[str, str], state: tuple[State, ...]
) -> None:
    monkeypatch.setattr(engine, "address", lambda: "unix:///var/run/docker.sock")
    assert commands._engine_disk(info).state in state  # noqa: SLF001 - one line of many
    monkeypatch.setattr(engine, "address", lambda: "tcp://build.example:2376")
    assert commands._engine_disk(info).state is State.UNTOLD  # noqa: SLF001 - as above


def test_a_run_that_works_in_the_project_is_no_illness(own: Project) -> None:
    """It has the work folder for itself. The real probe is the integration tests'."""
    own.lock()
    settings = own.settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reaching, "PATIENCE", 0.05)
        with busy(settings.workspace, "lock", say=lambda _: None):
            (check,) = reaching.in_a_build(settings)
    assert check.state is State.UNTOLD
    assert "another run still works in" in check.found


def test_a_build_is_asked_what_lock_will_ask_there(own: Project) -> None:
    """The questions reach it as a secret. A folder of this machine is none of them."""
    own.lock()
    settings = own.settings
    answers = [{"status": 200, "head": "pip-25.whl", "date": "", "age": "", "error": ""}]
    secrets: dict[str, str] = {}

    def bake(call: buildkit.Bake, **_: object) -> None:
        secrets.update(call.secrets)
        assert call.timeout == reaching.PROBE_TIMEOUT
        assert "FROM root AS probe-run" in (call.work / "lock.Dockerfile").read_text(encoding="utf-8")
        (call.work / "probe/answer").mkdir(parents=True)
        (call.work / "probe/answer/answers").write_text(json.dumps(answers), encoding="utf-8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buildkit, "bake", bake)
        checks = list(reaching.in_a_build(settings))
    assert [question["url"] for question in json.loads(secrets["questions"])] == [f"{INDEX}/simple/pip/"]
    assert [(check.name, check.state) for check in checks] == [("network in a build", State.WELL)]


def test_the_archives_of_rs_images_are_asked_too(load_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A folder of packages need not have a name: what vouches for files is what is looked for."""
    body = b"Origin: R\nDate: Sun, 29 Nov 2026 12:00:00 UTC\nSHA256:\n"
    with bad_server.serve(bad_server.answer("200 OK", body)) as server:
        settings = load_settings(
            f"[base]\napt_sources = ['deb {server.url}/debian trixie main']\n"
            f"[r]\napt_sources = ['deb {server.url}/r trixie-cran40/']\n",
            XDG_CACHE_HOME=str(tmp_path / "cache"),
            PIPPROXY=f"{server.url}/simple",
        )
        checks = list(reaching.from_here(settings))
    assert "GET /r/trixie-cran40/InRelease HTTP/1.1" in server.asked
    assert [check.state for check in checks if "Debian archive trixie" in check.found] == [State.WELL] * 2
