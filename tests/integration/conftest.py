"""A small project of its own for each test: real lists, a real engine, real archives, but little to install."""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.settings import Settings

SOURCE = Path(__file__).parents[2]
LOCKS = ("debs.lock", "r_packages.lock", "requirements.lock")
# Goes before the names of all images of the tests. Where two processes run them (pytest -n 2), each has its own.
PREFIX = f"pyrlab-test{os.environ.get('PYTEST_XDIST_WORKER', '')}/"


def images_of(name: str = "", tag: str = "latest") -> str:
    """Return the part of pyrlab.toml that puts the tests' prefix and ``name`` before an image's name."""
    return f'[images]\nprefix = "{PREFIX}{name}"\ntag = "{tag}"\n'


LISTS = {
    "base_debs.txt": "# a small editor\ned\n",
    "r_debs.txt": "",
    "requirements.in": "tabulate==0.9.0\n",
    "r_packages.txt": "\n# dates\nzoo\n",
    "pyrlab.toml": images_of(),
}
TIMEOUT = 900.0
# What would let a lab of the tests be another one than on any machine.
NOT_INHERITED = {"PORT", "RPORT", "FILES", "SSH_CONNECTION"}
# A namespace with a loopback that is down and no route: the engine's socket is a file, and is there all the same.
NO_NETWORK = ["unshare", "--net", "--"]
# Of its build cache the engine keeps so much from one file of tests to the next, oldest first out: about what a whole
# run leaves.
KEPT_CACHE = "20GB"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a pyrlab command ended, and all that it printed."""

    status: int
    output: str


@dataclasses.dataclass(frozen=True)
class Project:
    """A folder with lists, locks and docker/, in which pyrlab runs as users run it."""

    path: Path
    environment: dict[str, str]
    timeout: float = TIMEOUT

    def run(self, *arguments: str, **environment: str) -> Outcome:
        """Run ``pyrlab arguments`` in the project and return how it ended."""
        done = subprocess.run(
            [sys.executable, "-m", "pyrlab", *arguments],
            cwd=self.path,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def succeed(self, *arguments: str, **environment: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        outcome = self.run(*arguments, **environment)
        assert outcome.status == 0, outcome.output
        return outcome.output

    def interrupt(self, *arguments: str, when: str) -> Outcome:
        """Run a command, press Ctrl-C as soon as it prints ``when``, and return how it ended."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pyrlab", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        seen, pressed = "", False
        with process.stdout:
            for line in process.stdout:
                seen += line
                if when in line and not pressed:
                    # As a terminal does: to every process of the foreground group.
                    os.killpg(process.pid, signal.SIGINT)
                    pressed = True
        return Outcome(process.wait(timeout=60), seen)

    def copy(self, path: Path) -> "Project":
        """Return a copy of the project, without what its builds left behind."""
        shutil.copytree(self.path, path, ignore=shutil.ignore_patterns(".pyrlab"))
        return Project(path, self.environment)

    def write(self, name: str, text: str) -> None:
        """Write one of the project's files."""
        (self.path / name).write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """Read one of the project's files."""
        return (self.path / name).read_text(encoding="utf-8")

    def state(self) -> dict[str, object]:
        """Return what a failed command must leave as it was: locks, images and containers."""
        client = engine.client()
        images = tagged(PREFIX)
        labs = client.containers.list(all=True, filters={"label": "io.pyrlab.lab"}, ignore_removed=True)
        containers = {one.id for one in labs if one.attrs["Config"]["Image"].startswith(PREFIX)}
        locks = {name: (self.path / name).read_bytes() for name in LOCKS if (self.path / name).exists()}
        left = sorted(path.name for path in self.path.iterdir() if path.name != ".pyrlab")
        return {"images": images, "containers": containers, "locks": locks, "files": left}


def tagged(*beginnings: str) -> dict[str, str]:
    """Return the ids of the engine's images whose tags begin so, by tag."""
    # Not by the SDK's own list: that asks for each image by its id, and fails where somebody has removed it by then.
    found = engine.client().api.images()
    return {tag: image["Id"] for image in found for tag in image["RepoTags"] or () if tag.startswith(beginnings)}


def remove_tags(*beginnings: str) -> None:
    """Take all tags that begin so."""
    for tag in tagged(*beginnings):
        engine.client().images.remove(tag, force=True)


def make_project(path: Path, **environment: str) -> Project:
    """Make a small project in ``path``, with the docker/ folder of this checkout."""
    path.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SOURCE / "docker", path / "docker")
    for name, text in LISTS.items():
        (path / name).write_text(text, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    state = str(path.with_name(f"{path.name}-state"))
    environment = {"PYTHONPATH": str(SOURCE / "src"), "COLUMNS": "200", "XDG_STATE_HOME": state, **environment}
    return Project(path, {**inherited, **environment})


@contextlib.contextmanager
def forget_labs(project: Project) -> Iterator[None]:
    """Remove, at the end, all labs of a project with the volumes of their home folders."""
    try:
        yield
    finally:
        forget_labs_of(read_settings(project.path, project.environment))


def forget_labs_of(settings: Settings) -> None:
    """Remove all labs of a project with the volumes of their home folders."""
    client = engine.client()
    labels: list[str] = [f"{name}={value}" for name, value in settings.workspace.labels.items()]
    for container in client.containers.list(all=True, filters={"label": labels}):
        container.remove(force=True)
    for volume in client.volumes.list(filters={"label": labels}):
        volume.remove(force=True)


def printed_by(command: Sequence[str], *, timeout: float = TIMEOUT, **options: Any) -> str:  # noqa: ANN401 - as there
    """Run a command that must succeed, by the options of subprocess.run, and return all that it printed."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False, **options
    )
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def install_debs(*names: str) -> None:
    """Install packages on this machine, one process after the other: apt-get does not wait for its lists."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with FileLock(Path(tempfile.gettempdir(), "pyrlab-test-apt.lock")):
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
            command = ["apt-get", "--quiet", *words]
            subprocess.run(command, check=True, timeout=TIMEOUT, env=environment, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module", autouse=True)
def room(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the engine's disk as much room as the file of tests before found, where this one has built anything."""
    yield
    here = [item for item in request.session.items if item.path == request.path]
    if any("locked_project" in getattr(item, "fixturenames", ()) for item in here):
        command = ["docker", "builder", "prune", "--force", "--keep-storage", KEPT_CACHE]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=TIMEOUT)


@pytest.fixture(scope="session")
def locked_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return a small project with its three locks made. Tests must not change it: they take ``project``."""
    made = make_project(tmp_path_factory.mktemp("locked"))
    # The pins of this checkout's own lock spare the index most questions; the small list drops what it does not want.
    shutil.copy(SOURCE / "requirements.lock", made.path)
    made.succeed("lock")
    yield made
    # Whoever builds, builds a copy of it.
    remove_tags(PREFIX)


@pytest.fixture(scope="session")
def built_project(locked_project: Project) -> Project:
    """Return the small project with all four images built; they are removed at the end."""
    locked_project.succeed("build")
    return locked_project


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def project(locked_project: Project, tmp_path: Path) -> Project:
    """Return a copy of the locked small project that a test may change."""
    return locked_project.copy(tmp_path / "project")


@pytest.fixture
def untouched(project: Project) -> Iterator[Project]:
    """Return a project, and check afterwards that its locks and all images and labs are as they were."""
    before = project.state()
    yield project
    assert project.state() == before


def fails(project: Project, *arguments: str, status: int, says: str, remedy: str, **environment: str) -> None:
    """Run a command that must fail: with this status, this error and this remedy, and no traceback."""
    outcome = project.run(*arguments, **environment)
    assert "Traceback" not in outcome.output, outcome.output
    error, tip = outcome.output.splitlines()[-2:]
    assert error.startswith("error: "), outcome.output
    assert says in error, outcome.output
    assert tip.startswith("  try: "), outcome.output
    assert remedy in tip, outcome.output
    assert outcome.status == status, outcome.output


def compiled(printed: str) -> set[str]:
    """Return the packages that a build compiled, as it tells."""
    return set(re.findall(r"^· compiled (\S+) ", printed, re.MULTILINE))
