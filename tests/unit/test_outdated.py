"""`outdated`: what is newer than the locks, and what holds it, as a user reads it. No lock is touched."""

import gzip
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import lock_samples as samples
import pytest
from debian_archives import packages, stanza
from index_server import IndexServer, serve
from packaging.requirements import Requirement
from packaging.version import Version
from shelf import Shelf

from pyrlab.adapters.http import Web
from pyrlab.adapters.python.metadata import requirements
from pyrlab.model.commits import CommitRequest
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.version import RVersion
from pyrlab.model.debian import Index
from pyrlab.model.lists import DebRequest, PythonRequest, RRequest
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.outdated import PythonLocked, Row, RWorld, commit_rows, debian_rows, python_rows, r_rows
from pyrlab.model.python_releases import Newest, newest
from pyrlab.model.python_tags import IndexFile, tags

TAGS = tags(python="3.13", glibc="2.41", architecture="amd64")
Run = Callable[..., tuple[int, str, str]]


def index_of(*stanzas: str) -> Index:
    index = Index()
    index.add(packages(*stanzas))
    return index


def r_record(name: str, version: str, **fields: str) -> Record:
    return Record.of({"Package": name, "Version": version, **fields}, file=f"{name}_{version}.tar.gz")


def cran_pin(name: str, version: str, *dependencies: str) -> RPin:
    wanted = tuple(Dependency.parse(text) for text in dependencies)
    file = RFile("source", f"src/contrib/{name}_{version}.tar.gz", "a" * 64)
    return RPin(name, version, "cran", requested=True, files=(file,), dependencies=wanted)


# ---- Debian


@pytest.mark.parametrize(
    ("line", "there", "newest", "behind", "held"),
    [
        pytest.param("curl", ["1"], "1", False, (), id="current"),
        pytest.param("curl", ["1", "1.10", "1.9"], "1.10", True, (), id="newer"),
        pytest.param("curl=1", ["2"], "2", True, ("the list: curl=1 (base_debs.txt:3)",), id="pinned"),
        pytest.param("curl", ["1~rc1"], "1~rc1", False, (), id="older"),
        pytest.param("curl", [], "", False, ("trixie has it no longer",), id="gone"),
    ],
)
def test_a_deb(line: str, there: list[str], newest: str, behind: bool, held: tuple[str, ...]) -> None:  # noqa: FBT001
    """By dpkg's order, within the suite."""
    index = index_of(*(stanza("curl", version) for version in there))
    rows = debian_rows([DebRequest.parse(line, where="base_debs.txt:3")], samples.DEBS, index)
    assert rows == [Row("Debian", "curl", line, "1", newest, behind, held)]


def test_a_deb_that_no_lock_has() -> None:
    git = DebRequest.parse("git", where="x:1")
    held = "not locked yet: nox -s lock"
    assert debian_rows([git], samples.DEBS, index_of(stanza("git", "2"))) == [
        Row("Debian", "git", "git", "", "2", behind=False, held=(held,))
    ]
    assert debian_rows([git], samples.DEBS, index_of()) == [
        Row("Debian", "git", "git", "", "", behind=False, held=("trixie has it no longer", held))
    ]


def test_all_lines_of_a_name_are_one_row_and_names_are_sorted_as_people_do() -> None:
    lines = [("wget", "a:1"), ("curl=1", "a:2"), ("curl", "b:1"), ("curl=0", "b:2"), ("curl", "b:3")]
    index = index_of(stanza("curl", "2"), stanza("wget", "1"))
    rows = debian_rows([DebRequest.parse(line, where=where) for line, where in lines], samples.DEBS, index)
    held = ("the list: curl=1 (a:2)", "the list: curl=0 (b:2)")
    assert rows[0] == Row("Debian", "curl", "curl=1, curl, curl=0", "1", "2", behind=True, held=held)
    assert [row.name for row in rows] == ["curl", "wget"]
    names = ["zoo", "Rcpp", "rcpp", "ape"]
    requests = [RRequest.parse(name, where="x:1") for name in names]
    found = r_rows(requests, replace(samples.R, packages=()), RWorld((), {}, index_of()))
    assert [row.name for row in found] == ["ape", "Rcpp", "rcpp", "zoo"]


# ---- Python


def python_row(
    line: str, offer: Newest | None, *, wants: dict[str, list[str]] | None = None, version: str = "2.3.1"
) -> Row:
    pins = {pin.name: pin for pin in samples.PYTHON.pins}
    pins["numpy"] = replace(samples.wheel("numpy", version, "list", "numba"), name="numpy")
    pins["numba"] = samples.wheel("numba", "0.60")
    locked = PythonLocked(
        pins,
        "Python 3.13 on amd64",
        lambda pin: [Requirement(text) for text in (wants or {}).get(pin.name, [])],
    )
    (row,) = python_rows([PythonRequest.parse(line, where="requirements.in:7")], locked, {"numpy": offer})
    return row


NEW = Newest(Version("2.4.0"), Version("2.4.0"))
GONE = ("the index has it no longer",)
NOT_LOCKED = ("not locked yet: nox -s lock",)


@pytest.mark.parametrize(
    ("line", "wants", "held"),
    [
        pytest.param("numpy", [], (), id="free"),
        pytest.param("numpy<2.4", [], ("the list: numpy<2.4 (requirements.in:7)",), id="list"),
        pytest.param("numpy", ["numpy<2.4,>=1.22"], ("numba 0.60: numpy<2.4,>=1.22",), id="dependency"),
        pytest.param("numpy", ["NumPy>=1.22", "scipy<1"], (), id="dependency-allows"),
    ],
)
def test_what_holds_a_python_package(line: str, wants: list[str], held: tuple[str, ...]) -> None:
    row = python_row(line, NEW, wants={"numba": wants})
    assert row == Row("Python", "numpy", line, "2.3.1", "2.4.0", behind=True, held=held)
    current = python_row(line, NEW, wants={"numba": wants}, version="2.4.0")
    assert current == Row("Python", "numpy", line, "2.4.0", "2.4.0", behind=False, held=())


@pytest.mark.parametrize(
    ("fitting", "held"),
    [
        pytest.param(Version("2.4.0"), "no file for Python 3.13 on amd64; the newest with one is 2.4.0", id="older"),
        pytest.param(None, "no file for Python 3.13 on amd64", id="none"),
    ],
)
def test_a_release_without_a_file_for_the_image(fitting: Version | None, held: str) -> None:
    row = python_row("numpy", Newest(Version("2.5.0"), fitting))
    assert row == Row("Python", "numpy", "numpy", "2.3.1", "2.5.0", behind=True, held=(held,))


def test_a_newest_release_before_the_final_one_is_held_by_no_bound_that_allows_it() -> None:
    found = Version("2.5.0rc1")
    row = python_row("numpy<3", Newest(found, found), wants={"numba": ["numpy<3"]})
    assert row == Row("Python", "numpy", "numpy<3", "2.3.1", "2.5.0rc1", behind=True, held=())


@pytest.mark.parametrize(
    ("lines", "offer", "row"),
    [
        pytest.param(["numpy"], None, Row("Python", "numpy", "numpy", "2.3.1", "", behind=False, held=GONE), id="lost"),
        pytest.param(
            ["numpy"],
            Newest(None, None),
            Row("Python", "numpy", "numpy", "2.3.1", "", behind=False, held=("the index has no version of it",)),
            id="empty",
        ),
        pytest.param(["six"], None, Row("Python", "six", "six", "", "", behind=False, held=GONE), id="lost-unlocked"),
        pytest.param(
            ["six", 'six; python_version < "3"'],
            NEW,
            Row("Python", "six", 'six, six; python_version < "3"', "", "2.4.0", behind=False, held=NOT_LOCKED),
            id="not-locked",
        ),
        pytest.param(
            ['six; python_version < "3"'],
            NEW,
            Row(
                "Python",
                "six",
                'six; python_version < "3"',
                "",
                "2.4.0",
                behind=False,
                held=("a marker may leave it out",),
            ),
            id="marker",
        ),
    ],
)
def test_a_python_package_that_the_index_or_the_lock_lacks(lines: list[str], offer: Newest | None, row: Row) -> None:
    requests = [PythonRequest.parse(line, where="requirements.in:7") for line in lines]
    locked = PythonLocked({"numpy": samples.wheel("numpy", "2.3.1")}, "Python 3.13 on amd64", lambda _: [])
    assert python_rows(requests, locked, {row.name: offer}) == [row]


def file(name: str, *, requires: str = "", yanked: bool = False) -> IndexFile:
    return IndexFile(name, "", "", requires_python=requires, yanked=yanked)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param([file("a-1.9.tar.gz"), file("a-1.10.tar.gz")], ("1.10", "1.10"), id="numeric"),
        pytest.param([file("a-1.0.tar.gz"), file("a-2.0rc1.tar.gz")], ("1.0", "1.0"), id="pre-release"),
        pytest.param([file("a-2.0rc1.tar.gz")], ("2.0rc1", "2.0rc1"), id="only-pre-releases"),
        pytest.param([file("a-1.0.tar.gz"), file("a-2.0.tar.gz", yanked=True)], ("1.0", "1.0"), id="yanked"),
        pytest.param(
            [file("a-1.0-py3-none-any.whl"), file("a-2.0-py3-none-any.whl", requires=">=3.14")],
            ("2.0", "1.0"),
            id="newer-python",
        ),
        pytest.param([file("a-1.0-cp313-cp313-win_amd64.whl")], ("1.0", "None"), id="windows"),
        pytest.param([file("a-1.0.exe"), file("a-x.tar.gz")], ("None", "None"), id="no-release"),
    ],
)
def test_the_newest_release(files: list[IndexFile], expected: tuple[str, str]) -> None:
    found = newest(files, TAGS, python="3.13")
    assert (str(found.version), str(found.fitting)) == expected


def test_a_locked_pre_release_is_compared_with_others() -> None:
    files = [file("a-1.0.tar.gz"), file("a-2.0rc1.tar.gz")]
    assert str(newest(files, TAGS, python="3.13", prereleases=True).version) == "2.0rc1"


def test_a_wheel_tells_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a-1.dist-info/METADATA", "Name: a\nRequires-Dist: b<2\nRequires-Dist: c; extra == 'x'\n\nb")
    assert [str(wanted) for wanted in requirements(path)] == ["b<2", 'c; extra == "x"']
    path.write_bytes(b"PK damaged")
    assert requirements(path) == []
    # What is packed is damaged, and not how it is packed.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a-1.0.dist-info/METADATA", "Requires-Dist: b\n" * 100)
    damaged = bytearray(path.read_bytes())
    start = damaged.index(b"METADATA") + len("METADATA")
    damaged[start : start + 8] = b"\xff" * 8
    path.write_bytes(damaged)
    assert requirements(path) == []


# ---- R


def r_row(line: str, *pins: RPin, order: tuple[str, ...] = ("cran",), debs: tuple[str, ...] = (), **has: Record) -> Row:
    sources = {name: Shelf(name, {"rlang": [has[name]]} if name in has else {}) for name in order}
    lock = replace(samples.R, packages=pins)
    world = RWorld(order, sources, index_of(*debs))
    (row,) = r_rows([RRequest.parse(line, where="r_packages.txt:2")], lock, world)
    return row


NEWER = r_record("rlang", "1.1.10")


@pytest.mark.parametrize(
    ("line", "others", "record", "held"),
    [
        pytest.param("rlang", [], NEWER, (), id="free"),
        pytest.param("rlang < 1.1.9", [], NEWER, ("the list: rlang < 1.1.9 (r_packages.txt:2)",), id="list"),
        pytest.param("rlang @ team", [], NEWER, ("the list: rlang @ team (r_packages.txt:2)",), id="repository"),
        pytest.param(
            "rlang", [cran_pin("old", "1.0", "rlang < 1.1.5")], NEWER, ("old 1.0: rlang < 1.1.5",), id="dependency"
        ),
        pytest.param("rlang", [cran_pin("old", "1.0", "rlang >= 1.1.5")], NEWER, (), id="dependency-allows"),
        pytest.param(
            "rlang",
            [],
            r_record("rlang", "1.1.10", Depends="R (>= 4.6)"),
            ("R 4.5.0: it wants R >= 4.6",),
            id="r-itself",
        ),
    ],
)
def test_what_holds_an_r_package(line: str, others: list[RPin], record: Record, held: tuple[str, ...]) -> None:
    row = r_row(line, cran_pin("rlang", "1.1.4"), *others, cran=record)
    assert row == Row("R", "rlang", line, "1.1.4", "1.1.10", behind=True, held=held)


def test_an_r_package_that_no_repository_or_no_lock_has() -> None:
    gone = ("no repository has it now",)
    assert r_row("rlang", cran_pin("rlang", "1.1.4")) == Row(
        "R", "rlang", "rlang", "1.1.4", "", behind=False, held=gone
    )
    assert r_row("rlang") == Row("R", "rlang", "rlang", "", "", behind=False, held=gone)
    unlocked = Row("R", "rlang", "rlang", "", "1.1.10", behind=False, held=NOT_LOCKED)
    assert r_row("rlang", cran=NEWER) == unlocked


def test_an_r_package_at_a_commit_stays_there() -> None:
    pin = replace(cran_pin("rlang", "1.1.4"), repository="github")
    row = r_row("rlang", pin, cran=NEWER)
    assert row == Row("R", "rlang", "rlang", "1.1.4", "1.1.10", behind=True, held=("the list: a commit of GitHub",))


def test_of_equal_versions_the_first_repository_has_the_newest() -> None:
    """A repository comes before those after it; one that the settings no longer name comes before none."""
    pin = replace(cran_pin("rlang", "1.1.4"), repository="b")
    for order in (("a", "b"), ("b", "a")):
        assert r_row("rlang", pin, order=order, a=NEWER, b=NEWER).held == ()
    row = r_row("rlang", pin, order=("b", "a"), a=NEWER, b=r_record("rlang", "1.1.4"))
    assert row.held == ("r.repositories: b comes before a",)
    row = r_row("rlang", replace(pin, repository="gone"), order=("b", "a"), a=NEWER, b=r_record("rlang", "1.0"))
    assert row.held == ()


def test_an_r_package_of_debian_and_a_newer_one_elsewhere() -> None:
    pin = samples.r_pin("rlang", "1.1.4")
    debs = (stanza("r-cran-rlang", "1.1.4-1"),)
    held = ("r.repositories: debian comes before cran",)
    row = r_row("rlang", pin, order=("debian", "cran"), debs=debs, cran=NEWER)
    assert row == Row("R", "rlang", "rlang", "1.1.4", "1.1.10", behind=True, held=held)
    row = r_row("rlang", pin, order=("cran", "debian"), debs=debs, cran=NEWER)
    assert row == Row("R", "rlang", "rlang", "1.1.4", "1.1.10", behind=True, held=())


def test_the_very_deb_that_is_locked_is_not_behind() -> None:
    """Debian's version loses what R's has: the lock knows it from the package itself."""
    pin = replace(samples.r_pin("rlang", "1.3.2.9000"), deb=samples.deb("r-cran-rlang", "1.3.2+git1-2"))
    row = r_row("rlang", pin, order=("debian",), debs=(stanza("r-cran-rlang", "1.3.2+git1-2"),))
    assert row == Row("R", "rlang", "rlang", "1.3.2.9000", "1.3.2.9000", behind=False, held=())
    row = r_row("rlang", pin, order=("debian",), debs=(stanza("r-cran-rlang", "1.4.0-1"),))
    assert row == Row("R", "rlang", "rlang", "1.3.2.9000", "1.4.0", behind=True, held=())


def test_debian_offers_its_newest_deb_of_either_name() -> None:
    """What is offered is the deb itself: r-bioc- where there is no r-cran-."""
    pin = replace(samples.r_pin("rlang", "1.3.2.9000"), deb=samples.deb("r-cran-rlang", "1.3.2+git1-2"))
    debs = [stanza("r-cran-rlang", "1.3.2+git1-2"), stanza("r-bioc-limma", "3.60-1"), stanza("r-bioc-limma", "3.62-1")]
    world = RWorld(("debian",), {}, index_of(*debs))
    for name, locked, version, deb in (
        ("rlang", pin, "1.3.2.9000", "r-cran-rlang"),
        ("limma", None, "3.62", "r-bioc-limma"),
    ):
        assert world.offers(name, locked) == [("debian", Record(name, RVersion.parse(version), deb))]
    assert world.offers("zoo", None) == []


def test_r_versions_compare_as_r_does() -> None:
    row = r_row("rlang", cran_pin("rlang", "1.1-10"), cran=r_record("rlang", "1.1.9"))
    assert not row.behind
    assert RVersion.parse("1.1-10") > RVersion.parse("1.1.9")


def test_a_commit_stays_as_long_as_the_list_has_it() -> None:
    commit = CommitRequest.parse(f"me/tiny@{'0' * 40}", where="r_packages.txt:1")
    file = RFile("commit", commit.path, "a" * 64)
    lock = replace(samples.R, packages=(RPin("tiny", "0.1", "github", requested=True, files=(file,)),))
    assert commit_rows([commit], lock) == [
        Row("R", "tiny", str(commit), "0.1", "0.1", behind=False, held=("the list: a commit of GitHub",))
    ]
    assert commit_rows([commit], samples.R) == [Row("R", "me/tiny", str(commit), "", "", behind=False, held=NOT_LOCKED)]


# ---- The command


@pytest.fixture
def served(tmp_path: Path) -> Iterator[IndexServer]:
    """Return a server of a Debian folder, a Python index and an R repository."""
    folder = tmp_path / "served"
    for name in ("debian", "src/contrib", "simple/requests"):
        (folder / name).mkdir(parents=True)
    (folder / "debian/Packages").write_text(packages(stanza("curl", "8.0"), stanza("r-cran-zoo", "1.0-1")), "utf-8")
    release = {"filename": "requests-9.0-py3-none-any.whl", "url": "x.whl", "hashes": {}}
    page = {"meta": {"api-version": "1.0"}, "name": "requests", "files": [release]}
    (folder / "simple/requests/index.html").write_text(json.dumps(page), encoding="utf-8")
    (folder / "src/contrib/PACKAGES.gz").write_bytes(gzip.compress(b"Package: zoo\nVersion: 1.8-14\n"))
    with serve(folder) as running:
        yield running


@pytest.fixture
def run(
    project: Path,
    served: IndexServer,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Run,
    no_programs: None,
) -> Run:
    """Return a runner of the command line in a project that locked curl, requests and zoo. No program runs."""
    del no_programs
    texts = {"base_debs.txt": "curl\n", "requirements.in": "requests<3\n", "r_packages.txt": "zoo @ debian\n"}
    texts |= {"debs.lock": samples.DEBS.render(), "requirements.lock": samples.PYTHON.render()}
    texts |= {"r_packages.lock": samples.R.render()}
    texts["pyrlab.toml"] = (
        f'[base]\napt_sources = ["deb [trusted=yes] {served.url}/debian ./"]\n'
        f'[network]\npython_index = "{served.url}/simple"\n'
        f'[r]\nrepositories = ["debian", "cran={served.url}"]\n'
    )
    for name, text in texts.items():
        (project / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    for variable in ("HTTP_PROXY", "http_proxy", "APTPROXY", "PIPPROXY"):
        monkeypatch.delenv(variable, raising=False)
    return command_line


def state(project: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.iterdir() if path.is_file()}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_a_table_by_ecosystem_and_no_lock_is_touched(project: Path, run: Run) -> None:
    before = state(project)
    status, said, _ = run("outdated")
    assert status == 0
    lines = [cells(line) for line in said.splitlines()]
    assert ["curl", "1", "8.0"] in lines
    assert ["requests<3", "1", "9.0", "the list: requests<3 (requirements.in:1)"] in lines
    held = "the list: zoo @ debian (r_packages.txt:1); r.repositories: debian comes before cran"
    assert ["zoo @ debian", "1.0", "1.8-14", held] in lines
    assert lines[-1] == ["nox -s lock -- --upgrade takes what nothing holds; --upgrade-package NAME just one"]
    assert state(project) == before


def test_json_is_for_programs(run: Run) -> None:
    status, said, _ = run("outdated", "--json", "--all")
    rows = {row["name"]: row for row in json.loads(said)}
    assert status == 0
    assert rows["curl"] == {
        "ecosystem": "Debian",
        "name": "curl",
        "listed": "curl",
        "locked": "1",
        "newest": "8.0",
        "behind": True,
        "held": [],
    }
    # What every image needs is in the lists as well; this index has none of it.
    assert rows["jupyterlab"]["held"] == ["the index has it no longer"]


def test_what_cannot_be_reached_is_an_error(run: Run, served: IndexServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a table would look like a whole one."""
    monkeypatch.setattr(Web, "__init__", _impatient(Web.__init__))
    (served.folder / "src/contrib/PACKAGES.gz").unlink()
    status, said, error = run("outdated")
    assert (status, said) == (6, "")
    assert "error: cran has no index" in error


def _impatient(init: Callable[..., None]) -> Callable[..., None]:
    def short(self: Web, cache: Path, **settings: object) -> None:
        init(self, cache, **{**settings, "retries": 0, "timeout": 5})

    return short


def test_without_a_lock_there_is_nothing_to_compare(project: Path, run: Run) -> None:
    (project / "debs.lock").unlink()
    status, _, error = run("outdated")
    assert (status, error) == (4, "error: there is no debs.lock for trixie\n  try: nox -s lock\n")


def test_debs_of_rs_images_are_looked_for_in_their_own_sources_too(
    project: Path, served: IndexServer, run: Run
) -> None:
    """And those of the other images are not."""
    (served.folder / "extra").mkdir()
    (served.folder / "extra/Packages").write_text(packages(stanza("curl", "99"), stanza("less", "7")), "utf-8")
    (project / "r_debs.txt").write_text("less\ncurl\n", encoding="utf-8")
    (project / "base_debs.txt").write_text("curl\nless\n", encoding="utf-8")
    text = (project / "pyrlab.toml").read_text(encoding="utf-8")
    line = f'apt_sources = ["deb [trusted=yes] {served.url}/extra ./"]'
    (project / "pyrlab.toml").write_text(f"{text}{line}\n", encoding="utf-8")
    status, said, _ = run("outdated", "--all", "--json")
    assert status == 0
    rows = [(row["name"], row["newest"]) for row in json.loads(said) if row["ecosystem"] == "Debian"]
    assert sorted(row for row in rows if row[0] in {"curl", "less"}) == [
        ("curl", "8.0"),
        ("curl", "99"),
        ("less", ""),
        ("less", "7"),
    ]
