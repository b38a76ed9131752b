"""The labs under test: each runs in a container of its own, which is found again, and removed, by its label."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

import pytest
import requests
from containers import docker_client, of_this_run
from docker.models.containers import Container
from docker.types import Mount
from project import Contents, Project
from testcontainers.core.container import DockerContainer

from pyrlab.model.graph import Lab

START_TIMEOUT = 60.0
POLL_INTERVAL = 0.1
# Of whoever runs the tests, as people have it at home. Root's own id would prove nothing: labs refuse to run as root.
OWNER = (os.getuid(), os.getgid()) if os.getuid() else (12345, 12345)
# Where the labs work, whatever is mounted there.
NOTEBOOKS = "/home/notebook/notebooks"
# What coreutils' timeout says of a command that took too long.
TIMED_OUT = 124


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command in a container ended, and what it wrote."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab that answers. ``start_log`` is what it had logged by then; ``folder`` is mounted as its notebooks."""

    lab: Lab
    contents: Contents = field(repr=False)
    exempt: Mapping[str, str] = field(repr=False)
    container: Container
    url: str
    token: str = field(repr=False)
    folder: Path
    start_log: str = field(repr=False)

    def kernel(self, language: str) -> str:
        """Return the name of the lab's kernel for a language."""
        return next(name for name, spoken in self.lab.kernels.items() if spoken == language)

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None,
        json: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one request, past all proxies, and return the answer without following it elsewhere."""
        headers = {**(headers or {}), **({"Authorization": f"token {token}"} if token is not None else {})}
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, self.url + path, headers=headers, json=json, timeout=30, allow_redirects=False
            )

    def get(self, path: str) -> requests.Response:
        """Return the answer to a GET with the lab's token."""
        return self.request("GET", path, token=self.token)

    def attempt(self, *command: str, timeout: float = 60) -> Finished:
        """Run ``command`` in the container, as the user that the lab runs as. ``timeout`` in seconds."""
        limited = ["timeout", "--kill-after=5", str(timeout), *command]
        result = self.container.exec_run(limited, demux=True, workdir=NOTEBOOKS)
        stdout, stderr = cast("tuple[bytes | None, bytes | None]", result.output)
        return Finished(int(result.exit_code or 0), _text(stdout), _text(stderr))

    def run(self, *command: str, timeout: float = 60) -> str:
        """Run ``command`` in the container and return its output; a failure shows the end of all that it wrote."""
        ended = self.attempt(*command, timeout=timeout)
        if ended.status:
            why = f"took more than {timeout} s" if ended.status == TIMED_OUT else f"ended with {ended.status}"
            shown = " ".join(command)[:200]
            pytest.fail(f"{self.lab.image}: {shown!r} {why}:\n{(ended.stdout + ended.stderr)[-3000:]}", pytrace=False)
        return ended.stdout

    def log(self) -> str:
        """Return all that the container has logged."""
        return self.container.logs().decode(errors="replace")

    def add(self, source: Path) -> str:
        """Copy a file into the mounted folder, as the lab user's own, and return its name."""
        target = self.folder / source.name
        target.write_bytes(source.read_bytes())
        os.chown(target, *OWNER)
        return source.name


class Options(TypedDict, total=False):
    """How a container is started otherwise than most; the words are those of Docker's SDK."""

    command: Sequence[str]
    user: str
    network: str
    dns: Sequence[str]
    mounts: Sequence[Mount]
    tmpfs: Sequence[str]
    read_only: bool
    cap_drop: Sequence[str]
    security_opt: Sequence[str]
    pids_limit: int
    mem_limit: str
    memswap_limit: str


class Fleet:
    """All containers of one test session: one for each lab that is started when first asked for, and passing ones."""

    def __init__(self, project: Project, make_folder: Callable[[str], Path]) -> None:
        self.project = project
        self._make_folder = make_folder
        self.starts: dict[str, float] = {}  # seconds until the shared labs answered
        self._shared: dict[str, RunningLab] = {}
        self._failed: set[str] = set()
        self._renewed: set[str] = set()

    def shared(self, name: str, *, again: bool = False) -> RunningLab:
        """Return the lab called ``name`` that all tests share. ``again`` says that a test runs again, as it failed."""
        if again:
            self._renew(name)
        if name in self._failed:
            pytest.fail(f"{name} did not start: see the first failure", pytrace=False)
        if name not in self._shared:
            self._failed.add(name)
            began = time.monotonic()
            self._shared[name] = self.start(name)
            self.starts[name] = time.monotonic() - began
            self._failed.remove(name)
        return self._shared[name]

    def _renew(self, name: str) -> None:
        """Let the next one be another lab: in the old one lies what the test has left there."""
        if name in self._shared:
            self._shared.pop(name).container.remove(force=True, v=True)
        elif name not in self._renewed:
            # One that did not start is tried once more, and not for each test: that takes its whole time each time.
            self._renewed.add(name)
            self._failed.discard(name)

    @contextmanager
    def another(
        self,
        name: str,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[Path], None] = lambda _: None,
        **options: Unpack[Options],
    ) -> Iterator[RunningLab]:
        """Start one more container of a lab, for a test that takes it apart."""
        running = self.start(name, environment, prepare, **options)
        try:
            yield running
        finally:
            running.container.remove(force=True, v=True)

    def start(
        self,
        name: str,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[Path], None] = lambda _: None,
        **options: Unpack[Options],
    ) -> RunningLab:
        """Start a lab as its users do, and wait until it answers. ``prepare`` puts files into its folder before."""
        folder, token = self._make_folder(name), secrets.token_hex(16)
        prepare(folder)
        folder.chmod(0o755)
        for own in (folder, *folder.rglob("*")):
            os.chown(own, *OWNER, follow_symlinks=False)
        options.setdefault("user", "{}:{}".format(*OWNER))
        container = self._start(name, {"JUPYTER_TOKEN": token, **(environment or {})}, folder, **options)
        alone = options.get("network") == "none"
        running = RunningLab(
            lab=self.project.graph.find_lab(name),
            contents=self.project.contents(name),
            exempt=self.project.exempt,
            container=container,
            url="" if alone else f"http://127.0.0.1:{_port_of(container)}",
            token=token,
            folder=folder,
            start_log="",
        )
        wait_for(
            f"{name} to answer",
            lambda: _answers_inside(running) if alone else _answers(running),
            timeout=START_TIMEOUT,
            evidence=running.log,
        )
        return replace(running, start_log=running.log())

    def finish(self, name: str, environment: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Finished:
        """Start a container whose ``command`` ends, or a lab that must not start, and return how it ended."""
        container = self._start(name, environment or {}, None, **options)
        try:
            status = int(container.wait(timeout=60)["StatusCode"])
            return Finished(status, _text(container.logs(stderr=False)), _text(container.logs(stdout=False)))
        finally:
            container.remove(force=True, v=True)

    def _start(
        self, name: str, environment: Mapping[str, str], folder: Path | None, **options: Unpack[Options]
    ) -> Container:
        tag = self.project.settings.tag(name)
        container = DockerContainer(tag, docker_client_kw={"timeout": 300})
        # Not a volume mapping, whose text is cut at colons: the folder may have one.
        own = [Mount(NOTEBOOKS, str(folder), type="bind")] if folder else []
        mounts = [*own, *options.pop("mounts", ())]
        command = options.pop("command", None)
        if command:
            container.with_command(list(command))
        for target in options.pop("tmpfs", ()):
            container.with_tmpfs_mount(target)
        container.with_kwargs(labels=of_this_run(), mounts=mounts, **options).with_envs(**environment)
        # A pair is what Docker's SDK takes for an address with a port that the engine chooses.
        cast("dict[str, Any]", container.ports)[_exposed_port(tag)] = ("127.0.0.1", None)
        return container.start().get_wrapped_container()


def wait_for(
    what: str, condition: Callable[[], bool], *, timeout: float, evidence: Callable[[], str] = lambda: ""
) -> None:
    """Wait until ``condition`` holds, or fail after ``timeout`` seconds with the end of ``evidence``."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:.0f} s for {what}\n{evidence()[-3000:]}", pytrace=False)
        time.sleep(POLL_INTERVAL)


def _answers(running: RunningLab) -> bool:
    try:
        return running.request("GET", "/api", token=None).ok
    except (requests.ConnectionError, requests.Timeout):
        running.container.reload()
        if running.container.status != "running":
            pytest.fail(f"{running.lab.image} stopped:\n{running.log()[-3000:]}", pytrace=False)
        return False


def _answers_inside(running: RunningLab) -> bool:
    return running.attempt("check-health").status == 0


def _port_of(container: Container) -> int:
    """Return the port of this machine behind which the lab's only port is."""
    container.reload()
    (bindings,) = [found for found in container.ports.values() if found]
    return int(bindings[0]["HostPort"])


def _exposed_port(tag: str) -> str:
    """Return the port that an image says its server listens on, as in ``8888/tcp``."""
    client = docker_client()
    try:
        (port,) = client.images.get(tag).attrs["Config"]["ExposedPorts"]
    finally:
        client.close()
    return str(port)


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")
