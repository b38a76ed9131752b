"""`serve` by two runs at once, on an engine that is played: one lab, and both get its link."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from played_labs import Engine, play

from pyrlab.commands import serve as serving
from pyrlab.errors import LabError
from pyrlab.model.serving import Request
from pyrlab.model.settings import Settings
from pyrlab.steps.workspace import busy

Load = Callable[..., Settings]


def serve(settings: Settings, *, build: Callable[[], Any], say: Callable[[str], Any]) -> str:
    """Serve pylab, and return its link."""
    return serving.serve(settings, Request.of(settings, "pylab"), build=build, say=say).link


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Play an engine on this machine, whose labs answer at once."""
    return play(monkeypatch)


@pytest.fixture
def settings(load_settings: Load, project: Path) -> Settings:
    """Return the settings of a lab on a free port, in a folder with all that a mount's text would be cut at."""
    folder = project / 'a:b,"c${d}'
    folder.mkdir()
    folder.chmod(0o777)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return load_settings(XDG_STATE_HOME=str(project / "state")).serving("pylab", port=port, notebooks=folder)


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
            second.append(serve(settings, build=met.set, say=say))
        except LabError as error:
            second.append(error)

    other = threading.Thread(target=run_second)

    def build() -> None:
        other.start()
        assert met.wait(timeout=30)

    first = serve(settings, build=build, say=lambda _: None)
    other.join(timeout=30)
    assert second == [first]
    assert len(played.made) == 1
    assert said[0].startswith("waiting for another run in this project: serve pylab, process ")
    assert said[1:] == ["pylab runs already; stop it first if it should change: nox -s stop -- pylab"]


def test_who_only_wants_the_link_waits_for_nobody(played: Engine, settings: Settings) -> None:
    """A long build in the same project is no reason."""
    link = serve(settings, build=lambda: None, say=lambda _: None)
    said: list[str] = []
    with busy(settings.workspace, "build", say=pytest.fail):
        assert serve(settings, build=pytest.fail, say=said.append) == link
    assert said == ["pylab runs already; stop it first if it should change: nox -s stop -- pylab"]
    assert len(played.made) == 1


def test_a_lab_that_does_not_run_gives_way(played: Engine, settings: Settings) -> None:
    serve(settings, build=lambda: None, say=lambda _: None)
    before = played.made[0]
    before.status = "exited"
    said: list[str] = []
    serve(settings, build=lambda: None, say=said.append)
    assert said == ["removing the pylab of before, which does not run", "starting pylab"]
    assert (before in played.made, len(played.made)) == (False, 1)


def test_a_name_that_somebody_else_has_is_an_error_that_keeps_it(played: Engine, settings: Settings) -> None:
    """What this run has not made is never removed."""
    with contextlib.suppress(LabError):
        serve(settings, build=lambda: None, say=lambda _: None)
    strange = played.made[0]
    strange.labels, strange.status = {}, "exited"
    with pytest.raises(LabError, match=r"^pylab could not be started$") as caught:
        serve(settings, build=lambda: None, say=lambda _: None)
    assert "is already in use" in caught.value.detail
    assert played.made == [strange]


def test_the_notebooks_are_mounted_whatever_their_folder_is_called(played: Engine, settings: Settings) -> None:
    serve(settings, build=lambda: None, say=lambda _: None)
    _, mount, _ = played.made[0].given["mounts"]
    assert (mount["Source"], mount["Target"]) == (str(settings.notebooks), "/home/notebook/notebooks")
