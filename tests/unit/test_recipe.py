"""The build steps' own files: what counts, and what does not."""

import shutil
from pathlib import Path

import pytest
from graphs import SOURCE

from pyrlab.adapters import recipe


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """Return a copy of docker/ that a test may change."""
    return Path(shutil.copytree(SOURCE / "docker", tmp_path / "docker", ignore=shutil.ignore_patterns("__pycache__")))


def digests(docker: Path) -> dict[str, str]:
    return recipe.digests(recipe.read(docker))


@pytest.mark.parametrize(
    "name",
    ["__pycache__/plan.cpython-311.pyc", ".plan.py.swp", "plan.py~", "#plan.py#", "plan.py.orig", "install-debs.rej"],
)
def test_what_editors_and_python_leave_behind_decides_nothing(docker: Path, name: str) -> None:
    before = digests(docker)
    path = docker / "install/r" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"left behind")
    assert digests(docker) == before


@pytest.mark.parametrize("mask", [0o077, 0o002, 0o022, 0o111])
def test_the_modes_of_the_checkout_decide_nothing(docker: Path, mask: int) -> None:
    before = digests(docker)
    for path in docker.rglob("*"):
        path.chmod((0o777 if path.is_dir() else path.stat().st_mode) & ~mask | 0o400)
        if path.is_dir():
            path.chmod(0o700)
    assert digests(docker) == before


def test_line_ends_of_another_system_decide_nothing(docker: Path) -> None:
    before = digests(docker)
    for path in docker.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digests(docker) == before


def test_bytes_names_and_programs_decide(docker: Path) -> None:
    before = digests(docker)
    script = docker / "install/debs/install-debs"
    script.write_bytes(script.read_bytes() + b"\n# more\n")
    edited = digests(docker)
    assert {name for name in before if before[name] != edited[name]} == {"debs", "debs/install-debs"}
    script.rename(script.with_name("install-debs2"))
    assert digests(docker)["debs"] != edited["debs"]


def test_an_edit_of_a_lock_script_is_no_edit_of_what_installs(docker: Path) -> None:
    before = digests(docker)
    script = docker / "lock/lock-debs"
    script.write_bytes(script.read_bytes() + b"\n# more\n")
    after = digests(docker)
    assert {name for name in before if before[name] != after[name]} == {"lock", "lock/lock-debs"}


def test_lint_looks_at_all_scripts_of_the_shell() -> None:
    looked_at = (SOURCE / "noxfile.py").read_text(encoding="utf-8").partition("SCRIPT_FOLDERS = (")[2].partition(")")[0]
    for path in (path for path in (SOURCE / "docker").rglob("*") if path.is_file()):
        if path.read_bytes().startswith(b"#!/bin/sh"):
            assert f'"{path.parent.relative_to(SOURCE).as_posix()}"' in looked_at, path
