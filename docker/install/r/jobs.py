"""One account of job tokens for all packages that compile at once: as many compilers as tokens, whoever starts them.

Each package has a fifo of its own, which its make reads tokens from. So a package that takes all of them, or writes
some of its own, deceives nobody but itself: what others have is counted here, not in its fifo.
Source: "POSIX Jobserver Interaction" in the manual of GNU make.
"""

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# What a compiler of large C++ files takes, in bytes.
MEMORY = 2**30
MEMINFO = Path("/proc/meminfo")
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# Older ones stop at a fifo: there, each package compiles one file after the other.
FIRST_MAKE_WITH_FIFOS = (4, 4)
_PAUSE = 0.02


class Share:
    """What one package has: the token that it is worked on with, and those in its fifo or taken from there."""

    def __init__(self, path: Path, uid: int) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        os.chown(path, uid, uid)
        self.path = path
        self.granted = 0
        # Both ends, so that no reading or writing ever waits for the other.
        self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)

    def grant(self) -> None:
        """Put one token more into the fifo. What does not fit counts as granted: the package filled it itself."""
        self.granted += 1
        with contextlib.suppress(BlockingIOError):
            os.write(self._fifo, b"+")

    def reclaim(self) -> int:
        """Take back the tokens that nobody uses, and return how many: never more than were granted."""
        unused = 0
        with contextlib.suppress(BlockingIOError):
            unused = len(os.read(self._fifo, self.granted)) if self.granted else 0
        self.granted -= unused
        return unused

    def close(self) -> int:
        """Remove the fifo, and return the tokens that were granted, wherever they are now."""
        os.close(self._fifo)
        self.path.unlink(missing_ok=True)
        granted, self.granted = self.granted, 0
        return granted


class JobServer:
    """``count`` tokens: a package takes one while it is worked on, and what it compiles takes those that are left.

    Tokens in hand, granted ones and packages that are worked on are ``count`` together, at all times.
    """

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._count = count
        self._free = count
        self._shares: list[Share] = []
        self._waiting = 0
        self._turn = 0
        self._lock = threading.Lock()
        self._has_fifos = make_version() >= FIRST_MAKE_WITH_FIFOS

    @property
    def out(self) -> int:
        """How many compilers may run now: packages that are worked on, and tokens granted to them."""
        with self._lock:
            return len(self._shares) + sum(share.granted for share in self._shares)

    @contextlib.contextmanager
    def token(self, name: str, uid: int) -> Iterator[str]:
        """Wait for a token, yield what make is told by MAKEFLAGS, and take all tokens back at the end."""
        share = self._wait(name, uid)
        ended = threading.Event()
        dealer = threading.Thread(target=self._deal_until, args=(ended,), daemon=True)
        dealer.start()
        try:
            yield f"-j{self._count} --jobserver-auth=fifo:{share.path}" if self._has_fifos else ""
        finally:
            ended.set()
            dealer.join()
            with self._lock:
                self._shares.remove(share)
                self._free += 1 + share.close()

    def _wait(self, name: str, uid: int) -> Share:
        with self._lock:
            self._waiting += 1
        try:
            while True:
                with self._lock:
                    self._reclaim()
                    if self._free:
                        share = Share(self._folder / name, uid)
                        self._free -= 1
                        self._shares.append(share)
                        return share
                time.sleep(_PAUSE)
        finally:
            with self._lock:
                self._waiting -= 1

    def _reclaim(self) -> None:
        self._free += sum(share.reclaim() for share in self._shares)

    def _deal_until(self, ended: threading.Event) -> None:
        while True:
            self.deal()
            if ended.wait(_PAUSE):
                return

    def deal(self) -> None:
        """Deal unused tokens out anew, one after the other to each package: who needs them takes them.

        As many as packages wait for are held back.
        """
        with self._lock:
            if not self._has_fifos or not self._shares:
                return
            self._reclaim()
            while self._free > self._waiting:
                self._turn += 1
                self._shares[self._turn % len(self._shares)].grant()
                self._free -= 1


def make_version() -> tuple[int, ...]:
    """Return the version of make, or (0,) where there is none."""
    try:
        said = subprocess.run(
            ["/usr/bin/make", "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    match = re.match(r"GNU Make (\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else (0,)


def bounded(wanted: int) -> int:
    """Return how many compilers may run at once: as many as are wanted, and as memory allows."""
    return max(1, min(wanted, _memory() // MEMORY))


def _memory() -> int:
    """Return the bytes that this build may have: the machine's available ones, or fewer by its control group."""
    known = []
    with contextlib.suppress(OSError):
        lines = MEMINFO.read_text().splitlines()
        known += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    for path in CGROUPS:
        # "max" is no number: there is no limit.
        with contextlib.suppress(OSError, ValueError):
            known.append(int(path.read_text()))
    return min(known, default=MEMORY)
