"""Debian's R packages under R's names and versions, as near as Debian's own words tell."""

from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelf import Shelf

from pyrlab.errors import ListError
from pyrlab.model.cran.debian import (
    Debian,
    bare,
    is_r_deb,
    names_in,
    of_bioconductor,
    parse_stanzas,
    readable,
    upstream_version,
)
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.resolver import Universe, resolve
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

R = RVersion.parse("4.5.0")

DESCRIPTION = {"Package": "dplyr", "Version": "1.1-4", "Imports": "rlang (>= 1.1.0), R6, utils"}


def debian(
    *stanzas: dict[str, str],
    descriptions: dict[str, dict[str, str]] | None = None,
    known: Collection[str] = (),
) -> Debian:
    """Return Debian with these packages, of version 1.0-1 where they say nothing else."""
    return Debian({stanza["Package"]: {"Version": "1.0-1"} | stanza for stanza in stanzas}, descriptions or {}, known)


@pytest.mark.parametrize(
    ("homepage", "name"),
    [
        pytest.param("https://cran.example.org/package=DBI", "DBI", id="cran"),
        pytest.param("https://cran.example.org/web/packages/DBI/", "DBI", id="cran-with-a-slash"),
        pytest.param("https://cran.example.org/web/packages/DBI/index.html", "dbi", id="cran-index-page"),
        pytest.param("https://bioc.example.org/packages/release/bioc/html/DBI.html", "DBI", id="bioconductor"),
        pytest.param("https://git.example.org/r-dbi/DBI.git", "DBI", id="git"),
        pytest.param("https://git.example.org/r-dbi/DBI#readme", "DBI", id="fragment"),
        pytest.param("https://dbi.example.org/", "dbi", id="page-of-its-own"),
        pytest.param("", "dbi", id="none"),
    ],
)
def test_the_case_of_a_name_is_guessed_from_the_homepage(homepage: str, name: str) -> None:
    """Where it is the deb's name in another case; what is something else is not taken for it."""
    assert list(debian({"Package": "r-cran-dbi", "Homepage": homepage}).names) == [name]


# As Debian 13 has them: each of these homepages has the name in a wrong case, or not at all.
WRONG = [
    pytest.param("Rcpp", "http://author.example.org/code/rcpp.html", id="page-of-the-author"),
    pytest.param("gridExtra", "https://cran.example.org/package=gridextra", id="lower-case"),
    pytest.param("Deriv", "https://cran.example.org/package=deriv", id="lower-case-of-a-first-letter"),
    pytest.param("RcppSpdlog", "https://cran.example.org/package=rcppspdlog", id="lower-case-of-two-letters"),
    pytest.param("fNonlinear", "https://cran.example.org/package=fNonLinear", id="one-letter-in-upper-case"),
]


def wrong(name: str, homepage: str) -> dict[str, str]:
    """Return what Debian says of a package."""
    return {"Package": f"r-cran-{name.lower()}", "Homepage": homepage, "Version": "1.0.14-1"}


@pytest.mark.parametrize(("name", "homepage"), WRONG)
def test_the_index_of_another_repository_beats_a_homepage(name: str, homepage: str) -> None:
    """R's own names stand there, and a homepage may be spelled anyhow."""
    found = debian(wrong(name, homepage), known=["zoo", name, "MASS"])
    assert (list(found.names), len(found.records(name))) == ([name], 1)
    assert name.lower() not in found.names
    assert found.records(name.lower()) == []


@pytest.mark.parametrize(("name", "homepage"), WRONG)
def test_debians_package_is_not_passed_over_for_an_older_one(name: str, homepage: str) -> None:
    """It comes first in the settings, so it is taken, as a dependency too."""
    old = Record(name, RVersion.parse("1.0.1"), "old.tar.gz")
    user = Record("user", RVersion.parse("1.0"), "user.tar.gz", (Dependency(name, ">=", "1.0"),))
    cran = Shelf("cran", {name: [old], "user": [user]})
    solution = resolve(
        [RRequest("user", "", "", "list:1")], Universe(R, [debian(wrong(name, homepage), known=cran.names), cran])
    )
    assert [(str(one), one.repository) for one in solution.packages.values()] == sorted(
        [(f"{name} 1.0.14", "debian"), ("user 1.0", "cran")], key=lambda one: one[0]
    )


@pytest.mark.parametrize(("name", "homepage"), WRONG)
def test_debian_alone_has_a_package_in_the_case_that_is_asked_for(name: str, homepage: str) -> None:
    """Nobody knows better until the package itself is there, which apt is asked for then."""
    source = debian(wrong(name, homepage), {"Package": "r-cran-zoo"})
    solution = resolve([RRequest(name, ">=", "1.0", "list:1")], Universe(R, [source]))
    assert list(map(str, solution.packages.values())) == [f"{name} 1.0.14"]
    assert solution.packages[name].record.file == f"r-cran-{name.lower()}"


@pytest.mark.parametrize(("name", "homepage"), WRONG)
def test_the_description_then_tells_the_case(name: str, homepage: str) -> None:
    """Whoever wrote another one is told the right one, once and for all."""
    stanza = wrong(name, homepage)
    source = debian(stanza, descriptions={stanza["Package"]: {"Package": name, "Version": "1.0.14"}})
    for other in (name.lower(), name.upper()):
        with pytest.raises(ListError) as caught:
            resolve([RRequest(other, "", "", "list:1")], Universe(R, [source]))
        assert caught.value.remedy == f"R tells upper from lower case: write {name}"


def test_a_package_of_a_small_repository_finds_debians_in_the_right_case() -> None:
    """That repository has no index entry for it that would tell the case."""
    user = Record("user", RVersion.parse("1.0"), "user.tar.gz", (Dependency("gridExtra"),))
    source = debian(wrong("gridExtra", "https://cran.example.org/package=gridextra"), known=["user"])
    lab = Shelf("lab", {"user": [user]})
    assert list(resolve([RRequest("user", "", "", "list:1")], Universe(R, [source, lab])).packages) == [
        "gridExtra",
        "user",
    ]


@pytest.mark.parametrize(
    ("homepage", "name"),
    [
        pytest.param("https://cran.example.org/package=gsm", "gsm", id="one-of-them"),
        pytest.param("https://cran.example.org/package=GSM", "GSM", id="the-other"),
        pytest.param("https://cran.example.org/package=Gsm", "GSM", id="neither"),
    ],
)
def test_of_two_names_in_one_case_the_homepage_chooses(homepage: str, name: str) -> None:
    """CRAN has GSM and gsm: two packages."""
    found = debian({"Package": "r-cran-gsm", "Homepage": homepage}, known=["gsm", "GSM"])
    assert list(found.names) == [name]


@pytest.mark.parametrize(
    ("deb", "name"),
    [
        pytest.param("r-cran-data.table", "data.table", id="cran"),
        pytest.param("r-bioc-limma", "limma", id="bioconductor"),
        pytest.param("r-other-x4r", "x4r", id="other"),
        pytest.param("libcurl4", "libcurl4", id="no-r-package"),
    ],
)
def test_a_debs_name_holds_the_r_name_in_lower_case(deb: str, name: str) -> None:
    """After one of three prefixes."""
    assert bare(deb) == name
    assert is_r_deb(deb) is (deb != name)


@pytest.mark.parametrize(
    ("deb", "expected"),
    [
        pytest.param("1.1.4-1", "1.1.4", id="revision"),
        pytest.param("1:1.8-4-2", "1.8-4", id="epoch-and-hyphen"),
        pytest.param("3.5.1+dfsg-1", "3.5.1", id="dfsg"),
        pytest.param("0.4.9.1+ds-2", "0.4.9.1", id="ds"),
        pytest.param("1.3.2+git20240101-1", "1.3.2", id="git"),
        pytest.param("7.3-65-1+b1", "7.3-65", id="rebuilt"),
        pytest.param("2.0~rc1-1", "2.0", id="pre-release"),
        pytest.param("1.0-1~bpo13+1", "1.0", id="backport"),
        pytest.param("0.3.13", "0.3.13", id="native"),
        pytest.param("git2024-1", "0", id="tells-nothing"),
        pytest.param("20240101120000-1", "0", id="too-large-for-r"),
        pytest.param("1.0.20240101120000-1", "0", id="component-too-large-for-r"),
        pytest.param("", "0", id="none"),
    ],
)
def test_rs_version_is_debians_without_what_debian_adds(deb: str, expected: str) -> None:
    """As it is spelled, because file names need the hyphen."""
    assert str(upstream_version(deb)) == expected


@given(
    upstream=st.from_regex(r"[0-9]{1,3}([.-][0-9]{1,2}){1,3}", fullmatch=True),
    epoch=st.sampled_from(["", "1:", "10:"]),
    suffix=st.sampled_from(["", "+dfsg", "+ds1", "+git20240101.abc", "~rc1"]),
    revision=st.sampled_from(["1", "2.1", "1+b3", "0ubuntu1"]),
)
def test_nothing_that_debian_adds_changes_rs_version(upstream: str, epoch: str, suffix: str, revision: str) -> None:
    """Neither epoch nor suffix nor revision."""
    assert str(upstream_version(f"{epoch}{upstream}{suffix}-{revision}")) == upstream


def test_a_description_is_the_last_word() -> None:
    """Name, version and bounds: Debian's are guesses beside it."""
    stanza = {
        "Package": "r-cran-dplyr",
        "Version": "1:1.1.4+dfsg-1",
        "Homepage": "https://cran.example.org/package=DPLYR",
        "Depends": "r-cran-vctrs",
    }
    found = debian(stanza, {"Package": "r-cran-vctrs"}, descriptions={"r-cran-dplyr": DESCRIPTION})
    [record] = found.records("dplyr")
    assert found.records("DPLYR") == []
    assert (str(record.version), record.file) == ("1.1-4", "r-cran-dplyr")
    assert list(map(str, record.dependencies)) == ["R6", "rlang >= 1.1.0"]


def test_without_a_description_debians_fields_are_read_as_rs() -> None:
    """Dependencies are other R packages, by their true names and without bounds: Debian's are on Debian's versions."""
    stanza = {
        "Package": "r-cran-dplyr",
        "Version": "1.1.4-1",
        "Depends": "libc6 (>= 2.14), r-base-core (>= 4.5.0), r-api-4.0, r-cran-r6, r-cran-rlang (>= 1.1.0-1)",
    }
    others = {"Package": "r-cran-r6", "Homepage": "https://cran.example.org/package=R6"}, {"Package": "r-cran-rlang"}
    [record] = debian(stanza, *others).records("dplyr")
    assert (record.name, record.version, record.file) == ("dplyr", RVersion.parse("1.1.4"), "r-cran-dplyr")
    assert record.dependencies == (Dependency("R6"), Dependency("rlang"))


def test_a_stanza_without_a_version_is_read() -> None:
    """What tells nothing is version 0."""
    source = Debian({"r-cran-zoo": {"Package": "r-cran-zoo"}}, {}, ["zoo"])
    assert [str(one.version) for one in source.records("zoo")] == ["0"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"Version": "1.0"}, "the field Package is missing", id="no-name"),
        pytest.param({"Package": "zoo"}, "the field Version is missing", id="no-version"),
        pytest.param({"Package": "zoo", "Version": "1.0rc1"}, "Version: '1.0rc1' is not an R version", id="version"),
        pytest.param(
            {"Package": "zoo", "Version": "1.0", "Imports": "~x"},
            "Imports: '~x' is not a dependency of an R package",
            id="dependency",
        ),
    ],
)
def test_a_description_that_cannot_be_read_is_not_counted(fields: dict[str, str], reason: str) -> None:
    """Debian's own words are left, and the reason is told; others count."""
    read = readable({"r-cran-zoo": fields, "r-cran-dplyr": DESCRIPTION, "r-cran-none": {}})
    assert read.descriptions == {"r-cran-dplyr": DESCRIPTION}
    assert read.unread == {"r-cran-zoo": reason}


def test_debian_has_one_version_of_each_package() -> None:
    """And none of what it does not have."""
    found = debian({"Package": "r-cran-zoo"}, known=["zoo"])
    assert [str(record.version) for record in found.records("zoo")] == ["1.0"]
    assert found.records("Zoo") == []
    assert found.archived("zoo") == []
    describe: Callable[[str, str], Record | None] = found.describe
    assert describe("zoo", "0.9") is None
    assert list(found.broken("zoo")) == []
    assert not found.needs("zoo")


def test_what_bioconductor_has_is_told_by_the_names_of_debs() -> None:
    """In lower case, as Debian has them."""
    assert of_bioconductor(["r-cran-zoo", "r-bioc-biobase", "r-base-core"]) == {"biobase"}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("libb, liba", ["liba", "libb"], id="sorted"),
        pytest.param("liba (>= 1), libb(<< 2)", ["liba", "libb"], id="versions"),
        pytest.param("liba | libb", ["liba", "libb"], id="alternatives"),
        pytest.param("python3:any, gcc:native", ["gcc", "python3"], id="architecture-qualifiers"),
        pytest.param("liba [amd64], libb <!nodoc>", ["liba", "libb"], id="restrictions"),
        pytest.param("liba,\n libb,\n", ["liba", "libb"], id="over-lines"),
    ],
)
def test_names_in_a_field_are_bare(field: str, expected: list[str]) -> None:
    """Without versions, qualifiers and restrictions, each once."""
    assert names_in(field) == expected


def test_of_a_package_that_apt_shows_twice_the_first_counts() -> None:
    """That is the one that apt would take; what is no package is skipped."""
    text = "Package: r-cran-zoo\nVersion: 2\nDepends: a,\n b\n\n\nPackage: r-cran-zoo\nVersion: 1\n\nN: a notice\n"
    assert parse_stanzas(text) == {"r-cran-zoo": {"Package": "r-cran-zoo", "Version": "2", "Depends": "a,\n b"}}
    assert parse_stanzas("") == {}
