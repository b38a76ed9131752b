"""r_packages.lock: TOML that holds R's own names and versions, and the debs or files that carry them."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace

import lock_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.changes import diff
from pyrlab.model.cran.debian import is_r_deb
from pyrlab.model.cran.record import Dependency
from pyrlab.model.lists import Lists, R
from pyrlab.model.locks import OldFormatError, r
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RLock, RPin

ReadLists = Callable[[Mapping[str, str]], Lists]
ZOO_DEB = DebPin(
    "r-cran-zoo", "1.8-12-2", "amd64", "a" * 64, 1000, "pool/main/r-cran-zoo_1.8-12-2_amd64.deb", requested=True
)
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


def lock_of(*packages: RPin, debs: tuple[DebPin, ...] = (), build: tuple[DebPin, ...] = ()) -> RLock:
    """Return a lock of these packages."""
    return replace(samples.R, repositories=("cran", "debian"), packages=packages, debs=debs, build_debs=build)


@given(lock=samples.r_locks(), data=st.data())
def test_order_of_pins_does_not_change_the_file(lock: RLock, data: st.DataObject) -> None:
    """The same pins give the same bytes."""
    packages = tuple(data.draw(st.permutations(lock.packages)))
    debs = tuple(data.draw(st.permutations(lock.debs)))
    build = tuple(data.draw(st.permutations(lock.build_debs)))
    assert replace(lock, packages=packages, debs=debs, build_debs=build).render() == lock.render()


def test_a_lock_of_debian_alone_looks_like_this() -> None:
    """A golden file, small enough to read: what says nothing is left out."""
    lock = RLock("sha256:0", "sha256:1", "4.5.0", ("debian",), (ZOO,), ())
    assert lock.render() == (
        "# Made by `nox -s lock`. Do not edit.\n\n"
        'format = 3\ninput = "sha256:0"\ndebs = "sha256:1"\n'
        'body = "sha256:7188e451f75882f497cd283264bf1732d339b80d7d7b1f3add48e72dcb04d9ad"\n'
        'sums = "qTY="\nr = "4.5.0"\n'
        'repository = [\n    { name = "debian", kind = "debian" },\n]\ndeb = []\n\n'
        '[[package]]\nname = "zoo"\nversion = "1.8-12"\nrepository = "debian"\nrequested = true\n'
        'dependencies = [\n    "lattice",\n]\nsystem = [\n    "libc6",\n]\n\n'
        '[[package.file]]\nkind = "deb"\nname = "r-cran-zoo"\nversion = "1.8-12-2"\narchitecture = "amd64"\n'
        f'sha256 = "{"a" * 64}"\nsize = 1000\npath = "pool/main/r-cran-zoo_1.8-12-2_amd64.deb"\nrequested = true\n'
    )


def test_a_lock_of_another_repository_names_its_files() -> None:
    """Relative to the repository, whose name is the settings' own: no URL, and so no credentials."""
    lock = lock_of(CURL, build=(samples.deb("gcc-14"),))
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


def earlier(text: str) -> RLock:
    """Read a lock for its pins; there is nothing to warn of."""
    return RLock.earlier(text, warn=samples.never)


GOOD = RLock("sha256:0", "sha256:1", "4.5.0", ("debian",), (ZOO,), (ZOO_DEB,)).render()
CRAN = lock_of(CURL).render()
UNREADABLE = "r_packages.lock cannot be read: "


def other(old: str, new: str) -> str:
    """Return a good lock with one thing changed."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "r_packages.lock does not say its format", id="empty"),
        pytest.param('format = "x"', "r_packages.lock has the format 'x', which is no number", id="format-is-text"),
        pytest.param("format = true", "r_packages.lock has the format True, which is no number", id="format-is-true"),
        pytest.param(other('\nr = "4.5.0"\n', "\n"), f"{UNREADABLE}the lock has no 'r'", id="no-r"),
        pytest.param(
            other("requested = true\ndep", "dep"),
            f"{UNREADABLE}package 'zoo' has no 'requested'",
            id="package-lacks-a-key",
        ),
        pytest.param(
            other(f'sha256 = "{"a" * 64}"\n', ""),
            f"{UNREADABLE}file 'r-cran-zoo' has no 'sha256'",
            id="file-lacks-its-hash",
        ),
        pytest.param(
            other("a" * 64, "a" * 63),
            f"{UNREADABLE}file 'r-cran-zoo' is no deb that can be",
            id="deb-with-a-short-hash",
        ),
        pytest.param(
            other('path = "pool/', 'path = "../'),
            f"{UNREADABLE}file 'r-cran-zoo' is no deb that can be",
            id="deb-leaves-the-archive",
        ),
        pytest.param(
            CRAN.replace('path = "src/', 'file = "src/'),
            f"{UNREADABLE}file number 2 has no 'path'",
            id="file-lacks-its-path",
        ),
        pytest.param(
            CRAN.replace('path = "src/', 'path = "../'),
            f"{UNREADABLE}'path' of file number 2 is '../contrib/curl_6.4.0.tar.gz', "
            "which is not below a repository's root",
            id="file-leaves-the-repository",
        ),
        pytest.param(
            CRAN.replace('"source"', '"script"'),
            f"{UNREADABLE}'kind' of file number 2 is 'script'",
            id="file-of-no-known-kind",
        ),
        pytest.param(
            CRAN.replace("c" * 64, "c"),
            f"{UNREADABLE}'sha256' of file number 2 is 'c'",
            id="hash-is-short",
        ),
        pytest.param(
            other('"lattice"', '"lattice ~> 1"'),
            f"{UNREADABLE}'lattice ~> 1' is not a dependency of an R package",
            id="dependency",
        ),
        pytest.param(
            other('"lattice"', "1"), f"{UNREADABLE}'dependencies' of package 'zoo' is not a list of texts", id="number"
        ),
        pytest.param(
            other('name = "zoo"', "name = 1"), f"{UNREADABLE}'name' of package number 1 is not a text", id="name"
        ),
        pytest.param(
            other("size = 1000", "size = -1"), f"{UNREADABLE}file 'r-cran-zoo' is no deb that can be", id="size-below-0"
        ),
        pytest.param(
            other("size = 1000", "size = true"),
            f"{UNREADABLE}'size' of file 'r-cran-zoo' is not a whole number",
            id="size",
        ),
        pytest.param(
            other("requested = true", "requested = 1"),
            f"{UNREADABLE}'requested' of package 'zoo' is not true or false",
            id="flag",
        ),
        pytest.param(
            'format = 3\ninput = ""\nr = ""\npackage = 3\nrepository = []',
            f"{UNREADABLE}'package' of the lock is not a list of tables",
            id="package-is-a-number",
        ),
        pytest.param(
            'format = 3\ninput = ""\nr = ""\nrepository = [1]',
            f"{UNREADABLE}'repository' of the lock is not a list of tables",
            id="no-table",
        ),
        pytest.param(
            "format",
            "r_packages.lock is not TOML: Expected '=' after a key in a key/value pair (at end of document)",
            id="not-toml",
        ),
    ],
)
def test_a_garbled_lock_is_stale(text: str, message: str) -> None:
    """The message names the place. Locking cannot keep such pins, so it says the same."""
    restore = "git checkout -- r_packages.lock; or delete it, and nox -s lock makes it anew, with the newest versions"
    for read in (RLock.parse, earlier):
        with pytest.raises(StaleLockError) as caught:
            read(text)
        assert (str(caught.value), caught.value.remedy) == (message, restore)


FORMAT_2 = f"""\
format = 2
input = "sha256:0"
r = "4.5.0"
repository = [{{ name = "debian", kind = "debian" }}]

[[package]]
name = "zoo"
version = "1.8-12"
repository = "debian"
requested = true
dependencies = ["lattice"]
system = ["libc6"]

[[package.file]]
kind = "deb"
name = "r-cran-zoo"
version = "1.8-12-2"
architecture = "amd64"
sha256 = "{"a" * 64}"
requested = true
"""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param(FORMAT_2, 2, id="format-2"),
        # Each package had one file, and that was no list.
        pytest.param(
            FORMAT_2.replace("format = 2", "format = 1")
            .replace("[[package.f", "[package.f")
            .replace("e]]\nk", "e]\nk"),
            1,
            id="format-1",
        ),
    ],
)
def test_earlier_formats_keep_their_pins_for_locking_alone(text: str, number: int) -> None:
    """They knew neither where a deb is nor how long, and stood on no debs.lock."""
    with pytest.raises(OldFormatError) as caught:
        RLock.parse(text)
    message = f"r_packages.lock has format {number}, of an earlier pyrlab; this one needs 3"
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- r, which keeps its pins")
    zoo = replace(ZOO, deb=replace(ZOO_DEB, size=0, path=""))
    assert earlier(text) == RLock("sha256:0", "", "4.5.0", ("debian",), (zoo,), ())


@pytest.mark.parametrize(
    ("old", "new"),
    [pytest.param("package]]", "package", id="not-toml"), pytest.param('["lattice"]', "[1]", id="number-for-text")],
)
def test_an_earlier_format_that_is_garbled_cannot_be_kept(old: str, new: str) -> None:
    """Locking says so, and moves nothing."""
    with pytest.raises(StaleLockError, match=r"^r_packages\.lock (is not TOML|cannot be read): "):
        earlier(FORMAT_2.replace(old, new, 1))


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
    lock = lock_of(CURL, ZOO, debs=(libx, ZOO_DEB), build=(gcc,))
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
    assert [change.kind for change in diff({"x": older}, {"x": newer}, samples.R.order)] == ["up"]


def locked(lists: Lists, *names: str) -> RLock:
    """Return a lock of these packages that fits ``lists``."""
    pins = tuple(RPin(name, "1.0", "debian", requested=True, deb=ZOO_DEB) for name in sorted(names))
    return replace(samples.R, input=r.input_of(lists, "trixie", ("debian",)), packages=pins)


def test_a_lock_of_this_list_passes(read_lists: ReadLists) -> None:
    """The kernel is in every list."""
    lists = read_lists({R: "zoo >= 1.0"})
    r.check(locked(lists, "IRkernel", "zoo"), lists, suite="trixie", repositories=("debian",), r="4.5.0")


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        pytest.param("zoo\nxts > 1", "4.5.0", "r_packages.lock lacks xts > 1 (r_packages.txt:2)", id="new-line"),
        pytest.param(
            "abc\nzoo\nxts > 1",
            "4.5.0",
            "r_packages.lock lacks abc (r_packages.txt:1), xts > 1 (r_packages.txt:3)",
            id="new-lines",
        ),
        pytest.param("zoo", "4.6.0", "r_packages.lock is for R 4.5.0, and debs.lock has R 4.6.0", id="another-r"),
        pytest.param("zoo > 2", "4.5.0", "r_packages.lock was made from another list than this one", id="changed"),
        pytest.param(
            "zoo @ cran", "4.5.0", "r_packages.lock was made from another list than this one", id="from-elsewhere"
        ),
        pytest.param(
            "zoo[Suggests]", "4.5.0", "r_packages.lock was made from another list than this one", id="suggests"
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
    with pytest.raises(StaleLockError, match=r"^r_packages\.lock was made from another list than this one$"):
        r.check(locked(lists, "IRkernel", "zoo"), lists, suite="trixie", repositories=repositories, r="4.5.0")
