"""Two architectures on one machine: arm64 beside amd64, under an emulator, from the lock to a lab that answers."""

import os
import platform
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from conftest import TIMEOUT, Project, forget_labs_of, install_debs

from pyrlab.adapters.docker import engine
from pyrlab.adapters.lock_files import read_locks
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.steps.architecture import chosen

pytestmark = pytest.mark.nightly
EMULATED = {"DOCKER_DEFAULT_PLATFORM": "linux/arm64"}
# Python starts in seconds there, and compiles all of JupyterLab: seconds for one command.
SLOWLY = 3600.0
BINFMT = Path("/proc/sys/fs/binfmt_misc")


@pytest.fixture(scope="module", autouse=True)
def emulator() -> None:
    """Make sure that this machine's engine runs programs of arm64."""
    if platform.machine() not in {"x86_64", "amd64"}:
        pytest.skip(f"this machine is {platform.machine()}: emulating arm64 on it proves nothing")
    if "linux/arm64" in engine.platforms():
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        pytest.skip("the engine emulates no arm64: apt-get install qemu-user-static")
    # Where there is no systemd, nobody has told the kernel.
    commands = [["update-binfmts", "--enable"]]
    if not (BINFMT / "register").exists():
        commands.insert(0, ["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)])
    install_debs("qemu-user-static", "binfmt-support")
    for command in commands:
        subprocess.run(command, check=True, timeout=TIMEOUT, stdout=subprocess.DEVNULL)
    assert "linux/arm64" in engine.platforms()


def test_locks_of_two_architectures_lie_side_by_side_and_a_lab_of_each_answers(
    built_project: Project, tmp_path: Path, free_port: int
) -> None:
    """A colleague's lock overwrites nothing, and what is emulated has images and labs of its own."""
    project = replace(built_project.copy(tmp_path / "both"), timeout=SLOWLY)
    before = {path.name: path.read_bytes() for path in project.path.glob("*.lock")}
    project.succeed("lock", "--architecture", "arm64")
    assert {path.name: path.read_bytes() for path in project.path.glob("*.lock")} == before
    assert {path.name for path in (project.path / "arm64").iterdir()} == before.keys()
    project.succeed("lock", "--check")
    project.succeed("build", "pylab", "--platform", "linux/arm64")
    assert "nothing to do" in project.succeed("build", "pylab", "--platform", "linux/arm64")

    settings = chosen(read_settings(project.path, {**project.environment, **EMULATED}), engine.find())
    locks = read_locks(settings)
    assert {pin.architecture for pin in locks.debs.pins()} == {"all", "arm64"}
    image = engine.client().images.get(settings.tag("pylab"))
    assert image.attrs["Architecture"] == "arm64"
    try:
        options = ["--no-browser", "--port", str(free_port), "--notebooks", str(tmp_path / "notebooks")]
        printed = project.succeed("serve", "pylab", *options, **EMULATED)
        link = printed.split("pylab is ready: ")[1].split()[0]
        assert requests.get(link.replace("/lab?", "/api/status?"), timeout=SLOWLY).ok
        lab = engine.client().containers.get(settings.workspace.container("pylab"))
        said = lab.exec_run(["python", "-c", "import platform; print(platform.machine())"]).output
        assert said == b"aarch64\n"
        assert "pylab" in project.succeed("list", **EMULATED)
        assert "is stopped" in project.succeed("stop", "pylab", **EMULATED)
    finally:
        forget_labs_of(settings)
        engine.client().images.remove(settings.tag("pylab"), force=True)
