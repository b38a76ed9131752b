"""r_packages.lock: TOML that holds R's own names and versions, and the debs or files that carry them."""

import tomllib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.cran.debian import is_r_deb
from pyrlab.model.cran.record import Dependency
from pyrlab.model.lists import Lists, R
from pyrlab.model.locks import diff, r
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RLock, RPin

ReadLists = Callable[[Mapping[str, str]], Lists]
NAMES = st.sampled_from(["IRkernel", "Rcpp", "data.table", "repr", "uuid", "zoo"])
DEBS = st.builds(
    DebPin,
    name=st.from_regex(r"(r-cran-|r-bioc-|lib)[a-z0-9]{1,6}", fullmatch=True),
    version=st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}-[0-9]{1,2}", fullmatch=True),
    architecture=st.sampled_from(["all", "amd64"]),
    sha256=st.integers(0, 2**256 - 1).map("{:064x}".format),
    requested=st.booleans(),
)
VERSIONS = st.from_regex(r"[0-9]{1,2}([.-][0-9]){1,3}", fullmatch=True)
DEPENDENCIES = st.builds(
    lambda name, bound: Dependency(name, *bound),
    NAMES | st.just("R"),
    st.just(("", "")) | st.tuples(st.sampled_from([">=", ">", "==", "!=", "<=", "<"]), VERSIONS),
)
HASHES = st.integers(0, 2**256 - 1).map("{:064x}".format)
FILES = st.builds(
    RFile,
    kind=st.sampled_from(["source", "binary"]),
    path=st.from_regex(r"(src|bin)/[A-Za-z0-9./_-]{1,12}", fullmatch=True),
    sha256=HASHES,
)
LIBRARIES = st.sets(st.sampled_from(["libc6", "libstdc++6", "libcurl4t64"])).map(sorted).map(tuple)
COMMON = {
    "name": NAMES,
    "version": VERSIONS,
    "requested": st.booleans(),
    "dependencies": st.sets(DEPENDENCIES, max_size=2).map(sorted).map(tuple),
    "system": LIBRARIES,
    # SystemRequirements are free text, of any alphabet.
    "system_requirements": st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=9),
}
PINS = st.one_of(
    st.builds(RPin, repository=st.just("debian"), deb=DEBS, **COMMON),
    st.builds(
        RPin,
        repository=st.sampled_from(["cran", "mirror"]),
        files=st.lists(FILES, min_size=1, max_size=2).map(tuple),
        linking=st.sets(NAMES, max_size=2).map(sorted).map(tuple),
        build=LIBRARIES,
        **COMMON,
    ),
)
LOCKS = st.builds(
    RLock,
    input=st.just("sha256:0"),
    r=st.sampled_from(["4.5.0", "4.6.1"]),
    repositories=st.sampled_from([("debian",), ("cran", "debian"), ("debian", "mirror", "cran")]),
    packages=st.lists(PINS, max_size=4, unique_by=lambda pin: pin.name)
    .map(lambda pins: sorted(pins, key=lambda pin: pin.name))
    .map(tuple),
    debs=st.sets(DEBS, max_size=4).map(sorted).map(tuple),
    build_debs=st.sets(DEBS, max_size=4).map(sorted).map(tuple),
)
ZOO_DEB = DebPin("r-cran-zoo", "1.8-12-2", "amd64", "a" * 64, requested=True)
ZOO = RPin(
    "zoo", "1.8-12", "debian", requested=True, deb=ZOO_DEB, dependencies=(Dependency("lattice"),), system=("libc6",)
)
CURL = RPin(
    "curl",
    "6.4.0",
    "cran",
    requested=False,
    files=(
        RFile("binary", "bin/linux/trixie-x86_64/4.5/src/contrib/curl_6.4.0.tar.gz", "b" * 64),
        RFile("source", "src/contrib/curl_6.4.0.tar.gz", "c" * 64),
    ),
    dependencies=(Dependency("R", ">=", "3.0.0"), Dependency("zoo", ">=", "1.8")),
    linking=("zoo",),
    system=("libcurl4t64",),
    build=("libcurl4-openssl-dev", "r-base-dev"),
    system_requirements="libcurl (>= 7.73)",
)


@given(lock=LOCKS)
def test_a_lock_is_parsed_as_it_is_rendered(lock: RLock) -> None:
    """Parse then render is the identity, for the value and for the bytes."""
    assert RLock.parse(lock.render()) == lock
    assert RLock.parse(lock.render()).render() == lock.render()


@given(lock=LOCKS, data=st.data())
def test_order_of_pins_does_not_change_the_file(lock: RLock, data: st.DataObject) -> None:
    """The same pins give the same bytes."""
    packages = tuple(data.draw(st.permutations(lock.packages)))
    debs = tuple(data.draw(st.permutations(lock.debs)))
    build = tuple(data.draw(st.permutations(lock.build_debs)))
    assert RLock(lock.input, lock.r, lock.repositories, packages, debs, build).render() == lock.render()


def test_a_lock_of_debian_alone_looks_like_this() -> None:
    """A golden file, small enough to read: what says nothing is left out."""
    lock = RLock("sha256:0", "4.5.0", ("debian",), (ZOO,), ())
    assert lock.render() == (
        "# Made by `nox -s lock` from `r_packages.txt`. Do not edit.\n\n"
        'format = 2\ninput = "sha256:0"\nr = "4.5.0"\n'
        'repository = [\n    { name = "debian", kind = "debian" },\n]\ndeb = []\n\n'
        '[[package]]\nname = "zoo"\nversion = "1.8-12"\nrepository = "debian"\nrequested = true\n'
        'dependencies = [\n    "lattice",\n]\nsystem = [\n    "libc6",\n]\n\n'
        '[[package.file]]\nkind = "deb"\nname = "r-cran-zoo"\nversion = "1.8-12-2"\narchitecture = "amd64"\n'
        f'sha256 = "{"a" * 64}"\nrequested = true\n'
    )


def test_a_lock_of_another_repository_names_its_files() -> None:
    """Relative to the repository, whose name is the settings' own: no URL, and so no credentials."""
    lock = RLock("sha256:0", "4.5.0", ("cran", "debian"), (CURL,), (), (DebPin("gcc-14", "14.2-1", "amd64", "d" * 64),))
    document = tomllib.loads(lock.render())
    assert document["repository"] == [{"name": "cran", "kind": "cran"}, {"name": "debian", "kind": "debian"}]
    assert document["package"] == [
        {
            "name": "curl",
            "version": "6.4.0",
            "repository": "cran",
            "requested": False,
            "dependencies": ["R >= 3.0.0", "zoo >= 1.8"],
            "linking": ["zoo"],
            "system": ["libcurl4t64"],
            "build": ["libcurl4-openssl-dev", "r-base-dev"],
            "system_requirements": "libcurl (>= 7.73)",
            "file": [
                {
                    "kind": "binary",
                    "path": "bin/linux/trixie-x86_64/4.5/src/contrib/curl_6.4.0.tar.gz",
                    "sha256": "b" * 64,
                },
                {"kind": "source", "path": "src/contrib/curl_6.4.0.tar.gz", "sha256": "c" * 64},
            ],
        }
    ]
    assert [deb["name"] for deb in document["build-deb"]] == ["gcc-14"]


def test_the_source_of_a_package_is_found_among_its_files() -> None:
    """A deb has none."""
    assert CURL.source == RFile("source", "src/contrib/curl_6.4.0.tar.gz", "c" * 64)
    assert ZOO.source is None


GOOD = RLock("sha256:0", "4.5.0", ("debian",), (ZOO,), (ZOO_DEB,)).render()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "r_packages.lock lacks or garbles the key 'format'", id="empty"),
        pytest.param(
            GOOD.replace("format = 2", "format = 1"), "r_packages.lock has format 1, not 2", id="format-of-old-times"
        ),
        pytest.param(GOOD.replace('r = "4.5.0"\n', ""), "r_packages.lock lacks or garbles the key 'r'", id="no-r"),
        pytest.param(
            GOOD.replace("requested = true\ndep", "dep"),
            "r_packages.lock lacks or garbles the key 'requested'",
            id="package-lacks-a-key",
        ),
        pytest.param(
            GOOD.replace(f'sha256 = "{"a" * 64}"\n', "", 1),
            "r_packages.lock lacks or garbles the key 'sha256'",
            id="file-lacks-its-hash",
        ),
        pytest.param(
            RLock("", "4.5.0", ("cran",), (CURL,), ()).render().replace('path = "src/', 'file = "src/'),
            "r_packages.lock lacks or garbles the key 'path'",
            id="file-lacks-its-path",
        ),
        pytest.param(
            GOOD.replace('"lattice"', '"lattice ~> 1"'),
            "r_packages.lock lacks or garbles the key 'lattice ~> 1' is not a dependency of an R package",
            id="dependency",
        ),
        pytest.param(
            "format", "r_packages.lock is not TOML: Expected '=' after a key in a key/value pair", id="not-toml"
        ),
    ],
)
def test_a_garbled_lock_is_stale(text: str, message: str) -> None:
    """The message names the key, the remedy makes the lock anew."""
    with pytest.raises(StaleLockError) as caught:
        RLock.parse(text)
    assert str(caught.value).startswith(message)
    assert caught.value.remedy == "nox -s lock -- r"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("r-cran-zoo", True, id="cran"),
        pytest.param("r-bioc-limma", True, id="bioconductor"),
        pytest.param("r-other-x", True, id="other"),
        pytest.param("r-base-core", False, id="r-itself"),
        pytest.param("libr-cran", False, id="elsewhere-in-the-name"),
    ],
)
def test_debs_that_carry_r_packages_are_known_by_name(name: str, *, expected: bool) -> None:
    """R's own debs are not among them."""
    assert is_r_deb(name) is expected


def test_versions_hold_r_packages_and_system_libraries() -> None:
    """A deb that carries an R package counts once, under R's name; what only compiles is in no image."""
    libx, gcc = DebPin("libx", "1:2-3", "amd64", "b" * 64), DebPin("gcc-14", "14.2-1", "amd64", "d" * 64)
    lock = RLock("sha256:0", "4.5.0", ("debian",), (CURL, ZOO), (libx, ZOO_DEB), (gcc,))
    assert lock.versions() == {"curl": "6.4.0", "zoo": "1.8-12", "libx (system)": "1:2-3"}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("1.9-1", "1.10", id="r-numeric"),
        pytest.param("9+dfsg-1", "10+dfsg-1", id="debian-numeric"),
        pytest.param("2.9+dfsg-1", "2.10~rc1-1", id="debian-letters"),
        pytest.param("1.4+dfsg-1", "1.5-1", id="debian-suffix-goes-away"),
    ],
)
def test_a_newer_version_is_a_step_up(older: str, newer: str) -> None:
    """For R packages, and for the system libraries, whose versions are Debian's."""
    assert [change.kind for change in diff({"x": older}, {"x": newer}, r.order)] == ["up"]


def locked(lists: Lists, *names: str) -> RLock:
    """Return a lock of these packages that fits ``lists``."""
    pins = tuple(RPin(name, "1.0", "debian", requested=True, deb=ZOO_DEB) for name in sorted(names))
    return RLock(r.input_of(lists, "trixie", ("debian",)), "4.5.0", ("debian",), pins, ())


def test_a_lock_of_this_list_passes(read_lists: ReadLists) -> None:
    """The kernel is in every list."""
    lists = read_lists({R: "zoo >= 1.0"})
    r.check(locked(lists, "IRkernel", "zoo"), lists, suite="trixie", repositories=("debian",), r="4.5.0")


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        pytest.param("zoo\nxts > 1", "4.5.0", "r_packages.lock lacks xts > 1 (r_packages.txt:2)", id="new-line"),
        pytest.param("zoo", "4.6.0", "r_packages.lock is for R 4.5.0, and debs.lock has R 4.6.0", id="another-r"),
        pytest.param(
            "zoo > 2", "4.5.0", "r_packages.lock was made from another list than r_packages.txt", id="changed"
        ),
        pytest.param(
            "zoo @ cran", "4.5.0", "r_packages.lock was made from another list than r_packages.txt", id="from-elsewhere"
        ),
        pytest.param(
            "zoo[Suggests]", "4.5.0", "r_packages.lock was made from another list than r_packages.txt", id="suggests"
        ),
    ],
)
def test_a_lock_of_something_else_is_stale(read_lists: ReadLists, text: str, version: str, message: str) -> None:
    """The message says what does not agree."""
    lock = locked(read_lists({R: "zoo"}), "IRkernel", "zoo")
    with pytest.raises(StaleLockError) as caught:
        r.check(lock, read_lists({R: text}), suite="trixie", repositories=("debian",), r=version)
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- r")


@pytest.mark.parametrize(
    "repositories",
    [
        pytest.param(("debian", "cran"), id="one-more"),
        pytest.param(("cran",), id="another"),
    ],
)
def test_a_lock_of_other_repositories_is_stale(read_lists: ReadLists, repositories: tuple[str, ...]) -> None:
    """By their names: a mirror's URL may change."""
    lists = read_lists({R: "zoo"})
    with pytest.raises(StaleLockError, match=r"^r_packages\.lock was made from another list than r_packages\.txt$"):
        r.check(locked(lists, "IRkernel", "zoo"), lists, suite="trixie", repositories=repositories, r="4.5.0")
