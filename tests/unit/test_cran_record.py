"""What a DESCRIPTION says, as values: dependencies with their bounds, gates on R, and the rest of a record."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.cran.base import BASE_PACKAGES
from pyrlab.model.cran.record import HARD_FIELDS, Dependency, Record, is_r, parse_field
from pyrlab.model.cran.version import RVersion

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,4}[A-Za-z0-9]", fullmatch=True)
BOUNDS = st.tuples(
    st.sampled_from([">=", ">", "==", "!=", "<=", "<"]), st.from_regex(r"[0-9]{1,2}([.-][0-9]){0,3}", fullmatch=True)
)
DEPENDENCIES = st.builds(
    lambda name, bound: Dependency(name, *bound), NAMES | st.sampled_from(["R", "utils"]), st.just(("", "")) | BOUNDS
)


def record(**fields: str) -> Record:
    """Return the record of a package with these fields beside its name and version."""
    return Record.of({"Package": "dplyr", "Version": "1.1-4"} | fields, file="dplyr.tar.gz")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("zoo", Dependency("zoo"), id="any-version"),
        pytest.param(" data.table\n", Dependency("data.table"), id="spaces-around"),
        pytest.param("R (>= 4)", Dependency("R", ">=", "4"), id="r-with-one-component"),
        pytest.param("rlang (>= 1.1.0)", Dependency("rlang", ">=", "1.1.0"), id="as-in-a-description"),
        pytest.param("rlang(>=1.1.0)", Dependency("rlang", ">=", "1.1.0"), id="no-spaces"),
        pytest.param("rlang  (  >  1.8-12 )", Dependency("rlang", ">", "1.8-12"), id="many-spaces"),
        pytest.param("rlang\n(<=\n\t2.0)", Dependency("rlang", "<=", "2.0"), id="over-lines"),
        pytest.param("rlang (!= 1.0)", Dependency("rlang", "!=", "1.0"), id="any-but-one"),
        pytest.param("rlang == 1.0", Dependency("rlang", "==", "1.0"), id="as-in-a-lock"),
        pytest.param("rlang!=1.0", Dependency("rlang", "!=", "1.0"), id="any-but-one-without-spaces"),
        pytest.param("rlang<1.0", Dependency("rlang", "<", "1.0"), id="as-in-a-lock-without-spaces"),
    ],
)
def test_a_dependency_in_each_spelling(text: str, expected: Dependency) -> None:
    """With or without parentheses and spaces."""
    assert Dependency.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "'' is not a dependency of an R package", id="empty"),
        pytest.param("zoo xts", "'zoo xts' is not a dependency of an R package", id="no-comma"),
        pytest.param("r-cran-zoo", "'r-cran-zoo' is not a dependency of an R package", id="name-of-a-deb"),
        pytest.param("1zoo", "'1zoo' is not a dependency of an R package", id="begins-with-a-digit"),
        pytest.param("zo\u00eb", "'zo\u00eb' is not a dependency of an R package", id="letter-beyond-ascii"),
        pytest.param("zoo (>= )", "'zoo (>= )' is not a dependency of an R package", id="no-version"),
        pytest.param("zoo (1.0)", "'zoo (1.0)' is not a dependency of an R package", id="no-operator"),
        pytest.param("zoo (= 1.0)", "'zoo (= 1.0)' is not a dependency of an R package", id="unknown-operator"),
        pytest.param("zoo (>= 1.0", "'zoo (>= 1.0' is not a dependency of an R package", id="open-parenthesis"),
        pytest.param("zoo (>= 1.0) xts", "'zoo (>= 1.0) xts' is not a dependency of an R package", id="more-after"),
        pytest.param("zoo (>= 1.0rc1)", "'zoo (>= 1.0rc1)' is not a dependency of an R package", id="letters"),
        pytest.param("zoo (>= 1..2)", "'1..2' is not an R version", id="empty-component"),
        pytest.param("zoo (>= 1.2-)", "'1.2-' is not an R version", id="trailing-dash"),
    ],
)
def test_what_is_no_dependency_is_a_value_error(text: str, message: str) -> None:
    """A bound is read here, and not when a resolver first compares with it."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Dependency.parse(text)


@pytest.mark.parametrize(
    ("dependency", "version", "expected"),
    [
        pytest.param("zoo", "0.1", True, id="any"),
        pytest.param("zoo (>= 1.8-12)", "1.8.12", True, id="at-least"),
        pytest.param("zoo (> 1.9)", "1.10", True, id="newer"),
        pytest.param("zoo (< 1.9)", "1.10", False, id="older"),
        pytest.param("zoo (== 1.0)", "1.0.0", True, id="exactly"),
        pytest.param("zoo (!= 1.0)", "1.0.0", False, id="any-but-this"),
        pytest.param("zoo (!= 1.0)", "1.0.1", True, id="any-other"),
        pytest.param("R (>= 4.6)", "4.5.0", False, id="gate"),
    ],
)
def test_a_dependency_allows_versions_as_r_orders_them(dependency: str, version: str, *, expected: bool) -> None:
    """Components compare as integers."""
    assert Dependency.parse(dependency).allows(RVersion.parse(version)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("cli, rlang", ["cli", "rlang"], id="two"),
        pytest.param("cli,\n    rlang (>=\n 1.0),\n\tvctrs", ["cli", "rlang >= 1.0", "vctrs"], id="over-lines"),
        pytest.param("rlang >=\n 1.0", ["rlang >= 1.0"], id="over-lines-without-parentheses"),
        pytest.param("cli,", ["cli"], id="trailing-comma"),
        pytest.param(",cli, ,\n,rlang", ["cli", "rlang"], id="empty-entries"),
    ],
)
def test_a_field_is_entries_between_commas(text: str, expected: list[str]) -> None:
    """In their order."""
    assert list(map(str, parse_field(text))) == expected


def test_a_record_holds_what_a_description_says() -> None:
    """Every field that is read, out of one DESCRIPTION."""
    assert record(
        Depends="R (>= 3.5.0), methods (>= 3.4), lattice",
        Imports="vctrs (>= 0.6),\n cli, utils",
        LinkingTo="Rcpp, vctrs",
        Suggests="testthat (>= 3.1), knitr, stats",
        Enhances="bit64",
        NeedsCompilation="no",
        SystemRequirements="C++17,\n  libcurl: libcurl-devel (rpm)",
        Built="R 4.5.0; ; 2025-01-01 00:00:00 UTC; unix\n",
        SHA256="ABC123 ",
    ) == Record(
        name="dplyr",
        version=RVersion.parse("1.1-4"),
        file="dplyr.tar.gz",
        dependencies=tuple(map(Dependency.parse, ("Rcpp", "cli", "lattice", "vctrs >= 0.6"))),
        linking=("Rcpp", "vctrs"),
        suggests=(Dependency("knitr"), Dependency("testthat", ">=", "3.1")),
        gates=(Dependency("R", ">=", "3.5.0"), Dependency("methods", ">=", "3.4")),
        needs_compilation=False,
        system_requirements="C++17, libcurl: libcurl-devel (rpm)",
        built="R 4.5.0; ; 2025-01-01 00:00:00 UTC; unix",
        sha256="abc123",
    )


def test_two_bounds_on_one_package_both_hold() -> None:
    """A range is written as two entries; only a bare name adds nothing to them."""
    found = record(Depends="R (>= 4.1), R (< 4.6), R", Imports="rlang (>= 1.0), rlang (< 2.0)", LinkingTo="rlang")
    assert list(map(str, found.dependencies)) == ["rlang < 2.0", "rlang >= 1.0"]
    assert list(map(str, found.gates)) == ["R < 4.6", "R >= 4.1"]
    assert found.linking == ("rlang",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({}, True, id="unknown"),
        pytest.param({"NeedsCompilation": "yes"}, True, id="yes"),
        pytest.param({"NeedsCompilation": "NA"}, True, id="not-available"),
        pytest.param({"NeedsCompilation": " No\n"}, False, id="no"),
    ],
)
def test_what_does_not_say_no_may_need_a_compiler(value: dict[str, str], *, expected: bool) -> None:
    """The careful answer, where a repository leaves the field out."""
    assert record(**value).needs_compilation is expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"Package": ""}, "the field Package is missing", id="no-name"),
        pytest.param({"Version": " "}, "the field Version is missing", id="no-version"),
        pytest.param({"Package": "../zoo"}, "'../zoo' is not the name of an R package", id="name"),
        pytest.param({"Version": "1.0rc1"}, "Version: '1.0rc1' is not an R version", id="version"),
        pytest.param(
            {"Version": "2"},
            "Version: '2' has one component, and R wants a package's version to have two",
            id="version-of-one-component",
        ),
        *(
            pytest.param({key: "cli, ~x"}, f"{key}: '~x' is not a dependency of an R package", id=f"entry-of-{key}")
            for key in HARD_FIELDS
        ),
        pytest.param(
            {"Depends": "R (>= r99999)"},
            "Depends: 'R (>= r99999)' is not a dependency of an R package",
            id="revision-that-this-r-may-lack",
        ),
        pytest.param(
            {"Depends": "R (< r51951)"},
            "Depends: 'R (< r51951)' is not a dependency of an R package",
            id="older-than-a-revision",
        ),
    ],
)
def test_a_field_that_cannot_be_read_is_named(fields: dict[str, str], message: str) -> None:
    """The field, and the part of it that is wrong."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        record(**fields)


def test_a_suggestion_that_cannot_be_read_spoils_nothing() -> None:
    """Neither the package nor what else it suggests; the list may never ask for it."""
    found = record(Imports="cli", Suggests="knitr, ~x,\n zoo (>= 1..2), knitr (>= 1.0), two words")
    assert found.dependencies == (Dependency("cli"),)
    assert found.suggests == (Dependency("knitr", ">=", "1.0"),)
    assert found.unread_suggests == ("two words", "zoo (>= 1..2)", "~x")


@pytest.mark.parametrize("gate", ["R (>= r51951)", "R(>r51951)", "R\n  (>=  r51951 )", "R (>= r78286)"])
def test_a_gate_on_an_old_revision_is_no_gate(gate: str) -> None:
    """Every R that there is today is newer."""
    found = record(Depends=f"{gate}, R (>= 2.10), methods", Imports="cli")
    assert found.gates == (Dependency("R", ">=", "2.10"),)
    assert found.dependencies == (Dependency("cli"),)


@pytest.mark.parametrize("text", ["1.0", "0.1-2", "2024.01.15", "1-0"])
def test_the_version_of_a_package_has_two_components(text: str) -> None:
    """And is kept as it is written."""
    assert str(RVersion.of_package(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("3", "'3' has one component, and R wants a package's version to have two", id="one"),
        pytest.param("007", "'007' has one component, and R wants a package's version to have two", id="zeros"),
        pytest.param("1.", "'1.' is not an R version", id="trailing-dot"),
        pytest.param("", "'' is not an R version", id="empty"),
    ],
)
def test_other_versions_are_refused_for_a_package(text: str, message: str) -> None:
    """A bound may have one component, a package may not."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RVersion.of_package(text)


def test_base_packages_are_those_that_come_with_r() -> None:
    """Neither more nor less than tools::standard_package_names() calls base."""
    expected = "base compiler datasets grDevices graphics grid methods parallel splines stats stats4 tcltk tools utils"
    assert sorted(BASE_PACKAGES, key=str.lower) == sorted(expected.split(), key=str.lower)


def test_r_and_its_base_packages_are_rs_own() -> None:
    """Whole names, in their case; recommended packages are ordinary ones."""
    assert all(map(is_r, ["R", *BASE_PACKAGES]))
    assert not any(map(is_r, ["r", "R6", "Stats", "lattice", "MASS"]))


@given(dependency=DEPENDENCIES)
def test_a_dependency_is_parsed_as_it_is_rendered(dependency: Dependency) -> None:
    """As a lock writes it, and as a DESCRIPTION does."""
    assert Dependency.parse(str(dependency)) == dependency
    if dependency.operator:
        assert Dependency.parse(f"{dependency.name}({dependency.operator}{dependency.version})") == dependency


@given(entries=st.lists(DEPENDENCIES, max_size=5), field=st.sampled_from([*HARD_FIELDS, "Suggests"]), data=st.data())
def test_order_and_repetition_of_entries_change_nothing(
    entries: list[Dependency], field: str, data: st.DataObject
) -> None:
    """The same entries give the same record, however they are listed."""
    again = data.draw(st.permutations([*entries, *entries[: data.draw(st.integers(0, len(entries)))]]))
    assert record(**{field: in_field(entries, ", ")}) == record(**{field: in_field(again, ",\n  ,")})


def in_field(entries: list[Dependency], comma: str) -> str:
    """Write a dependency field as a DESCRIPTION has it."""
    return comma.join(f"{one.name} ({one.operator} {one.version})" if one.operator else one.name for one in entries)


@given(entries=st.lists(DEPENDENCIES, max_size=5))
def test_every_entry_is_a_dependency_or_a_gate(entries: list[Dependency]) -> None:
    """Nothing is lost but bounds on nothing: bare names of R's own, and bare names beside a bound."""
    found = record(Imports=in_field(entries, ","))
    assert {one for one in entries if one.operator} == {
        one for one in (*found.dependencies, *found.gates) if one.operator
    }
    assert {one.name for one in entries if not is_r(one.name)} == {one.name for one in found.dependencies}
