"""A bundle on a real engine: from one project to another folder, and a build there without a network."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import NO_NETWORK, PREFIX, SOURCE, Project, images_of, printed_by, remove_tags, tagged

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine

TIMEOUT = 600


@pytest.fixture(scope="module")
def archive(built_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of the small project, with its sources."""
    target = tmp_path_factory.mktemp("bundle") / "small.tar"
    printed = built_project.succeed("bundle", "--sources", str(target))
    assert str(target) in printed
    return target


@pytest.fixture(autouse=True)
def clean(archive: Path) -> Iterator[None]:
    """Remove the tags that a test gives, and check that no name of a bundle's own is left."""
    del archive
    yield
    remove_tags(f"{PREFIX}offline-")
    assert not tagged("pyrlab-bundle/")


def offline(folder: Path, *arguments: str, cache: Path, status: int = 0) -> str:
    """Run Python without a network and without a store of before; return what it printed."""
    done = subprocess.run(
        [*NO_NETWORK, sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE / "src"), "XDG_CACHE_HOME": str(cache), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_two_bundles_of_one_project_are_the_same(built_project: Project, archive: Path, tmp_path: Path) -> None:
    built_project.succeed("bundle", "--sources", str(tmp_path / "again.tar"))
    with archive.open("rb") as one, (tmp_path / "again.tar").open("rb") as other:
        while chunk := one.read(2**20):
            assert chunk == other.read(2**20)
        assert not other.read(1)


def test_a_project_goes_over_and_is_built_again_without_a_network(
    archive: Path, tmp_path: Path, free_port: int
) -> None:
    """-S hides all that is installed: unbundle needs Python and Docker alone."""
    printed = offline(tmp_path, "-S", "-m", "pyrlab.cli.unbundle", str(archive), "offline", cache=tmp_path / "cache")
    assert "nox -s build needs no network" in printed
    project = tmp_path / "offline"
    client = engine.client()
    before = {name: client.images.get(f"{PREFIX}{name}:latest").id for name in ("pylab", "rlab")}

    # What was loaded is what the locks say there, too.
    printed = offline(project, "-m", "pyrlab", "build", "--locked", cache=tmp_path / "cache")
    assert "nothing to do" in printed

    # Under names that nothing was loaded for: all that it takes is at hand.
    settings = images_of("offline-", "x")
    (project / "pyrlab.toml").write_text(settings, encoding="utf-8")
    printed = offline(project, "-m", "pyrlab", "build", "--locked", cache=tmp_path / "cache")
    assert "building pyrlab-base, pylab, rlab-base, rlab" in printed
    assert "downloading" not in printed
    assert {name: client.images.get(f"{PREFIX}{name}:latest").id for name in before} == before

    environment = {**os.environ, "PYTHONPATH": str(SOURCE / "src"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    lab = Project(project, environment)
    try:
        printed = lab.succeed("serve", "pylab", "--no-browser", PORT=str(free_port), FILES=str(tmp_path / "notebooks"))
        link = re.findall(r"http://127\.0\.0\.1:\S+", printed)[-1]
        session = requests.Session()
        session.trust_env = False
        assert "<title>JupyterLab</title>" in session.get(link, timeout=30).text
    finally:
        lab.succeed("stop", "pylab")


@pytest.mark.nightly
def test_a_whole_checkout_goes_over_by_the_documented_lines(
    built_project: Project, tmp_path: Path, free_port: int
) -> None:
    """Those of docs/networks.md, and then those that it tells: what Nox and pyrlab run with comes along."""
    checkout = tmp_path / "checkout"
    shutil.copytree(
        SOURCE, checkout, ignore=shutil.ignore_patterns(".git", ".nox", ".pyrlab", "*_cache", "__pycache__")
    )
    for path in built_project.path.iterdir():
        if path.is_file():
            shutil.copy(path, checkout)
    (checkout / "pyrlab.toml").write_text(images_of("offline-whole-"), encoding="utf-8")
    project = Project(checkout, built_project.environment)
    project.succeed("build")
    project.succeed("bundle", "--sources", str(tmp_path / "labs.tar"))

    there = tmp_path / "there"
    (there / "home").mkdir(parents=True)
    # Python without any package of pyrlab's, and an engine that has to be given the images.
    programs = [str(Path(sys.base_prefix, "bin")), *map(parent_of, ("docker", "tar"))]
    bare = {"PATH": ":".join(programs), "HOME": str(there / "home")}
    remove_tags(f"{PREFIX}offline-")
    documented = re.findall(r"```sh\n(mkdir tool .*?)```", (SOURCE / "docs/networks.md").read_text("utf-8"), re.DOTALL)
    (lines,) = [text.replace("/media/stick/labs.tar", str(tmp_path / "labs.tar")) for text in documented]
    printed = shell(lines, there, bare, *NO_NETWORK)
    venv, pip = re.findall(r"^  (python3\S* -m venv .*|\.venv/bin/pip .*)$", printed, re.MULTILINE)
    shell(f"{venv}\n{pip}", there / "labs", bare, *NO_NETWORK)
    assert ".venv/bin/nox -s serve -- pylab" in printed
    # A namespace would not see the lab's port. Out here no server is in reach either.
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    serving = {**bare, **nowhere, "PORT": str(free_port), "FILES": str(there / "notebooks")}
    try:
        link = (
            shell(".venv/bin/nox -s serve -- pylab --no-browser", there / "labs", serving)
            .split("is ready: ")[1]
            .split()[0]
        )
        session = requests.Session()
        session.trust_env = False
        assert "<title>JupyterLab</title>" in session.get(link, timeout=30).text
    finally:
        shell(".venv/bin/nox -s stop -- pylab", there / "labs", serving)


def parent_of(program: str) -> str:
    """Return the folder that has a program."""
    found = shutil.which(program)
    assert found
    return str(Path(found).parent)


def shell(lines: str, folder: Path, environment: dict[str, str], *before: str) -> str:
    """Run lines of a shell that must succeed, and return what they print."""
    return printed_by([*before, "sh", "-ec", lines], cwd=folder, env=environment)


def test_without_sources_such_a_build_says_what_it_lacks(built_project: Project, tmp_path: Path) -> None:
    """So the test above proves what it says: the namespace has no way out."""
    built_project.succeed("bundle", str(tmp_path / "images.tar"))
    offline(tmp_path, "-m", "pyrlab.cli.unbundle", "images.tar", "offline", cache=tmp_path / "cache")
    settings = images_of("offline-", "y")
    (tmp_path / "offline/pyrlab.toml").write_text(settings, encoding="utf-8")
    printed = offline(tmp_path / "offline", "-m", "pyrlab", "build", "--locked", cache=tmp_path / "cache", status=6)
    assert "error: " in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("place", [0.0, 0.001, 0.3, 0.6, 0.999999])
def test_a_flipped_bit_is_found_before_anything_is_loaded(archive: Path, tmp_path: Path, place: float) -> None:
    damaged = tmp_path / "damaged.tar"
    shutil.copy(archive, damaged)
    with damaged.open("r+b") as file:
        file.seek(int(place * damaged.stat().st_size))
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    before = loaded()
    printed = offline(
        tmp_path, "-m", "pyrlab.cli.unbundle", "damaged.tar", "offline", cache=tmp_path / "cache", status=8
    )
    assert "error: damaged.tar is no bundle that can be used: " in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.tar"]
    assert loaded() == before


def loaded() -> dict[str, str]:
    """Return the images that a bundle of this test could bring, by tag."""
    return tagged("pyrlab-bundle/", PREFIX)


def test_docker_itself_reads_it(archive: Path) -> None:
    """It is an OCI layout in a tar file: whoever has nothing of pyrlab can load the images."""
    printed = process.run(["docker", "load", "--input", str(archive)], timeout=TIMEOUT)
    tags = re.findall(r"pyrlab-bundle/\S+", printed)
    assert len(tags) == 4
    for tag in tags:
        process.run(["docker", "image", "rm", "--no-prune", tag], timeout=60)
    with tarfile.open(archive) as tar:
        assert {"oci-layout", "index.json", "manifest.json", "project/debs.lock"} <= set(tar.getnames())
