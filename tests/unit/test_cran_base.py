"""What a DESCRIPTION depends on, and what is R itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.cran.base import BASE_PACKAGES, HARD_FIELDS, dependencies

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,6}[A-Za-z0-9]", fullmatch=True)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        pytest.param({}, [], id="no-fields"),
        pytest.param({"Imports": ""}, [], id="empty-field"),
        pytest.param({"Depends": "R (>= 3.5.0), methods"}, [], id="r-and-base"),
        pytest.param({"Imports": "zoo, xts"}, ["xts", "zoo"], id="sorted"),
        pytest.param({"Imports": "rlang (>= 1.1.0),\n vctrs(>= 0.6)"}, ["rlang", "vctrs"], id="versions-and-lines"),
        pytest.param({"Depends": "zoo", "Imports": "zoo", "LinkingTo": "Rcpp"}, ["Rcpp", "zoo"], id="each-once"),
        pytest.param({"Imports": "repr,", "Suggests": "testthat"}, ["repr"], id="suggested-is-not-needed"),
        pytest.param({"Imports": "R6, stats4, statsx"}, ["R6", "statsx"], id="whole-names"),
    ],
)
def test_dependencies_are_hard_ones_beside_r(description: dict[str, str], expected: list[str]) -> None:
    """Names without versions, sorted, each once, and nothing that comes with R."""
    assert dependencies(description) == expected


def test_base_packages_are_those_that_come_with_r() -> None:
    """Neither more nor less than tools::standard_package_names() calls base."""
    expected = "base compiler datasets grDevices graphics grid methods parallel splines stats stats4 tcltk tools utils"
    assert sorted(BASE_PACKAGES, key=str.lower) == sorted(expected.split(), key=str.lower)


@given(names=st.lists(NAMES), field=st.sampled_from(HARD_FIELDS))
def test_order_and_repetition_of_entries_change_nothing(names: list[str], field: str) -> None:
    """The same names give the same answer, however they are listed."""
    forward = dependencies({field: ", ".join(names)})
    assert forward == dependencies({field: ",\n  ".join([*reversed(names), *names])})
    assert set(forward) == set(names) - BASE_PACKAGES - {"R"}
