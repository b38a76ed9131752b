"""R packages at a commit: what the list takes, what is fetched and locked, and what a user is told."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import lock_samples as samples
import pytest
from graphs import GRAPH
from index_server import IndexServer, serve

from pyrlab.adapters.cran.github import GitHub, connect, unlisted
from pyrlab.adapters.debian.apt import Answer
from pyrlab.errors import HashMismatchError, ListError, StaleLockError
from pyrlab.model.commits import CommitRequest
from pyrlab.model.lists import Lists, R
from pyrlab.model.locks import r as r_locks
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.sections import PinnedFile, Section
from pyrlab.model.settings import Settings
from pyrlab.steps import fetch
from pyrlab.steps.choose_r import Choice, Chooser

OLD, NEW = "0123456789abcdef" * 2 + "01234567", "fedcba9876543210" * 2 + "fedcba98"
ReadLists = Callable[[Mapping[str, str]], Lists]
DIGITS = "write me/tiny-repo@ and all 40 digits; by branch and tag: git ls-remote https://github.com/me/tiny-repo"


def packed(files: Mapping[str, str]) -> bytes:
    """Return a tarball as a forge packs it: with a comment on the commit before all else."""
    data = io.BytesIO()
    comment = {"comment": OLD}
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT, pax_headers=comment) as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(data.getvalue(), mtime=0)


def tiny(sha: str = OLD, **fields: str) -> bytes:
    """Return the package tiny as a commit of me/tiny-repo has it."""
    described = {"Package": "tiny", "Version": "0.1.0.9000", **fields}
    text = "".join(f"{key}: {value}\n" for key, value in described.items())
    return packed({f"tiny-repo-{sha}/DESCRIPTION": text, f"tiny-repo-{sha}/inst/{sha}": ""})


@dataclass
class Forge:
    """A forge on this machine. ``said`` are the warnings of a lock run."""

    server: IndexServer
    settings: Settings
    said: list[str] = field(default_factory=list)

    def put(self, path: str, data: bytes) -> str:
        """Serve a file, and return its SHA-256."""
        target = self.server.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def push(self, data: bytes, sha: str = OLD, place: str = "me/tiny-repo") -> str:
        """Serve a commit, and return the SHA-256 of its tarball."""
        return self.put(f"{place}/tar.gz/{sha}", data)

    def cran(self, *stanzas: str) -> None:
        """Serve an index of R packages; each package's tarball holds its stanza."""
        self.put("src/contrib/PACKAGES.gz", gzip.compress("\n".join(stanzas).encode()))
        for stanza in stanzas:
            name, version = (line.partition(": ")[2] for line in stanza.splitlines()[:2])
            self.put(f"src/contrib/{name}_{version}.tar.gz", packed({f"{name}/DESCRIPTION": stanza}))

    @property
    def github(self) -> GitHub:
        """Return it as a lock run sees it."""
        return connect(self.settings)


@pytest.fixture
def forge(tmp_path: Path, load_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """Return a forge with the package tiny at one commit, and a repository with IRkernel."""
    monkeypatch.setenv("NETRC", "/dev/null")
    with serve(tmp_path / "served") as server:
        toml = f'[r]\nrepositories = ["cran={server.url}"]\ngithub = "{server.url}"\n'
        forge = Forge(server, load_settings(toml, XDG_CACHE_HOME=str(tmp_path / "cache")))
        forge.push(tiny())
        forge.cran(stanza("IRkernel", "1.3"))
        yield forge


def stanza(name: str, version: str, **fields: str) -> str:
    lines = {"Package": name, "Version": version, "NeedsCompilation": "no", **fields}
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def commit(line: str = f"me/tiny-repo@{OLD}", where: str = "r_packages.txt:1") -> CommitRequest:
    return CommitRequest.parse(line, where=where)


# ---- The list


def test_the_list_takes_commits_beside_names(read_lists: ReadLists) -> None:
    lists = read_lists({R: f"zoo\nme/tiny-repo@{OLD}  # with our patch\nme/tiny-repo@{OLD}\n"})
    assert [str(one) for one in lists.r_commits] == [f"me/tiny-repo@{OLD}"]
    assert "zoo" in {request.name for request in lists.r}


@pytest.mark.parametrize(
    ("line", "reason", "remedy"),
    [
        pytest.param("me/tiny-repo", "names no commit", DIGITS, id="no-commit"),
        pytest.param("me/tiny-repo@main", "is a branch or a tag, which moves", DIGITS, id="branch"),
        pytest.param("me/tiny-repo@v1.0", "is a branch or a tag, which moves", DIGITS, id="tag"),
        pytest.param("me/tiny-repo@*release", "is a branch or a tag, which moves", DIGITS, id="release"),
        pytest.param("me/tiny-repo@0123abc", "has not all 40 digits of a commit, in lower case", DIGITS, id="short"),
        pytest.param(f"me/tiny-repo@{OLD}0", "has not all 40 digits of a commit, in lower case", DIGITS, id="long"),
        pytest.param(f"me/tiny-repo@{'A' * 40}", "has not all 40 digits of a commit, in lower case", DIGITS, id="case"),
        pytest.param("me/tiny-repo#7", "is a pull request, which moves", DIGITS, id="pull-request"),
        pytest.param(
            f"me/tiny-repo/r@{OLD}",
            "is in a folder of its repository, and only a package at the top of one can be had",
            "take it from a repository like CRAN, or r-universe",
            id="folder",
        ),
    ],
)
def test_what_moves_is_refused_with_the_way_on(read_lists: ReadLists, line: str, reason: str, remedy: str) -> None:
    with pytest.raises(ListError) as caught:
        read_lists({R: f"\n{line}\n"})
    assert (str(caught.value), caught.value.remedy) == (f"r_packages.txt:2: {line!r} {reason}", remedy)


def test_two_commits_of_one_repository_contradict(read_lists: ReadLists) -> None:
    """GitHub's names are the same in any case."""
    with pytest.raises(ListError, match=f"r_packages.txt:2: Me/Tiny-repo@{NEW} contradicts me/tiny-repo@{OLD} in"):
        read_lists({R: f"me/tiny-repo@{OLD}\nMe/Tiny-repo@{NEW}\n"})


@pytest.mark.parametrize("line", [f"../..@{OLD}", f"me/..@{OLD}", f"/etc/passwd@{OLD}", f"me/x y@{OLD}"])
def test_no_line_leads_elsewhere(read_lists: ReadLists, line: str) -> None:
    with pytest.raises(ListError):
        read_lists({R: line})


# ---- The tarball


def test_the_description_decides_the_name(forge: Forge) -> None:
    sha256 = forge.push(tiny(Imports="zoo (>= 1.8), stats", Depends="R (>= 4.0)"))
    (package,) = forge.github.load([commit()], {})
    record = package.record
    assert (record.name, str(record.version), record.file) == ("tiny", "0.1.0.9000", f"me/tiny-repo/tar.gz/{OLD}")
    assert [str(one) for one in (*record.gates, *record.dependencies)] == ["R >= 4.0", "zoo >= 1.8"]
    assert package.file == RFile("commit", f"me/tiny-repo/tar.gz/{OLD}", sha256)


@pytest.mark.parametrize(
    ("files", "compiles"),
    [
        pytest.param({"src/a.c": ""}, True, id="code"),
        pytest.param({"inst/src/a.c": ""}, False, id="no-code"),
        pytest.param({"R/a.R": ""}, False, id="r"),
    ],
)
def test_what_nobody_packed_compiles_if_it_has_code(forge: Forge, files: Mapping[str, str], compiles: bool) -> None:  # noqa: FBT001
    text = "Package: tiny\nVersion: 0.1\n"
    forge.push(packed({"top/DESCRIPTION": text, **{f"top/{path}": content for path, content in files.items()}}))
    (package,) = forge.github.load([commit()], {})
    assert package.record.needs_compilation is compiles


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(packed({"top/README": ""}), "it has no DESCRIPTION", id="no-package"),
        pytest.param(packed({"top/pkg/DESCRIPTION": ""}), "it has no DESCRIPTION", id="below"),
        pytest.param(packed({"top/DESCRIPTION": "Package: a"}), "the field Version is missing", id="no-version"),
        pytest.param(b"<html>sign in</html>", "it is a web page", id="page"),
        pytest.param(tiny()[:100], "it is damaged", id="cut"),
    ],
)
def test_what_is_no_package_is_named_by_its_line(forge: Forge, data: bytes, reason: str) -> None:
    forge.push(data)
    with pytest.raises(ListError) as caught:
        forge.github.load([commit()], {})
    shown = f"r_packages.txt:1: me/tiny-repo@{OLD} is no R package that can be read: {reason}"
    assert str(caught.value).startswith(shown)


def test_a_commit_that_is_not_there(forge: Forge) -> None:
    with pytest.raises(ListError) as caught:
        forge.github.load([commit(f"me/tiny-repo@{NEW}")], {})
    assert str(caught.value).startswith(f"r_packages.txt:1: me/tiny-repo@{NEW} cannot be had: ")
    assert "check owner, repository and commit" in caught.value.remedy


def test_two_repositories_with_one_package(forge: Forge) -> None:
    forge.push(tiny(), place="you/tiny")
    with pytest.raises(ListError, match="is the package tiny, and so is me/tiny-repo@"):
        forge.github.load([commit(), commit(f"you/tiny@{OLD}", "r_packages.txt:2")], {})


def test_remotes_that_the_list_names_are_fine(forge: Forge) -> None:
    remotes = "You/Rlang, github::you/cli@main, glue=you/other, gitlab::you/far, url::https://x.example.org/a.tar.gz"
    forge.push(tiny(Remotes=remotes))
    (package,) = forge.github.load([commit()], {})
    left = [remote.text for remote in unlisted(package, ["you/rlang"], ["glue"])]
    assert left == ["github::you/cli@main", "gitlab::you/far", "url::https://x.example.org/a.tar.gz"]


# ---- Locking


def choose(forge: Forge, lists: Lists, old: Mapping[str, RPin] = {}) -> Choice:
    """Choose R packages as a lock run does, with a Debian that has none."""
    folder = forge.settings.project / "answer"
    folder.mkdir(exist_ok=True)
    for name in ("stanzas", "sources", "available", "rlab-base.uris", "rlab-system.uris"):
        (folder / name).touch()
    forge.said.clear()
    chooser = Chooser(forge.settings, lists, "amd64", old, lambda _: {}, lambda _: True, forge.said.append)
    return chooser.choose(Answer(folder, lists, GRAPH), r="4.5.0")


def pins_of(choice: Choice) -> dict[str, RPin]:
    return {pin.name: pin for pin in choice.pins({"IRkernel"}, [], {})}


def test_a_commit_is_a_root_with_this_very_version(forge: Forge, read_lists: ReadLists) -> None:
    """Whatever newer versions there are; what it needs comes from the repositories."""
    sha256 = forge.push(tiny(Imports="leaf (>= 1.0)"))
    forge.cran(stanza("IRkernel", "1.3", Imports="tiny"), stanza("leaf", "1.2"), stanza("tiny", "9.0"))
    pins = pins_of(choose(forge, read_lists({R: f"me/tiny-repo@{OLD}\n"})))
    assert {name: (pin.version, pin.repository) for name, pin in pins.items()} == {
        "IRkernel": ("1.3", "cran"),
        "leaf": ("1.2", "cran"),
        "tiny": ("0.1.0.9000", "github"),
    }
    assert pins["tiny"].requested
    assert pins["tiny"].files == (RFile("commit", f"me/tiny-repo/tar.gz/{OLD}", sha256),)
    lock = replace(samples.R, packages=tuple(pins.values()))
    assert RLock.parse(lock.render()) == lock
    assert forge.server.url not in lock.render()


def test_a_bound_on_it_holds(forge: Forge, read_lists: ReadLists) -> None:
    forge.cran(stanza("IRkernel", "1.3", Imports="tiny (>= 1.0)"), stanza("tiny", "9.0"))
    with pytest.raises(ListError) as caught:
        choose(forge, read_lists({R: f"me/tiny-repo@{OLD}\n"}))
    assert "tiny" in str(caught.value)


def test_a_second_lock_asks_the_forge_nothing(forge: Forge, read_lists: ReadLists) -> None:
    lists = read_lists({R: f"me/tiny-repo@{OLD}\n"})
    pins = pins_of(choose(forge, lists))
    forge.server.asked.clear()
    assert pins_of(choose(forge, lists, pins)) == pins
    assert not [path for path, _ in forge.server.asked if "tiny-repo" in path]


def test_another_commit_with_the_same_version_is_another_file(forge: Forge, read_lists: ReadLists) -> None:
    """Between two releases all commits have one version."""
    pins = pins_of(choose(forge, read_lists({R: f"me/tiny-repo@{OLD}\n"})))
    sha256 = forge.push(tiny(NEW, Imports="leaf"), NEW)
    forge.cran(stanza("IRkernel", "1.3"), stanza("leaf", "1.2"))
    new = pins_of(choose(forge, read_lists({R: f"me/tiny-repo@{NEW}\n"}), pins))["tiny"]
    assert new.files == (RFile("commit", f"me/tiny-repo/tar.gz/{NEW}", sha256),)
    assert [str(one) for one in new.dependencies] == ["leaf"]


def test_other_bytes_of_a_locked_commit_stop_the_run(forge: Forge, read_lists: ReadLists) -> None:
    lists = read_lists({R: f"me/tiny-repo@{OLD}\n"})
    pins = pins_of(choose(forge, lists))
    forge.push(tiny(Title="another"))
    moved = replace(pins["tiny"], files=(replace(pins["tiny"].files[0], sha256="0" * 64),))
    with pytest.raises(HashMismatchError) as caught:
        choose(forge, lists, {**pins, "tiny": moved})
    assert "is not the file that was locked" in str(caught.value)


def test_remotes_that_the_list_lacks_are_said(forge: Forge, read_lists: ReadLists) -> None:
    forge.push(tiny(Remotes="you/leaf", Imports="leaf"))
    forge.cran(stanza("IRkernel", "1.3"), stanza("leaf", "1.2"))
    choose(forge, read_lists({R: f"me/tiny-repo@{OLD}\n"}))
    (said,) = forge.said
    assert said == (
        f"warning: me/tiny-repo@{OLD} (r_packages.txt:1) has you/leaf in its Remotes; what it "
        "needs of that comes from r.repositories here: for the authors' own, list it as owner/repo@sha"
    )
    choose(forge, read_lists({R: f"me/tiny-repo@{OLD}\nleaf\n"}))
    assert forge.said == []


def test_a_list_with_another_commit_makes_the_lock_stale(forge: Forge, read_lists: ReadLists) -> None:
    """Without a network."""

    def check(lists: Lists) -> None:
        r_locks.check(lock, lists, suite="trixie", repositories=("cran",), r="4.5.0")

    lists = read_lists({R: f"me/tiny-repo@{OLD}\n"})
    pins = tuple(pins_of(choose(forge, lists)).values())
    lock = replace(samples.R, input=r_locks.input_of(lists, "trixie", ("cran",)), packages=pins)
    check(lists)
    with pytest.raises(StaleLockError, match=f"lacks me/tiny-repo@{NEW} \\(r_packages.txt:1\\)"):
        check(read_lists({R: f"me/tiny-repo@{NEW}\n"}))
    with pytest.raises(StaleLockError, match="was made from another list"):
        check(read_lists({R: ""}))


# ---- Fetching for a build


def test_a_build_fetches_by_hash(forge: Forge) -> None:
    sha256 = forge.push(tiny())
    file = RFile("commit", f"me/tiny-repo/tar.gz/{OLD}", sha256)
    pin = RPin("tiny", "0.1.0.9000", "github", requested=True, files=(file,))
    section = Section("rlab.r", files=(PinnedFile(sha256, sha256, 0, pin, file),))
    fetch.fetch(forge.settings, [section], r="4.5.0", architecture="amd64", say=forge.said.append)
    assert fetch.store_of(forge.settings).get(sha256)
    wrong = replace(file, sha256="1" * 64)
    other = Section("rlab.r", files=(PinnedFile("1" * 64, "1" * 64, 0, replace(pin, files=(wrong,)), wrong),))
    with pytest.raises(HashMismatchError):
        fetch.fetch(forge.settings, [other], r="4.5.0", architecture="amd64", say=forge.said.append)
