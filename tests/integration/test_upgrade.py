"""Upgrades for real: an index, an archive and a repository with good and broken versions, and notebooks that notice."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from conftest import LISTS, PREFIX, SOURCE, Project, forget_labs, images_of, make_project, remove_tags, tagged
from cran_server import CranServer, put, tarball
from deb_archive import deb, publish
from index_server import served, source_distribution, wheel

from pyrlab.adapters.debian.archive import default_sources
from pyrlab.adapters.docker import engine
from pyrlab.adapters.lock_files import read_locks
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.locks.debs import DebsLock

UP = f"{PREFIX}up-"
RUN = uuid.uuid4().hex
# What else the index and the archive have newer on the day of the test is of no interest.
ALL = [word for name in ("upgood", "upbad", "uptool", "upr") for word in ("--upgrade-package", name)]


@dataclass
class Shelf:
    """What the servers of the tests have: versions that are good, and as the tests add them, bad ones."""

    index: str
    server: CranServer
    wheels: dict[str, dict[str, bytes]]
    architecture: str
    debs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    r: dict[str, str] = field(default_factory=dict)

    def reset(self) -> None:
        """Have the good versions only."""
        self.wheels.clear()
        self.debs.clear()
        self.r.clear()
        for name in ("upgood", "upbad"):
            self.python(name, "1.0", "def answer():\n    return 42.0\n")
        self.deb("uptool", "1", "echo tool is fine")
        self.r_package("upr", "1.0", "42")

    def python(self, name: str, version: str, code: str) -> None:
        """Add a wheel with one module."""
        self.wheels.setdefault(name, {}).update(wheel(name, version, {f"{name}.py": f"# {RUN}\n{code}"}))

    def deb(self, name: str, version: str, script: str) -> None:
        """Add a deb with one program."""
        files = {f"usr/bin/{name}": (f"#!/bin/sh\n# {RUN}\n{script}\n", 0o755)}
        self.debs[name, version] = deb(name, version, files)
        publish(self.server.folder / "debian", "up", self.architecture, self.debs)

    def r_package(self, name: str, version: str, answer: str) -> None:
        """Add an R package whose function gives ``answer``, an expression."""
        fields = {"Package": name, "Version": version, "NeedsCompilation": "no"}
        described = "".join(f"{key}: {value}\n" for key, value in {**fields, "Title": "For a test", "Run": RUN}.items())
        files = {
            "DESCRIPTION": described,
            "NAMESPACE": "export(answer)\n",
            "R/answer.R": f"answer <- function() {answer}\n",
        }
        data = tarball({f"{name}/{path}": text.encode() for path, text in files.items()})
        put(self.server.folder, f"src/contrib/{name}_{version}.tar.gz", data)
        self.r[name] = "".join(f"{key}: {value}\n" for key, value in fields.items())
        put(self.server.folder, "src/contrib/PACKAGES.gz", gzip.compress("\n".join(self.r.values()).encode()))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Run the servers."""
    wheels: dict[str, dict[str, bytes]] = {}
    with served(wheels) as index, CranServer(tmp_path_factory.mktemp("shelf")) as server:
        made = Shelf(index, server, wheels, engine.find().architecture)
        made.reset()
        yield made


@pytest.fixture(scope="module")
def origin(shelf: Shelf, locked_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return a project that is locked and built with the good versions. Tests take ``lab``, a copy."""
    made = make_project(tmp_path_factory.mktemp("up") / "up", PIPPROXY=shelf.index, PIPHOST="127.0.0.1")
    for name in ("requirements.lock", "debs.lock"):
        shutil.copy(locked_project.path / name, made.path)
    suite = DebsLock.parse(made.read("debs.lock")).suite
    sources = [*map(str, default_sources(suite)), f"deb [trusted=yes] {shelf.server.url}/debian up main"]
    made.write(
        "pyrlab.toml",
        f"[base]\napt_sources = {json.dumps(sources)}\n"
        f"{images_of('up-')}"
        f'[r]\nrepositories = ["debian", "lab={shelf.server.url}"]\n'
        '[proof]\nnotebooks = ["analysis/*.ipynb"]\ntimeout = 120\n'
        '[proof.parameters]\n"analysis/python.ipynb" = { factor = 2 }\n',
    )
    made.write("requirements.in", f"{LISTS['requirements.in']}upgood\nupbad\n")
    made.write("base_debs.txt", f"{LISTS['base_debs.txt']}uptool\n")
    made.write("r_packages.txt", f"{LISTS['r_packages.txt']}upr\n")
    (made.path / "analysis").mkdir()
    python = ["factor = 1", "import upgood, upbad\nprint('answer', upbad.answer() * factor, upgood.answer())"]
    python += [
        "import subprocess\nprint(subprocess.run(['uptool'], capture_output=True, text=True, check=True).stdout)"
    ]
    made.write("analysis/python.ipynb", notebook("python3", "python", *python))
    made.write("analysis/r.ipynb", notebook("ir", "R", "library(upr)", "cat('answer', answer(), '\\n')"))
    # The proof of a small project: that the labs start, and its own notebooks.
    smoke = made.path / "tests/smoke"
    smoke.mkdir(parents=True)
    for name in ("conftest.py", "containers.py", "kernels.py", "labs.py", "project.py", "test_lab_proof.py"):
        shutil.copy(SOURCE / "tests/smoke" / name, smoke)
    made.write("tests/smoke/test_starts.py", "def test_starts(lab):\n    assert lab.get('/api/status').ok\n")
    made.succeed("lock")
    made.succeed("build")
    yield made
    remove_tags(UP)


@pytest.fixture
def lab(origin: Project, shelf: Shelf, tmp_path: Path) -> Project:
    """Return a copy of the project, with nothing newer on the shelf yet, and its images built."""
    shelf.reset()
    made = origin.copy(tmp_path / "up")
    made.succeed("build")
    return made


@pytest.fixture
def served_lab(lab: Project, free_port: int, tmp_path: Path) -> Iterator[str]:
    """Serve pylab, and return a link that it answers."""
    options = ["--no-browser", "--port", str(free_port), "--notebooks", str(tmp_path / "notebooks")]
    with forget_labs(lab):
        printed = lab.succeed("serve", "pylab", *options)
        link = printed.split("pylab is ready: ")[1].split()[0]
        yield link.replace("/lab?", "/api/status?")


def notebook(kernel: str, language: str, *sources: str) -> str:
    """Return a notebook of these cells, the first of which holds its parameters."""
    cells: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell{number}",
            "metadata": {} if number else {"tags": ["parameters"]},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": language}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def versions(project: Project) -> dict[str, str]:
    """Return what the locks pin."""
    locks = read_locks(read_settings(project.path, project.environment))
    found = {pin.name: pin.version for pin in locks.debs.pins()}
    found |= {pin.name: pin.version for pin in locks.r.packages} if locks.r else {}
    return found | {pin.name: pin.version for lock in locks.python.values() for pin in lock.pins}


def state(project: Project) -> dict[str, object]:
    """Return all that an upgrade replaces: locks, what is held, and the images."""
    files = [*project.path.glob("*.lock"), *project.path.glob("held.toml")]
    images = {tag: image for tag, image in tagged(UP).items() if tag.endswith(":latest")}
    return {**{path.name: path.read_text(encoding="utf-8") for path in files}, **images}


def nameless(project: Project) -> set[str]:
    """Return the project's images that nothing names any more: they fill the disk until somebody prunes."""
    labels = read_settings(project.path, project.environment).workspace.labels
    own = [f"{name}={value}" for name, value in labels.items()]
    return {image["Id"] for image in engine.client().api.images(filters={"dangling": True, "label": own})}


def break_all(shelf: Shelf) -> None:
    """Put a newer version of everything on the shelf: good ones, and in each ecosystem one that breaks a notebook."""
    shelf.python("upgood", "2.0", "def answer():\n    return 42.0\n")
    shelf.python("upbad", "2.0", "def answers():\n    return 42.0\n")
    shelf.deb("uptool", "2", "echo broken >&2; exit 1")
    shelf.r_package("upr", "2.0", "stop('upr is broken')")


def kill_upgrade(project: Project, when: str) -> None:
    """Run an upgrade, and kill it as soon as it prints ``when``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pyrlab", "upgrade", *ALL],
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if when in line:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_killed_and_run_again_it_holds_back_a_culprit_in_each_ecosystem_and_takes_the_rest(
    lab: Project, shelf: Shelf, served_lab: str, tmp_path: Path
) -> None:
    before, lost = state(lab), nameless(lab)
    break_all(shelf)
    mine = tmp_path / "mine.ipynb"
    mine.write_text(notebook("python3", "python", "print('mine')"), encoding="utf-8")
    (lab.path / "analysis/m\u00f6re [1].ipynb").symlink_to(mine)
    source = mine.read_text(encoding="utf-8")
    lab.write("analysis/red.ipynb", notebook("python3", "python", "", "raise ValueError('red for years')"))
    # What was built by then is not built again. The other phases have a test of their own.
    kill_upgrade(lab, "proving the candidate")
    assert state(lab) == before
    printed = lab.succeed("upgrade", *ALL)
    now = versions(lab)
    assert (now["upgood"], now["upbad"], now["uptool"], now["upr"]) == ("2.0", "1.0", "1", "1.0")
    held = lab.read("held.toml")
    for name, why in (
        ("upbad", "has no attribute 'answer'"),
        ("uptool", "CalledProcessError"),
        ("upr", "upr is broken"),
    ):
        assert f'name = "{name}"' in held
        assert why in held
        assert name in printed
    assert "red.ipynb" in printed
    assert "[1].ipynb" not in printed
    for name in ("pylab", "rlab"):
        assert re.search(rf"^{name}: .*, ready in [\d.]+ s → [\d.]+ s$", printed, re.MULTILINE)
    trials = printed.partition("looking for what breaks it")[2].partition("proving all of it")[0]
    assert trials.count("trial ") == trials.count(" over "), "each was put over an image that was there"
    assert not re.search(r"(debs|debian|light-\d+|shared): ", trials), "nothing else was built"
    assert nameless(lab) <= lost, "trials leave no images"
    assert mine.read_text(encoding="utf-8") == source
    assert requests.get(served_lab, timeout=30).ok, "the lab that ran is not touched"
    lab.succeed("lock", "--check")
    assert "nothing to do" in lab.succeed("build", "--locked")
    started = time.monotonic()
    lab.succeed("rollback")
    assert time.monotonic() - started < 10
    assert state(lab) == before


@pytest.mark.nightly
def test_a_number_that_changes_silently_is_told_and_held_back_where_it_must_not(lab: Project, shelf: Shelf) -> None:
    shelf.python("upgood", "2.0", "def answer():\n    return 41.9\n")
    settings = lab.read("pyrlab.toml")
    lab.write("pyrlab.toml", settings.replace("[proof]\n", '[proof]\nnumbers = "must not change"\n'))
    lab.succeed("upgrade", *ALL)
    assert versions(lab)["upgood"] == "1.0"
    assert "41.9" in lab.read("held.toml")
    lab.write("pyrlab.toml", settings)
    printed = lab.succeed("upgrade", *ALL)
    assert versions(lab)["upgood"] == "2.0"
    assert "41.9" in printed
    assert not (lab.path / "held.toml").exists()


@pytest.mark.nightly
def test_what_does_not_install_and_what_the_lab_does_not_start_with_are_held_back(lab: Project, shelf: Shelf) -> None:
    setup = (
        "import sys\nfrom setuptools import setup\n"
        "if 'bdist_wheel' in sys.argv:\n    raise SystemExit('no wheel today')\n"
        f"# {RUN}\nsetup(name='upgood', version='2.0', py_modules=[])\n"
    )
    shelf.wheels["upgood"].update(source_distribution("upgood", "2.0", {"setup.py": setup}))
    ends = {"upbad.pth": "import os; os.environ.get('JUPYTER_TOKEN') and os._exit(3)\n", "upbad.py": f"# {RUN}\n"}
    shelf.wheels["upbad"].update(wheel("upbad", "2.0", ends))
    shelf.r_package("upr", "2.0", "42 # newer")
    lab.succeed("upgrade", *ALL)
    now = versions(lab)
    assert (now["upgood"], now["upbad"], now["upr"]) == ("1.0", "1.0", "2.0")


def test_where_nothing_is_newer_nothing_is_proved(lab: Project) -> None:
    before = state(lab)
    started = time.monotonic()
    printed = lab.succeed("upgrade", *ALL)
    assert time.monotonic() - started < 90
    assert "at its newest" in printed
    assert state(lab) == before


@pytest.mark.nightly
@pytest.mark.parametrize("when", ["asking uv", "trial 1"])
def test_killed_in_any_phase_all_is_as_before_and_the_next_run_comes_to_the_end(
    lab: Project, shelf: Shelf, when: str
) -> None:
    before = state(lab)
    shelf.python("upgood", "2.0", "def answer():\n    return 42.0\n")
    shelf.python("upbad", "2.0", "def answers():\n    return 42.0\n")
    kill_upgrade(lab, when)
    assert state(lab) == before
    lab.succeed("upgrade", *ALL)
    now = versions(lab)
    assert (now["upgood"], now["upbad"]) == ("2.0", "1.0")
