"""Bad input and bad networks: one clear message with a remedy, a fitting status, and nothing lost."""

import dataclasses
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Project, fails, forget_labs

from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock

DEAD = "http://127.0.0.1:9"
INTERRUPTED = "interrupted"


@pytest.mark.parametrize(
    ("file", "text", "kind", "says", "remedy"),
    [
        pytest.param(
            "base_debs.txt", "\nedd\n", "debs", "base_debs.txt:2: Debian has no package 'edd'", "did you mean", id="deb"
        ),
        pytest.param(
            "r_debs.txt", "litler\n", "debs", "r_debs.txt:1: Debian has no package 'litler'", "littler", id="r-deb"
        ),
        pytest.param(
            "r_packages.txt",
            "zoo\nzooo\n",
            "r",
            "r_packages.txt:2: debian has no R package 'zooo'",
            "zoo",
            id="r-package",
        ),
        pytest.param(
            "r_packages.txt",
            "irkernel\n",
            "r",
            "r_packages.txt:1: debian has no R package 'irkernel'",
            "IRkernel",
            id="case",
        ),
        pytest.param(
            "requirements.in",
            "tabulate\nno-such-package-of-anybody\n",
            "python",
            "requirements.in:2: the Python package index has no no-such-package-of-anybody",
            "check the name",
            id="python",
        ),
    ],
)
def test_a_package_that_does_not_exist(
    untouched: Project, file: str, text: str, kind: str, says: str, remedy: str
) -> None:
    untouched.write(file, text)
    fails(untouched, "lock", kind, status=3, says=says, remedy=remedy)


@pytest.mark.parametrize(
    ("file", "text", "kind", "says", "remedy"),
    [
        pytest.param(
            "base_debs.txt", "ed = = 1\n", "debs", "base_debs.txt:1: 'ed = = 1' is not", "name=version", id="deb"
        ),
        pytest.param("r_packages.txt", "zoo ~ 1\n", "r", "r_packages.txt:1: 'zoo ~ 1' is not", "NAME >= 1.2", id="r"),
        pytest.param("requirements.in", "x y\n", "python", "requirements.in:1: 'x y' is not", "numpy>=2", id="python"),
        pytest.param(
            "base_debs.txt", "ed=1\ned=2\n", "debs", "ed=2 contradicts ed=1 in base_debs.txt:1", "one of", id="deb-pins"
        ),
        pytest.param(
            "requirements.in",
            "xlrd==1.2\nxlrd==2.0\n",
            "python",
            "requirements.in:2: xlrd==2.0 contradicts xlrd==1.2",
            "one of",
            id="python-pins",
        ),
        pytest.param(
            "base_debs.txt", "ed=0.1\n", "debs", "base_debs.txt:1: Debian has no ed 0.1", "one of", id="no-deb"
        ),
        pytest.param("r_packages.txt", "zoo == 0.1\n", "r", "zoo == 0.1 cannot be had", "ask for", id="no-r"),
        pytest.param(
            "requirements.in",
            "jupyterlab\ntornado<1\n",
            "python",
            "no set of versions satisfies",
            "loosen",
            id="no-python",
        ),
    ],
)
def test_a_line_that_cannot_be_read_or_satisfied(
    untouched: Project, file: str, text: str, kind: str, says: str, remedy: str
) -> None:
    untouched.write(file, text)
    fails(untouched, "lock", kind, status=3, says=says, remedy=remedy)


@pytest.mark.parametrize(
    ("file", "text", "says", "remedy"),
    [
        pytest.param(
            "base_debs.txt", "ed\nless\n", "debs.lock lacks less (base_debs.txt:2)", "lock -- debs", id="debs"
        ),
        pytest.param(
            "requirements.in", "xlrd\n", "requirements.lock lacks xlrd (requirements.in:1)", "python", id="python"
        ),
        pytest.param("r_packages.txt", "xts\n", "r_packages.lock lacks xts (r_packages.txt:1)", "lock -- r", id="r"),
        pytest.param("requirements.in", "tabulate==0.8\n", "requirements.lock was made from another", "lock", id="pin"),
    ],
)
def test_build_refuses_a_lock_that_lacks_what_a_list_wants(
    untouched: Project, file: str, text: str, says: str, remedy: str
) -> None:
    untouched.write(file, text)
    fails(untouched, "build", status=4, says=says, remedy=remedy)
    fails(untouched, "serve", "pylab", "--no-browser", "--port", "18888", status=4, says=says, remedy=remedy)


def other_digit(sha256: str) -> str:
    """Return a hash with another first digit."""
    return ("1" if sha256[0] == "0" else "0") + sha256[1:]


@pytest.mark.parametrize(
    ("file", "old", "new", "says", "remedy"),
    [
        pytest.param(
            "requirements.lock",
            r"(tabulate-0\.9\.0\S+ \d+ sha256:)\w{8}",
            r"\g<1>00000000",
            "tabulate",
            "lock -- python",
            id="hash-of-a-wheel",
        ),
        pytest.param(
            "requirements.lock",
            r"tabulate==0\.9\.0",
            "tabulate==0.8.0",
            "tabulate",
            "lock -- python",
            id="version-of-a-wheel",
        ),
        pytest.param(
            "debs.lock",
            r"(\ned \S+ \S+ sha256:)\w{8}",
            r"\g<1>00000000",
            "ed 1",
            "git checkout -- debs.lock",
            id="hash-of-a-deb",
        ),
        pytest.param(
            "debs.lock",
            r"\nlibc6 [^\n]+",
            "",
            "a pin is missing between libc-bin",
            "git checkout -- debs.lock",
            id="pin-that-got-lost",
        ),
        pytest.param(
            "debs.lock",
            r"(\nlibc6 [^\n]+)",
            r"\g<1>\g<1>",
            "libc6 is there twice",
            "lock -- debs",
            id="pin-that-is-there-twice",
        ),
        pytest.param(
            "r_packages.lock",
            r'(name = "zoo"\nversion = )"[^"]+"',
            r'\g<1>"0.1"',
            "zoo 0.1 is not what was locked",
            "lock -- r",
            id="version-of-an-r-package",
        ),
        pytest.param(
            "requirements.lock",
            r"^",
            "<<<<<<< ours\n",
            "a conflict marker of git in line 1",
            "git checkout",
            id="merge",
        ),
    ],
)
def test_an_edit_of_a_lock_is_named_and_nothing_is_built(
    untouched: Project, file: str, old: str, new: str, says: str, remedy: str
) -> None:
    """By a build, and by --check, which needs no network."""
    lock = untouched.read(file)
    edited = re.sub(old, new, lock, count=1)
    assert edited != lock
    untouched.write(file, edited)
    try:
        fails(untouched, "lock", "--check", status=4, says=says, remedy=remedy)
        fails(untouched, "build", status=4, says=says, remedy=remedy)
    finally:
        untouched.write(file, lock)


def test_an_edited_lock_is_made_whole_by_locking_and_its_pins_stay(project: Project) -> None:
    """Of a merge by hand, say; the edit is told."""
    lock = project.read("requirements.lock")
    project.write("requirements.lock", lock.replace("# via list\n", "# via list, nobody\n", 1))
    printed = project.succeed("lock", "python")
    assert "requirements.lock was edited or merged by hand" in printed
    assert project.read("requirements.lock") == lock


def test_a_lock_with_conflict_markers_is_no_reason_to_drop_its_pins(project: Project) -> None:
    """Locking would upgrade everything in silence."""
    lock = project.read("requirements.lock")
    project.write("requirements.lock", f"<<<<<<< ours\n{lock}")
    fails(project, "lock", "python", status=4, says="has a conflict marker of git in line 1", remedy="git checkout")


def forge(project: Project, change: Callable[[DebPin], DebPin | None]) -> None:
    """Change pins of debs.lock as somebody does who knows how locks are sealed: what hangs together stays whole."""
    lock = DebsLock.parse(project.read("debs.lock"))
    sections = {
        name: tuple(sorted(new for pin in pins if (new := change(pin)))) for name, pins in lock.sections.items()
    }
    forged = dataclasses.replace(lock, sections=sections)
    r_lock = dataclasses.replace(RLock.parse(project.read("r_packages.lock")), debs_body=forged.body)
    project.write("debs.lock", forged.render())
    project.write("r_packages.lock", r_lock.render())


def test_a_forged_hash_of_a_deb_stops_build_and_lock(built_project: Project, project: Project) -> None:
    """The archive has no such bytes."""
    del built_project
    forge(project, lambda pin: dataclasses.replace(pin, sha256=other_digit(pin.sha256)) if pin.name == "ed" else pin)
    before = project.state()
    fails(project, "build", "pyrlab-base", status=8, says="ed", remedy="find out why")
    fails(project, "lock", "debs", status=8, says="other bytes than debs.lock for ed", remedy="find out why")
    assert project.state() == before


def test_a_forged_hash_of_a_wheel_stops_the_build(built_project: Project, project: Project) -> None:
    """The index has no such file."""
    del built_project
    lock = PythonLock.parse(project.read("requirements.lock"))
    pins = []
    for pin in lock.pins:
        if pin.name != "tabulate":
            pins.append(pin)
            continue
        file = dataclasses.replace(pin.files[0], sha256=other_digit(pin.files[0].sha256))
        pins.append(dataclasses.replace(pin, files=(file,), hashes=(f"sha256:{file.sha256}",)))
    project.write("requirements.lock", dataclasses.replace(lock, pins=tuple(pins)).render())
    before = project.state()
    fails(project, "build", "pylab", status=8, says="tabulate 0.9.0", remedy="find out why")
    assert project.state() == before


def test_a_pin_that_is_left_out_is_not_replaced_by_what_the_archive_has(
    built_project: Project, project: Project
) -> None:
    """Install steps know no archive."""
    del built_project
    forge(project, lambda pin: pin if pin.name != "libc-l10n" else None)
    before = project.state()
    fails(project, "build", "pyrlab-base", status=4, says="no lock has libc-l10n", remedy="nox -s lock")
    assert project.state() == before


def test_python_packages_that_lack_another_are_no_image(built_project: Project, project: Project) -> None:
    """The lock of somebody who knows how locks are sealed; nothing else in it hangs on what was left out."""
    del built_project
    lock = PythonLock.parse(project.read("requirements.lock"))
    pins = tuple(pin for pin in lock.pins if pin.name != "certifi")
    project.write("requirements.lock", dataclasses.replace(lock, pins=pins).render())
    before = project.state()
    says = "the Python packages do not fit together: The package `"
    fails(project, "build", "pylab", status=7, says=says, remedy="nox -s lock -- python --upgrade")
    assert project.state() == before


@pytest.mark.parametrize(
    "verb", [("lock",), ("build",), ("serve", "pylab"), ("stop", "pylab")], ids=lambda verb: verb[0]
)
def test_no_engine(untouched: Project, verb: tuple[str, ...]) -> None:
    fails(
        untouched,
        *verb,
        status=5,
        says="no Docker engine answers",
        remedy="nox -s engine",
        DOCKER_HOST="tcp://127.0.0.1:9",
    )


def test_no_network_for_debian(untouched: Project) -> None:
    fails(
        untouched,
        "lock",
        "debs",
        status=6,
        says="could not be reached: 127.0.0.1:9 is",
        remedy="network",
        APTPROXY=DEAD,
    )


def test_no_network_for_a_new_root(untouched: Project, tmp_path: Path) -> None:
    nowhere = {"APTPROXY": DEAD, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    fails(untouched, "lock", "debs", status=6, says="could not be reached", remedy="network", **nowhere)


def test_no_network_for_python(untouched: Project) -> None:
    untouched.write("requirements.in", "tabulate\nxlrd\n")
    fails(
        untouched, "lock", "python", status=6, says="could not be reached", remedy="PIPPROXY", PIPPROXY=f"{DEAD}/simple"
    )


def test_no_network_while_building(built_project: Project, project: Project) -> None:
    """A pin that no layer and no cache holds yet needs the network; without it the images stay as they were."""
    del built_project
    project.write("requirements.in", "tabulate==0.9.0\nxlrd==1.1.0\n")
    project.succeed("lock", "python")
    before = project.state()
    nowhere = {"PIPPROXY": f"{DEAD}/simple"}
    fails(project, "build", "pylab", status=6, says="could not be reached", remedy="network", **nowhere)
    assert project.state() == before


def test_a_port_in_use(untouched: Project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        arguments = ("serve", "pylab", "--no-browser", "--port", str(port))
        fails(
            untouched,
            *arguments,
            status=2,
            says=f"port {port} has process ",
            remedy="is free; or choose another by --port or PORT",
        )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        pytest.param(("serve", "pylab"), {"PORT": "6006"}, "PORT is 6006, which is TensorBoard's port", id="PORT"),
        pytest.param(("serve", "rlab"), {"RPORT": "6006"}, "RPORT is 6006, which is TensorBoard's port", id="RPORT"),
        pytest.param(("serve", "pylab", "--port", "6006"), {}, "--port is 6006, which is TensorBoard's", id="option"),
    ],
)
def test_tensorboards_port(
    untouched: Project, arguments: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    fails(untouched, *arguments, status=2, says=says, remedy="choose another port", **environment)


def test_an_unknown_lab_or_image(untouched: Project) -> None:
    fails(untouched, "serve", "jlab", status=2, says="no lab called 'jlab'", remedy="pylab, rlab")
    fails(untouched, "stop", "jlab", status=2, says="no lab called 'jlab'", remedy="pylab, rlab")
    fails(untouched, "build", "jlab", status=2, says="no image called 'jlab'", remedy="pyrlab-base, pylab")


def test_a_notebooks_folder_that_is_a_file(untouched: Project, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine", encoding="utf-8")
    arguments = ("serve", "pylab", "--no-browser", "--port", "18888", "--notebooks", str(file))
    fails(untouched, *arguments, status=2, says=f"the notebooks folder {file} is a file", remedy="--notebooks or FILES")
    assert file.read_text(encoding="utf-8") == "mine"


def test_ctrl_c_while_locking(untouched: Project) -> None:
    untouched.write("requirements.in", "tabulate\nxlrd\n")
    outcome = untouched.interrupt("lock", "python", when="asking uv")
    last = outcome.output.splitlines()[-1]
    assert (outcome.status, last) == (130, f"{INTERRUPTED}; the locks are as they were"), outcome.output


def test_ctrl_c_while_building(built_project: Project, untouched: Project) -> None:
    del built_project
    dockerfile = untouched.path / "docker/install/debs/install-debs"
    dockerfile.write_text(dockerfile.read_text(encoding="utf-8") + "\n: another step\n", encoding="utf-8")
    outcome = untouched.interrupt("build", "pyrlab-base", when="building pyrlab-base")
    assert (outcome.status, outcome.output.splitlines()[-1]) == (130, INTERRUPTED), outcome.output


def test_ctrl_c_while_serving(built_project: Project, tmp_path: Path) -> None:
    before = built_project.state()
    arguments = ("serve", "pylab", "--no-browser", "--port", "18888", "--notebooks", str(tmp_path / "notebooks"))
    with forget_labs(built_project):
        outcome = built_project.interrupt(*arguments, when="starting pylab")
        after = built_project.state()
    assert (outcome.status, outcome.output.splitlines()[-1]) == (130, INTERRUPTED), outcome.output
    assert after == before
