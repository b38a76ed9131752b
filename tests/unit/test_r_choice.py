"""From chosen R packages to what apt is asked for, and to the pins of the lock."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.system import Needs
from pyrlab.model.cran.universe import Candidate
from pyrlab.model.cran.version import RVersion
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.steps.choose_r import Asked, Choice

CURL_FILE = RFile("source", "src/contrib/curl_6.4.0.tar.gz", "c" * 64)


def from_debian(name: str, version: str = "1.0", *dependencies: str) -> Candidate:
    """Return a package of Debian's."""
    record = Record(name, RVersion.parse(version), f"r-cran-{name.lower()}", tuple(map(Dependency, dependencies)))
    return Candidate("debian", record)


CURL = Candidate(
    "cran",
    Record(
        "curl",
        RVersion.parse("6.4.0"),
        CURL_FILE.path,
        dependencies=(Dependency("Rcpp", ">=", "1.0"), Dependency("zoo")),
        linking=("Rcpp",),
        gates=(Dependency("R", ">=", "3.0"),),
        system_requirements="libcurl (>= 7.73)",
    ),
)
CURL_NEEDS = Needs(build=("libcurl4-openssl-dev", "r-base-dev"), run=("libcurl4t64",))


def choice(*candidates: Candidate) -> Choice:
    """Return a choice of these, in which curl is the one that has a file and needs."""
    others = [one.name for one in candidates if one.repository != "debian"]
    return Choice(
        packages={one.name: one for one in candidates},
        files=dict.fromkeys(others, (CURL_FILE,)),
        needs=dict.fromkeys(others, CURL_NEEDS),
        left_out={},
    )


NOTHING = Asked(frozenset())
ALL = ("r-cran-rcpp", "r-cran-zoo", "r-cran-lattice")


@pytest.mark.parametrize(
    ("candidates", "before", "roots", "carried", "expected"),
    [
        pytest.param([from_debian("zoo")], (), {"zoo"}, ALL, {"zoo"}, id="what-the-list-wants"),
        pytest.param(
            [from_debian("zoo", "1.0", "lattice"), from_debian("lattice")],
            (),
            {"zoo"},
            ALL,
            {"zoo"},
            id="not-what-apt-brings-anyway",
        ),
        pytest.param(
            [from_debian("zoo", "1.0", "lattice"), from_debian("lattice")],
            (),
            {"zoo"},
            ["r-cran-zoo"],
            {"zoo", "lattice"},
            id="what-apt-did-not-bring",
        ),
        pytest.param(
            [from_debian("zoo", "1.0", "lattice"), from_debian("lattice")],
            ["lattice"],
            {"zoo"},
            ALL,
            {"zoo", "lattice"},
            id="what-was-asked-for-before",
        ),
        pytest.param(
            [CURL, from_debian("Rcpp"), from_debian("zoo", "1.0", "lattice"), from_debian("lattice")],
            (),
            {"curl"},
            ALL,
            {"rcpp", "zoo"},
            id="what-packages-from-elsewhere-need",
        ),
        pytest.param([from_debian("Rcpp")], ["gone"], {"Rcpp"}, ALL, {"rcpp"}, id="not-what-is-no-longer-chosen"),
        pytest.param([], (), set(), ALL, set(), id="nothing"),
    ],
)
def test_apt_is_asked_for_as_few_of_its_r_packages_as_will_do(
    candidates: list[Candidate], before: Collection[str], roots: set[str], carried: Collection[str], expected: set[str]
) -> None:
    """By their bare names, as apt's closure brings the others."""
    asked = choice(*candidates).asked(Asked(frozenset(before)), roots, carried)
    assert asked.rlab == expected


def test_apt_is_asked_for_what_packages_from_elsewhere_run_on_and_compile_with() -> None:
    """Debian's own packages bring theirs."""
    assert choice(CURL, from_debian("zoo")).asked(NOTHING, {"curl"}, ALL) == Asked(
        rlab=frozenset({"zoo"}),
        run=frozenset({"libcurl4t64"}),
        build=frozenset({"libcurl4-openssl-dev", "r-base-dev"}),
    )
    assert choice(from_debian("zoo")).asked(NOTHING, {"zoo"}, ALL) == Asked(frozenset({"zoo"}))


def test_what_the_image_below_has_is_not_asked_for() -> None:
    """It stays as it is, whoever needs it."""
    chosen = choice(CURL, from_debian("Rcpp"), from_debian("zoo", "1.0", "Rcpp"))
    assert chosen.asked(NOTHING, {"curl"}, ALL, {"r-cran-zoo", "r-cran-rcpp"}).rlab == frozenset()


NAMES = ["Rcpp", "curl", "lattice", "xts", "zoo"]


@given(
    graph=st.fixed_dictionaries({name: st.sets(st.sampled_from(NAMES)) for name in NAMES}),
    roots=st.sets(st.sampled_from(NAMES)),
    before=st.sets(st.sampled_from(["rcpp", "zoo", "gone"])),
    carried=st.sets(st.sampled_from(NAMES).map(lambda name: f"r-cran-{name.lower()}")),
)
def test_asking_again_with_what_was_asked_moves_nothing(
    graph: dict[str, set[str]], roots: set[str], before: set[str], carried: set[str]
) -> None:
    """When apt brought all that it was asked for, the turns of a lock run come to rest."""
    chosen = choice(*(CURL if name == "curl" else from_debian(name, "1.0", *sorted(graph[name])) for name in NAMES))
    asked = chosen.asked(Asked(frozenset(before)), roots, carried)
    brought = carried | {f"r-cran-{name}" for name in asked.rlab}
    assert chosen.asked(asked, roots, brought) == asked


def test_a_package_from_elsewhere_is_pinned_with_its_files_and_needs() -> None:
    """What it wants of R comes with what it wants of packages."""
    deb = DebPin("r-cran-zoo", "1.0-1", "amd64", "a" * 64)
    [curl, _] = choice(CURL, from_debian("zoo")).pins({"curl"}, [deb], {"r-cran-zoo": ()})
    assert curl == RPin(
        name="curl",
        version="6.4.0",
        repository="cran",
        requested=True,
        files=(CURL_FILE,),
        dependencies=(Dependency("R", ">=", "3.0"), Dependency("Rcpp", ">=", "1.0"), Dependency("zoo")),
        linking=("Rcpp",),
        system=("libcurl4t64",),
        build=("libcurl4-openssl-dev", "r-base-dev"),
        system_requirements="libcurl (>= 7.73)",
    )


def test_a_package_of_debian_is_pinned_with_its_deb() -> None:
    """R's name and version beside Debian's; of several debs its own."""
    debs = [DebPin("r-cran-rcpp", "1.1-1", "amd64", "b" * 64), DebPin("r-cran-zoo", "1:1.8-12-2", "amd64", "a" * 64)]
    [zoo] = choice(from_debian("zoo", "1.8-12", "lattice")).pins(set(), debs, {"r-cran-zoo": ["libc6"]})
    assert zoo == RPin(
        name="zoo",
        version="1.8-12",
        repository="debian",
        requested=False,
        deb=debs[1],
        dependencies=(Dependency("lattice"),),
        system=("libc6",),
    )


def test_pins_are_sorted_by_name() -> None:
    """Whatever order they were chosen in."""
    debs = [DebPin(name, "1.0-1", "amd64", "a" * 64) for name in ALL]
    system: dict[str, list[str]] = {name: [] for name in ALL}
    names = [pin.name for pin in choice(from_debian("zoo"), from_debian("Rcpp"), CURL).pins(set(), debs, system)]
    assert names == ["Rcpp", "curl", "zoo"]
