"""Real R packages, hundreds of thousands of lines of C++ and R, from one vintage of the repository to the next."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import vintages
from conftest import PREFIX, SOURCE, Project, compiled, images_of
from cran_server import CranServer

from pyrlab.adapters.docker import engine
from pyrlab.model.locks.r import RLock

# Eight minutes; test_r_packages.py has the same steps with small packages, for each change.
pytestmark = pytest.mark.nightly
IMAGE = f"{PREFIX}vintage-rlab:latest"
SETTINGS = images_of("vintage-") + '[r]\nrepositories = ["cran={url}"]\n'
NOTEBOOK = "dplyr_ggplot2.ipynb"


@pytest.fixture(scope="module")
def repositories(locked_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the repository as it stood at each vintage, as folders."""
    folder = tmp_path_factory.mktemp("vintages")
    # The shared project's own root may be cleaned away by now.
    project = locked_project.copy(folder / "project")
    project.succeed("lock", "debs")
    found = vintages.fetch(project.path, project.environment)
    return {name: vintages.repository(folder / name, name, found) for name in vintages.VINTAGES}


@pytest.fixture(scope="module")
def cran(repositories: Mapping[str, Path]) -> Iterator[CranServer]:
    """Serve one vintage; which one is the server's ``folder``."""
    with CranServer(repositories["trixie"]) as server:
        yield server


@pytest.fixture(scope="module")
def real(built_project: Project, cran: CranServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return a project whose rlab holds the closures of IRkernel, dplyr, ggplot2 and zoo, compiled from source."""
    project = built_project.copy(tmp_path_factory.mktemp("real") / "project")
    project.write("pyrlab.toml", SETTINGS.format(url=cran.url))
    project.write("r_debs.txt", "r-recommended\n")
    project.write("r_packages.txt", "dplyr\nggplot2\nzoo\n")
    project.succeed("lock", "r", "debs")
    project.succeed("build", "rlab")
    yield project
    engine.client().images.remove(IMAGE, force=True)


def locked(project: Project) -> RLock:
    """Return the project's lock of R packages."""
    return RLock.parse(project.read("r_packages.lock"))


def run_notebook() -> str:
    """Run the R notebook in rlab with its own kernel, and return it as it looks then."""
    command = ["nbconvert", "--to", "notebook", "--execute", "--stdout", f"/notebooks/{NOTEBOOK}"]
    volumes = {str(SOURCE / "tests/notebooks"): {"bind": "/notebooks", "mode": "ro"}}
    return str(
        engine.client()
        .containers.run(IMAGE, command, entrypoint="jupyter", volumes=volumes, remove=True, stderr=False)
        .decode()
    )


def test_the_closures_are_compiled_from_source_and_run_a_notebook(real: Project) -> None:
    pins = {pin.name: pin for pin in locked(real).packages}
    assert {"IRkernel", "cli", "rlang", "vctrs", "digest", "dplyr", "ggplot2", "zoo"} <= pins.keys()
    assert {name for name, pin in pins.items() if pin.deb} <= {"MASS", "Matrix", "lattice", "mgcv", "nlme"}
    assert all(pin.source for pin in pins.values() if not pin.deb)
    assert "libzmq5" in pins["pbdZMQ"].system
    assert "libzmq3-dev" in pins["pbdZMQ"].build
    assert "image/png" in run_notebook()


def test_a_later_vintage_is_an_upgrade_that_compiles_what_moved_and_what_needs_it(
    real: Project, cran: CranServer, repositories: Mapping[str, Path]
) -> None:
    before = {pin.name: pin for pin in locked(real).packages}
    cran.folder = repositories["forky"]
    assert "r_packages.lock: nothing changed" in real.succeed("lock", "r")
    printed = real.succeed("lock", "r", "--upgrade")
    after = {pin.name: pin for pin in locked(real).packages}
    moved = {name for name in after if name not in before or after[name].version != before[name].version}
    assert moved
    assert set(re.findall(r"^(?:up|added) +(\w\S*) +\S", printed, re.MULTILINE)) == moved
    needing = set(moved)
    while more := {name for name, pin in after.items() if needing & {one.name for one in pin.dependencies}} - needing:
        needing |= more
    printed = real.succeed("build", "rlab")
    # At most: what an earlier run of these tests compiled is not compiled again.
    assert compiled(printed) <= needing
    counted = re.search(r"compiled before: (\d+)", printed)
    # An engine that has seen these very vintages takes the whole step from its cache, and then nothing is counted.
    assert counted or "· rlab-library: " not in printed
    if counted:
        assert int(counted[1]) + len(compiled(printed)) == len([pin for pin in after.values() if not pin.deb])
    assert "image/png" in run_notebook()


def test_one_more_package_compiles_that_one(real: Project) -> None:
    real.write("r_packages.txt", "dplyr\nggplot2\nzoo\nxml2\n")
    real.succeed("lock", "r")
    (pin,) = [pin for pin in locked(real).packages if pin.name == "xml2"]
    assert "libxml2-dev" in pin.build
    assert compiled(real.succeed("build", "rlab")) <= {"xml2", *(one.name for one in pin.dependencies)}
    said = engine.client().containers.run(
        IMAGE, ["-e", "cat(xml2::xml_text(xml2::read_xml('<a>works</a>')))"], entrypoint="Rscript", remove=True
    )
    assert "works" in str(said.decode())


def test_last_years_version_comes_out_of_the_archive_with_its_own_dependencies(
    project: Project, cran: CranServer, repositories: Mapping[str, Path]
) -> None:
    """Dplyr 1.0.10 imports what 1.1.4 does not need any more, and the other way round."""
    cran.folder = repositories["trixie"]
    project.write("pyrlab.toml", SETTINGS.format(url=cran.url))
    project.write("r_packages.txt", "dplyr < 1.1\ncli == 3.6.0\n")
    project.succeed("lock", "r")
    pins = {pin.name: pin for pin in locked(project).packages}
    assert (pins["dplyr"].version, pins["cli"].version) == ("1.0.10", "3.6.0")
    assert pins["dplyr"].files[0].path == "src/contrib/Archive/dplyr/dplyr_1.0.10.tar.gz"
    assert "tibble >= 2.1.3" in map(str, pins["dplyr"].dependencies)
