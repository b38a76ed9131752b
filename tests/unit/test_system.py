"""Which debs compile an R package and run it, by Debian's own packages and by headers."""

import pytest

from pyrlab.model.cran.system import Needs, SystemDebs

AVAILABLE = {
    "debhelper",
    "dh-r",
    "libabc-dev",
    "libabc1",
    "libc6",
    "libc6-dev",
    "libcurl4-gnutls-dev",
    "libcurl4-openssl-dev",
    "libcurl4t64",
    "libjs-jquery",
    "libxyz-dev",
    "python3",
    "r-base-core",
    "r-base-dev",
    "r-cran-curl",
    "r-cran-rcpp",
    "zlib1g",
    "zlib1g-dev",
}


def curl(build: str = "", run: str = "", **fields: str) -> SystemDebs:
    """Return a Debian that has r-cran-curl, with these dependencies."""
    source = {"Package": "r-cran-curl", "Binary": "r-cran-curl", "Build-Depends": build} | fields
    return SystemDebs({"r-cran-curl": {"Depends": run}}, [source], AVAILABLE, {})


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        pytest.param("", (), id="nothing"),
        pytest.param("zlib1g-dev (>= 1:1.2), libabc-dev", ("libabc-dev", "zlib1g-dev"), id="sorted"),
        pytest.param("libgone-dev | libabc-dev | libxyz-dev", ("libabc-dev",), id="first-alternative-that-there-is"),
        pytest.param("libabc-dev | libxyz-dev", ("libabc-dev",), id="one-of-the-alternatives"),
        pytest.param("libxyz-dev|libabc-dev", ("libxyz-dev",), id="alternatives-without-spaces"),
        pytest.param("libvirtual-dev", (), id="virtual-name"),
        pytest.param("libabc-dev <!nocheck>, zlib1g-dev", ("zlib1g-dev",), id="for-tests-only"),
        pytest.param("libabc-dev <!nodoc !nocheck>", (), id="for-tests-among-others"),
        pytest.param("libabc-dev <!stage1>", ("libabc-dev",), id="another-profile"),
        pytest.param("python3:any, libabc-dev:native", ("libabc-dev", "python3"), id="qualifier"),
        pytest.param("libabc-dev [linux-any]", ("libabc-dev",), id="architectures"),
        pytest.param("debhelper-compat (= 13), debhelper, dh-r", (), id="packaging"),
        pytest.param("r-base-dev, r-cran-rcpp (>= 1), r-api-4.0", (), id="r-and-its-packages"),
        pytest.param("libjs-jquery, libc6-dev, libc6", (), id="what-the-package-brings-or-the-compiler"),
        pytest.param("libabc-dev,\n zlib1g-dev,\n", ("libabc-dev", "zlib1g-dev"), id="over-lines"),
    ],
)
def test_what_compiles_a_package_is_in_its_build_depends(build: str, expected: tuple[str, ...]) -> None:
    """Without what only makes a deb of it, and only what can be had."""
    assert curl(build).needs("curl").build == expected


def test_build_depends_of_one_architecture_count_too() -> None:
    """Those of the documentation do not."""
    fields = {"Build-Depends-Arch": "libxyz-dev", "Build-Depends-Indep": "python3"}
    assert curl("libabc-dev", **fields).needs("curl").build == ("libabc-dev", "libxyz-dev")


def test_a_source_may_make_several_packages() -> None:
    """Its Binary field goes over lines; what makes no R package is nobody's."""
    known = curl("libabc-dev", Binary="curl-doc,\n r-cran-curl")
    assert known.needs("curl").build == ("libabc-dev",)
    assert curl("libabc-dev", Binary="r-cran-other").needs("curl").build == ()


def test_what_runs_a_package_is_in_its_depends() -> None:
    """The libraries, without R, its packages and what every system has."""
    run = "libc6 (>= 2.38), libcurl4t64 (>= 8), r-base-core (>= 4.5), r-api-4.0, r-cran-rcpp, libgone1 | zlib1g"
    assert curl(run=run).needs("curl").run == ("libcurl4t64", "zlib1g")


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        pytest.param("curl", True, id="same-case"),
        pytest.param("CURL", True, id="debs-are-lower-case"),
        pytest.param("RcppCurl", False, id="unknown"),
    ],
)
def test_debian_knows_a_package_by_its_name_in_lower_case(package: str, *, expected: bool) -> None:
    """Under any of the three prefixes."""
    assert curl().knows(package) is expected
    assert SystemDebs({"r-bioc-curl": {}}, [], AVAILABLE, {}).knows(package) is expected


def test_without_sources_a_known_package_needs_what_runs_it() -> None:
    """A mirror without sources says no more."""
    known = SystemDebs({"r-cran-curl": {"Depends": "libcurl4t64"}}, [], AVAILABLE, {})
    assert known.needs("curl") == Needs((), ("libcurl4t64",))


def test_headers_of_a_known_package_count_only_where_debian_has_no_word_on_it() -> None:
    """Its Build-Depends are better than what a source includes on other systems; a mirror may lack them."""
    headers = {"include/zlib.h": {"zlib1g-dev"}}
    source = {"Package": "r-cran-curl", "Binary": "r-cran-curl", "Build-Depends": "libabc-dev"}
    known = SystemDebs({"r-cran-curl": {}}, [source], AVAILABLE, headers)
    assert known.knows_build("curl")
    assert known.needs("curl", headers=["include/zlib.h"]).build == ("libabc-dev",)
    without = SystemDebs({"r-cran-curl": {}}, [], AVAILABLE, headers)
    assert not without.knows_build("curl")
    assert without.needs("curl", headers=["include/zlib.h"]).build == ("zlib1g-dev",)


def unknown(headers: dict[str, set[str]], *asked_for: str, **stanzas: str) -> SystemDebs:
    """Return a Debian without the package, whose own R packages build-depend on ``asked_for``, one each."""
    sources = [
        {"Package": f"r-cran-x{number}", "Binary": f"r-cran-x{number}", "Build-Depends": name}
        for number, name in enumerate(asked_for)
    ]
    depends = {deb.replace("_", "-"): {"Depends": text} for deb, text in stanzas.items()}
    return SystemDebs(depends, sources, AVAILABLE, headers)


def test_an_unknown_package_needs_the_debs_of_its_headers() -> None:
    """Each deb once; headers that no deb has are for the compiler to complain of."""
    found = unknown({"include/zlib.h": {"zlib1g-dev"}, "include/zconf.h": {"zlib1g-dev"}, "include/omp.h": set()})
    headers = ["include/omp.h", "include/zconf.h", "include/zlib.h", "include/never-looked-up.h"]
    assert found.needs("fastzip", headers=headers) == Needs(("zlib1g-dev",), ())
    assert found.needs("fastzip") == Needs()


@pytest.mark.parametrize(
    ("asked_for", "expected"),
    [
        pytest.param(["libcurl4-openssl-dev"] * 2 + ["libcurl4-gnutls-dev"], "libcurl4-openssl-dev", id="most-asked"),
        pytest.param(["libcurl4-gnutls-dev"] * 2 + ["libcurl4-openssl-dev"], "libcurl4-gnutls-dev", id="the-other"),
        pytest.param([], "libcurl4-gnutls-dev", id="by-name-where-nobody-asks"),
    ],
)
def test_of_several_carriers_the_one_is_taken_that_debians_r_packages_ask_for_most(
    asked_for: list[str], expected: str
) -> None:
    """They were made to fit together; what cannot be had is no carrier."""
    carriers = {"libcurl4-openssl-dev", "libcurl4-gnutls-dev", "libcurl-ancient-dev", "libc6-dev"}
    found = unknown({"include/curl/curl.h": carriers}, *asked_for)
    assert found.needs("fastcurl", headers=["include/curl/curl.h"]).build == (expected,)


def test_a_dev_package_leads_to_the_libraries_that_run_it() -> None:
    """Not to other -dev packages, and not to programs."""
    depends = "libabc1 (= 1.0), libxyz-dev, libc6-dev | libc-dev, python3, libgone1"
    found = unknown({"include/abc.h": {"libabc-dev"}}, libabc_dev=depends)
    assert found.needs("abc", headers=["include/abc.h"]) == Needs(("libabc-dev",), ("libabc1",))
