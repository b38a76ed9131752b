"""`serve` by two runs at once, on an engine that is played: one lab, and both get its link."""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError

from pyrlab.adapters.docker import engine
from pyrlab.commands import serve as serving
from pyrlab.errors import LabError
from pyrlab.model.settings import Settings
from pyrlab.steps.workspace import busy

Load = Callable[..., Settings]


class Container:
    """A lab's container."""

    def __init__(self, engine_: "Engine", given: Mapping[str, Any]) -> None:
        self._engine = engine_
        self.name, self.labels, self.status = given["name"], given["labels"], "created"
        self.mounts = given["mounts"]
        environment = [f"{name}={value}" for name, value in given["environment"].items()]
        self.attrs = {"Config": {"Env": environment}, "NetworkSettings": {"Ports": {}}}

    def start(self) -> None:
        """Start it."""
        self.status = "running"

    def remove(self, *, force: bool) -> None:
        """Remove it."""
        assert force
        self._engine.made.remove(self)

    def reload(self) -> None:
        """Ask the engine anew: what it says is here already."""

    def logs(self, *, tail: int) -> bytes:
        """Return the end of its log."""
        return b"x" * min(tail, 1)


class Engine:
    """An engine: it refuses a second container of the same name, as Docker does."""

    def __init__(self) -> None:
        self.made: list[Container] = []

    def create(self, image: str, **given: Any) -> Container:  # noqa: ANN401 - as Docker's SDK
        """Make a container."""
        if any(container.name == given["name"] for container in self.made):
            raise APIError("Conflict", explanation=f"Conflict. The container name {given['name']} is already in use")
        self.made.append(Container(self, {"image": image, **given}))
        return self.made[-1]

    def list(self, *, filters: Mapping[str, Sequence[str]], **_: bool) -> Sequence[Container]:
        """Return the containers with these labels."""
        wanted = [filters["label"]] if isinstance(filters["label"], str) else filters["label"]
        return [
            container
            for container in self.made
            if all(name in {*container.labels, *map("=".join, container.labels.items())} for name in wanted)
        ]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Play an engine on this machine, whose labs answer at once."""
    played = Engine()
    monkeypatch.setattr(engine, "find", lambda: None)
    monkeypatch.setattr(engine, "is_rootless", lambda: False)
    monkeypatch.setattr(engine, "address", lambda: "")
    monkeypatch.setattr(engine, "client", lambda: SimpleNamespace(containers=played))
    monkeypatch.setattr(requests.Session, "get", lambda *_, **__: SimpleNamespace(ok=True))
    return played


@pytest.fixture
def settings(load_settings: Load, project: Path) -> Settings:
    """Return the settings of a lab on a free port, in a folder with all that a mount's text would be cut at."""
    folder = project / 'a:b,"c${d}'
    folder.mkdir()
    folder.chmod(0o777)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return load_settings().serving("pylab", port=port, notebooks=folder)


def test_who_comes_second_waits_and_gets_the_same_link(played: Engine, settings: Settings) -> None:
    """However late: here, when the first one builds already."""
    met = threading.Event()
    said: list[str] = []
    second: list[str | Exception] = []

    def say(line: str) -> None:
        said.append(line)
        met.set()

    def run_second() -> None:
        try:
            second.append(serving.serve(settings, "pylab", build=met.set, say=say))
        except LabError as error:
            second.append(error)

    other = threading.Thread(target=run_second)

    def build() -> None:
        other.start()
        assert met.wait(timeout=30)

    first = serving.serve(settings, "pylab", build=build, say=lambda _: None)
    other.join(timeout=30)
    assert second == [first]
    assert len(played.made) == 1
    assert said[0].startswith("waiting for another run in this project: serve pylab, process ")
    assert said[1:] == ["pylab runs already; stop it first if it should change: nox -s stop -- pylab"]


def test_who_only_wants_the_link_waits_for_nobody(played: Engine, settings: Settings) -> None:
    """A long build in the same project is no reason."""
    link = serving.serve(settings, "pylab", build=lambda: None, say=lambda _: None)
    said: list[str] = []
    with busy(settings.workspace, "build", say=pytest.fail):
        assert serving.serve(settings, "pylab", build=pytest.fail, say=said.append) == link
    assert said == ["pylab runs already; stop it first if it should change: nox -s stop -- pylab"]
    assert len(played.made) == 1


def test_a_lab_that_does_not_run_gives_way(played: Engine, settings: Settings) -> None:
    serving.serve(settings, "pylab", build=lambda: None, say=lambda _: None)
    before = played.made[0]
    before.status = "exited"
    said: list[str] = []
    serving.serve(settings, "pylab", build=lambda: None, say=said.append)
    assert said == ["removing the pylab of before, which does not run", "starting pylab"]
    assert (before in played.made, len(played.made)) == (False, 1)


def test_a_name_that_somebody_else_has_is_an_error_that_keeps_it(played: Engine, settings: Settings) -> None:
    """What this run has not made is never removed."""
    with contextlib.suppress(LabError):
        serving.serve(settings, "pylab", build=lambda: None, say=lambda _: None)
    strange = played.made[0]
    strange.labels, strange.status = {}, "exited"
    with pytest.raises(LabError, match=r"^pylab could not be started$") as caught:
        serving.serve(settings, "pylab", build=lambda: None, say=lambda _: None)
    assert "is already in use" in caught.value.detail
    assert played.made == [strange]


def test_the_notebooks_are_mounted_whatever_their_folder_is_called(played: Engine, settings: Settings) -> None:
    serving.serve(settings, "pylab", build=lambda: None, say=lambda _: None)
    [mount] = played.made[0].mounts
    assert (mount["Source"], mount["Target"]) == (str(settings.notebooks), "/home/notebook/notebooks")
