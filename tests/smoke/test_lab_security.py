"""What docs/security.md says, line by line, tried on a running lab."""

import http.client
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import requests
from containers import docker_client, of_this_run
from docker.types import Mount
from labs import OWNER, Fleet, Options, RunningLab, wait_for

STRANGE = "https://elsewhere.example"
GUESSES = 300
# A minute after the start, and nobody was called.
QUIET = 60.0
# How `serve` starts labs, and stricter: no network, and nothing to write to but what must be.
HARDENED: Options = {
    "command": ["--port=7777"],
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 512,
    "read_only": True,
    "tmpfs": ["/tmp", "/home/notebook"],  # noqa: S108 - the container's own
    "network": "none",
    # Where nobody listens: each question for a name is counted.
    "dns": ["127.0.0.1"],
}
# What the kernel counts of attempts to reach somebody: packets that no route leads to, and questions that nobody takes.
COUNTERS = """
import pathlib
lines = pathlib.Path("/proc/net/snmp").read_text().splitlines()
counts = {}
for names, values in zip(lines[::2], lines[1::2]):
    protocol = names.split(":")[0]
    counts |= {protocol + name: value for name, value in zip(names.split()[1:], values.split()[1:])}
counts |= dict(line.split() for line in pathlib.Path("/proc/net/snmp6").read_text().splitlines())
print(*(int(counts.get(name, 0)) for name in ("IpOutNoRoutes", "Ip6OutNoRoutes", "UdpNoPorts", "Udp6NoPorts")))
"""
# What a browser asks for when it opens the lab, and what it would ask for if it wanted news.
BROWSE = """
import json, pathlib, urllib.request
server = json.loads(next(pathlib.Path("/tmp").glob(".lab-runtime*/jpserver-*.json")).read_text())
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.addheaders = [("Authorization", "token " + server["token"])]
for path in ("lab", "lab/api/update", "lab/api/news", "api/status"):
    print(path, opener.open(f"http://127.0.0.1:{server['port']}/{path}", timeout=30).status)
"""
# In seconds, by the clock that the kernel counts the start of a process by.
AGE = """
import os, pathlib, time
since = pathlib.Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
print(time.clock_gettime(time.CLOCK_BOOTTIME) - int(since) / os.sysconf("SC_CLK_TCK"))
"""
CALL = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.getaddrinfo("elsewhere.example", 443)
with contextlib.suppress(OSError):
    socket.create_connection(("192.0.2.1", 443), timeout=1)
"""


@pytest.fixture(scope="session")
def hardened(fleet: Fleet) -> Iterator[Callable[[str], RunningLab]]:
    """Start a lab on first use, hardened and without a network, and browse it; the tests of this module share it."""
    started: dict[str, RunningLab] = {}

    def get(name: str) -> RunningLab:
        if name not in started:
            started[name] = fleet.start(name, **HARDENED)
            assert started[name].run("python", "-c", BROWSE).splitlines()[0] == "lab 200"
        return started[name]

    yield get
    for lab in started.values():
        lab.container.remove(force=True, v=True)


@pytest.fixture
def visitor(lab: RunningLab) -> Iterator[requests.Session]:
    """Return a browser that has opened the lab's link: it has the cookies, and no token."""
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{lab.url}/lab?token={lab.token}", timeout=30).raise_for_status()
        yield session


def test_has_neither_capabilities_nor_a_way_to_more(hardened: Callable[[str], RunningLab], lab_name: str) -> None:
    """It starts, answers and saves with all of them dropped, in a file system that it cannot change."""
    lab = hardened(lab_name)
    assert "http://127.0.0.1:7777/lab?token=..." in lab.start_log
    status = dict(line.split(":\t", 1) for line in lab.run("cat", "/proc/self/status").splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert lab.attempt("sudo", "-n", "true").status != 0
    assert lab.attempt("touch", "/opt/lab/mine").stderr.endswith("Read-only file system\n")
    lab.run("sh", "-c", "echo saved >saved")
    assert (lab.folder / "saved").stat().st_uid == OWNER[0]


def test_answers_on_ipv6_too(hardened: Callable[[str], RunningLab], lab_name: str) -> None:
    """On the same port."""
    lab = hardened(lab_name)
    request = "import http.client as h; c = h.HTTPConnection('::1', 7777); c.request('GET', '/api')"
    if not lab.attempt("grep", "-q", " lo$", "/proc/net/if_inet6").status:
        assert lab.run("python", "-c", f"{request}; print(c.getresponse().status)") == "200\n"


def test_ends_logins_with_their_token(fleet: Fleet, lab_name: str) -> None:
    """In a new container with the old home folder, a browser is let in as before, until the token is another."""
    with requests.Session() as browser:
        browser.trust_env = False
        # The port is a part of the cookies' names, and the engine gives each container another one.
        browser.headers["Host"] = "127.0.0.1:8888"
        with _home() as home:
            statuses: list[int] = []
            for token in ("first", "first", "second"):
                with fleet.another(lab_name, {"JUPYTER_TOKEN": token}, mounts=[home]) as lab:
                    if not statuses:
                        browser.get(f"{lab.url}/lab?token={token}", timeout=30).raise_for_status()
                    statuses.append(browser.get(f"{lab.url}/api/status", timeout=30).status_code)
    assert statuses == [200, 200, 403]


@pytest.mark.parametrize("token", [None, "", "wrong"], ids=["no", "empty", "wrong"])
def test_lets_nobody_in_without_the_token(lab: RunningLab, token: str | None) -> None:
    """Neither to files, kernels and terminals, nor to what runs behind the proxy."""
    closed = ("/api/contents", "/api/kernels", "/api/terminals", "/api/sessions", "/files/x", "/lab", "/proxy/6006/")
    answers = {path: lab.request("GET", path, token=token) for path in closed}
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code not in {302, 403}} == {}
    assert {answer.headers["Location"].split("?")[0] for answer in answers.values() if answer.is_redirect} == {"/login"}


def test_is_not_moved_by_many_guesses(lab: RunningLab) -> None:
    """Each is refused, and whoever has the token is served as before."""
    with requests.Session() as session:
        session.trust_env = False
        guesses = (f"{number:048x}" for number in range(GUESSES))
        headers = ({"Authorization": f"token {guess}"} for guess in guesses)
        statuses = {session.get(f"{lab.url}/api/status", headers=one, timeout=30).status_code for one in headers}
    assert statuses == {403}
    assert lab.get("/api/status").status_code == 200


def test_answers_pages_of_other_origins_with_nothing(lab: RunningLab, visitor: requests.Session) -> None:
    """Also when the browser sends the cookies along: no answer is shown, nothing changed, no kernel reached."""
    elsewhere = {"Origin": STRANGE, "Referer": f"{STRANGE}/page"}
    answer = visitor.get(f"{lab.url}/api/contents", headers=elsewhere, timeout=30)
    assert "Access-Control-Allow-Origin" not in answer.headers
    xsrf = {"X-XSRFToken": visitor.cookies["_xsrf"]}
    posted = visitor.post(f"{lab.url}/api/terminals", headers={**elsewhere, **xsrf}, timeout=30)
    assert posted.status_code in {403, 404}
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    kernel = lab.request("POST", "/api/kernels", token=lab.token, json={"name": lab.kernel("python")}).json()["id"]
    channels = f"{lab.url}/api/kernels/{kernel}/channels"
    assert visitor.get(channels, headers={**upgrade, "Origin": lab.url}, stream=True, timeout=30).status_code == 101
    assert visitor.get(channels, headers={**upgrade, **elsewhere}, timeout=30).status_code == 403
    lab.request("DELETE", f"/api/kernels/{kernel}", token=lab.token)


def test_changes_nothing_for_a_form_that_a_page_sends(lab: RunningLab, visitor: requests.Session) -> None:
    """Such a form comes with the cookies, but cannot know what is in them (XSRF)."""
    address = f"{lab.url}/api/contents"
    assert visitor.post(address, json={"type": "directory"}, timeout=30).status_code == 403
    xsrf = {"X-XSRFToken": visitor.cookies["_xsrf"]}
    made = visitor.post(address, json={"type": "directory"}, headers=xsrf, timeout=30)
    assert made.status_code == 201
    assert visitor.delete(f"{address}/{made.json()['path']}", headers=xsrf, timeout=30).status_code == 204


def test_knows_no_names_but_this_machines(lab: RunningLab) -> None:
    """A page that gives its own name the lab's address (DNS rebinding) is sent away, even with the token."""
    port = urlsplit(lab.url).port
    hosts = {"127.0.0.1": 200, "localhost": 200, "[::1]": 200, "192.0.2.7": 200, "server": 200, "evil.example": 403}
    answers = {
        host: lab.request("GET", "/api/status", token=lab.token, headers={"Host": f"{host}:{port}"}) for host in hosts
    }
    assert {host: answer.status_code for host, answer in answers.items()} == hosts


@pytest.mark.parametrize("up", ["../", "%2e%2e/", "..%2f", "%2e%2e%2f", "..%5c", "%252e%252e%252f", "....//"])
def test_serves_no_file_outside_the_notebooks(lab: RunningLab, up: str) -> None:
    """However the way out of the folder is written."""
    for start in ("/api/contents/", "/files/", "/static/", "/nbconvert/html/", "/lab/api/settings/", "/tree/"):
        status, body = _raw_get(lab, f"{start}{up * 6}etc/passwd")
        assert (status == 200 and "root:x:0:0" in body) is False, start
        assert "root:x:0:0" not in body


def test_follows_links_in_the_container_only(lab: RunningLab, tmp_path: Path) -> None:
    """A link that somebody's archive brought leads to the container's files, never to those of this machine."""
    secret = tmp_path / "secret"
    secret.write_text("of this machine")
    link = lab.folder / "link"
    link.symlink_to(secret)
    os.chown(link, *OWNER, follow_symlinks=False)
    answers = [lab.get(path) for path in ("/files/link", "/api/contents/link")]
    link.unlink()
    assert [answer.ok for answer in answers] == [False, False]
    assert all("of this machine" not in answer.text for answer in answers)


def test_gives_a_strangers_page_no_way_to_the_lab(lab: RunningLab) -> None:
    """A page or picture among the notebooks runs in a sandbox, as of no origin: it has neither cookies nor token."""
    for name in ("page.html", "picture.svg"):
        _write(
            lab, name, "<svg xmlns='http://www.w3.org/2000/svg'><script>parent.fetch('/api/contents')</script></svg>"
        )
        policy = lab.get(f"/files/{name}").headers["Content-Security-Policy"]
        sandbox = next(part.split() for part in policy.split(";") if part.split()[:1] == ["sandbox"])
        assert sandbox == ["sandbox", "allow-scripts"]
    assert "frame-ancestors 'self'" in lab.get("/lab").headers["Content-Security-Policy"]


def test_trusts_no_strangers_notebook(lab: RunningLab) -> None:
    """What was saved in its outputs is not run when it is opened: JupyterLab runs scripts of trusted cells only."""
    cell = nbformat.v4.new_code_cell("1", execution_count=1)  # type: ignore[no-untyped-call] # it is half annotated
    html = {"text/html": "<script>fetch('/api/contents')</script>"}
    cell.outputs = [nbformat.v4.new_output("display_data", data=html)]  # type: ignore[no-untyped-call]
    cell.metadata["trusted"] = True
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    _write(lab, "stranger.ipynb", nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    (cell,) = lab.get("/api/contents/stranger.ipynb").json()["content"]["cells"]
    assert cell["metadata"]["trusted"] is False


def test_mounts_the_notebooks_and_nothing_else(lab: RunningLab) -> None:
    """No file of this machine is in reach but the notebooks, and the engine's socket least of all."""
    lines = [line.split() for line in lab.run("cat", "/proc/self/mountinfo").splitlines()]
    virtual = {"overlay", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}
    mounted = {fields[4] for fields in lines if fields[fields.index("-") + 1] not in virtual}
    own = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}  # the engine writes them for each container
    assert mounted - own - {"/"} <= {"/home/notebook/notebooks"}
    assert lab.attempt("sh", "-c", "ls /var/run/docker.sock /run/docker.sock").status != 0


@pytest.mark.late
def test_calls_nobody_at_its_start(hardened: Callable[[str], RunningLab], lab_name: str) -> None:
    """Nor in the first minute, nor when a browser asks for news: no name is looked up and no address tried."""
    lab = hardened(lab_name)
    started = time.monotonic() - float(lab.run("python", "-c", AGE))
    wait_for("a minute to pass", lambda: time.monotonic() - started > QUIET, timeout=2 * QUIET)
    assert lab.run("python", "-c", COUNTERS).split() == ["0"] * 4
    # What is counted would have been: a name, and an address.
    lab.run("python", "-c", CALL)
    routes, _, names, _ = map(int, lab.run("python", "-c", COUNTERS).split())
    assert routes > 0
    assert names > 0


@contextmanager
def _home() -> Iterator[Mount]:
    """Return a mount of a new volume as home folder, which the engine fills from the image."""
    client = docker_client()
    volume = client.volumes.create(labels=of_this_run())
    try:
        yield Mount("/home/notebook", volume.name, type="volume")
    finally:
        volume.remove(force=True)
        client.close()


def _write(lab: RunningLab, name: str, text: str) -> None:
    path = lab.folder / name
    path.write_text(text)
    os.chown(path, *OWNER)


def _raw_get(lab: RunningLab, path: str) -> tuple[int, str]:
    """Ask for exactly this path: other clients make it a decent one first."""
    address = urlsplit(lab.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"token {lab.token}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()
