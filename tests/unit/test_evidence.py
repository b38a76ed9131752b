"""What an upgrade tells: updates by ecosystem, what is held, known vulnerabilities, and sources that do not answer."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from index_server import IndexServer, serve

from pyrlab.adapters import http
from pyrlab.model.changes import OTHER_FILES, Change
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.locks.r import RLock, RPin
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.bumps import Package
from pyrlab.model.upgrade.held import Held, Holds
from pyrlab.model.upgrade.notebooks import Difference
from pyrlab.model.upgrade.report import Advisory, HeldBack, NotebookRun, Updates
from pyrlab.steps.evidence import held_back, known_vulnerabilities, runs, updates

INDEX, SUITE = "the Python index", "Debian's security suite"


def deb(name: str, version: str, sha256: str = "0") -> DebPin:
    return DebPin(name, version, "all", sha256 * 64, 1, f"pool/{name}.deb")


def locks(
    debs: tuple[DebPin, ...] = (), python: dict[str, str] | None = None, r: dict[str, str] | None = None
) -> Locks:
    """Return locks with these debs, wheels and R packages; of the latter with a deb r-cran-zoo."""
    made = DebsLock("sha256:0", "trixie", "amd64", {"root": debs})
    wheels = tuple(PythonPin(name, version, "", ("sha256:0",), ("list",)) for name, version in (python or {}).items())
    packages = tuple(RPin(name, version, "cran", requested=True) for name, version in (r or {}).items())
    return Locks(
        made,
        {"pylab": PythonLock("requirements.lock", "sha256:0", "3.13", "2.41", wheels)},
        RLock("sha256:0", made.body, "4.5.0", ("debian",), packages, (deb("r-cran-zoo", "1.8-1"),)),
    )


# ---- updates


def test_what_the_lists_ask_for_comes_before_what_came_along() -> None:
    old, new = locks(python={"a": "1", "b": "1", "c": "1"}), locks(python={"a": "2", "b": "2", "c": "1"})
    found = updates(old, new, [Package("python", "b"), Package("python", "c")])
    assert found == (Updates("Python", (Change("up", "b", "1", "2"),), (Change("up", "a", "1", "2"),)),)


def test_a_name_that_a_list_of_another_ecosystem_asks_for_came_along() -> None:
    found = updates(locks(python={"zoo": "1"}), locks(python={"zoo": "2"}), [Package("r", "zoo")])
    assert found == (Updates("Python", (), (Change("up", "zoo", "1", "2"),)),)


def test_ecosystems_are_in_the_order_python_r_debian_and_only_those_that_changed() -> None:
    old = locks((deb("tool", "1"),), {"a": "1"}, {"zoo": "1"})
    new = locks((deb("tool", "2"),), {"a": "2"}, {"zoo": "2"})
    assert [group.ecosystem for group in updates(old, new, [])] == ["Python", "R", "Debian"]
    assert [group.ecosystem for group in updates(old, locks((deb("tool", "1"),), {"a": "1"}, {"zoo": "2"}), [])] == [
        "R"
    ]
    assert updates(old, old, []) == ()


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [("", "1", "added"), ("1", "", "removed"), ("1.9", "1.10", "up"), ("1.10", "1.9", "down"), ("1~rc1", "1", "up")],
)
def test_how_a_deb_changed(old: str, new: str, kind: str) -> None:
    before, after = (locks((deb("tool", version),) if version else ()) for version in (old, new))
    assert updates(before, after, []) == (Updates("Debian", (), (Change(kind, "tool", old, new),)),)


@pytest.mark.parametrize(("old", "new", "kind"), [("1.0rc1", "1.0", "up"), ("1.0", "1.0rc1", "down")])
def test_python_and_r_order_versions_in_their_own_way(old: str, new: str, kind: str) -> None:
    found = updates(locks(python={"a": old}, r={"zoo": "1.9"}), locks(python={"a": new}, r={"zoo": "1.10"}), [])
    assert [change.kind for group in found for change in group.all] == [kind, "up"]


def test_other_bytes_under_the_same_version_are_told() -> None:
    found = updates(locks((deb("tool", "1"),)), locks((deb("tool", "1", "f"),)), [])
    assert found == (Updates("Debian", (), (Change(OTHER_FILES, "tool", "1", "1"),)),)


# ---- held back, notebooks


def test_what_is_held_is_told_with_the_version_at_which_it_stays() -> None:
    one, zoo, tool, packed, gone = (
        Held("Python", "a", "2"),
        Held("R", "zoo", "2"),
        Held("Debian", "tool", "2"),
        Held("Debian", "r-cran-zoo", "2"),
        Held("Debian", "gone", "2"),
    )
    holds = Holds()
    for held in (one, zoo, tool, packed, gone):
        holds = holds.add(held)
    found = held_back(holds, locks((deb("tool", "1.5"),), {"a": "1.2"}, {"zoo": "1.8"}))
    assert set(found) == {
        HeldBack(one, "1.2"),
        HeldBack(zoo, "1.8"),
        HeldBack(tool, "1.5"),
        HeldBack(packed, "1.8-1"),
        HeldBack(gone, ""),
    }
    assert held_back(holds, replace(locks(python={"a": "1.2"}), r=None))[0] == HeldBack(one, "1.2")


def test_a_notebook_goes_by_its_path() -> None:
    difference = Difference(1, "print(x)", "text", "", "was", "now")
    found = runs({"one": (difference,), "other": ()}, {"one": "pylab-b/long-name.ipynb", "other": "rlab-a.ipynb"})
    assert set(found) == {NotebookRun("b/long-name.ipynb", (difference,)), NotebookRun("a.ipynb", ())}


# ---- known vulnerabilities


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """Serve an index whose release 1 of `a` has a known vulnerability; what is down is tried again at once."""
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setattr(http, "BACKOFF", 0)
    entry = {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fixed_in": ["2"]}
    for name, entries in {"a": [entry], "b": []}.items():
        path = tmp_path / f"index/pypi/{name}/1/json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"vulnerabilities": entries}), encoding="utf-8")
    with serve(tmp_path / "index") as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, index: IndexServer, load_settings: Callable[..., Settings]) -> Settings:
    """Return settings with that index, and with an archive of two suites."""
    archive = tmp_path / "archive"
    publish(archive, "trixie", {"tool": "2"})
    publish(archive, "trixie-security", {"openssl": "2", "curl": "3"})
    sources = [f"deb [trusted=yes] {archive.as_uri()} {suite} main" for suite in ("trixie", "trixie-security")]
    toml = (
        f'[base]\napt_sources = {sources}\ncheck_valid_until = "no"\n[network]\npython_index = "{index.url}/simple"\n'
    )
    return load_settings(toml, XDG_CACHE_HOME=str(tmp_path / "cache"))


def publish(archive: Path, suite: str, versions: dict[str, str]) -> None:
    """Write a suite's index of packages."""
    stanzas = [
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: pool/{name}.deb\nSize: 1\nSHA256: {0:064}\n"
        for name, version in versions.items()
    ]
    file = archive / f"dists/{suite}/main/binary-amd64/Packages"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(stanzas), encoding="utf-8")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    listed = f" {digest} {file.stat().st_size} main/binary-amd64/Packages\n"
    (archive / f"dists/{suite}/Release").write_text(f"Codename: {suite}\nSHA256:\n{listed}", encoding="utf-8")


OLD = locks((deb("openssl", "1"), deb("curl", "1"), deb("tool", "1")), {"a": "1", "b": "1"})
NEW = locks((deb("openssl", "2"), deb("curl", "2"), deb("tool", "2")), {"a": "2", "b": "2"})
CVE = Advisory("Python", "a", ("CVE-2026-1",), INDEX)
# Debian's suite has another version of curl, and tool is not of that suite.
SECURITY = Advisory("Debian", "openssl", ("security update",), SUITE)


def ask(settings: Settings, old: Locks = OLD, new: Locks = NEW) -> tuple[tuple[Advisory, ...], tuple[str, ...]]:
    """Return what is told of an upgrade."""
    return known_vulnerabilities(settings, updates(old, new, []), "amd64", say=lambda _: None)


def test_what_an_upgrade_repairs_is_told_of_both_sources(settings: Settings) -> None:
    assert ask(settings) == ((CVE, SECURITY), ())


def test_an_index_without_advisories_is_named_and_debian_is_asked_all_the_same(
    settings: Settings, index: IndexServer
) -> None:
    for name in ("a", "b"):
        (index.folder / f"pypi/{name}/1/json").unlink()
    assert ask(settings) == ((SECURITY,), (INDEX,))


def test_a_source_that_is_down_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "archive/dists/trixie-security/Release").unlink()
    assert ask(settings) == ((CVE,), (SUITE,))
    down = replace(settings, python_index="http://127.0.0.1:1/simple")
    assert ask(down) == ((), (INDEX, SUITE))


def test_what_goes_back_or_comes_or_goes_repairs_nothing(settings: Settings, index: IndexServer) -> None:
    assert ask(settings, NEW, OLD) == ((), ())
    assert ask(settings, locks(), NEW) == ((), ())
    assert ask(settings, OLD, locks()) == ((), ())
    assert index.asked == []


def test_where_no_deb_moved_the_archive_is_not_asked(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "archive/dists/trixie-security/Release").unlink()
    assert ask(settings, locks(python={"a": "1"}), locks(python={"a": "2"})) == ((CVE,), ())
