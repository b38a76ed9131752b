"""`doctor` against a real engine: what a build step reaches, and what it does not."""

import json
import os
import socket
from pathlib import Path

import pytest
from conftest import Project


def lines(project: Project, **environment: str) -> dict[str, list[dict[str, str]]]:
    """Run doctor, and return its lines by name. They decide its status: some depend on what servers do that day."""
    outcome = project.run("doctor", "--json", **environment)
    text = outcome.output[outcome.output.index("[\n") : outcome.output.rindex("]") + 1]
    found: dict[str, list[dict[str, str]]] = {}
    for table in json.loads(text):
        found.setdefault(table["name"], []).append(table)
    assert outcome.status == (11 if "not well" in states(found, *found) else 0), outcome.output
    return found


def states(found: dict[str, list[dict[str, str]]], *names: str) -> set[str]:
    """Return the states of the lines of these names."""
    return {line["state"] for name in names for line in found[name]}


def test_this_engine_is_well(project: Project, free_port: int) -> None:
    """In all that it decides by itself. Of the network a build reaches what this machine does."""
    found = lines(project, PORT=str(free_port), RPORT=str(free_port), FILES=str(project.path / "new"))
    assert found["engine"][0]["found"].startswith("Docker ")
    own = ("engine", "buildx", "architecture", "engine's clock", "notebooks", "ports", "labs", "locks", "proxies")
    assert states(found, *own) == {"ok"}, found
    assert {one["found"].split(" at ")[0] for one in found["network in a build"]} >= {"Python index pip"}
    here, inside = (
        {one["found"] for one in found[name] if one["state"] == "ok"} for name in ("network", "network in a build")
    )
    assert inside >= here
    assert not (project.path / "new").exists()


def test_an_index_that_a_build_cannot_reach_is_told(project: Project) -> None:
    """Nobody listens there; whatever the settings say is asked from this machine and from inside."""
    found = lines(project, PIPPROXY="http://me:pq7-hush-zz@127.0.0.1:9/simple")
    for name in ("network", "network in a build"):
        (ill,) = [one for one in found[name] if one["found"].startswith("Python index pip at 127.0.0.1:9 ")]
        assert ill["state"] == "not well"
        assert " cannot be reached: " in ill["found"]
        assert "PIPPROXY" in ill["remedy"]
    for path in project.path.rglob("*"):
        if path.is_file():
            assert b"pq7-hush-zz" not in path.read_bytes(), path


def test_a_port_that_somebody_has_is_told(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        found = lines(project, PORT=port)
    (ill,) = [one for one in found["ports"] if one["state"] == "not well"]
    assert ill["found"].startswith(f"port {port} has process ")
    assert ill["found"].endswith(f"({os.getpid()})")


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock"])
def test_without_an_engine_the_rest_is_told_all_the_same(project: Project, host: str, tmp_path: Path) -> None:
    found = lines(project, DOCKER_HOST=host, FILES=str(tmp_path))
    assert found["engine"][0]["remedy"] == "nox -s engine"
    assert found["network in a build"][0]["state"] == "not told"
    assert found["locks"][0]["state"] == "ok"
    assert any(one["found"].startswith("Python index pip at ") for one in found["network"])
