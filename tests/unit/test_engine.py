"""The engine: found or refused with a remedy, and never replaced."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine
from pyrlab.errors import EngineError


class Commands:
    """Answers of programs by their first words; a missing one fails as a program that is not there."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.ran: list[str] = []

    def run(self, command: Sequence[str], **_: object) -> str:
        """Take the place of process.run."""
        self.ran.append(" ".join(command))
        key = f"{command[0]}_{command[1]}".replace("-", "_")
        if key not in self.answers:
            raise process.MissingProgramError(command[0])
        return self.answers[key]


def server(version: str) -> str:
    """Return what `docker version` prints of an engine."""
    return json.dumps({"Version": version, "Arch": "amd64"})


def use(monkeypatch: pytest.MonkeyPatch, **answers: str) -> Commands:
    """Put ``answers`` in the place of real programs."""
    commands = Commands(**answers)
    monkeypatch.setattr(process, "run", commands.run)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return commands


def test_an_engine_that_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = use(monkeypatch, docker_version=server("26.1.5+dfsg1"), docker_buildx="buildx 0.13.1")
    assert engine.ensure() == "Docker 26.1.5+dfsg1 answers; nothing to do."
    assert [command.split()[:2] for command in commands.ran] == [["docker", "version"], ["docker", "buildx"]]


def test_an_old_engine_is_refused_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = use(monkeypatch, docker_version=server("20.10.24"))
    with pytest.raises(EngineError) as caught:
        engine.ensure()
    assert str(caught.value) == "the Docker engine is version 20.10.24, and COPY --link needs 23 or newer"
    assert caught.value.remedy == "install a newer engine, or remove this one and run: nox -s engine"
    assert len(commands.ran) == 1


def test_an_engine_elsewhere_is_not_replaced_by_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example:2375")
    with pytest.raises(EngineError) as caught:
        engine.ensure()
    assert str(caught.value) == "no docker command on the PATH at DOCKER_HOST=tcp://build.example:2375"
    assert caught.value.remedy == "start that engine, or unset DOCKER_HOST to use one on this machine"


@pytest.mark.parametrize(
    ("release", "uid", "says", "remedy"),
    [
        pytest.param(
            {"ID": "fedora", "PRETTY_NAME": "Fedora"}, 0, "Fedora is not Debian", "docs.docker.com", id="fedora"
        ),
        pytest.param({"ID": "debian"}, 1000, "only root can install", "sudo nox -s engine", id="not-root"),
    ],
)
def test_where_none_can_be_installed_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], uid: int, says: str, remedy: str
) -> None:
    use(monkeypatch)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    with pytest.raises(EngineError) as caught:
        engine.ensure()
    assert says in str(caught.value)
    assert remedy in caught.value.remedy


def test_only_stale_pid_files_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    files = {"gone": "999999999", "garbled": "?", "another": "1", "alive": str(Path("/proc/self").resolve().name)}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    pid_files = {tmp_path / name: own if name == "alive" else "dockerd" for name in [*files, "absent"]}
    monkeypatch.setattr(engine, "PID_FILES", pid_files)
    engine.remove_stale_pid_files()
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]
