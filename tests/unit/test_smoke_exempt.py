"""Packages that are exempt from the smoke tests: what is not tried of them, what is said of that, and which may be."""

import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import packaging
import pytest
from graphs import SOURCE
from lockmaker import locks_of, pin
from smoke_play import BROKEN
from smoke_runs import run_smoke
from test_smoke_labs import of_the_smoke_tests

from pyrlab.model.graph import DEBS_LOCK, lock_of
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.urls import FILE

Smoke = Callable[[str], subprocess.CompletedProcess[str]]
LOCKS = locks_of(
    pin(BROKEN),
    r_packages=tuple(
        RPin(name, "1.0", "cran", requested=True, files=(RFile("source", f"src/contrib/{name}_1.0.tar.gz", "b" * 64),))
        for name in (BROKEN, "zoo")
    ),
)
LOG = """\
[I 2026-11-29 08:00:00.000 ServerApp] Jupyter Server 2.17.0 is running at:
[W 2026-11-29 08:00:00.000 ServerApp] torch: no GPU was found
"""
OWN_TEST = f"""
import pytest
from labs import RunningLab

@pytest.mark.needs(python=["{BROKEN}"])
def test_trains_a_model(lab: RunningLab) -> None:
    pass
"""
TRIED = "python_distributions and pylab or r_packages_load or starts_without_a_warning or trains_a_model"


@pytest.fixture
def smoke(project: Path) -> Smoke:
    """Return a runner of `smoke` with these settings, in a project both of whose labs have a package that is broken."""
    assert LOCKS.r
    (project / DEBS_LOCK).write_text(LOCKS.debs.render(), encoding="utf-8")
    for lock in LOCKS.python.values():
        (project / lock.name).write_text(lock.render(), encoding="utf-8")
    (project / lock_of("r_packages.txt")).write_text(LOCKS.r.render(), encoding="utf-8")
    (project / "lab.log").write_text(LOG, encoding="utf-8")
    make_environment(project / "lab")
    tests = shutil.copytree(SOURCE / "tests/smoke", project / "tests/smoke")
    (tests / "test_own.py").write_text(OWN_TEST, encoding="utf-8")

    def run(settings: str) -> subprocess.CompletedProcess[str]:
        (project / FILE).write_text(settings, encoding="utf-8")
        modules = (tests, SOURCE / "tests/unit")
        return run_smoke(project, project, "-n0", "-k", TRIED, plugins=["smoke_play"], modules=modules)

    return run


def make_environment(folder: Path) -> None:
    """Make a Python environment that holds what pylab's lock names, a module each."""
    venv.create(folder, symlinks=True)
    [site] = folder.glob("lib/python3*/site-packages")
    # The probe needs it, and a lab has it.
    (site / "packaging.pth").write_text(f"{Path(packaging.__file__).parents[1]}\n", encoding="utf-8")
    for one in LOCKS.python["pylab"].pins:
        module = one.name.replace("-", "_")
        (site / f"{module}.py").write_text('raise OSError("no GPU")\n' if one.name == BROKEN else "", encoding="utf-8")
        info = site / f"{module}-{one.version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {one.name}\nVersion: {one.version}\n", encoding="utf-8")
        (info / "RECORD").write_text(f"{module}.py,,\n", encoding="utf-8")


def test_what_is_exempt_is_not_tried_and_the_reason_is_told(smoke: Smoke) -> None:
    """Neither imported nor loaded nor needed, and it may warn; in each lab, and however its name is written."""
    done = smoke('[smoke.exempt]\nTorch = "needs a GPU"\n')
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n4 passed, " in done.stdout
    told = {"exempt: Torch: needs a GPU", "not run: trains a model in pylab: torch is exempt: needs a GPU"}
    assert told <= {*done.stdout.splitlines()}


def test_what_is_not_exempt_is_tried(smoke: Smoke) -> None:
    """Else the test above would show nothing."""
    done = smoke("")
    red = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    assert [line.partition("::test_")[2] for line in red] == [
        "starts_without_a_warning[pylab]",
        "starts_without_a_warning[rlab]",
        "python_distributions_are_those_of_the_lock[pylab]",
        "r_packages_load_at_their_locked_versions[rlab]",
    ]
    assert done.returncode == 1
    assert "\n4 failed, 1 passed, " in done.stdout
    assert "\nexempt: " not in done.stdout


def test_a_name_that_no_lock_has_is_refused(smoke: Smoke) -> None:
    """A typing error would exempt nothing, and say nothing."""
    done = smoke('[smoke.exempt]\ntorch = "needs a GPU"\ntroch = "needs a GPU"\n')
    assert done.returncode == 4
    assert done.stderr.strip() == (
        "ERROR: pyrlab.toml: [smoke.exempt] names troch, which no lock has; remove it, or write the name as it stands "
        "in the lock"
    )


@pytest.mark.parametrize(
    ("line", "tolerated"),
    [
        pytest.param("[I 08:00 ServerApp] jupyter_lsp | extension was linked", True, id="no-warning"),
        pytest.param("[W 08:00 ServerApp] jupyter_lsp | extension failed", True, id="its-warning"),
        pytest.param("[E 08:00 ServerApp] No module named 'jupyter_lsp.handlers'", True, id="its-error"),
        pytest.param("[W 08:00 ServerApp] jupyter_lsp_more | extension failed", True, id="a-part-of-it"),
        pytest.param("[W 08:00 ServerApp] myjupyter_lsp | extension failed", False, id="the-end-of-another"),
        pytest.param("[W 08:00 ServerApp] jupyter_lsps | extension failed", False, id="the-start-of-another"),
        pytest.param("[C 08:00 ServerApp] nbclassic | extension failed", False, id="another"),
    ],
)
def test_only_a_warning_that_names_what_is_exempt_is_tolerated(
    monkeypatch: pytest.MonkeyPatch, line: str, *, tolerated: bool
) -> None:
    server = of_the_smoke_tests("test_lab_server", monkeypatch)
    lab = SimpleNamespace(start_log=f"[I 08:00 ServerApp] is running at:\n{line}\n", exempt={"jupyter-lsp": "known"})
    if tolerated:
        server.test_starts_without_a_warning(lab)
    else:
        with pytest.raises(AssertionError):
            server.test_starts_without_a_warning(lab)
