"""What holds on trixie with these lists holds on forky too, with another umask, and with an image more."""

import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
from conftest import PREFIX, SOURCE, Project, forget_labs, images_of, make_project, remove_tags
from docker.models.containers import Container

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings

FIFTH = """
[image.dashlab]
parent = "pyrlab-base"
debs = "dash_debs.txt"
python = "dash.in"

[image.dashlab.lab]
port = 7777
port_key = "dash_port"
port_variable = "DASHPORT"
kernels = { python3 = "python" }
"""

# What an image's own files decide is proved on the default images, once; here, what its packages decide.
BRIEF = ("-k", "not contract and not security and not added and not faults")


def smoke(project: Project, *arguments: str) -> None:
    """Prove the labs of a project, as its users do."""
    for folder in ("smoke", "notebooks"):
        shutil.copytree(SOURCE / "tests" / folder, project.path / "tests" / folder, dirs_exist_ok=True)
    printed = project.succeed("smoke", *arguments)
    assert " passed" in printed
    assert " failed" not in printed
    assert "not run: own notebook: [proof] in pyrlab.toml names no notebook" in printed


def remove_images(project: Project) -> None:
    """Remove the images of a project."""
    settings = read_settings(project.path, project.environment)
    remove_tags(*map(settings.tag, settings.graph.images))


@pytest.fixture
def forky(tmp_path: Path) -> Iterator[Project]:
    """Return a project on the next Debian."""
    project = make_project(tmp_path / "forky")
    project.write("pyrlab.toml", '[base]\nsuite = "forky"\n' + images_of("forky-"))
    yield project
    remove_images(project)


@pytest.mark.parametrize("tests", [BRIEF, pytest.param((), marks=pytest.mark.nightly)], ids=["brief", "all"])
def test_forky_locks_builds_and_runs(forky: Project, tests: Sequence[str]) -> None:
    forky.succeed("lock")
    forky.succeed("build")
    smoke(forky, *tests)


@pytest.fixture
def five(project: Project) -> Iterator[Project]:
    """Return a project with a fifth image: data alone."""
    with (project.path / "docker/images.toml").open("a", encoding="utf-8") as file:
        file.write(FIFTH)
    project.write("dash_debs.txt", "less\n")
    project.write("dash.in", "xlrd\n")
    project.write("pyrlab.toml", images_of("five-"))
    with forget_labs(project):
        yield project
    remove_images(project)


@pytest.mark.nightly
def test_a_fifth_image_is_locked_built_proved_and_served(five: Project, free_port: int) -> None:
    five.succeed("lock")
    assert "xlrd==" in five.read("dash.lock")
    assert "[dashlab]\n" in five.read("debs.lock")
    assert "xlrd" not in five.read("requirements.lock")
    five.succeed("lock", "--check")
    five.succeed("build")
    run = engine.client().containers.run
    found = run(f"{PREFIX}five-dashlab:latest", ["-c", "import xlrd"], entrypoint="/opt/lab/bin/python", remove=True)
    assert found == b""
    smoke(five, "dashlab", *BRIEF)
    notebooks = five.path / "notebooks"
    printed = five.succeed("serve", "dashlab", "--no-browser", "--notebooks", str(notebooks), DASHPORT=str(free_port))
    link = printed.split()[-1]
    assert f":{free_port}/" in link
    session = requests.Session()
    session.trust_env = False
    assert session.get(link, timeout=30).ok
    assert five.succeed("stop", "dashlab") == "dashlab is stopped.\n"


def test_the_umask_decides_nothing(built_project: Project, tmp_path: Path) -> None:
    """Of whoever clones the project, and of whoever builds in it: the images are the same, and start."""
    made = {umask: layers_by(umask, built_project, tmp_path / f"{umask:03o}") for umask in (0o077, 0o002, 0o022)}
    assert made[0o077] == made[0o002] == made[0o022]


def layers_by(umask: int, built: Project, folder: Path) -> list[str]:
    """Build an image with a script that is new, and return its layers, by somebody with this umask."""
    before = os.umask(umask)
    try:
        cloned = make_project(folder)
        for name in ("debs.lock", "r_packages.lock", "requirements.lock"):
            cloned.write(name, built.read(name))
        for path in (cloned.path, *cloned.path.rglob("*")):
            # As git makes them; a copy keeps the modes of what it was copied from.
            path.chmod((0o777 if path.is_dir() or path.stat().st_mode & 0o100 else 0o666) & ~umask)
        script = cloned.path / "docker/install/lab/start-lab"
        assert stat.S_IMODE(script.stat().st_mode) & umask == 0
        assert cloned.succeed("build").startswith("· nothing to do")
        script.write_text(script.read_text(encoding="utf-8") + "\n# another end\n", encoding="utf-8")
        cloned.write("pyrlab.toml", images_of("umask-"))
        cloned.succeed("build", "pyrlab-base")
    finally:
        os.umask(before)
    client, tag = engine.client(), f"{PREFIX}umask-pyrlab-base:latest"
    layers: list[str] = client.images.get(tag).attrs["RootFS"]["Layers"]
    container = client.containers.run(tag, detach=True)
    try:
        wait_for_health(container)
    finally:
        container.remove(force=True)
        remove_images(cloned)
    return layers


def wait_for_health(container: Container) -> None:
    """Wait until a container's own health check is content."""
    deadline = time.monotonic() + 60
    while container.health != "healthy":
        assert container.status in {"created", "running"}, container.logs().decode()
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.1)
        container.reload()
