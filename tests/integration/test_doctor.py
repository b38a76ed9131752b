"""`doctor` against a real engine: what a build step reaches, and what it does not."""

import json
import os
import socket
from pathlib import Path

import pytest
from conftest import Project


def lines(project: Project, *, status: int, **environment: str) -> dict[str, list[dict[str, str]]]:
    """Run doctor, which must end with this status, and return its lines by name."""
    outcome = project.run("doctor", "--json", **environment)
    assert outcome.status == status, outcome.output
    text = outcome.output[outcome.output.index("[\n") : outcome.output.rindex("]") + 1]
    found: dict[str, list[dict[str, str]]] = {}
    for table in json.loads(text):
        found.setdefault(table["name"], []).append(table)
    return found


def test_this_engine_is_well(project: Project, free_port: int) -> None:
    found = lines(project, status=0, PORT=str(free_port), RPORT=str(free_port), FILES=str(project.path / "new"))
    assert found["engine"][0]["found"].startswith("Docker ")
    assert found["locks"][0]["state"] == "ok"
    assert {one["state"] for one in found["network in a build"]} == {"ok"}
    assert {one["found"].split(" at ")[0] for one in found["network in a build"]} >= {"Python index pip"}
    assert not (project.path / "new").exists()


def test_an_index_that_a_build_cannot_reach_is_told(project: Project) -> None:
    """Nobody listens there; whatever the settings say is asked from this machine and from inside."""
    found = lines(project, status=11, PIPPROXY="http://me:pq7-hush-zz@127.0.0.1:9/simple")
    for name in ("network", "network in a build"):
        (ill,) = [one for one in found[name] if one["state"] == "not well"]
        assert ill["found"].startswith("Python index pip at 127.0.0.1:9 cannot be reached: ")
        assert "PIPPROXY" in ill["remedy"]
    for path in project.path.rglob("*"):
        if path.is_file():
            assert b"pq7-hush-zz" not in path.read_bytes(), path


def test_a_port_that_somebody_has_is_told(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        found = lines(project, status=11, PORT=port)
    (ill,) = [one for one in found["ports"] if one["state"] == "not well"]
    assert ill["found"].startswith(f"port {port} has process ")
    assert ill["found"].endswith(f"({os.getpid()})")


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock"])
def test_without_an_engine_the_rest_is_told_all_the_same(project: Project, host: str, tmp_path: Path) -> None:
    found = lines(project, status=11, DOCKER_HOST=host, FILES=str(tmp_path))
    assert found["engine"][0]["remedy"] == "nox -s engine"
    assert found["network in a build"][0]["state"] == "not told"
    assert {one["state"] for one in found["network"]} == {"ok"}
