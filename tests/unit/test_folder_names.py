"""A project may lie in a folder of any name, whatever syntax a path gets into; where it may not, it is said."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from graphs import SOURCE
from smoke_runs import run_smoke

from pyrlab.adapters import process
from pyrlab.adapters.docker import buildkit
from pyrlab.adapters.docker.buildkit import Bake

NAMES = ["a,b", 'say "x"', "${HOME}", "%{if x}", "c:d", "tests[1]", "a::b", "a b\n'c"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bake_file_has_nothing_of_the_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its secrets are a CSV line each: each is found, in the folder that bake runs in."""
    work = tmp_path / name / ".pyrlab"
    work.mkdir(parents=True)
    found: dict[str, str] = {}

    def run(command: Sequence[str], *, cwd: Path, **_: object) -> str:
        assert name not in " ".join(command)
        text = (cwd / "bake.json").read_text(encoding="utf-8")
        assert json.dumps(name)[1:-1] not in text
        for [identity, source] in csv.reader(json.loads(text)["target"]["pylab"]["secret"]):
            found[identity] = (cwd / source.removeprefix("src=")).read_text(encoding="utf-8")
        return ""

    monkeypatch.setattr(process, "run", run)
    buildkit.bake(Bake(work, {"pylab": {"context": "root"}}, secrets={"seal": "hush", "limits": "2"}), say=pytest.fail)
    assert found == {"id=seal": "hush", "id=limits": "2"}


def test_a_string_in_a_bake_file_stands_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bake takes each for a template: a remote of git's, which is a label, would be cut or refused."""
    monkeypatch.setattr(process, "run", lambda *_, **__: "")
    labels = {"source": "https://git.example.org/${me}/%{x}/$5.git"}
    buildkit.bake(Bake(tmp_path, {"pylab": {"labels": labels, "tags": ["a:${b}"], "no-cache": True}}), say=pytest.fail)
    target = json.loads((tmp_path / "bake.json").read_text(encoding="utf-8"))["target"]["pylab"]
    assert target == {
        "labels": {"source": "https://git.example.org/$${me}/%%{x}/$5.git"},
        "tags": ["a:$${b}"],
        "no-cache": True,
        "secret": [],
    }


@pytest.mark.parametrize("name", NAMES)
def test_smoke_tests_run_in_a_folder_of_any_name(project: Path, name: str) -> None:
    folder = project / name
    shutil.copytree(project / "docker", folder / "docker")
    tests = folder / "tests/smoke"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text("def test_it() -> None: pass", encoding="utf-8")
    done = run_smoke(folder, project)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_colon_in_the_path_is_said_before_anything_is_installed(tmp_path: Path) -> None:
    """No virtual environment can be there: its folders stand in PATH and PYTHONPATH."""
    folder = tmp_path / "c:d"
    folder.mkdir()
    shutil.copy(SOURCE / "noxfile.py", folder)
    command = [sys.executable, "-m", "nox", "--list"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.splitlines()[-2:]) == (
        1,
        [
            f"error: the project's folder has a : in its path: {folder}",
            "  try: move the project to a folder without it",
        ],
    )
