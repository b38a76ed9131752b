"""`nox -s serve` and `nox -s stop`, as somebody uses them."""

import contextlib
import dataclasses
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import requests
from conftest import Project, forget_labs, forget_labs_of
from docker.models.containers import Container

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.commands import labs as daily
from pyrlab.commands import serve as serving
from pyrlab.errors import LabError, UsageError
from pyrlab.model.serving import Request
from pyrlab.model.settings import Settings
from pyrlab.steps import lab_runs


@pytest.fixture
def stopped(built_project: Project) -> Iterator[Project]:
    """Return the built project, and remove its labs afterwards."""
    with forget_labs(built_project):
        yield built_project


@pytest.fixture
def name(built_project: Project) -> str:
    """Return the name of the built project's own lab."""
    return read_settings(built_project.path, built_project.environment).workspace.container("pylab")


def link_in(printed: str) -> str:
    """Return the link of `serve`'s last line."""
    match = re.fullmatch(r"pylab is ready: (http://127\.0\.0\.1:\d+/lab\?token=[0-9a-f]{48})", printed.splitlines()[-1])
    assert match, printed
    return match[1]


def test_serve_prints_one_link_that_opens_the_lab(stopped: Project, free_port: int, tmp_path: Path, name: str) -> None:
    notebooks = tmp_path / "new" / "notebooks"
    arguments = ("serve", "pylab", "--no-browser", "--notebooks", str(notebooks))
    link = link_in(stopped.succeed(*arguments, PORT=str(free_port)))
    assert link.startswith(f"http://127.0.0.1:{free_port}/")

    session = requests.Session()
    session.trust_env = False
    page = session.get(link, timeout=30)
    assert (page.status_code, "<title>JupyterLab</title>" in page.text) == (200, True)
    assert session.get(f"http://127.0.0.1:{free_port}/api/contents", timeout=30).ok  # the link's token made a cookie
    bare = requests.Session()
    bare.trust_env = False
    assert bare.get(f"http://127.0.0.1:{free_port}/api/contents", timeout=30).status_code == 403

    container = engine.client().containers.get(name)
    published = container.attrs["NetworkSettings"]["Ports"]
    bindings = [binding for ports in published.values() for binding in ports or []]
    assert bindings == [{"HostIp": "127.0.0.1", "HostPort": str(free_port)}]
    assert (notebooks.is_dir(), notebooks.stat().st_uid != 0) == (True, True)

    again = stopped.succeed(*arguments, PORT=str(free_port))
    assert "pylab runs already" in again
    assert link_in(again) == link
    assert engine.client().containers.get(name).id == container.id


def test_stop_ends_the_lab_and_leaves_the_notebooks(
    stopped: Project, free_port: int, tmp_path: Path, name: str
) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    stopped.succeed("serve", "pylab", "--no-browser", "--port", str(free_port), FILES=str(tmp_path))
    mounts = engine.client().containers.get(name).attrs["Mounts"]
    assert [mount["Source"] for mount in mounts if mount["Type"] == "bind"] == [str(tmp_path)]
    assert stopped.succeed("stop", "pylab") == "pylab is stopped.\n"
    assert stopped.succeed("stop", "pylab") == "pylab was not running.\n"
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"
    assert name not in {container.name for container in engine.client().containers.list(all=True, ignore_removed=True)}


def test_a_folder_of_roots_is_refused_with_what_to_do(stopped: Project, free_port: int, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can own a folder as root")
    tmp_path.chmod(0o755)
    outcome = stopped.run("serve", "pylab", "--no-browser", "--port", str(free_port), "--notebooks", str(tmp_path))
    assert outcome.status == 2
    assert f"error: the notebooks folder {tmp_path} belongs to root, and a lab never runs as root" in outcome.output
    assert f"try: chown -R 1000:1000 {tmp_path}" in outcome.output


Serve = Callable[[Settings, int], str]


@pytest.fixture
def mine(built_project: Project, tmp_path: Path) -> Iterator[Settings]:
    """Return settings of a project of its own that has the built project's images."""
    (tmp_path / "notebooks").mkdir(mode=0o777)
    (tmp_path / "notebooks").chmod(0o777)
    settings = read_settings(built_project.path, built_project.environment)
    own = dataclasses.replace(settings, project=tmp_path / "mine", notebooks=tmp_path / "notebooks")
    yield own
    forget_labs_of(own)


@pytest.fixture
def theirs(mine: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Return the same settings in another project, or of another user in the same one."""
    if request.param == "project":
        return dataclasses.replace(mine, project=tmp_path / "theirs")
    return dataclasses.replace(mine, owner=4321)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a starter of pylab that builds nothing, and stop all that it was asked for."""
    asked: list[Settings] = []

    def start(settings: Settings, port: int) -> str:
        asked.append(settings)
        return serve_quietly(settings, port)

    yield start
    for settings in asked:
        forget_labs_of(settings)


def serve_quietly(settings: Settings, port: int, *, say: Callable[[str], object] = lambda _: None) -> str:
    """Serve pylab, build nothing, and return its link."""
    chosen = settings.serving("pylab", port=port, notebooks=None)
    request = Request.of(chosen, "pylab")
    return serving.serve(chosen, request, build=lambda: None, say=lambda line: cast("None", say(line))).link


def container_of(settings: Settings) -> Container:
    """Return a running lab."""
    return engine.client().containers.get(settings.workspace.container("pylab"))


@pytest.mark.parametrize("theirs", ["project", "user"], indirect=True)
def test_two_labs_at_once_know_nothing_of_each_other(mine: Settings, theirs: Settings, serve: Serve) -> None:
    """Each has its own link, and each `stop` ends its own."""
    first, second = serve(mine, 18901), serve(theirs, 18902)
    assert first.split("token=")[1] != second.split("token=")[1]
    assert serve(mine, 18901) == first  # runs already, and is its own
    assert container_of(mine).labels["io.pyrlab.user"] == str(mine.owner)
    assert daily.stop(theirs, "pylab")
    assert container_of(mine).status == "running"
    assert not daily.stop(theirs, "pylab")
    assert container_of(mine).status == "running"


@pytest.mark.parametrize("theirs", ["project", "user"], indirect=True)
def test_another_ones_port_is_refused_with_who_has_it(mine: Settings, theirs: Settings, serve: Serve) -> None:
    """And not with the link to the other one's lab."""
    token = serve(theirs, 18901).split("token=")[1]
    with pytest.raises(UsageError) as caught:
        serve(mine, 18901)
    workspace = theirs.workspace
    assert str(caught.value) == (
        f"port 18901 has the pylab of project {workspace.identity}, user {workspace.owner}: "
        f"container {workspace.container('pylab')}"
    )
    assert caught.value.remedy == "--port 18902 is free; or choose another by --port or PORT"
    assert token not in f"{caught.value}{caught.value.detail}"
    assert container_of(theirs).status == "running"


def test_a_lab_that_cannot_be_made_removes_no_other_one(mine: Settings) -> None:
    """Not even one of the same name: this call did not make it."""
    older = engine.client().containers.create(
        mine.tag("pylab"), name=mine.workspace.container("pylab"), labels={"io.pyrlab.lab": "pylab"}
    )
    try:
        with pytest.raises(LabError, match=r"^pylab could not be started$") as caught:
            serve_quietly(mine, 18901)
        assert "already in use" in caught.value.detail
        assert engine.client().containers.get(str(older.id)).id == older.id
    finally:
        older.remove(force=True)


def test_an_interrupt_while_the_engine_makes_a_lab_leaves_none(mine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer never came, but the container did."""
    collection = type(engine.client().containers)
    create: Callable[..., Container] = collection.create

    def interrupted(*arguments: object, **options: object) -> None:
        create(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(collection, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve_quietly(mine, 18901)
    assert engine.client().containers.list(all=True, filters={"name": mine.workspace.container("pylab")}) == []


def test_an_engine_on_another_machine_is_served_with_advice(mine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loopback is not this machine's; a tunnel there may already have the port."""
    monkeypatch.setattr(engine, "address", lambda: "tcp://build.example:2375")
    said: list[str] = []
    with socket.socket() as tunnel, contextlib.suppress(LabError):
        tunnel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tunnel.bind(("127.0.0.1", 18901))
        monkeypatch.setattr(lab_runs, "START_TIMEOUT", 0.0)
        serve_quietly(mine, 18901, say=said.append)
    assert said[0] == (
        f"the Docker engine is on build.example: the lab will work in {mine.notebooks} of that machine and answer on "
        "its 127.0.0.1:18901, while serve waits on this machine's. Bring the port over, in another terminal: "
        "ssh -N -L 18901:127.0.0.1:18901 build.example"
    )
