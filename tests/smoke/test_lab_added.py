"""Packages that are tried in a running lab: they last as long as their volume, and cover nothing in silence."""

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from containers import docker_client, of_this_run
from docker.types import Mount
from labs import NOTEBOOKS, OWNER, Fleet, Options, RunningLab
from packages import r_repository, r_source, wheel

ADDED = "/opt/lab/added"
# In each image: Jupyter stands on the one, R's kernel on the other.
PYTHONS_OWN, RS_OWN = "traitlets", "uuid"
INSTALL = f"--quiet --no-index --find-links {NOTEBOOKS}/wheels"
INSTALL_R = f"repos <- 'file://{NOTEBOOKS}/cran'; install.packages(%s, repos = repos, quiet = TRUE)"


@pytest.fixture
def volume() -> Iterator[Mount]:
    """Return a mount of a new volume over the folder of added packages."""
    client = docker_client()
    try:
        made = client.volumes.create(f"pyrlab-smoke-{uuid.uuid4().hex}", labels=of_this_run())
        try:
            yield Mount(ADDED, made.name, type="volume")
        finally:
            made.remove(force=True)
    finally:
        client.close()


def _files() -> Mapping[str, bytes]:
    """Return an index of wheels and a repository like CRAN; in each is a package that the image has, too."""
    wheels = {
        **wheel("tiny", "1.0", needs="tinier"),
        **wheel("tinier", "1.0"),
        **wheel(PYTHONS_OWN, "0.0.1"),
    }
    sources = r_source("tiny", "1.0", needs="tinier"), r_source("tinier", "1.0"), r_source(RS_OWN, "0.0.1")
    return {
        **{f"wheels/{name}": data for name, data in wheels.items()},
        **{f"cran/{name}": data for name, data in r_repository(*sources).items()},
    }


def _write(folder: Path) -> None:
    for name, data in _files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _added(lab: RunningLab) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what list-added tells, by kind and name."""
    packages = json.loads(lab.run("list-added"))["packages"]
    return {(package["kind"], package["name"]): package for package in packages}


def _speaks_r(fleet: Fleet, lab_name: str) -> bool:
    return "R" in fleet.project.graph.find_lab(lab_name).kernels.values()


def test_keeps_what_is_added_and_tells_it(fleet: Fleet, lab_name: str, volume: Mount) -> None:
    """As any user, by pip, by %pip and by install.packages; each start tells it, and what of the image it covers."""
    r = _speaks_r(fleet, lab_name)
    options: Options = {"mounts": [volume], "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    with fleet.another(lab_name, prepare=_write, **options) as lab:
        assert "start-lab:" not in lab.start_log
        assert _added(lab) == {}
        lab.run("ipython", "--no-banner", "-c", f"%pip install {INSTALL} tiny", timeout=120)
        lab.run("sh", "-c", f"pip install {INSTALL} --ignore-installed {PYTHONS_OWN}", timeout=120)
        if r:
            lab.run("Rscript", "-e", INSTALL_R % f"c('tiny', '{RS_OWN}')", timeout=120)
    with fleet.another(lab_name, prepare=_write, **options) as lab:
        found = _added(lab)
        wanted = {key for key, package in found.items() if package["wanted"]}
        expected = {("python", "tiny"), ("python", PYTHONS_OWN), *([("r", "tiny"), ("r", RS_OWN)] if r else [])}
        assert wanted == expected
        assert {key for key in found if key not in wanted} == {(kind, "tinier") for kind, _ in expected}
        assert not [package for package in found.values() if not package["fits"]]
        python, says = found["python", PYTHONS_OWN], lab.start_log
        assert f"start-lab: {PYTHONS_OWN} 0.0.1 is not used: the image has {python['image']}" in says
        assert lab.run("python", "-m", "tiny") == "Python's\n"
        assert lab.run("python", "-c", f"import {PYTHONS_OWN}; print({PYTHONS_OWN}.__file__)").startswith(
            "/opt/lab/lib/"
        )
        if r:
            image = found["r", RS_OWN]["image"]
            assert f"start-lab: {RS_OWN} 0.0.1 covers the image's newer {image}\n" in says
            assert (
                lab.run("Rscript", "-e", f"cat(tiny::whose(), find.package('{RS_OWN}'))") == f"R's {ADDED}/R/{RS_OWN}"
            )


def test_removes_what_was_added_and_tells_why_not_the_images(fleet: Fleet, lab_name: str, volume: Mount) -> None:
    with fleet.another(lab_name, prepare=_write, mounts=[volume]) as lab:
        lab.run("sh", "-c", f"pip install {INSTALL} --ignore-installed tiny {PYTHONS_OWN}", timeout=120)
        refused = lab.attempt("pip", "uninstall", "--yes", "jupyterlab", "tiny")
        assert (refused.status, refused.stdout) == (1, "")
        assert refused.stderr.startswith("ERROR: the image's own packages stay: jupyterlab. ")
        assert refused.stderr.count("\n") == 1
        lab.run("python", "-m", "pip", "uninstall", "--yes", "tiny", "tinier", PYTHONS_OWN)
        assert _added(lab) == {}
        lab.run("python", "-c", f"import jupyterlab, {PYTHONS_OWN}")
        if _speaks_r(fleet, lab_name):
            lab.run("Rscript", "-e", f"{INSTALL_R % repr('tiny')}; remove.packages('tiny')", timeout=120)
            assert {name for _, name in _added(lab)} == {"tinier"}


def test_makes_room_for_its_own_python_in_a_volume_of_another(fleet: Fleet, lab_name: str, volume: Mount) -> None:
    """As after a move to a Debian with a newer Python: what is not seen is told, and pip works."""
    install = f"pip install {INSTALL} tiny && cd {ADDED}/lib && mv python3.* python3.2"
    with fleet.another(lab_name, prepare=_write, mounts=[volume]) as lab:
        lab.run("sh", "-c", install, timeout=120)
    with fleet.another(lab_name, prepare=_write, mounts=[volume]) as lab:
        assert "start-lab: tiny 1.0 is not seen: it was added to Python 3.2, and the image has 3." in lab.start_log
        assert {package["fits"] for package in _added(lab).values()} == {False}
        lab.run("sh", "-c", f"pip install {INSTALL} tiny", timeout=120)
        assert lab.run("python", "-m", "tiny") == "Python's\n"
        assert {package["fits"] for package in _added(lab).values()} == {True}


def test_says_that_nothing_can_be_added(fleet: Fleet, lab_name: str, volume: Mount) -> None:
    """Where the folder is somebody else's, as a bind mount of root's."""
    fleet.finish(lab_name, mounts=[volume], user="0:0", command=["chmod", "-R", "755", ADDED])
    with fleet.another(lab_name, mounts=[volume]) as lab:
        said = f"start-lab: nothing can be added: user {OWNER[0]} cannot write in {ADDED}, which belongs to user 0\n"
        assert said in lab.start_log
