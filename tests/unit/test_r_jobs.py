"""The account of job tokens: never more out than there are, whatever packages do, and all back at the end."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from r_build import jobs

GIB = 2**30


@pytest.fixture(autouse=True)
def anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fifos belong to whoever runs the tests, and make be a new one."""
    monkeypatch.setattr(jobs.os, "chown", lambda *_: None)
    monkeypatch.setattr(jobs, "make_version", lambda: (4, 4))


class Client:
    """A package's make: it takes tokens from its fifo, and gives them back; ``cheats`` once it has forged some."""

    def __init__(self, flags: str) -> None:
        self.fifo = os.open(flags.partition("fifo:")[2], os.O_RDWR | os.O_NONBLOCK)
        self.held = 0
        self.cheats = False

    def take(self, count: int) -> None:
        """Take tokens, as far as there are some."""
        with contextlib.suppress(BlockingIOError):
            self.held += len(os.read(self.fifo, count))

    def give(self, count: int) -> None:
        """Give tokens back."""
        self.held -= count
        os.write(self.fifo, b"+" * count)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["start", "take", "take", "give", "keep", "forge", "end", "deal"]), st.integers(0, 5)),
    max_size=25,
)


@given(count=st.integers(1, 4), actions=ACTIONS)
def test_never_more_tokens_are_out_than_there_are(
    tmp_path_factory: pytest.TempPathFactory, count: int, actions: list[tuple[str, int]]
) -> None:
    """Honest packages and what they hold count, and one for each that cheats: what it forged it could also do without.

    At the end all tokens are there again, also those that were never given back.
    """
    server = jobs.JobServer(tmp_path_factory.mktemp("jobs"), count)
    working: list[tuple[Client, contextlib.ExitStack]] = []

    def end(at: int) -> None:
        client, stack = working.pop(at)
        os.close(client.fifo)
        stack.close()

    for number, (action, which) in enumerate(actions):
        honest = [client for client, _ in working if not client.cheats]
        held = len(working) + sum(client.held for client, _ in working)
        if action == "start" and held < count:
            stack = contextlib.ExitStack()
            working.append((Client(stack.enter_context(server.token(f"p{number}", 0))), stack))
        elif action == "deal":
            server.deal()
        elif working:
            act(server, working[which % len(working)][0], action, which)
            if action == "end":
                end(which % len(working))
        honest = [client for client, _ in working if not client.cheats]
        assert len(working) + sum(client.held for client in honest) <= count
        assert server.out <= count
    while working:
        end(0)
    assert server.out == 0
    with contextlib.ExitStack() as stack:
        for name in map(str, range(count)):
            stack.enter_context(server.token(name, 0))
        assert server.out == count


def act(server: Any, client: Client, action: str, count: int) -> None:  # noqa: ANN401 - a module that mypy cannot see
    """Let a package's make do something."""
    if action == "take":
        server.deal()
        client.take(count)
    elif action == "give":
        client.give(min(count, client.held))
    elif action == "forge":
        client.cheats = True
        os.write(client.fifo, b"+" * 1000)


def test_a_fifo_that_is_full_stops_nobody(tmp_path: Path) -> None:
    """A package may fill it to the last byte: dealing goes on."""
    server = jobs.JobServer(tmp_path, 3)
    with server.token("a", 0) as flags:
        client = Client(flags)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(client.fifo, b"+" * 4096)
        with server.token("b", 0):
            assert server.out <= 3
        os.close(client.fifo)
    assert server.out == 0


def test_one_who_waits_gets_what_nobody_uses(tmp_path: Path) -> None:
    """Tokens that lie in another package's fifo are taken back for a package that could start."""
    server = jobs.JobServer(tmp_path, 2)
    with server.token("a", 0):
        server.deal()
        assert server.out == 2
        with server.token("b", 0):
            assert server.out == 2


def test_one_who_waits_goes_on_when_another_ends(tmp_path: Path) -> None:
    """There is one token: the second package starts when the first is done."""
    server = jobs.JobServer(tmp_path, 1)
    started = threading.Event()

    def second() -> None:
        with server.token("b", 0):
            started.set()

    with server.token("a", 0):
        thread = threading.Thread(target=second)
        thread.start()
        assert not started.wait(0.1)
    thread.join(10)
    assert started.is_set()


def test_a_make_older_than_fifos_is_told_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stop at them; each package then compiles one file after the other."""
    monkeypatch.setattr(jobs, "make_version", lambda: (4, 3))
    server = jobs.JobServer(tmp_path, 4)
    with server.token("a", 0) as flags:
        server.deal()
        assert (flags, server.out) == ("", 1)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for what the kernel says of memory: ``meminfo`` and ``memory.max``."""
    monkeypatch.setattr(jobs, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(jobs, "CGROUPS", (tmp_path / "memory.max", tmp_path / "nothing"))
    return tmp_path


@pytest.mark.parametrize(
    ("available", "limit", "jobs_wanted", "expected"),
    [
        pytest.param(16 * GIB, "max\n", 8, 8, id="enough"),
        pytest.param(5 * GIB, "max\n", 8, 5, id="machine-has-little"),
        pytest.param(16 * GIB, f"{3 * GIB}\n", 8, 3, id="control-group-has-little"),
        pytest.param(2 * GIB, f"{3 * GIB}\n", 8, 2, id="the-lesser-counts"),
        pytest.param(16 * GIB, None, 8, 8, id="no-control-group"),
        pytest.param(GIB // 2, "max\n", 8, 1, id="one-at-least"),
        pytest.param(None, None, 8, 1, id="nothing-is-known"),
        pytest.param(16 * GIB, "max\n", 2, 2, id="never-more-than-wanted"),
        pytest.param(16 * GIB, "max\n", 0, 1, id="none-wanted"),
    ],
)
def test_memory_bounds_compilers(
    memory: Path, available: int | None, limit: str | None, jobs_wanted: int, expected: int
) -> None:
    """One for each gigabyte that this build may have."""
    if available is not None:
        text = f"MemTotal: 99999999 kB\nMemAvailable:   {available // 1024} kB\n"
        (memory / "meminfo").write_text(text, encoding="utf-8")
    if limit is not None:
        (memory / "memory.max").write_text(limit, encoding="utf-8")
    assert jobs.bounded(jobs_wanted) == expected
