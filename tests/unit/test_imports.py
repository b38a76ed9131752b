"""`import`: what of other tools' files goes into the list of R packages, and what a user is told."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import ListError
from pyrlab.model import imports
from pyrlab.model.cran.base import BASE_PACKAGES
from pyrlab.model.imports.found import Found
from pyrlab.model.imports.merge import merge
from pyrlab.model.lists import R, RRequest
from pyrlab.model.urls import FILE as SETTINGS

MOVES = (
    "cran moves, and keeps old versions in its Archive; a snapshot of 2024-02-29, when the file was last changed, "
    "stands still: docs/r-packages.md has the entry"
)
NO_BIOCONDUCTOR = (
    "it comes from Bioconductor 3.18, of which r.repositories has none: add it by docs/r-packages.md, and import again"
)
GIT = shutil.which("git") or "git"
SHA = "0123456789abcdef0123456789abcdef01234567"
USAGE = "name a DESCRIPTION, an renv.lock or a lock of pak: nox -s import -- FILE"
Run = Callable[..., tuple[int, str, str]]

RENV: dict[str, Any] = {
    "R": {"Version": "4.2.3", "Repositories": [{"Name": "CRAN", "URL": "https://cran.example.org/latest"}]},
    "Packages": {
        "dplyr": {"Package": "dplyr", "Version": "1.1.4", "Source": "Repository", "Repository": "CRAN"},
        "zoo": {"Package": "zoo", "Version": "1.8-12", "Source": "CRAN"},
        "stats": {"Package": "stats", "Version": "4.2.3", "Source": "Repository"},
        "own": {"Package": "own", "Version": "0.1.0", "Source": "Local", "RemoteUrl": "~/own"},
        "lab": {"Package": "lab", "Version": "0.1", "Source": "GitLab"},
        "renv": {"Package": "renv", "Version": "1.0.3", "Source": "Repository"},
    },
}
PAK: dict[str, Any] = {
    "lockfile_version": 1,
    "os": "Debian",
    "r_version": "R version 4.4.1 (2024-06-14)",
    "packages": [
        {
            "ref": "dplyr",
            "package": "dplyr",
            "version": "1.1.4",
            "type": "standard",
            "direct": True,
            "metadata": {"RemoteType": "standard", "RemoteRepos": "https://cran.example.org"},
            "sources": [],
        },
        {"ref": "rlang", "package": "rlang", "version": "1.1.3", "type": "standard", "direct": False, "metadata": []},
        {"ref": "local::.", "package": "own", "version": "0.1", "type": "local", "direct": True, "metadata": {}},
    ],
}
DESCRIPTION = """\
Package: compendium
Version: 0.0.1
Depends: R (>= 4.1), R (>= r51951), methods
Imports:
    dplyr (>= 1.1.0),
    dplyr (< 2.0),
    zoo
LinkingTo: cpp11
Suggests: testthat (>= 3.0.0),
    knitr
Remotes: tidyverse/dplyr
"""


def lines_of(found: Found) -> list[str]:
    return [str(request) for request in found.wanted]


def read(document: object, name: str = "renv.lock") -> Found:
    return imports.read(json.dumps(document).encode(), name=name)


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, command_line: Run, no_programs: None) -> Run:
    """Return a runner of the command line in a small project: status, output, messages."""
    del no_programs
    monkeypatch.chdir(project)
    return command_line


def write(project: Path, name: str, document: object) -> Path:
    path = project / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    # A day that every machine tells alike, whatever its time zone.
    os.utime(path, (1_709_208_000, 1_709_208_000))  # 2024-02-29 12:00 UTC
    return path


def test_an_renv_lock_is_taken_over_and_the_rest_is_said(project: Path, run: Run) -> None:
    """Names with versions at the end of the list; what people wrote there stays, comments too."""
    write(project, "renv.lock", RENV)
    (project / R).write_text("# mine\nzoo >= 1.8  # for time series", encoding="utf-8")
    status, said, _ = run("import", "renv.lock")
    assert status == 0
    assert (project / R).read_text(encoding="utf-8") == (
        "# mine\nzoo >= 1.8  # for time series\n\n# from renv.lock\ndplyr == 1.1.4\n"
    )
    assert said.splitlines() == [
        "r_packages.txt: 1 added",
        "  + dplyr == 1.1.4",
        "left as the list has it:",
        "  zoo == 1.8-12 in renv.lock, zoo >= 1.8 in r_packages.txt:2",
        "not taken over:",
        "  own: it is a local package",
        "  lab: it comes from GitLab",
        "  renv: what renv does here, pyrlab does",
        "add to r.repositories in pyrlab.toml:",
        '  "cran=https://cran.example.org/2024-02-29"',
        "then: nox -s lock -- r",
    ]


def test_a_second_import_changes_nothing(project: Path, run: Run) -> None:
    write(project, "renv.lock", RENV)
    (project / R).write_text("# mine\r\n", encoding="utf-8", newline="")
    assert run("import", "renv.lock")[0] == 0
    once = (project / R).read_bytes()
    assert once == b"# mine\r\n\r\n# from renv.lock\r\ndplyr == 1.1.4\r\nzoo == 1.8-12\r\n"
    os.utime(project / R, ns=(1, 1))
    status, said, _ = run("import", "renv.lock")
    assert (status, said.splitlines()[0]) == (0, "r_packages.txt: nothing changed")
    assert (project / R).read_bytes() == once
    assert (project / R).stat().st_mtime_ns == 1, "the list was written again"


def test_pyrlab_toml_is_never_written(project: Path, run: Run) -> None:
    """What is there already is not proposed again: with another slash, or in another form of the same snapshot."""
    text = '[r]\nrepositories = ["debian", "cran=https://cran.example.org/2024-02-29/"]\n'
    (project / SETTINGS).write_text(text, encoding="utf-8")
    write(project, "renv.lock", RENV)
    assert "add to r.repositories" not in run("import", "renv.lock")[1]
    assert (project / SETTINGS).read_text(encoding="utf-8") == text


def test_the_day_of_a_snapshot_is_that_of_the_files_last_commit(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a fresh clone all files are of today."""
    write(project, "renv.lock", RENV)
    monkeypatch.setattr("pyrlab.adapters.git.committed", lambda _: "2023-07-01")
    assert '"cran=https://cran.example.org/2023-07-01"' in run("import", "renv.lock")[1]


def test_git_tells_the_day(tmp_path: Path) -> None:
    from pyrlab.adapters import git  # noqa: PLC0415

    path = write(tmp_path, "renv.lock", RENV)
    assert git.committed(path) == ""
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "GIT_COMMITTER_DATE": "2022-03-04T12:00:00Z",
    }
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "lock"]):
        subprocess.run([GIT, "-C", str(tmp_path), *command], check=True, env=environment)
    assert git.committed(path) == "2022-03-04"


def test_pak_gives_what_was_asked_for(project: Path, run: Run) -> None:
    write(project, "pkg.lock", PAK)
    status, said, _ = run("import", "pkg.lock")
    assert status == 0
    assert (project / R).read_text(encoding="utf-8") == "# from pak.lock\ndplyr == 1.1.4\n"
    assert said.splitlines() == [
        "r_packages.txt: 1 added",
        "  + dplyr == 1.1.4",
        "not taken over:",
        "  own: it is a local package",
        "to know:",
        f"  {MOVES}",
        "add to r.repositories in pyrlab.toml:",
        '  "cran=https://cran.example.org"',
        "then: nox -s lock -- r",
    ]


def test_pak_asked_for_the_needs_of_a_folder() -> None:
    """As ``pak::lockfile_create()`` does: its entry is no package."""
    packages = [
        {"package": "x-deps", "version": "0", "type": "deps", "direct": True, "dependencies": ["dplyr", "stats"]},
        {"package": "dplyr", "version": "1.1.4", "type": "standard", "direct": False},
        {"package": "rlang", "version": "1.1.3", "type": "standard", "direct": False},
    ]
    found = read({"lockfile_version": 2, "packages": packages})
    assert (lines_of(found), found.refused) == (["dplyr == 1.1.4"], ())


def test_a_description_gives_bounds(project: Path, run: Run) -> None:
    write(project, "DESCRIPTION", DESCRIPTION)
    status, said, _ = run("import", "DESCRIPTION")
    assert status == 0
    assert said.splitlines() == [
        "r_packages.txt: 4 added",
        "  + cpp11",
        "  + dplyr < 2.0",
        "  + dplyr >= 1.1.0",
        "  + zoo",
        "to know:",
        "  it wants R >= 4.1: R is Debian's, of the suite in pyrlab.toml",
        "  Suggests is left out: testthat (>= 3.0.0), knitr",
        "  Remotes is left out, so that these come from a repository: tidyverse/dplyr",
        "then: nox -s lock -- r",
    ]


def test_bioconductor_needs_a_repository(project: Path, run: Run) -> None:
    """Its packages are taken as soon as the settings, or the file, name one."""
    limma = {"Package": "limma", "Version": "3.58.1", "Source": "Bioconductor"}
    document = {"R": {"Version": "4.3.2"}, "Bioconductor": {"Version": "3.18"}, "Packages": {"limma": limma}}
    write(project, "renv.lock", document)
    status, said, _ = run("import", "renv.lock")
    assert (status, (project / R).read_bytes()) == (0, b"")
    assert said.splitlines() == [
        "r_packages.txt: nothing changed",
        "not taken over:",
        f"  limma: {NO_BIOCONDUCTOR}",
    ]
    (project / SETTINGS).write_text('[r]\nrepositories = ["debian", "bioc=https://b.example.org/3.18/bioc"]', "utf-8")
    assert "  + limma == 3.58.1" in run("import", "renv.lock")[1].splitlines()


def test_no_password_is_shown(project: Path, run: Run) -> None:
    url = "https://me:s3cret@cran.example.org/2024-01-01?token=t0ken"
    write(project, "renv.lock", {**RENV, "R": {"Repositories": [{"Name": "Our CRAN", "URL": url}]}})
    _, said, _ = run("import", "renv.lock")
    assert '"our-cran=https://cran.example.org/2024-01-01"' in said
    assert "our-cran: its password is left out" in said
    assert "s3cret" not in said
    assert "t0ken" not in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "x.lock is empty", id="empty"),
        pytest.param(b'{"Packages": {', "x.lock cannot be read: it is no JSON: Expecting property name", id="cut"),
        pytest.param(b"[" * 200_000, "x.lock cannot be read: it is nested too deeply", id="deep"),
        pytest.param(b'{"a": "\xff"}', "x.lock cannot be read: it is not UTF-8 text", id="latin-1"),
        pytest.param(json.dumps(RENV).encode("utf-16"), "x.lock is not UTF-8 text: it is in UTF-16", id="utf-16"),
        pytest.param(json.dumps(RENV).encode("utf-16-le"), "x.lock is not UTF-8 text: it is in UTF-16", id="utf-16-le"),
        pytest.param(b"\x1f\x8b\x08\x00", "x.lock is not UTF-8 text", id="packed"),
        pytest.param(b'{"dependencies": {}}', "x.lock is not a DESCRIPTION, an renv.lock", id="other-json"),
        pytest.param(b"[1, 2]", "x.lock is not a DESCRIPTION, an renv.lock", id="json-list"),
        pytest.param(b"dplyr\nzoo\n", "x.lock is not a DESCRIPTION, an renv.lock", id="a-list"),
        pytest.param(b"Title: x\n", "x.lock is not a DESCRIPTION, an renv.lock", id="other-fields"),
        pytest.param(b'{"Packages": 7}', "x.lock cannot be read: 'Packages' is not a table", id="packages"),
        pytest.param(b'{"Packages": {"a": 7}}', "x.lock cannot be read: package 'a' is not a table", id="package"),
        pytest.param(
            b'{"Packages": {"a": {"Version": 1.0}}}', "'Version' of package 'a' is not a text", id="version-is-a-number"
        ),
        pytest.param(b'{"Packages": {}, "R": {"Repositories": 1}}', "'Repositories' of 'R' is", id="repositories"),
        pytest.param(b'{"lockfile_version": 9, "packages": []}', "it has the format 9, and known are", id="pak-9"),
        pytest.param(b'{"lockfile_version": 1, "packages": {}}', "'packages' of the file is not", id="pak-table"),
        pytest.param(
            b'{"lockfile_version": 1, "packages": [{"package": "a", "direct": "yes"}]}',
            "'direct' of packages number 1 is not true or false",
            id="pak-direct",
        ),
        pytest.param(b"Package: a\nImports: b (>= x)\n", "cannot be read: Imports: 'b (>= x)' is not", id="bound"),
        pytest.param(b'<<<<<<< HEAD\n{"Packages": {}}\n>>>>>>> x\n', "it holds an unresolved merge", id="merge"),
    ],
)
def test_bad_files_change_nothing(project: Path, run: Run, content: bytes, message: str) -> None:
    (project / "x.lock").write_bytes(content)
    (project / R).write_text("zoo\n", encoding="utf-8")
    status, said, error = run("import", "x.lock")
    assert (status, said) == (3, "")
    first, remedy = error.splitlines()
    assert message in first
    assert remedy.startswith("  try: ")
    assert (project / R).read_text(encoding="utf-8") == "zoo\n"


def test_what_is_no_file_is_a_matter_of_usage(run: Run) -> None:
    assert run("import", "renv.lock")[::2] == (2, f"error: there is no renv.lock\n  try: {USAGE}\n")
    assert run("import", "docker")[0] == 2
    status, _, error = run("import")
    assert (status, error.splitlines()[0]) == (2, "error: Missing argument 'FILE'.")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param({"Version": "1.0rc1"}, "'1.0rc1' is not an R version", id="version"),
        pytest.param({}, "it has no version", id="no-version"),
        pytest.param({"Version": None}, "it has no version", id="null"),
        pytest.param({"Package": "a\nb", "Version": "1.0"}, "is not an R package", id="name"),
        pytest.param({"Version": "1.0", "Source": "unknown"}, "renv did not know where it comes from", id="unknown"),
        pytest.param({"Version": "1.0", "Source": "~/x.tar.gz"}, "it comes from ~/x.tar.gz", id="path"),
        pytest.param({"Version": "1.0", "Source": "git2r"}, "it comes from a git repository of its own", id="git"),
    ],
)
def test_what_the_list_cannot_hold_is_said(record: dict[str, Any], reason: str) -> None:
    found = read({"Packages": {"ab": {"Source": "Repository", **record}}})
    assert not found.wanted
    assert [reason in refused.reason for refused in found.refused] == [True]
    assert all(refused.name.isprintable() and refused.reason.isprintable() for refused in found.refused)


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        pytest.param({}, f"yihui/mime-repo@{SHA}", id="commit"),
        pytest.param({"RemoteHost": "api.github.com", "RemoteSha": SHA.upper()}, f"yihui/mime-repo@{SHA}", id="host"),
        pytest.param({"RemoteSha": "0123abc"}, "the file has no full commit of it", id="short"),
        pytest.param({"RemoteSha": None, "RemoteRef": "main"}, "the file has no full commit of it", id="branch"),
        pytest.param({"RemoteSubdir": "r"}, "it is in a folder of yihui/mime-repo", id="folder"),
        pytest.param({"RemoteHost": "git.example.org"}, "another GitHub than the public one: git.e", id="enterprise"),
    ],
)
def test_packages_of_github_are_taken_at_their_commit(
    project: Path, run: Run, metadata: dict[str, Any], line: str
) -> None:
    """From either file alike; a second import changes nothing, whatever the package is called."""
    remote = {"RemoteUsername": "yihui", "RemoteRepo": "mime-repo", "RemoteSha": SHA, **metadata}
    mime = {"Package": "mime", "Version": "0.12.1", "Source": "GitHub", "RemoteType": "github", **remote}
    pak = {"package": "mime", "version": "0.12.1", "type": "github", "direct": True, "metadata": remote}
    for document in ({"Packages": {"mime": mime}}, {"lockfile_version": 1, "packages": [pak]}):
        (project / R).write_text("", encoding="utf-8")
        write(project, "x.lock", document)
        said = run("import", "x.lock")[1]
        assert line in said
        once = (project / R).read_text(encoding="utf-8")
        assert (line in once) is line.endswith(SHA)
        assert run("import", "x.lock")[1].splitlines()[0] == "r_packages.txt: nothing changed"
        assert (project / R).read_text(encoding="utf-8") == once


def test_a_package_that_is_listed_otherwise_stays(project: Path, run: Run) -> None:
    """By its name, or at another commit."""
    remote = {"RemoteUsername": "yihui", "RemoteRepo": "mime", "RemoteSha": SHA}
    write(project, "renv.lock", {"Packages": {"mime": {"Version": "0.12.1", "Source": "GitHub", **remote}}})
    for listed in ("mime >= 0.12", f"Yihui/mime@{'f' * 40}"):
        (project / R).write_text(f"{listed}\n", encoding="utf-8")
        said = run("import", "renv.lock")[1].splitlines()
        assert said[0] == "r_packages.txt: nothing changed"
        assert said[2] == f"  yihui/mime@{SHA} in renv.lock, {listed} in r_packages.txt:1"


def test_a_list_that_cannot_be_read_stays(project: Path, run: Run) -> None:
    write(project, "renv.lock", RENV)
    (project / R).write_text("not a package\n", encoding="utf-8")
    assert run("import", "renv.lock")[0] == 3
    assert (project / R).read_text(encoding="utf-8") == "not a package\n"


def test_a_linked_list_stays_a_link(project: Path, run: Run, tmp_path: Path) -> None:
    """It would be another file than the one that the user shares."""
    shared = tmp_path / "shared.txt"
    shared.write_text("", encoding="utf-8")
    (project / R).unlink()
    (project / R).symlink_to(shared)
    write(project, "renv.lock", RENV)
    assert run("import", "renv.lock")[0] == 0
    assert (project / R).is_symlink()
    assert "dplyr == 1.1.4" in shared.read_text(encoding="utf-8")


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,6}[A-Za-z0-9]", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,3}([.-][0-9]{1,3}){1,3}", fullmatch=True)
LINES = st.lists(
    st.one_of(NAMES, st.builds("{} >= {}".format, NAMES, VERSIONS), st.just("# said by a person"), st.just("")),
    max_size=6,
)


def requests_of(text: str) -> list[RRequest]:
    lines = [line for line in text.removeprefix("\ufeff").splitlines() if line and not line.startswith("#")]
    return [RRequest.parse(line, where="list") for line in lines]


@given(
    LINES,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.dictionaries(NAMES, VERSIONS, max_size=6),
)
def test_import_twice_is_import_once(
    lines: list[str], end: str, last: str, mark: str, packages: dict[str, str]
) -> None:
    """And what was there stays as it was, before all that is new."""
    before = mark + end.join(lines) + (last and end)
    records = {name: {"Version": version, "Source": "Repository"} for name, version in packages.items()}
    found = read({"Packages": records})
    once = merge(before, requests_of(before), found)
    twice = merge(once.text, requests_of(once.text), found)
    assert (twice.text, twice.added) == (once.text, ())
    assert once.text.startswith(before)
    listed = {request.name for request in requests_of(before)}
    assert {
        request.name for request in once.added if isinstance(request, RRequest)
    } == packages.keys() - listed - BASE_PACKAGES - {"renv"}
    assert twice.kept == once.kept


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(ListError):
        assert imports.read(content, name="x").kind == "DESCRIPTION"
