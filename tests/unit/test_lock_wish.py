"""Which pins a relock keeps."""

import pytest

from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import glibc_of, python_of, r_of
from pyrlab.model.wish import Wish


@pytest.mark.parametrize(
    ("wish", "kind", "name", "expected"),
    [
        pytest.param(Wish(), "debs", "curl", True, id="nothing-moves-by-default"),
        pytest.param(Wish(upgrade=True), "debs", "curl", False, id="upgrade-moves-all"),
        pytest.param(Wish(frozenset({"r"}), upgrade=True), "r", "r-cran-zoo", False, id="upgrade-of-this-kind"),
        pytest.param(Wish(frozenset({"r"}), upgrade=True), "debs", "curl", True, id="upgrade-of-another-kind"),
        pytest.param(Wish(upgrade_packages=frozenset({"curl"})), "debs", "curl", False, id="named"),
        pytest.param(Wish(upgrade_packages=frozenset({"curl"})), "debs", "libcurl4", True, id="not-named"),
        pytest.param(Wish(upgrade_packages=frozenset({"IRkernel"})), "r", "r-cran-irkernel", False, id="by-rs-name"),
        pytest.param(
            Wish(upgrade_packages=frozenset({"data.table"})), "r", "r-cran-data.table", False, id="with-a-dot"
        ),
        pytest.param(Wish(upgrade_packages=frozenset({"limma"})), "r", "r-bioc-limma", False, id="of-bioconductor"),
        pytest.param(Wish(upgrade_packages=frozenset({"r-cran-mass"})), "debs", "r-cran-mass", False, id="by-its-deb"),
        pytest.param(
            Wish(upgrade_packages=frozenset({"scikit_learn"})), "python", "scikit-learn", False, id="spelling"
        ),
        pytest.param(Wish(upgrade=True, held={("r", "zoo"): "2"}), "r", "r-cran-zoo", True, id="held"),
        pytest.param(Wish(upgrade=True, held={("r", "zoo"): "2"}), "python", "zoo", False, id="held-of-another-kind"),
    ],
)
def test_a_pin_is_kept_unless_the_wish_moves_it(wish: Wish, kind: str, name: str, *, expected: bool) -> None:
    """By kind, or by any of a package's names."""
    assert wish.keeps(kind, name) is expected


@pytest.mark.parametrize(
    ("name", "version", "python", "r"),
    [
        pytest.param("python3", "3.13.5-1", "3.13", "", id="python"),
        pytest.param("r-base-core", "4.5.0-3", "", "4.5.0", id="r"),
        pytest.param("r-base-core", "1:4.6.1-1~x", "", "4.6.1", id="epoch"),
        pytest.param("curl", "8", "", "", id="neither"),
    ],
)
def test_the_languages_versions_are_read_from_their_debs(name: str, version: str, python: str, r: str) -> None:
    """Python's in two parts, R's in three; nothing where there is none."""
    lock = DebsLock("", "trixie", "amd64", {"root": (DebPin(name, version, "amd64", "a" * 64),)})
    assert (python_of(lock), r_of(lock)) == (python, r)


def test_the_c_library_is_known_by_its_upstream_version() -> None:
    """What wheels name as manylinux_2_41."""
    lock = DebsLock("", "trixie", "amd64", {"root": (DebPin("libc6", "2.41-12+deb13u1", "amd64", "a" * 64),)})
    assert glibc_of(lock) == "2.41"
