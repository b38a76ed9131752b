"""The plan of R packages: what a build step is told, and the law of the keys of compiled packages."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.cran.record import Dependency
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.plan import key, listed, plan

DEBS = {
    "g++-14": "14.2.0-19",
    "gcc-14": "14.2.0-19",
    "gcc-14-base": "14.2.0-19",
    "gfortran-14": "14.2.0-19",
    "libcurl4-openssl-dev": "8.14.1-2",
    "libcurl4t64": "8.14.1-2",
    "r-base-core": "4.5.0-3",
    "r-base-dev": "4.5.0-3",
    "vim": "9.1-1",
}


def files(name: str, number: int = 1) -> tuple[RFile, ...]:
    """Return the source and the binary of a package."""
    return (
        RFile("source", f"src/contrib/{name}.tar.gz", f"{number:064x}"),
        RFile("binary", f"bin/linux/{name}.tar.gz", f"{number:063x}b"),
    )


CLI = RPin("cli", "3.6.5", "cran", requested=True, files=files("cli"), build=("r-base-dev",))
RCPP = RPin("Rcpp", "1.1.0", "cran", requested=False, files=files("Rcpp", 2), build=("r-base-dev",))
BH = RPin(
    "BH", "1.87.0-1", "debian", requested=False, deb=DebPin("r-cran-bh", "1.87.0-1-1", "all", "e" * 64, requested=True)
)
CURL = RPin(
    "curl",
    "6.4.0",
    "cran",
    requested=True,
    files=files("curl", 3),
    dependencies=(Dependency("R", ">=", "3.0"), Dependency("cli"), Dependency("BH"), Dependency("Rcpp", ">=", "1")),
    linking=("BH", "Rcpp"),
    system=("libcurl4t64",),
    build=("libcurl4-openssl-dev", "r-base-dev"),
    system_requirements="libcurl (>= 7.73)",
)
R6 = RPin("R6", "2.6.1", "cran", requested=False, files=files("R6", 4))
PINS = {pin.name: pin for pin in (CLI, RCPP, BH, CURL, R6)}
MACHINE, RECIPE = "trixie amd64", "sha256:5"


def key_of(
    pin: RPin,
    *,
    pins: Mapping[str, RPin] | None = None,
    debs: Mapping[str, str] | None = None,
    machine: str = MACHINE,
    headers: Collection[str] = (),
    recipe: str = RECIPE,
) -> str:
    """Return a pin's key among other pins and debs than the usual ones."""
    known = DEBS | dict(debs or {})
    return key(pin, PINS | dict(pins or {}), known, machine=machine, headers=headers, recipe=recipe)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"pin": replace(CURL, version="6.4.1")}, id="version"),
        pytest.param({"pin": replace(CURL, files=files("curl", 9))}, id="source"),
        pytest.param({"machine": "trixie arm64"}, id="architecture"),
        pytest.param({"machine": "forky amd64"}, id="suite"),
        pytest.param({"recipe": "sha256:6"}, id="scripts-that-compile"),
        pytest.param({"debs": {"r-base-core": "4.5.1-1"}}, id="r"),
        pytest.param({"debs": {"gcc-14": "14.3.0-1"}}, id="c-compiler"),
        pytest.param({"debs": {"g++-14": "14.3.0-1"}}, id="c++-compiler"),
        pytest.param({"debs": {"gfortran-14": "14.3.0-1"}}, id="fortran-compiler"),
        pytest.param({"debs": {"libcurl4-openssl-dev": "8.15.0-1"}}, id="deb-that-compiles-it"),
        pytest.param(
            {"debs": {"libexpat1-dev": "2.7"}, "headers": ["libexpat1-dev"]}, id="headers-that-the-lists-bring"
        ),
        pytest.param({"pin": replace(CURL, build=(*CURL.build, "vim"))}, id="one-more-deb-that-compiles-it"),
        pytest.param({"pins": {"Rcpp": replace(RCPP, files=files("Rcpp", 9))}}, id="package-it-links-to"),
        pytest.param(
            {"pins": {"BH": replace(BH, deb=DebPin("r-cran-bh", "1.88.0-1", "all", "f" * 64))}},
            id="deb-it-links-to",
        ),
        pytest.param({"pins": {"cli": replace(CLI, version="3.6.6", files=files("cli", 9))}}, id="needed-to-load"),
    ],
)
def test_what_decides_the_bytes_changes_the_key(changed: dict[str, Any]) -> None:
    """Each on its own: nothing that was compiled otherwise is ever taken for this."""
    assert key_of(**{"pin": CURL} | changed) != key_of(CURL)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"pin": replace(CURL, files=CURL.files[::-1])}, id="order-of-files"),
        pytest.param({"pin": replace(CURL, files=CURL.files[:1])}, id="no-binary"),
        pytest.param({"pin": replace(CURL, repository="mirror")}, id="same-file-from-elsewhere"),
        pytest.param({"pin": replace(CURL, requested=False)}, id="who-asked-for-it"),
        pytest.param({"pin": replace(CURL, system_requirements="")}, id="its-own-words"),
        pytest.param({"pins": {"Rcpp": replace(RCPP, files=RCPP.files[::-1])}}, id="order-of-linked-files"),
        pytest.param({"debs": {"vim": "9.2-1", "gcc-14-base": "14.3.0-1"}}, id="debs-of-others"),
        pytest.param({"debs": {"libcurl4t64": "8.15.0-1"}}, id="deb-that-runs-it"),
    ],
)
def test_what_does_not_decide_the_bytes_leaves_the_key(changed: dict[str, Any]) -> None:
    """Or packages would be compiled anew for nothing."""
    assert key_of(**{"pin": CURL} | changed) == key_of(CURL)


@pytest.mark.parametrize("name", [pytest.param("gcc-14", id="compiler"), pytest.param("r-base-dev", id="toolchain")])
def test_a_package_without_code_to_compile_depends_on_no_compiler(name: str) -> None:
    """The first compiled package of a lock brings compilers: the others stay as they are."""
    assert key_of(R6, debs={name: "99"}) == key_of(R6)
    without = {deb: version for deb, version in DEBS.items() if deb != name}
    assert key(R6, PINS, without, machine=MACHINE, headers=(), recipe=RECIPE) == key_of(R6)
    assert key_of(R6, debs={"libexpat1-dev": "2.7"}, headers=["libexpat1-dev"]) == key_of(R6)


HASHES = st.integers(0, 2**256 - 1).map("{:064x}".format)


@given(
    others=st.dictionaries(st.from_regex(r"[a-z]{3,6}[0-9]", fullmatch=True), HASHES, max_size=4),
    debs=st.dictionaries(st.from_regex(r"lib[a-z]{3}[0-9]", fullmatch=True), st.sampled_from(["1", "2"]), max_size=4),
    data=st.data(),
)
def test_neither_other_packages_nor_order_change_a_key(
    others: dict[str, str], debs: dict[str, str], data: st.DataObject
) -> None:
    """Whatever else a lock holds, and however it is sorted."""
    new = [
        RPin(name, "1.0", "cran", requested=True, files=(RFile("source", "x", sha),)) for name, sha in others.items()
    ]
    pins = data.draw(st.permutations([*PINS.values(), *new]))
    versions = data.draw(st.permutations(list((DEBS | debs).items())))
    assert key(
        {pin.name: pin for pin in pins}["curl"],
        {pin.name: pin for pin in pins},
        dict(versions),
        machine=MACHINE,
        headers=(),
        recipe=RECIPE,
    ) == key_of(CURL)


@given(one=st.tuples(st.sampled_from(["1.0", "1.1"]), HASHES), other=st.tuples(st.sampled_from(["1.0", "1.1"]), HASHES))
def test_keys_are_equal_just_when_sources_are(one: tuple[str, str], other: tuple[str, str]) -> None:
    """The same version with other bytes is another source."""
    keys = [
        key_of(replace(CLI, version=version, files=(RFile("source", "x", sha256),))) for version, sha256 in (one, other)
    ]
    assert (keys[0] == keys[1]) == (one == other)


DEBS_LOCK = DebsLock(
    "sha256:0", "trixie", "amd64", {"rlab-base": (DebPin("r-base-core", DEBS["r-base-core"], "amd64", "a" * 64),)}
)
BUILD_DEBS = tuple(DebPin(name, version, "amd64", "b" * 64) for name, version in DEBS.items() if name != "r-base-core")


def lock_of(*pins: RPin) -> RLock:
    """Return a lock of these packages, with all that compiles them."""
    return RLock("sha256:0", "sha256:1", "4.5.0", ("cran", "debian"), pins, (), BUILD_DEBS)


def planned(*pins: RPin) -> list[dict[str, Any]]:
    """Return the packages in the plan of a lock."""
    packages: list[dict[str, Any]] = json.loads(plan(DEBS_LOCK, lock_of(*pins), recipe=RECIPE))["packages"]
    return packages


def test_the_plan_tells_what_to_do_with_each_package() -> None:
    """Debian's packages are installed already; ``after`` are those of the plan that come first."""
    packages = {package["name"]: package for package in planned(*PINS.values())}
    assert sorted(packages) == ["R6", "Rcpp", "cli", "curl"]
    assert packages["curl"] == {
        "name": "curl",
        "version": "6.4.0",
        "key": key_of(CURL),
        "files": [{"kind": "binary", "sha256": f"{3:063x}b"}, {"kind": "source", "sha256": f"{3:064x}"}],
        "after": ["Rcpp", "cli"],
        "system_requirements": "libcurl (>= 7.73)",
    }


def test_a_lock_of_debian_alone_leaves_nothing_to_compile() -> None:
    """The plan is there all the same."""
    assert planned(BH) == []


def test_a_new_package_changes_nobody_elses_part_of_the_plan() -> None:
    """Adding one compiles that one, and upgrading one what links to it."""
    before = keys_of(CLI, RCPP, BH, CURL)
    assert keys_of(CLI, RCPP, BH, CURL, R6).items() >= before.items()
    after = keys_of(CLI, replace(RCPP, version="1.1.1", files=files("Rcpp", 9)), BH, CURL)
    assert sorted(name for name in after if after[name] != before[name]) == ["Rcpp", "curl"]


def keys_of(*pins: RPin) -> dict[str, str]:
    """Return the keys in the plan of a lock, by package."""
    return {package["name"]: package["key"] for package in planned(*pins)}


def test_the_gate_is_told_every_package() -> None:
    """Debian's too: all of them have to work together."""
    assert listed(lock_of(BH, CURL)) == "BH 1.87.0-1\ncurl 6.4.0\n"


def test_a_binary_alone_has_a_key_too() -> None:
    """A repository may have no source. A key is the name of a folder in the cache."""
    alone = replace(R6, files=files("R6", 4)[1:])
    assert re.fullmatch("[0-9a-f]{64}", key_of(alone))
    assert key_of(alone) != key_of(R6)


def test_packages_that_need_each_other_have_keys() -> None:
    """No lock that we made has such, but the plan must come to an end."""
    ring = replace(CLI, dependencies=(Dependency("curl"),))
    assert key_of(CURL, pins={"cli": ring}) == key_of(CURL)


@pytest.mark.parametrize(
    ("debs_lock", "recipe"),
    [
        pytest.param(DEBS_LOCK, "sha256:6", id="recipe"),
        pytest.param(replace(DEBS_LOCK, suite="forky"), RECIPE, id="suite"),
        pytest.param(replace(DEBS_LOCK, architecture="arm64"), RECIPE, id="architecture"),
        pytest.param(replace(DEBS_LOCK, sections={}), RECIPE, id="r"),
    ],
)
def test_a_plan_for_something_else_has_other_keys(debs_lock: DebsLock, recipe: str) -> None:
    (package,) = json.loads(plan(debs_lock, lock_of(CLI), recipe=recipe))["packages"]
    assert package["key"] != key_of(CLI)


def test_what_lies_in_other_debs_of_the_lock_counts() -> None:
    """A library in the image, and one that only compiles."""
    lock = lock_of(CURL, *(pin for pin in PINS.values() if pin.name != "curl"))
    for made in (lock, replace(lock, debs=BUILD_DEBS, build_debs=())):
        packages = json.loads(plan(DEBS_LOCK, made, recipe=RECIPE))["packages"]
        assert {package["name"]: package["key"] for package in packages}["curl"] == key_of(CURL)
