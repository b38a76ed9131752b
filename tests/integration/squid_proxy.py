"""Debian's squid, in a container from an image that pyrlab builds: a proxy that wants a user and a password."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from docker.models.containers import Container

from pyrlab.adapters.docker import engine

USER, PASSWORD = "someone", "hush-p/w-9f3"
# As a URL has it: the slash has another meaning there.
IN_URL = f"{USER}:hush-p%2Fw-9f3"
LOG = "/given/access.log"
CONFIGURATION = """
http_port 127.0.0.1:{port}
auth_param basic program /usr/lib/squid/basic_ncsa_auth /given/users
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
hosts_file /given/hosts
access_log stdio:/given/access.log
cache_log /given/cache.log
pid_filename none
shutdown_lifetime 1 seconds
"""


@dataclass(frozen=True)
class Squid:
    """A proxy that runs on this machine's loopback, at ``address``, in a container with its log."""

    address: str
    container: Container

    @property
    def url(self) -> str:
        """The proxy with its user and password, as HTTP_PROXY has it."""
        return f"http://{IN_URL}@{self.address}"

    def passed(self) -> set[tuple[str, str, str]]:
        """Return (user, method, host with port) of each request that was let through."""
        # squid's own user has the log.
        _, log = self.container.exec_run(["cat", LOG])
        lines = [line.split() for line in cast("bytes", log).decode().splitlines()]
        return {
            (user, method, url.split("//")[-1].split("/")[0])
            for _, _, _, result, _, method, url, user, *_ in lines
            if "DENIED" not in result
        }

    def forget(self) -> None:
        """Empty the log."""
        self.container.exec_run(["truncate", "--size=0", LOG])


@contextlib.contextmanager
def running(image: str, folder: Path, names: Mapping[str, str]) -> Iterator[Squid]:
    """Run squid; ``names`` are addresses by host name that it knows, and nobody else."""
    port = low_port()
    folder.mkdir()
    # squid gives up root's rights before it writes its log.
    folder.chmod(0o777)
    command = ["openssl", "passwd", "-apr1", "-stdin"]
    crypted = subprocess.run(command, input=PASSWORD, capture_output=True, text=True, timeout=60, check=True).stdout
    texts = {
        "squid.conf": CONFIGURATION.format(port=port),
        "users": f"{USER}:{crypted}",
        "hosts": "".join(f"{address} {name}\n" for name, address in names.items()),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)
    container = engine.client().containers.run(
        image,
        ["-N", "-f", "/given/squid.conf"],
        entrypoint="squid",
        user="root",
        network_mode="host",
        volumes={str(folder): {"bind": "/given", "mode": "rw"}},
        detach=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.05)
        yield Squid(f"127.0.0.1:{port}", container)
    finally:
        container.remove(force=True)


def low_port() -> int:
    """Return a free port that apt-cacher-ng 3.7 can reach: it reads those from 32768 on as negative numbers."""
    return next(port for port in range(13128, 2**15) if not _answers(port))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def watched_processes(*words: str) -> Iterator[set[str]]:
    """Look at all processes of this machine, again and again, and yield those command lines that have a word."""
    found: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for entry in os.scandir("/proc"):
                if entry.name.isdecimal():
                    with contextlib.suppress(OSError):
                        line = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        found.update([line] if any(word in line for word in words) else [])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
