"""`nox -s lock`: what the locks hold, what moves and what stays."""

import subprocess
import sys
import tomllib

import pytest
from conftest import LOCKS, NO_NETWORK, Project, images_of

from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.python import PythonLock


def test_the_locks_hold_what_the_lists_want_and_all_that_it_needs(locked_project: Project) -> None:
    debs = DebsLock.parse(locked_project.read("debs.lock"))
    assert {pin.name for pin in debs.sections["pyrlab-base"] if pin.requested} >= {"ed", "tini", "locales"}
    assert "libc6" in {pin.name for pin in debs.sections["root"]}
    assert "libblas3" in {pin.name for pin in debs.sections["rlab-base"] if not pin.requested}
    python = PythonLock.parse(locked_project.read("requirements.lock"))
    assert python.versions()["tabulate"] == "0.9.0"
    assert {"jupyterlab", "tornado"} <= python.versions().keys()
    r = tomllib.loads(locked_project.read("r_packages.lock"))
    zoo = next(package for package in r["package"] if package["name"] == "zoo")
    assert (zoo["requested"], zoo["dependencies"]) == (True, ["R >= 3.1.0", "lattice >= 0.20-27"])
    assert {"IRkernel", "lattice", "pbdZMQ"} <= {package["name"] for package in r["package"]}


def test_a_second_lock_gives_the_same_bytes(project: Project) -> None:
    before = project.state()
    printed = project.succeed("lock")
    assert project.state() == before
    assert [f"{name}: nothing changed" in printed for name in LOCKS] == [True] * 3


def test_check_needs_neither_network_nor_engine(project: Project) -> None:
    """In a namespace whose loopback is down: whether the locks agree, and what is wrong where they do not."""

    def check() -> tuple[int, str]:
        command = [*NO_NETWORK, sys.executable, "-m", "pyrlab", "lock", "--check"]
        environment = {**project.environment, "DOCKER_HOST": "tcp://127.0.0.1:9"}
        done = subprocess.run(
            command, cwd=project.path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert check() == (0, "The locks agree with the lists.\n")
    project.write("requirements.in", "tabulate==0.9.0\nxlrd\n")
    status, printed = check()
    assert status == 4
    assert "requirements.lock lacks xlrd (requirements.in:2)" in printed


def test_a_new_comment_leaves_the_locks_valid(project: Project) -> None:
    project.write("base_debs.txt", "# another comment\n\ned   # still wanted\n")
    project.succeed("lock", "--check")


def test_pins_stay_until_they_are_upgraded(project: Project) -> None:
    project.write("requirements.in", "tabulate\nxlrd\n")
    stale = project.run("lock", "--check")
    assert stale.status == 4
    assert "requirements.lock lacks xlrd (requirements.in:2)" in stale.output

    printed = project.succeed("lock", "python")
    assert "requirements.lock: 1 added" in printed
    assert PythonLock.parse(project.read("requirements.lock")).versions()["tabulate"] == "0.9.0"

    printed = project.succeed("lock", "python", "--upgrade-package", "tabulate")
    assert "requirements.lock: 1 up" in printed
    assert PythonLock.parse(project.read("requirements.lock")).versions()["tabulate"] != "0.9.0"


def test_a_deb_that_is_dropped_leaves_with_what_only_it_needed(project: Project) -> None:
    project.write("base_debs.txt", "")
    printed = project.succeed("lock", "debs")
    assert "debs.lock: 1 removed" in printed
    assert "ed (pyrlab-base)" in printed


@pytest.mark.nightly
def test_the_other_release_is_one_line_away(project: Project) -> None:
    project.write("pyrlab.toml", '[base]\nsuite = "forky"\n' + images_of())
    stale = project.run("build")
    assert stale.status == 4
    assert "debs.lock is for trixie, and the settings want forky" in stale.output
    old = DebsLock.parse(project.read("debs.lock"))
    project.succeed("lock", "debs")
    new = DebsLock.parse(project.read("debs.lock"))
    assert new.suite == "forky"
    assert new.version_of("python3") != old.version_of("python3")
    assert new.version_of("r-base-core") != old.version_of("r-base-core")
