"""`nox -s serve` and `nox -s stop`, as somebody uses them."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import Project

from pyrlab.adapters.docker import engine

NAME = "pyrlab-test-pylab"


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stopped(built_project: Project) -> Iterator[Project]:
    """Return the built project, and stop its lab afterwards."""
    yield built_project
    built_project.succeed("stop", "pylab")


def link_in(printed: str) -> str:
    """Return the link of `serve`'s last line."""
    match = re.fullmatch(r"pylab is ready: (http://127\.0\.0\.1:\d+/lab\?token=[0-9a-f]{48})", printed.splitlines()[-1])
    assert match, printed
    return match[1]


def test_serve_prints_one_link_that_opens_the_lab(stopped: Project, free_port: int, tmp_path: Path) -> None:
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

    container = engine.client().containers.get(NAME)
    published = container.attrs["NetworkSettings"]["Ports"]
    bindings = [binding for ports in published.values() for binding in ports or []]
    assert bindings == [{"HostIp": "127.0.0.1", "HostPort": str(free_port)}]
    assert (notebooks.is_dir(), notebooks.stat().st_uid != 0) == (True, True)

    again = stopped.succeed(*arguments, PORT=str(free_port))
    assert "pylab runs already" in again
    assert link_in(again) == link
    assert engine.client().containers.get(NAME).id == container.id


def test_stop_ends_the_lab_and_leaves_the_notebooks(stopped: Project, free_port: int, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    stopped.succeed("serve", "pylab", "--no-browser", "--port", str(free_port), FILES=str(tmp_path))
    mounts = engine.client().containers.get(NAME).attrs["Mounts"]
    assert [mount["Source"] for mount in mounts] == [str(tmp_path)]
    assert stopped.succeed("stop", "pylab") == "pylab is stopped.\n"
    assert stopped.succeed("stop", "pylab") == "pylab was not running.\n"
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"
    assert NAME not in {container.name for container in engine.client().containers.list(all=True)}


def test_a_folder_of_roots_is_refused_with_what_to_do(stopped: Project, free_port: int, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can own a folder as root")
    tmp_path.chmod(0o755)
    outcome = stopped.run("serve", "pylab", "--no-browser", "--port", str(free_port), "--notebooks", str(tmp_path))
    assert outcome.status == 2
    assert f"error: the notebooks folder {tmp_path} belongs to root, and a lab never runs as root" in outcome.output
    assert f"try: chown -R 1000:1000 {tmp_path}" in outcome.output
