"""One job server for all packages that compile at once: as many compilers as there are tokens, whoever starts them.

Source: "POSIX Jobserver Interaction" in the manual of GNU make; fifos are known since make 4.4.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# What a compiler of large C++ files takes, in bytes.
MEMORY = 2**30
_PAUSE = 0.02


class JobServer:
    """``count`` tokens in a fifo. A package takes one while it is worked on; what it compiles takes more of them."""

    def __init__(self, path: Path, count: int) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        path.chmod(0o666)
        self.path = path
        self._count = count
        # Both ends, so that no reading or writing ever waits for the other.
        self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._lock = threading.Lock()
        self._working = 0
        self._fill()

    @property
    def flags(self) -> str:
        """What make is told by MAKEFLAGS."""
        return f"-j{self._count} --jobserver-auth=fifo:{self.path}"

    @contextlib.contextmanager
    def token(self) -> Iterator[None]:
        """Wait for a token, and give it back at the end."""
        while not self._take():
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                self._put(1)

    def _take(self) -> bool:
        with self._lock:
            if self._working == 0:
                # Nobody holds one now. What a package took and never gave back, or gave too much, is made good.
                self._fill()
            try:
                taken = os.read(self._fifo, 1)
            except BlockingIOError:
                return False
            self._working += len(taken)
            return bool(taken)

    def _fill(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fifo, 4096):
                pass
        self._put(self._count)

    def _put(self, count: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._fifo, b"+" * count)


def bounded(wanted: int) -> int:
    """Return how many compilers may run at once: as many as are wanted, and as memory allows."""
    return max(1, min(wanted, _memory() // MEMORY))


def _memory() -> int:
    """Return the bytes that this build may have: the machine's available ones, or fewer by its control group."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    known = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            known.append(int(Path(path).read_text()))
    return min(known, default=MEMORY)
