"""Whole runs of `lock` for R on another suite than the usual one: only its name and its R are others."""

import gzip
import json
from pathlib import Path

import pytest
from debian_archives import entry, tar_of
from machine import Machine, Project, settings_text

from pyrlab.commands.imports import import_file
from pyrlab.errors import ListError
from pyrlab.model.locks.r import RLock

SHA = "0123456789abcdef0123456789abcdef01234567"
SUITES = [pytest.param("trixie", "4.5.0", id="trixie"), pytest.param("forky", "4.6.0", id="forky")]
RENV = {
    "R": {"Version": "4.5.0", "Repositories": [{"Name": "CRAN", "URL": "https://cran.example.org"}]},
    "Packages": {
        "plain": {"Package": "plain", "Version": "1.0", "Source": "Repository", "Repository": "CRAN"},
        "tiny": {
            "Package": "tiny",
            "Version": "0.1.0",
            "Source": "GitHub",
            "RemoteType": "github",
            "RemoteUsername": "me",
            "RemoteRepo": "tiny",
            "RemoteSha": SHA,
        },
    },
}


def move(own: Project, suite: str, r: str) -> None:
    """Let the archive have a suite with an R, and the settings name it: CRAN, a snapshot for it, and a forge."""
    machine = own.machine
    machine.suite = suite
    machine.drop_deb("r-base-core", "4.5.0-3")
    machine.add_deb("r-base-core", f"{r}-1")
    forge = machine.folder / "forge"
    repositories = ("debian", f"cran={machine.cran.as_uri()}", f"posit={snapshot(machine, r)}")
    text = settings_text(machine, repositories=repositories).replace("[base]", f'[base]\nsuite = "{suite}"')
    own.toml = f'{text}github = "{forge.as_uri()}"\n'
    tarball = forge / f"me/tiny/tar.gz/{SHA}"
    tarball.parent.mkdir(parents=True)
    described = entry(f"tiny-{SHA}/DESCRIPTION", b"Package: tiny\nVersion: 0.1.0\nImports: plain\n")
    tarball.write_bytes(gzip.compress(tar_of(described), mtime=0))


def snapshot(machine: Machine, r: str) -> str:
    """Return the URL of a dated snapshot with binaries for the machine's suite and an R; it has zoo."""
    server = Machine(machine.folder / "posit", "")
    server.add_r("zoo", "1.8-14", Built=f"R {r}; ; 2026-11-01 00:00:00 UTC; unix")
    place = machine.folder / f"snapshots/cran/__linux__/{machine.suite}/2026-11-02"
    place.parent.mkdir(parents=True)
    place.symlink_to(server.cran, target_is_directory=True)
    return place.as_uri()


def lock_of(own: Project) -> RLock:
    """Return the lock of R packages."""
    lock = own.locks.r
    assert lock
    return lock


@pytest.mark.parametrize(("suite", "r"), SUITES)
def test_r_is_locked_alike_on_each_suite(own: Project, tmp_path: Path, suite: str, r: str) -> None:
    """From CRAN, a snapshot with the suite's binaries, Debian, another tool's lock, and a commit."""
    move(own, suite, r)
    own.machine.add_r("plain", "1.0")
    own.write("r_packages.txt", "zoo")
    renv = tmp_path / "renv.lock"
    renv.write_text(json.dumps(RENV), encoding="utf-8")
    import_file(own.settings, renv)
    assert own.read("r_packages.txt").splitlines()[-2:] == ["plain == 1.0", f"me/tiny@{SHA}"]
    own.lock()
    lock = lock_of(own)
    assert (own.locks.debs.suite, lock.r) == (suite, r)
    found = {pin.name: (pin.version, pin.repository, [file.kind for file in pin.files]) for pin in lock.packages}
    assert found == {
        "IRkernel": ("1.3.2", "debian", []),
        "plain": ("1.0", "cran", ["source"]),
        "repr": ("1.1.7", "debian", []),
        "tiny": ("0.1.0", "github", ["commit"]),
        "zoo": ("1.8-14", "posit", ["binary"]),
    }
    assert own.moved() == []
    assert own.asked == ["debs", "python"]


def test_a_package_for_a_newer_r_is_had_with_its_suite(own: Project) -> None:
    """What is refused on the one names the other as the cure."""
    move(own, "forky", "4.6.0")
    own.machine.add_r("young", "1.0", Depends="R (>= 4.6)")
    own.write("r_packages.txt", "young")
    own.lock()
    assert "young 1.0" in [f"{pin.name} {pin.version}" for pin in lock_of(own).packages]


def test_a_package_for_a_newer_r_is_refused_before_its_suite(own: Project) -> None:
    move(own, "trixie", "4.5.0")
    own.machine.add_r("young", "1.0", Depends="R (>= 4.6)")
    own.write("r_packages.txt", "young")
    with pytest.raises(ListError, match=r"young 1\.0 of cran needs R >= 4\.6, and the image has R 4\.5\.0") as caught:
        own.lock()
    assert caught.value.remedy.startswith("take a newer R, with base.suite in pyrlab.toml")
