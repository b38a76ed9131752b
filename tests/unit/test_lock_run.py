"""Whole runs of `lock`: what is asked of the archive, what stays, what is written, and what is said."""

import shutil
from collections.abc import Mapping
from typing import Any

import pytest
from machine import DEBS, INDEX, Project

from pyrlab.adapters.docker import buildkit
from pyrlab.errors import HashMismatchError, ListError, NetworkError, PyrlabError, StaleLockError, UsageError
from pyrlab.model.locks.debs import DebPin

LOCKS = ("debs.lock", "r_packages.lock", "requirements.lock")
ASKING_UV = "asking uv for the closure of requirements.in"


def shown(pins: tuple[DebPin, ...]) -> list[str]:
    """Return pins as names and versions; a star marks what a list, or the image graph, asks for."""
    return [f"{pin.name} {pin.version}{'*' if pin.requested else ''}" for pin in pins]


def test_a_first_lock_has_each_package_where_it_belongs(own: Project) -> None:
    own.machine.add_deb("curl", "8.14", "libcurl")
    own.machine.add_deb("libcurl", "8.14")
    own.write("base_debs.txt", "curl")
    own.write("r_debs.txt", "libcurl")
    changed = own.lock()
    debs = own.locks.debs
    assert (debs.suite, debs.architecture) == ("trixie", "amd64")
    assert {name: shown(pins) for name, pins in debs.sections.items()} == {
        "root": [
            "apt 2.9",
            "base-files 13",
            "ca-certificates 2025*",
            "libc6 2.41-12",
            "python3 3.13.5-1*",
            "python3-venv 3.13.5-1*",
        ],
        "pyrlab-base": [
            "curl 8.14*",
            "libcurl 8.14",
            "libnss-extrausers 0.6-6*",
            "locales 2.41-12*",
            "tini 1:0.19.0-2*",
        ],
        "rlab-base": ["r-base-core 4.5.0-3*"],
    }
    assert list(changed) == list(LOCKS)
    assert "added libcurl (pyrlab-base) 8.14" in changed["debs.lock"]
    assert changed["r_packages.lock"] == ["added IRkernel 1.3.2", "added repr 1.1.7"]
    assert "added jupyterlab 1.0" in changed["requirements.lock"]


def test_a_first_lock_tells_each_step_that_takes_time(own: Project) -> None:
    own.lock()
    assert own.said == [
        "reading the archive of Debian trixie",
        "downloading 6 packages (0 MB) of Debian",
        "asking apt for the closures",
        "downloading 2 packages (0 MB) for Python",
        "downloading 2 packages (0 MB) of Debian",
        ASKING_UV,
    ]


def test_locking_again_changes_nothing(own: Project) -> None:
    """And neither reads the archive's indexes nor downloads anything."""
    own.lock()
    before = [own.read(name) for name in LOCKS]
    shutil.rmtree(own.machine.archive / "dists")
    assert own.lock() == {name: [] for name in LOCKS}
    assert [own.read(name) for name in LOCKS] == before
    assert own.said == ["asking apt for the closures", ASKING_UV]
    assert own.asked == ["debs", "python"]


NEWER = {
    "python3 (root)": "up python3 (root) 3.13.5-1 3.13.6-1",
    "tini": "up tini (pyrlab-base) 1:0.19.0-2 1:0.20-1",
    "repr": "up repr 1.1.7 1.2.0",
    "pip": "up pip 1.0 2.0",
}


@pytest.mark.parametrize(
    ("kinds", "options", "moved"),
    [
        pytest.param((), {}, [], id="not-by-itself"),
        pytest.param((), {"upgrade": True}, list(NEWER), id="all"),
        pytest.param((), {"packages": "tini"}, ["tini"], id="one-deb"),
        pytest.param((), {"packages": "python3"}, ["python3 (root)"], id="one-of-the-root"),
        pytest.param((), {"packages": "REPR"}, ["repr"], id="one-r-package"),
        pytest.param((), {"packages": "r-cran-repr"}, ["repr"], id="one-r-package-by-its-deb"),
        pytest.param((), {"packages": "Pip"}, ["pip"], id="one-python-package"),
        pytest.param((), {"packages": "tini pip"}, ["tini", "pip"], id="several"),
        pytest.param(["python"], {"upgrade": True}, ["pip"], id="python-alone"),
        pytest.param(["debs"], {"upgrade": True}, ["python3 (root)", "tini"], id="debs-alone"),
        pytest.param(["r"], {"upgrade": True}, ["repr"], id="r-alone"),
    ],
)
def test_what_may_not_move_stays(own: Project, kinds: list[str], options: Mapping[str, Any], moved: list[str]) -> None:
    """The archive has something newer of each kind."""
    own.lock()
    own.machine.add_deb("python3", "3.13.6-1")
    own.machine.add_deb("tini", "1:0.20-1")
    own.machine.add_r_deb("repr", "1.2.0")
    own.machine.add_wheel("pip", "2.0")
    assert own.moved(*kinds, **options) == [NEWER[name] for name in moved]
    assert own.locks


def test_a_new_line_of_a_list_moves_nothing_else(own: Project) -> None:
    own.lock()
    own.machine.add_deb("tini", "1:0.20-1")
    own.machine.add_deb("curl", "8.14", "tini")
    own.write("base_debs.txt", "curl")
    assert own.moved() == ["added curl (pyrlab-base) 8.14"]
    own.write("base_debs.txt")
    assert own.moved() == ["removed curl (pyrlab-base) 8.14"]


def test_what_an_upgrade_may_move_must_be_in_a_lock(own: Project) -> None:
    """A typing error would upgrade nothing, and say nothing."""
    own.lock()
    with pytest.raises(UsageError) as caught:
        own.lock(packages="tini tinny Repr numpi")
    assert (str(caught.value), caught.value.remedy) == (
        "no lock has a package numpi, tinny",
        "check the name in the lock",
    )
    assert own.asked == []


def test_a_mistake_in_a_list_leaves_all_locks_as_they_are(own: Project) -> None:
    """Also those that were made already when it was found."""
    own.lock()
    before = [own.read(name) for name in LOCKS]
    own.machine.add_deb("tini", "1:0.20-1")
    own.write("requirements.in", "numpi")
    with pytest.raises(ListError, match=r"^requirements\.in:1: the Python package index has no numpi that fits$"):
        own.lock(upgrade=True)
    own.write("base_debs.txt", "tiny")
    with pytest.raises(ListError, match=r"^base_debs\.txt:1: Debian has no package 'tiny'$"):
        own.lock()
    assert [own.read(name) for name in LOCKS] == before


def test_apts_reasons_are_shown_for_lists_without_a_solution(own: Project) -> None:
    own.machine.add_deb("curl", "8.14", "libcurl")
    own.write("r_debs.txt", "curl")
    with pytest.raises(ListError) as caught:
        own.lock()
    assert (str(caught.value), caught.value.detail) == (
        "r_debs.txt: apt cannot install all of it together",
        "E: Unable to locate package libcurl\n",
    )


@pytest.mark.parametrize(
    ("name", "version", "packages"),
    [
        pytest.param("tini", "1:0.19.0-2", "", id="of-an-image"),
        pytest.param("python3", "3.13.5-1", "apt", id="of-a-root-that-is-made-anew"),
        pytest.param("r-cran-repr", "1.1.7-1", "", id="of-r"),
    ],
)
def test_other_bytes_under_a_locked_version_are_refused(own: Project, name: str, version: str, packages: str) -> None:
    """Until somebody looked, and said that they are to be taken."""
    own.lock()
    own.machine.change_deb(name, version)
    with pytest.raises(HashMismatchError) as caught:
        own.lock(packages=packages)
    assert str(caught.value) == f"the archive has other bytes than debs.lock for {name} {version}"
    assert caught.value.remedy == (
        f"find out why before you trust it: nox -s lock -- --upgrade-package {name} takes it as is"
    )


def test_other_bytes_are_taken_when_that_is_asked_for(own: Project) -> None:
    own.lock()
    before = own.locks.debs.sections["pyrlab-base"]
    own.machine.change_deb("tini", "1:0.19.0-2")
    assert own.moved(packages="tini") == ["other files tini (pyrlab-base) 1:0.19.0-2 1:0.19.0-2"]
    after = own.locks.debs.sections["pyrlab-base"]
    assert [old.name for old, new in zip(before, after, strict=True) if old.sha256 != new.sha256] == ["tini"]


def test_a_root_of_which_something_is_gone_is_made_anew_and_keeps_the_rest(own: Project) -> None:
    """On a machine that has its files no longer."""
    own.lock()
    shutil.rmtree(own.cache)
    for name in ("python3", "apt"):
        own.machine.add_deb(name, "99")
    own.machine.drop_deb("apt", DEBS["apt"])
    assert own.moved() == ["up apt (root) 2.9 99"]
    assert "reading the archive of Debian trixie" in own.said


def test_a_root_whose_files_are_all_to_be_had_is_not_made_anew(own: Project) -> None:
    own.lock()
    shutil.rmtree(own.cache)
    assert own.moved() == []
    assert own.said[:2] == ["downloading 6 packages (0 MB) of Debian", "asking apt for the closures"]


def test_a_lock_of_another_suite_gives_no_root(own: Project) -> None:
    """Debian's packages have other versions there, whatever they are."""
    own.lock()
    own.toml = own.toml.replace("[base]", '[base]\nsuite = "forky"')
    own.lock()
    assert own.said[0] == "reading the archive of Debian forky"
    assert own.locks.debs.suite == "forky"


def test_a_lock_of_another_machine_gives_no_root(own: Project) -> None:
    own.lock()
    own.machine.architecture = "arm64"
    own.machine.publish_index("Contents-arm64", "")
    own.lock()
    assert own.said[0] == "reading the archive of Debian trixie"
    assert own.locks.debs.architecture == "arm64"
    assert [file.architecture for pin in own.locks.python["pylab"].pins for file in pin.files] == ["arm64"] * 5


@pytest.mark.parametrize("kinds", [pytest.param(["python"], id="python")])
@pytest.mark.parametrize("suite", [pytest.param("trixie", id="no-lock"), pytest.param("forky", id="another-suite")])
def test_python_stands_on_a_lock_of_debian(own: Project, kinds: list[str], suite: str) -> None:
    if suite == "forky":
        own.lock()
        own.toml = own.toml.replace("[base]", '[base]\nsuite = "forky"')
    with pytest.raises(StaleLockError) as caught:
        own.lock(*kinds)
    assert (str(caught.value), caught.value.remedy) == (f"there is no debs.lock for {suite}", "nox -s lock")
    assert own.asked == []


def test_only_the_locks_that_were_made_are_written(own: Project) -> None:
    own.lock()
    assert list(own.lock("python")) == ["requirements.lock"]
    assert own.asked == ["python"]
    assert list(own.lock("debs")) == ["debs.lock", "r_packages.lock"]
    assert list(own.lock("r")) == ["debs.lock", "r_packages.lock"]
    assert own.asked == ["debs"]


def test_a_lock_that_was_edited_is_said_and_its_pins_count(own: Project) -> None:
    own.lock()
    own.machine.add_deb("tini", "1:0.20-1")
    own.machine.add_deb("locales", "2.42-1")
    kept = [line for line in own.read("debs.lock").splitlines() if not line.startswith("tini")]
    own.write("debs.lock", *kept)
    assert own.moved("debs") == ["added tini (pyrlab-base) 1:0.20-1"]
    assert own.said[0].endswith("; its versions are taken as they are, and its files looked up anew")


# ---- What apt is asked, and how


def test_apt_is_asked_for_each_image_with_a_list(own: Project) -> None:
    own.write("base_debs.txt", "tini=1:0.19.0-2", "locales")
    own.write("r_debs.txt", "python3")
    own.lock("debs")
    (question,) = own.machine.questions
    request = dict(question.request)
    preferences = request.pop("preferences")
    assert request == {
        "images": "pyrlab-base - -\nrlab-base pyrlab-base r\n",
        "debs.pyrlab-base": "ca-certificates\nlibnss-extrausers\nlocales\ntini=1:0.19.0-2\n",
        "debs.rlab-base": "python3\nr-base-core\n",
        "r": "rlab rlab-base\n",
        "names": "irkernel\n",
        "run": "",
        "build": "",
    }
    assert preferences.splitlines()[:3] == ["Package: apt", "Pin: version 2.9", "Pin-Priority: 1001"]


def test_apt_is_told_to_keep_the_roots_packages_and_earlier_pins(own: Project) -> None:
    own.lock("debs")
    own.lock("debs", packages="tini")
    names = [line.split()[1] for line in own.machine.questions[0].request["preferences"].splitlines() if ": " in line]
    assert names[::3] == [
        "apt",
        "base-files",
        "ca-certificates",
        "libc6",
        "libnss-extrausers",
        "locales",
        "python3",
        "python3-venv",
        "r-base-core",
        "r-cran-irkernel",
        "r-cran-repr",
    ]


def test_no_question_is_answered_from_the_builders_cache(own: Project) -> None:
    """The archive moves, and BuildKit does not know."""
    own.lock()
    first = [question.target["args"]["run"] for question in own.machine.questions]
    own.lock()
    second = [question.target["args"]["run"] for question in own.machine.questions]
    assert len({*first, *second}) == 4
    assert all(len(word) == 32 for word in (*first, *second))


def test_a_question_is_put_in_the_root_with_its_tools(own: Project) -> None:
    """Its cache is this user's, suite's and machine's alone."""
    own.lock()
    for question in own.machine.questions:
        assert f"FROM root AS lock-{question.kind}-run" in question.dockerfile or question.kind == "python"
        assert "FROM root AS tools" in question.dockerfile
        owner = {
            line.split("id=")[1].split("-trixie")[0] for line in question.dockerfile.splitlines() if "cache,id" in line
        }
        assert len(owner) == 1
        assert f"id={owner.pop()}-trixie-amd64-lists,target=/var/lib/apt/lists" in question.dockerfile
        assert "apt=2.9" in question.root
    work = own.settings.workspace.work
    assert (work / "sections/tools/sums").read_text(encoding="utf-8").count(".whl") == 2


def test_a_question_sees_the_network_settings_as_secrets(own: Project) -> None:
    """And this machine's own network, as the index is there."""
    certificates = own.folder / "ca.pem"
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    certificates.write_text(pem, encoding="utf-8")
    own.toml = own.toml.replace("[network]", f'[network]\nca_file = "{certificates}"')
    own.lock("debs")
    targets, secrets = own.machine.bakes[0]
    assert secrets["ca"] == pem
    assert own.machine.archive.as_uri() in secrets["sources"]
    assert f'url = "{INDEX}/simple"' in secrets["uv"]
    assert list(targets) == ["lock-debs"]
    bake = next(command for command in own.machine.commands if "bake" in command)
    assert "host-network.yaml" in bake


def test_a_question_that_fails_is_explained(own: Project) -> None:
    own.machine.fail = "#7 1.0 Temporary failure resolving 'deb.example'\n#7 ERROR: exit code: 100\n"
    with pytest.raises(NetworkError):
        own.lock()
    assert not any((own.folder / name).exists() for name in LOCKS)


def test_what_an_earlier_question_left_is_not_read_again(own: Project) -> None:
    """A build that wrote nothing must not end in the answer of the day before."""
    own.lock()
    work = own.settings.workspace.work
    assert (work / "lock-debs/answer/available").exists()
    own.machine.fail = "#7 ERROR: exit code: 1\n"
    with pytest.raises(PyrlabError, match="a build step failed"):
        own.lock()
    assert not (work / "lock-debs/answer").exists()
    assert (work / buildkit.BAKE_FILE).exists()
