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
from pyrlab.model.imports.found import Found, NamedUrl, Refused
from pyrlab.model.imports.merge import merge
from pyrlab.model.imports.proposal import Proposal, propose
from pyrlab.model.lists import R, RRequest
from pyrlab.model.r_repositories import RRepository
from pyrlab.model.urls import FILE as SETTINGS

MOVES = (
    "cran moves, and keeps old versions in its Archive; a snapshot of 2024-02-29, when the file was last changed, "
    "stands still: docs/r-packages.md has the entry"
)
NO_BIOCONDUCTOR = (
    "it comes from Bioconductor 3.18, of which r.repositories has none: add it by docs/r-packages.md, and import again"
)
NO_COMMIT = "it comes from GitHub, yihui/mime-repo, and the file has no full commit of it"
GIT = shutil.which("git") or "git"
SHA = "0123456789abcdef0123456789abcdef01234567"
FILES = "a DESCRIPTION, an renv.lock or a lock of pak"
USAGE = f"name {FILES}: nox -s import -- FILE"
BAD, OTHER, NO_TEXT = (
    "cannot be read: ",
    f"is not {FILES}: ",
    "is not UTF-8 text: it is in UTF-16, or no text at all",
)
MEND = "mend it, or let the tool that made it write it anew; nothing was changed"
SAVE, NAME = "save it as UTF-8, and import it again", "name one of these files"
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
    ("content", "message", "remedy"),
    [
        pytest.param(b" \n", "is empty", f"name {FILES}", id="empty"),
        pytest.param(
            b'{"Packages": {',
            f"{BAD}it is no JSON: Expecting property name enclosed in double quotes: line 1 column 15 (char 14)",
            MEND,
            id="cut",
        ),
        pytest.param(b"[" * 200_000, f"{BAD}it is nested too deeply", MEND, id="deep"),
        pytest.param(b'{"a": "\xff"}', f"{BAD}it is not UTF-8 text", MEND, id="latin-1"),
        pytest.param(json.dumps(RENV).encode("utf-16"), NO_TEXT, SAVE, id="utf-16"),
        pytest.param(json.dumps(RENV).encode("utf-16-le"), NO_TEXT, SAVE, id="utf-16-le"),
        pytest.param("\ufeff\u4e01".encode("utf-16-be"), NO_TEXT, SAVE, id="utf-16-be-without-zeros"),
        pytest.param("\ufeff\u4e01".encode("utf-16-le"), NO_TEXT, SAVE, id="utf-16-le-without-zeros"),
        pytest.param(b"\x1f\x8b\x08\x00", NO_TEXT, SAVE, id="packed"),
        pytest.param(b'{"dependencies": {}}', f"{OTHER}it is JSON of another kind", NAME, id="other-json"),
        pytest.param(b'["Packages"]', f"{OTHER}it is JSON of another kind", NAME, id="json-list"),
        pytest.param(b'{"packages": []}', f"{OTHER}it is JSON of another kind", NAME, id="no-format"),
        pytest.param(b'{"lockfile_version": 1}', f"{OTHER}it is JSON of another kind", NAME, id="no-packages"),
        pytest.param(b"dplyr\nzoo\n", f"{OTHER}'dplyr' is not a field", NAME, id="a-list"),
        pytest.param(
            b"Title: \xff" + b"x" * 100, f"{OTHER}it begins with 'Title: \ufffd{'x' * 52}'", NAME, id="other-fields"
        ),
        pytest.param(b'{"Packages": 7}', f"{BAD}'Packages' is not a table", MEND, id="packages"),
        pytest.param(b'{"Packages": {"a": 7}}', f"{BAD}package 'a' is not a table", MEND, id="package"),
        pytest.param(b'{"Packages": {"a\x7f": 7}}', f"{BAD}package 'a\\x7f' is not a table", MEND, id="control"),
        pytest.param(
            b'{"Packages": {"a": {"Version": 1.0}}}',
            f"{BAD}'Version' of package 'a' is not a text",
            MEND,
            id="version-is-a-number",
        ),
        pytest.param(b'{"Packages": {}, "R": 1}', f"{BAD}'R' is not a table", MEND, id="r"),
        pytest.param(b'{"Packages": {}, "Bioconductor": 1}', f"{BAD}'Bioconductor' is not a table", MEND, id="bioc"),
        pytest.param(
            b'{"Packages": {}, "R": {"Repositories": 1}}',
            f"{BAD}'Repositories' of 'R' is not a list",
            MEND,
            id="repositories",
        ),
        pytest.param(
            b'{"Packages": {}, "R": {"Repositories": [1]}}', f"{BAD}a repository is not a table", MEND, id="repository"
        ),
        pytest.param(
            b'{"lockfile_version": 9, "packages": []}',
            f"{BAD}it has the format 9, and known are 1 and 2",
            MEND,
            id="pak-9",
        ),
        pytest.param(
            b'{"lockfile_version": 1, "packages": {}}',
            f"{BAD}'packages' of the file is not a list of tables",
            MEND,
            id="pak-table",
        ),
        pytest.param(
            b'{"lockfile_version": 1, "packages": [], "r_version": 4}',
            f"{BAD}'r_version' of the file is not a text",
            MEND,
            id="pak-r",
        ),
        pytest.param(
            b'{"lockfile_version": 1, "packages": [{"package": "a", "direct": "yes"}]}',
            f"{BAD}'direct' of packages number 1 is not true or false",
            MEND,
            id="pak-direct",
        ),
        pytest.param(
            b"Package: a\nImports: b (>= x)\n",
            f"{BAD}Imports: 'b (>= x)' is not a dependency of an R package",
            MEND,
            id="bound",
        ),
        pytest.param(
            b'<<<<<<< HEAD\n{"Packages": {}}\n>>>>>>> x\n', f"{BAD}it holds an unresolved merge", MEND, id="merge"
        ),
    ],
)
def test_bad_files_change_nothing(project: Path, run: Run, content: bytes, message: str, remedy: str) -> None:
    (project / "x.lock").write_bytes(content)
    (project / R).write_text("zoo\n", encoding="utf-8")
    assert run("import", "x.lock") == (3, "", f"error: x.lock {message}\n  try: {remedy}\n")
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
        pytest.param({"Package": "a\nb", "Version": "1.0"}, "'a\\nb == 1.0' is not an R package", id="name"),
        pytest.param({"Version": "1.0", "Source": "unknown"}, "renv did not know where it comes from", id="unknown"),
        pytest.param({"Version": "1.0", "Source": None}, "renv did not know where it comes from", id="no-source"),
        pytest.param({"Version": "1.0", "Source": "~/x\t.tar.gz"}, "it comes from ~/x\ufffd.tar.gz", id="path"),
        pytest.param({"Version": "1.0", "Source": "Git2r"}, "it comes from a git repository of its own", id="git"),
    ],
)
def test_what_the_list_cannot_hold_is_said(record: dict[str, Any], reason: str) -> None:
    """Of one of the three kinds of file; on one line, whatever stands there."""
    found = read({"Packages": {"ab": {"Source": "Repository", **record}}})
    name = record.get("Package", "ab").replace("\n", "\N{REPLACEMENT CHARACTER}")
    assert found == Found("renv.lock", (), refused=(Refused(name, reason),))


@pytest.mark.parametrize(
    ("package", "reason"),
    [
        pytest.param({"type": "gitlab"}, "it comes from GitLab", id="gitlab"),
        pytest.param({"type": "svn"}, "pak calls it svn, which is no kind of package that pyrlab knows", id="svn"),
        pytest.param({}, "pak calls it nothing, which is no kind of package that pyrlab knows", id="no-type"),
        pytest.param({"type": "cran"}, "it has no version", id="no-version"),
    ],
)
def test_what_pak_has_and_the_list_cannot_hold_is_said(package: dict[str, Any], reason: str) -> None:
    found = read({"lockfile_version": 1, "packages": [{"package": "ab", "direct": True, **package}]})
    assert found == Found("pak.lock", (), refused=(Refused("ab", reason),))


def test_a_description_without_an_equal_bound_in_the_list_is_refused() -> None:
    found = imports.read(b"Package: a\nImports: ab (!= 1.0), cd\nDepends: cd (> 2)\n", name="DESCRIPTION")
    reason = "the list cannot say ab != 1.0: write the name with another bound"
    wanted = (RRequest.parse("cd > 2", where="DESCRIPTION"),)
    assert found == Found("DESCRIPTION", wanted, refused=(Refused("ab", reason),))


def test_all_that_an_renv_lock_says_is_found() -> None:
    """A package without a source is the repository's, where the file names that; Bioconductor's are told apart."""
    document = {
        "R": {"Version": "4.3.2", "Repositories": {"CRAN": "https://c.example.org"}},
        "Bioconductor": {"Version": "3.18"},
        "Packages": {
            "zoo": {"Version": "1.8-12", "Repository": "CRAN"},
            "limma": {"Version": "3.58.1", "Source": "Bioconductor"},
            "edgeR": {"Package": "edgeR", "Version": "4.0.1", "Source": "Repository", "Repository": "BioCsoft"},
            "stats": {"Version": "4.3.2", "Source": "Bioconductor"},
        },
    }
    lines = ("zoo == 1.8-12", "limma == 3.58.1", "edgeR == 4.0.1")
    assert read(document) == Found(
        "renv.lock",
        tuple(RRequest.parse(line, where="renv.lock") for line in lines),
        bioconductor=frozenset({"limma", "edgeR"}),
        release="3.18",
        repositories=(NamedUrl("CRAN", "https://c.example.org"),),
        r="4.3.2",
    )
    assert read({"Packages": []}) == Found("renv.lock", ())


def test_all_that_a_lock_of_pak_says_is_found() -> None:
    """A repository that has no name there is called by its host, or cran; what has no URL has no repository."""
    there: tuple[tuple[str, str, object, list[str]], ...] = (
        ("aa", "standard", {}, ["https://p3m.example.org/all/src/contrib/a_1.tar.gz", "https://old/src/contrib/a"]),
        ("bb", "cran", {"RemoteRepos": "https://CRAN.example.org/x"}, []),
        ("cc", "bioc", {}, ["https://bioc.example.org/c.tar.gz", "https://packages.bioc.example.org/src/contrib/c"]),
        ("dd", "any", {"RemoteRepos": "https://h.example.org/cran"}, []),
        ("ee", "any", {"RemoteRepos": "file:///e"}, []),
        ("ff", "any", {"RemoteRepos": "https://[f"}, []),
        ("gg", "any", [], []),
        ("hh", "any", {"RemoteRepos": "file:///e"}, []),
        ("ii", "url", {"RemoteRepos": "https://i.example.org"}, []),
    )
    packages = [
        {"package": name, "version": "1.0", "type": kind, "direct": True, "metadata": metadata, "sources": sources}
        for name, kind, metadata, sources in there
    ]
    packages[3]["repotype"] = "bioc"
    found = read({"lockfile_version": 1, "packages": packages, "r_version": "R version 4.4.1 (2024-06-14)"})
    assert found == Found(
        "pak.lock",
        tuple(
            RRequest.parse(f"{name} == 1.0", where="pak.lock")
            for name in ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"]
        ),
        refused=(Refused("ii", "it comes from a URL"),),
        bioconductor=frozenset({"cc", "dd"}),
        repositories=(
            NamedUrl("p3m", "https://p3m.example.org/all"),
            NamedUrl("cran", "https://CRAN.example.org/x"),
            NamedUrl("packages", "https://packages.bioc.example.org"),
            NamedUrl("cran", "https://h.example.org/cran"),
            NamedUrl("", "file:///e"),
            NamedUrl("", "https://[f"),
        ),
        r="4.4.1",
    )


def test_a_repository_gets_a_name_that_the_settings_can_have() -> None:
    """In lower case, with a number where another one has the name; and none twice."""
    named = [
        ("CRAN", "https://me:pw@a.example.org/latest/"),
        ("cran", "https://b.example.org/__linux__/bookworm/2024-01-02?x"),
        ("_My Lab!", "https://c.example.org/2024-01-02"),
        ("...", "https://d.example.org/2024-01-02"),
        ("again", "https://c.example.org/2024-01-02#x"),
        ("Bioc", "https://e.example.org/3.18"),
        ("known", "https://known.example.org"),
        ("bad", "ftp://f.example.org"),
        ("moves", "https://g.example.org/cran"),
    ]
    found = Found("renv.lock", (), repositories=tuple(NamedUrl(name, url) for name, url in named))
    known = [RRepository("cran", "https://other.example.org"), RRepository("k", "https://known.example.org/")]
    left_out = "its password is left out: write it as ${VARIABLE}, docs/r-packages.md shows how"
    assert propose(found, known, day="2024-02-29") == Proposal(
        (
            "cran2=https://a.example.org/2024-02-29",
            "cran3=https://b.example.org/2024-01-02",
            "my-lab=https://c.example.org/2024-01-02",
            "repository=https://d.example.org/2024-01-02",
            "bioc=https://e.example.org/3.18",
            "moves=https://g.example.org/cran",
        ),
        (
            f"cran2: {left_out}",
            f"cran3: {left_out}",
            "renv.lock has a repository 'bad' without a URL that can be used",
            MOVES.replace("cran", "moves"),
        ),
    )


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        pytest.param({}, f"yihui/mime-repo@{SHA}", id="commit"),
        pytest.param({"RemoteHost": "api.github.com", "RemoteSha": SHA.upper()}, f"yihui/mime-repo@{SHA}", id="host"),
        pytest.param({"RemoteSha": "0123abc"}, NO_COMMIT, id="short"),
        pytest.param({"RemoteSha": None, "RemoteRef": "main"}, NO_COMMIT, id="branch"),
        pytest.param(
            {"RemoteSubdir": "r"},
            "it is in a folder of yihui/mime-repo, and only a package at the top of one can be had",
            id="folder",
        ),
        pytest.param(
            {"RemoteHost": "git.example.org"},
            "it comes from another GitHub than the public one: git.example.org",
            id="enterprise",
        ),
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
        assert f"  + {line}" in said.splitlines() if line.endswith(SHA) else f"  mime: {line}" in said.splitlines()
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
