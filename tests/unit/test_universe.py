"""What R packages can be had, and what is said of a name that nobody has."""

import pytest
from shelf import Shelf

from pyrlab.model.cran import advice
from pyrlab.model.cran.record import Record
from pyrlab.model.cran.universe import Candidate, Universe
from pyrlab.model.cran.version import RVersion

NAMES = ["data.table", "dplyr", "plyr", "dbplyr", "dtplyr", "duckplyr", "zoo"]
NOWHERE = (
    "check the name, or add its repository to r.repositories in pyrlab.toml "
    "(docs/r-packages.md has Bioconductor's line)"
)
IMAGE = Candidate("debian", Record("MASS", RVersion.parse("7.3"), "r-cran-mass"))
UNIVERSE = Universe(RVersion.parse("4.5.0"), [Shelf("cran", {name: [] for name in NAMES})], {"MASS": IMAGE})


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        pytest.param("DPLYR", "R tells upper from lower case: write dplyr", id="case"),
        pytest.param("mass", "R tells upper from lower case: write MASS", id="case-of-what-the-image-has"),
        pytest.param("zooo", "did you mean zoo?", id="one-that-is-near"),
        pytest.param("dplyrr", "did you mean dplyr or dtplyr or dbplyr?", id="the-nearest-three"),
        pytest.param("nothing", NOWHERE, id="like-no-other"),
    ],
)
def test_a_name_that_nobody_has_is_answered_with_what_is_near(name: str, remedy: str) -> None:
    assert advice.another_name(UNIVERSE, name) == remedy


@pytest.mark.parametrize(("name", "known"), [("zoo", True), ("MASS", True), ("mass", False), ("gone", True)])
def test_what_a_repository_the_image_or_the_lock_has_is_known(name: str, *, known: bool) -> None:
    locked = {"gone": Candidate("cran", Record("gone", RVersion.parse("1"), "gone_1.tar.gz"))}
    assert Universe(UNIVERSE.r, UNIVERSE.sources, UNIVERSE.installed, locked).knows(name) is known
