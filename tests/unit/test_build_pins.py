"""From locks to what a build is given: a file for each section, and labels that say what an image is made from."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.adapters import process
from pyrlab.commands.build import labels_of, part_of, pin_files
from pyrlab.model import graph
from pyrlab.model.locks import digest
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.settings import Settings

HASH = f"sha256:{'a' * 64}"
SHARED = tuple(PythonPin(name, "1", "", (HASH,), ("list",)) for name in sorted(graph.REQUIRED_PYTHON))


def deb(name: str) -> DebPin:
    """Return a pin of this name."""
    return DebPin(name, "1", "amd64", "a" * 64)


def locks_of(*pins: PythonPin, r_packages: tuple[RPin, ...] = ()) -> Locks:
    """Return locks with a deb in each section, what all labs share, and these pins."""
    sections = {name: (deb(name),) for name in ("root", "pyrlab-base", "rlab-base")}
    return Locks(
        DebsLock("sha256:0", "trixie", "amd64", sections),
        PythonLock("sha256:0", "3.13", tuple(sorted({*SHARED, *pins}))),
        RLock("sha256:0", "4.5.0", ("debian",), r_packages, (deb("r-cran-zoo"),), (deb("gcc-14"),)),
    )


# Some are needed by JupyterLab, and by what it needs; some by the list alone.
NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True).filter(lambda name: name not in graph.REQUIRED_PYTHON)
PINS = st.lists(
    st.builds(
        PythonPin,
        name=NAMES,
        version=st.just("1"),
        marker=st.just(""),
        hashes=st.just((HASH,)),
        via=st.tuples(st.one_of(st.sampled_from(["list", "jupyterlab"]), NAMES)),
    ),
    max_size=12,
    unique_by=lambda pin: pin.name,
)


@given(pins=PINS)
def test_every_pin_is_in_exactly_one_section(pins: list[PythonPin]) -> None:
    """Nothing is installed twice, and nothing is left out."""
    locks = locks_of(*pins)
    text = "".join(text for name, text in pin_files(locks).items() if name.endswith(".txt"))
    assert sorted(text.splitlines()) == sorted("".join(map(str, locks.python.pins)).splitlines())


@given(pins=PINS)
def test_what_jupyterlab_needs_is_in_the_shared_section(pins: list[PythonPin]) -> None:
    """Just its closure, so that both labs hold the same bytes."""
    locks = locks_of(*pins)
    closure = locks.python.closure(graph.REQUIRED_PYTHON)
    assert pin_files(locks)["jupyter.txt"] == "".join(map(str, closure))


@given(pins=PINS, data=st.data())
def test_a_new_pin_changes_one_section_only(pins: list[PythonPin], data: st.DataObject) -> None:
    """All other parts keep their bytes, and with them their layers."""
    known = {name for pin in (*pins, *SHARED) for name in (pin.name, *pin.via)}
    new = data.draw(NAMES.filter(lambda name: name not in known))
    via = data.draw(st.sampled_from(["list", "jupyterlab"]))
    before, after = pin_files(locks_of(*pins)), pin_files(locks_of(*pins, PythonPin(new, "1", "", (HASH,), (via,))))
    changed = [name for name in after if after[name] != before[name]]
    assert changed == ["jupyter.txt" if via == "jupyterlab" else f"part-{part_of(new)}.txt"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param("numpy", 2, id="numpy"),
        pytest.param("pandas", 3, id="pandas"),
        pytest.param("scikit-learn", 4, id="scikit-learn"),
        pytest.param("xgboost", 3, id="xgboost"),
    ],
)
def test_a_distribution_stays_in_its_part_for_good(name: str, part: int) -> None:
    """Golden values: another hash would reinstall everything once, for everybody."""
    assert part_of(name) == part


def test_debs_are_written_as_locked() -> None:
    """A file for each image that installs some; the root's are in the root already."""
    files = {name: text for name, text in pin_files(locks_of()).items() if name.endswith(".debs")}
    assert files == {
        "pyrlab-base.debs": f"{deb('pyrlab-base')}\n",
        "rlab-base.debs": f"{deb('rlab-base')}\n",
        "rlab.debs": f"{deb('r-cran-zoo')}\n",
        "rlab-build.debs": f"{deb('gcc-14')}\n",
    }


def cli(version: str) -> RPin:
    """Return an R package of a CRAN-like repository."""
    file = RFile("source", f"src/contrib/cli_{version}.tar.gz", "b" * 64)
    return RPin("cli", version, "cran", requested=True, files=(file,))


def test_r_packages_are_sections_of_their_own() -> None:
    """What the build step is to install, and what the gate is to prove."""
    files = pin_files(locks_of(r_packages=(cli("3.6.5"),)))
    assert [package["name"] for package in json.loads(files["r-plan.json"])["packages"]] == ["cli"]
    assert files["r-library.txt"] == "cli 3.6.5\n"


@pytest.fixture
def settings(load_settings: Callable[..., Settings], project: Path) -> Settings:
    """Return the settings of a project with a build step, whose source nobody knows."""
    (project / "docker").mkdir()
    (project / "docker" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    return load_settings()


def test_labels_say_what_an_image_is(settings: Settings) -> None:
    """Its name, and the digests of its locks, as they are in version control."""
    locks = locks_of()
    labels = labels_of("pylab", locks, settings)
    assert labels["org.opencontainers.image.title"] == "pylab"
    assert labels["io.pyrlab.debs.lock"] == digest([locks.debs.render()])
    assert labels["io.pyrlab.requirements.lock"] == digest([locks.python.render()])
    assert "io.pyrlab.r_packages.lock" not in labels
    assert "org.opencontainers.image.source" not in labels


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("pyrlab-base", False, id="not-below-it"),
        pytest.param("rlab", False, id="not-beside-it"),
        pytest.param("pylab", True, id="in-it"),
    ],
)
def test_a_new_package_of_pylab_changes_the_labels_of_pylab_only(
    settings: Settings, name: str, *, changes: bool
) -> None:
    """An image whose labels stay is not built again."""
    numpy = PythonPin("numpy", "2.3", "", (HASH,), ("list",))
    assert (labels_of(name, locks_of(), settings) != labels_of(name, locks_of(numpy), settings)) is changes


@pytest.mark.parametrize("name", graph.IMAGES)
def test_a_new_version_of_an_r_package_changes_the_labels_of_rlab_only(settings: Settings, name: str) -> None:
    """Python's labs and what is below rlab are not built again."""
    before, after = locks_of(r_packages=(cli("3.6.4"),)), locks_of(r_packages=(cli("3.6.5"),))
    assert (labels_of(name, before, settings) != labels_of(name, after, settings)) is (name == "rlab")


@pytest.mark.parametrize("name", graph.IMAGES)
def test_a_changed_build_step_changes_the_labels_of_every_image(settings: Settings, name: str) -> None:
    """So do the root, and what all images share."""
    before = labels_of(name, locks_of(), settings)
    comm = PythonPin("comm", "1", "", (HASH,), ("ipykernel",))
    assert labels_of(name, locks_of(comm), settings) != before
    (settings.project / "docker" / "Dockerfile").write_text("FROM root\n", encoding="utf-8")
    assert labels_of(name, locks_of(), settings) != before


def test_a_file_beside_the_build_steps_need_not_be_text(settings: Settings) -> None:
    """Editors and Python leave binary files wherever they work."""
    (settings.project / "docker" / ".Dockerfile.swp").write_bytes(b"b0VIM\xff\x00")
    assert labels_of("rlab", locks_of(), settings)["org.opencontainers.image.title"] == "rlab"


@pytest.mark.parametrize(
    ("url", "source"),
    [
        pytest.param("https://git.example/team/labs.git", "https://git.example/team/labs.git", id="https"),
        pytest.param("git@git.example:team/labs.git", "git@git.example:team/labs.git", id="ssh"),
        pytest.param("https://me:token@git.example/labs", "https://git.example/labs", id="credentials"),
        pytest.param("https://me:p@ss@git.example/labs", "https://git.example/labs", id="at-sign-in-a-password"),
        pytest.param("/srv/git/labs.git", None, id="path-of-this-machine"),
    ],
)
def test_the_source_is_named_without_credentials(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, source: str | None
) -> None:
    """Labels are public wherever an image is."""

    def run(command: Sequence[str], *, timeout: float) -> str:
        assert command[0] == "git"
        assert timeout > 0
        return f"{url}\n"

    monkeypatch.setattr(process, "run", run)
    assert labels_of("pylab", locks_of(), settings).get("org.opencontainers.image.source") == source
