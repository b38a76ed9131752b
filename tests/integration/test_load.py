"""A lab under load, short of memory, and killed while it saves: nothing that was saved is lost, and the link stays."""

import json
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection

import pytest
import requests
from conftest import Project
from test_daily import Day, free, served, where
from websocket import WebSocket, create_connection

from pyrlab.adapters.docker import containers, engine

# Who asks at the same time; a second has so many requests.
CLIENTS, RATE = 20, 200
# Seconds, for what takes milliseconds on a machine with nothing else to do.
PATIENCE = 60.0
# Slow enough that nothing but the sum of them is too much: each is smaller than the server when memory ends.
GROW = "import time\nhog = []\nwhile True:\n    hog.append(bytearray(2**20))\n    time.sleep(0.05)"
SAVED = 200_000


@pytest.fixture(scope="module")
def day(built_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Start the small project's pylab, which all tests here share, and remove all of it at the end."""
    with served(built_project, tmp_path_factory.mktemp("load")) as started:
        yield started


@dataclass(frozen=True)
class Api:
    """The API of a lab on a port of this machine."""

    port: int
    token: str

    def request(self, method: str, path: str, **body: object) -> requests.Response:
        """Send one request, past all proxies."""
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": f"token {self.token}"}
            return session.request(
                method, f"http://127.0.0.1:{self.port}/api/{path}", headers=headers, json=body or None, timeout=PATIENCE
            )

    def save(self, path: str, text: str) -> int:
        """Save a text and return the status."""
        model = {"type": "file", "format": "text", "content": text}
        return self.request("PUT", f"contents/{path}", **model).status_code

    def start_kernel(self) -> str:
        """Start a kernel and return its id."""
        return str(self.request("POST", "kernels", name="python3").json()["id"])

    def connect(self, kernel: str) -> WebSocket:
        """Open the way to a kernel that a browser takes."""
        url = f"ws://127.0.0.1:{self.port}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        header = [f"Authorization: token {self.token}"]
        return create_connection(url, header=header, timeout=PATIENCE, http_no_proxy=["127.0.0.1"])


def tell(kernel: WebSocket, code: str) -> str:
    """Let a kernel execute code, and return the id of the request."""
    name = uuid.uuid4().hex
    header = {"msg_id": name, "msg_type": "execute_request", "username": "", "session": name, "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    kernel.send(json.dumps(message))
    return name


def ask(kernel: WebSocket, code: str) -> str:
    """Execute code and return what it printed."""
    name, printed, ends = tell(kernel, code), "", set[str]()
    # Output and reply come by two ways.
    while ends != {"execute_reply", "idle"}:
        message = json.loads(kernel.recv())
        if message["parent_header"].get("msg_id") == name:
            printed += message["content"].get("text", "")
            ends |= {message["msg_type"], message["content"].get("execution_state")} & {"execute_reply", "idle"}
    return printed


@pytest.mark.parametrize(
    ("kernels", "seconds"),
    [pytest.param(3, 3, id="short"), pytest.param(20, 60, id="long", marks=pytest.mark.nightly)],
)
def test_nothing_is_lost_under_load(day: Day, kernels: int, seconds: int) -> None:
    """All kernels are started at once, and work, while 200 requests a second come in."""
    api = Api(day.port, day.token)
    with ThreadPoolExecutor(kernels + CLIENTS) as pool, ExitStack() as stack:
        began = time.monotonic()
        started = list(pool.map(lambda _: api.start_kernel(), range(kernels)))
        stack.callback(lambda: [api.request("DELETE", f"kernels/{name}") for name in started])
        connected = [stack.enter_context(closing(way)) for way in pool.map(api.connect, started)]
        assert list(pool.map(lambda n: ask(connected[n], f"kept = {n}\nprint(kept)"), range(kernels))) == [
            f"{n}\n" for n in range(kernels)
        ]
        ready = time.monotonic() - began
        at = time.monotonic() + 0.5
        work = [pool.submit(_work, kernel, until=at + seconds) for kernel in connected]
        shares = [pool.submit(_share, day.port, at, range(n, RATE * seconds, CLIENTS)) for n in range(CLIENTS)]
        latencies = sorted(1000 * latency for share in shares for latency in share.result())
        cells = sum(done.result() for done in work)
        assert list(pool.map(lambda kernel: ask(kernel, "print(kept)"), connected)) == [
            f"{n}\n" for n in range(kernels)
        ]
        memory, _ = containers.memory(day.container)
    assert len(latencies) == RATE * seconds
    assert cells >= kernels
    cut = statistics.quantiles(latencies, n=100)
    print(  # noqa: T201 - the figures of docs/daily.md: pytest -rP shows them
        f"{kernels} kernels ready after {ready:.1f} s; {len(latencies)} requests in {seconds} s: "
        f"median {cut[49]:.1f} ms, 95 % {cut[94]:.1f} ms, 99 % {cut[98]:.1f} ms, all {latencies[-1]:.1f} ms; "
        f"{cells} cells; {memory / 2**20:.0f} MiB"
    )


def _share(port: int, began: float, numbers: range) -> list[float]:
    """Send each request of a share when it is due, and return the seconds from then to its answer."""
    latencies = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        for number in numbers:
            due = began + number / RATE
            # The load's own clock, not a wait for something.
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("GET", "/api")
            answer = connection.getresponse()
            assert (answer.status, "version" in json.load(answer)) == (200, True)
            latencies.append(time.monotonic() - due)
    return latencies


def _work(kernel: WebSocket, *, until: float) -> int:
    """Execute a cell a second, and return how many answered as they must."""
    done = 0
    while time.monotonic() < until:
        assert ask(kernel, f"print(sum(range({done})))") == f"{sum(range(done))}\n"
        done += 1
        time.sleep(1)
    return done


def test_the_server_outlives_its_kernels_where_memory_is_short(day: Day) -> None:
    """Six kernels want too much together, and none of them is as large as the server: one of them goes."""
    port = free()
    options = where(day.notebooks, port)
    printed = day.project.succeed("serve", "pylab", *options, "--name", "tight", "--memory", "512m")
    try:
        api = Api(port, printed.split("token=")[1].split()[0])
        with ExitStack() as stack:
            kernels = [stack.enter_context(closing(api.connect(api.start_kernel()))) for _ in range(6)]
            for kernel in kernels:
                tell(kernel, GROW)
            told = "The kernel was killed: the lab used all of the memory that it may (0.5 GiB)."
            container = engine.client().containers.get(day.settings.workspace.container("tight"))
            _wait_for(lambda: told.encode() in container.logs())
            for model in api.request("GET", "kernels").json():
                api.request("DELETE", f"kernels/{model['id']}")
        assert api.request("GET", "status").status_code == 200
        assert told in day.project.succeed("logs", "tight")
    finally:
        day.project.succeed("stop", "tight")


def _docker_restart(day: Day) -> None:
    day.container.restart(timeout=10)


def _kill_and_restart(day: Day) -> None:
    day.container.kill()
    assert day.container.wait(timeout=PATIENCE)["StatusCode"] == 137
    assert day.link in day.project.succeed("restart", "pylab")


def _kill_and_serve(day: Day) -> None:
    day.container.kill()
    assert day.container.wait(timeout=PATIENCE)["StatusCode"] == 137
    assert f"pylab is ready: {day.link}" in day.project.succeed("serve", "pylab", *where(day.notebooks, day.port))


def _stop_and_serve(day: Day) -> None:
    """As an engine does when it ends, or its machine."""
    day.container.stop(timeout=10)
    assert f"pylab is ready: {day.link}" in day.project.succeed("serve", "pylab", *where(day.notebooks, day.port))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_docker_restart, id="docker-restart"),
        pytest.param(_kill_and_restart, id="kill-restart"),
        pytest.param(_kill_and_serve, id="kill-serve", marks=pytest.mark.nightly),
        pytest.param(_stop_and_serve, id="stop-serve", marks=pytest.mark.nightly),
    ],
)
def test_a_lab_that_ends_while_it_saves_loses_nothing(day: Day, fault: Callable[[Day], None]) -> None:
    """The file is whole, and no older than what was last said to be saved; the link leads to the lab again."""
    api, saved, ended = Api(day.port, day.token), list[int](), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(_save_until, ended, api, saved)
        try:
            _wait_for(lambda: len(saved) > 5)
            fault(day)
        finally:
            ended.set()
        saving.result(timeout=2 * PATIENCE)
    text = (day.notebooks / "saved.txt").read_text(encoding="utf-8")
    assert (len(text), len(set(text.split()))) == (SAVED, 1)
    assert int(text.split()[0]) >= saved[-1]
    _wait_for(lambda: day.status() == 200)
    assert day.link in day.project.succeed("open", "pylab")


def _save_until(ended: threading.Event, api: Api, saved: list[int]) -> None:
    """Save one version after the other, and note those that the lab has confirmed."""
    for version in range(10**8, 10**9):
        if ended.is_set():
            return
        try:
            status = api.save("saved.txt", f"{version}\n" * (SAVED // 10))
        except requests.RequestException:
            continue
        if status in {200, 201}:
            saved.append(version)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _holds(condition):
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.1)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except requests.RequestException:
        # A lab that starts refuses connections.
        return False
