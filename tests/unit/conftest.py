"""Small projects for the unit tests, made on the spot: lists, settings, and a machine on which no program runs."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import hypothesis
import pytest
from graphs import GRAPH, TEXT
from machine import Machine, Project, running

from pyrlab.adapters import http_errors, lists_files, process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.cli import main as cli
from pyrlab.cli import terminal
from pyrlab.model.lists import BASE_DEBS, PYTHON, R_DEBS, Lists, R
from pyrlab.model.settings import Settings
from pyrlab.model.urls import FILE

# Everyday: the same examples each time, and no tracing of failures: the suite stays quick, and a red test stays red.
hypothesis.settings.register_profile(
    "unit",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink],
)
# The nightly run looks elsewhere each time: what it finds must not stop a change that has nothing to do with it. It is
# printed with a line to paste above the test, which then fails here too.
hypothesis.settings.register_profile(
    "random", parent=hypothesis.settings.get_profile("unit"), max_examples=500, derandomize=False, print_blob=True
)
# Mutants are to fail, thousands of times: which example does it is of no interest.
hypothesis.settings.register_profile(
    "first",
    parent=hypothesis.settings.get_profile("unit"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile(os.environ.get("EXAMPLES", "unit"))


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what is there by now: it would look through all of it time and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def disk_in_time() -> Iterator[None]:
    """Let nobody wait for the disk: no test cuts the power, and a disk that others use takes seconds to be sure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for name, value in {"COUNT": "1", "KEY_0": "core.fsync", "VALUE_0": "none"}.items():
            patch.setenv(f"GIT_CONFIG_{name}", value)
        yield


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test hide its passwords, which may be words of another one's messages: a process hides them for good."""
    monkeypatch.setattr(http_errors, "_hidden", set())


@pytest.fixture
def an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an engine answer where none runs: what is tested ends before it has anything to do."""
    monkeypatch.setattr(engine, "find", lambda: engine.Engine("26", "amd64"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose four lists are empty, with the image graph."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/images.toml").write_text(TEXT, encoding="utf-8")
    for name in (BASE_DEBS, R_DEBS, PYTHON, R):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a runner of pyrlab's command line in this very process: status, output, messages."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stay
    for console in (terminal.out, terminal.err):
        monkeypatch.setattr(console, "file", None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pyrlab", *arguments])
        status = cli.main()
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def run(request: pytest.FixtureRequest, command_line: Callable[..., tuple[int, str, str]]) -> Callable[..., str]:
    """Return a runner of a command that must succeed, in the project of a file's ``settings``: all that was printed."""
    request.getfixturevalue("settings")

    def call(*arguments: str) -> str:
        status, said, told = command_line(*arguments)
        assert status == 0, told
        return told + said

    return call


@pytest.fixture
def read_lists(project: Path) -> Callable[[Mapping[str, str]], Lists]:
    """Return a reader of lists: it is given the text of those that are not empty, by file name."""

    def read(texts: Mapping[str, str]) -> Lists:
        for name, text in texts.items():
            (project / name).write_text(text, encoding="utf-8")
        return lists_files.read_lists(project, GRAPH)

    return read


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every program be missing, so that no answer depends on this machine."""

    def run(command: Sequence[str], *, timeout: float, **_: object) -> str:
        assert timeout > 0
        raise process.MissingProgramError(command[0])

    monkeypatch.setattr(process, "run", run)


@pytest.fixture
def load_settings(project: Path, no_programs: None) -> Callable[..., Settings]:
    """Return a loader of settings, out of the text of pyrlab.toml and of environment variables."""
    del no_programs

    def load(toml: str = "", **environment: str) -> Settings:
        (project / FILE).write_text(toml, encoding="utf-8")
        return read_settings(project, environment)

    return load


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine whose archives have what each project gets, in place of BuildKit, Docker and the network."""
    return running(tmp_path / "machine", monkeypatch)


@pytest.fixture
def own(project: Path, machine: Machine) -> Project:
    """Return a project with empty lists on a machine of its own."""
    return Project(project, machine)
