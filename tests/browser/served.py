"""A lab that `serve` has started, as a person has it: a link, and a folder on this machine."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyrlab.adapters.docker import engine
from pyrlab.adapters.lock_files import read_locks
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.graph import Lab
from pyrlab.model.settings import Settings

# Of whoever runs the tests, as people have it at home. Root's own id would prove nothing: labs refuse to run as root.
OWNER = (os.getuid(), os.getgid()) if os.getuid() else (12345, 12345)
# Where no image is there yet, serve builds it.
TIMEOUT = 3600.0
# Linux' own flag of an address that may be somebody else's, too: IFA_F_TENTATIVE.
TENTATIVE = 0x40


@dataclass(frozen=True, slots=True)
class Served:
    """A lab that runs. ``python`` are the packages that its lock has of Python's, ``name`` what `serve` knows it by."""

    lab: Lab
    name: str
    link: str = field(repr=False)
    folder: Path
    python: frozenset[str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """Its address, without a path or a slash."""
        return self.link.partition("/lab?")[0]

    @property
    def token(self) -> str:
        """Its token."""
        return self.link.partition("token=")[2]

    def desk(self, path: str = "") -> str:
        """Return the address of an empty workspace, with a file of the folder open in it.

        The lab keeps what is open in the one that its link leads to, and would show it to the next test.
        """
        return f"{self.url}/lab/workspaces/tests{path and '/tree/'}{path}?reset"

    def pyrlab(self, *arguments: str, **environment: str) -> str:
        """Call pyrlab as the session does that served the lab, and return what it printed."""
        return _pyrlab(*arguments, environment={**self.environment, **environment})

    def write(self, name: str, text: str) -> None:
        """Put a file into the folder, as its owner's."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        os.chown(path, *OWNER)


@contextmanager
def serve(image: str, folder: Path, state: Path) -> Iterator[Served]:
    """Serve a lab of the project in the current folder, and remove it with its volumes at the end.

    It has a name of its own, so that a lab of the same image that runs already, and its token, stay as they are.
    """
    settings, name = read_settings(Path.cwd(), os.environ), f"browser-{image}"
    folder.chmod(0o755)
    os.chown(folder, *OWNER)
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "COLUMNS": "200"}
    options = ("--name", name, "--no-browser", "--port", str(_free_port()), "--notebooks", str(folder))
    # A run that was killed may have left one.
    _forget(settings, image, name)
    try:
        printed = _pyrlab("serve", image, *options, environment=environment)
        link = re.search(rf"^{name} is ready: (\S+)", printed, re.MULTILINE)
        assert link, printed
        locks = read_locks(settings)
        python = frozenset(pin.name for pin in locks.python[image].pins) if image in locks.python else frozenset()
        wait_for(_is_quiet)
        yield Served(settings.graph.find_lab(image), name, link[1], folder, python, environment)
    finally:
        _forget(settings, image, name)


def _pyrlab(*arguments: str, environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "pyrlab", *arguments]
    done = subprocess.run(
        command,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _forget(settings: Settings, image: str, name: str) -> None:
    client = engine.client()
    labels: list[str] = [f"{key}={value}" for key, value in settings.workspace.lab_labels(image, name).items()]
    for container in client.containers.list(all=True, filters={"label": labels}):
        container.remove(force=True)
    for volume in client.volumes.list(filters={"label": labels}):
        volume.remove(force=True)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{condition.__name__} did not come to hold within {seconds:g} s"
        time.sleep(0.1)


def _is_quiet() -> bool:
    """Tell whether the container's interface has all of its addresses: at a new one, a browser ends its connections."""
    addresses = Path("/proc/net/if_inet6")
    lines = addresses.read_text(encoding="ascii").splitlines() if addresses.exists() else []
    return not any(int(line.split()[4], 16) & TENTATIVE for line in lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
