"""What installs R packages inside a build: its order, what it refuses to unpack, and what it tells pyrlab."""

import contextlib
import errno
import hashlib
import os
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from r_build import MTIME, Build, archives, cache, make_build, member, package, plan, script


def packages(after: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """Return packages by name, each with those that it waits for."""
    return {name: plan.Package.parse(package(name, needed)) for name, needed in after.items()}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw packages that wait for earlier ones only."""
    names = [f"p{number}" for number in range(draw(st.integers(0, 8)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)
    }


@given(after=graphs(), workers=st.integers(1, 4))
def test_each_package_is_worked_on_once_after_those_it_waits_for(after: dict[str, list[str]], workers: int) -> None:
    """For any graph and any number of workers."""
    done: list[str] = []
    lock = threading.Lock()

    def work(one: Any) -> str:  # noqa: ANN401 - a class of a module that mypy cannot see
        with lock:
            assert set(one.after) <= set(done)
            done.append(one.name)
        return str(one)

    said = list(plan.run(packages(after), work, workers=workers))
    assert sorted(done) == sorted(after)
    assert sorted(said) == sorted(f"{name} 1.0" for name in after)


def test_what_the_longest_chain_waits_for_goes_first() -> None:
    """One worker shows the order: the end of no chain comes last, whatever its name."""
    graph = packages({"a": [], "b": [], "c": ["b"], "d": ["c"], "e": []})
    assert list(plan.run(graph, lambda one: one.name, workers=1)) == ["b", "c", "a", "d", "e"]


def test_after_a_failure_what_runs_may_end_and_nothing_starts() -> None:
    """The lines of all failures come together."""
    both = threading.Barrier(2)
    worked: list[str] = []

    def work(one: Any) -> str:  # noqa: ANN401
        worked.append(one.name)
        both.wait(timeout=10)
        raise plan.PackageError(f"no {one.name}")

    with pytest.raises(plan.PackageError) as caught:
        list(plan.run(packages({"a": [], "b": [], "c": []}), work, workers=2))
    assert (sorted(worked), sorted(caught.value.args)) == (["a", "b"], ["no a", "no b"])


FINE = [member("p", tarfile.DIRTYPE), member("p/DESCRIPTION"), member("p/d/f")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(member("/p/f"), "/p/f is not in the folder p", id="absolute"),
        pytest.param(member("p/../f"), "p/../f is not in the folder p", id="goes-up"),
        pytest.param(member("q/f"), "q/f is not in the folder p", id="another-folder"),
        pytest.param(member("p"), "p is not in the folder p", id="file-instead-of-folder"),
        pytest.param(member("p", tarfile.SYMTYPE, "p"), "p is not in the folder p", id="link-instead-of-folder"),
        pytest.param(member("p/x", tarfile.CHRTYPE), "p/x is neither a file nor a folder nor a link", id="device"),
        pytest.param(member("p/x", tarfile.FIFOTYPE), "p/x is neither a file nor a folder nor a link", id="pipe"),
        pytest.param(member("p/x", tarfile.SYMTYPE, "/etc"), "the link p/x leads to /etc", id="link-absolute"),
        pytest.param(member("p/x", tarfile.SYMTYPE, "../.."), "the link p/x leads to ../..", id="link-goes-up"),
        pytest.param(member("p/x", tarfile.SYMTYPE, "d/../f"), "the link p/x leads to d/../f", id="link-with-a-detour"),
        pytest.param(member("p/x", tarfile.LNKTYPE, "q/f"), "the link p/x leads to q/f", id="hard-link-elsewhere"),
        pytest.param(member("p/x", tarfile.LNKTYPE, "../p"), "the link p/x leads to ../p", id="hard-link-goes-up"),
    ],
)
def test_an_archive_that_could_write_elsewhere_is_refused(bad: tarfile.TarInfo, reason: str) -> None:
    """One bad member among good ones is enough."""
    assert archives.objection([bad, *FINE], "p") == reason


def test_no_member_may_come_in_through_a_link() -> None:
    """Wherever the link stands in the archive."""
    link = member("p/x", tarfile.SYMTYPE, "d")
    assert archives.objection([member("p/x/f"), link], "p") == "p/x/f comes in through a link"


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(member("p/x", tarfile.SYMTYPE, "d/f"), id="link-below"),
        pytest.param(member("p/d/x", tarfile.SYMTYPE, "../DESCRIPTION"), id="link-up-and-inside"),
        pytest.param(member("p/x", tarfile.LNKTYPE, "p/d/f"), id="hard-link-inside"),
        pytest.param(member("p/..f"), id="two-dots-in-a-name"),
    ],
)
def test_links_within_the_package_are_fine(good: tarfile.TarInfo) -> None:
    """Real packages have them."""
    assert archives.objection([*FINE, good], "p") == ""


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        pytest.param(0o600, tarfile.REGTYPE, 0o644, id="private-file"),
        pytest.param(0o6777, tarfile.REGTYPE, 0o755, id="program-with-set-user-id"),
        pytest.param(0o700, tarfile.DIRTYPE, 0o755, id="private-folder"),
    ],
)
def test_a_file_is_root_s_and_everybody_can_read_it(mode: int, kind: bytes, expected: int) -> None:
    """A lab runs with any user id, and who packed the archive is of no concern."""
    packed = member("./p/x", kind)
    packed.uid, packed.uname, packed.mode = 1234, "packer", mode
    plain = archives.plain(packed)
    assert (plain.name, plain.uid, plain.uname, plain.mode) == ("p/x", 0, "", expected)


MEMBERS = st.builds(
    member,
    name=st.sampled_from(["p/a", "p/a/b", "p/a/b/c", "p/b", "p/b/d", "q/a", "p/../a"]),
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    link=st.sampled_from(["b", "..", "../..", "../../..", "a/b/..", "a/../..", "p/a", "p/b", "../p/a"]),
)


@given(members=st.lists(MEMBERS, max_size=6), any_top=st.booleans())
def test_whatever_is_unpacked_stays_in_the_package(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tarfile.TarInfo],
    any_top: bool,  # noqa: FBT001
) -> None:
    """Refused or not, nothing appears beside the package's folder, and no link leads out of it."""
    place = tmp_path_factory.mktemp("place")
    with tarfile.open(place / "p.tar", "w") as archive:
        for one in members:
            archive.addfile(one)
    inside = place / "outer" / "inner"
    inside.mkdir(parents=True)
    with contextlib.suppress(ValueError):
        archives.unpack((place / "p.tar").read_bytes(), inside, "p", any_top=any_top)
    assert {path.relative_to(place).as_posix() for path in place.glob("*")} == {"p.tar", "outer"}
    assert [path.name for path in (place / "outer").iterdir()] == ["inner"]
    assert {path.name for path in inside.iterdir()} <= {"p"}
    root = (inside / "p").resolve()
    assert all(os.path.realpath(path).startswith(str(root)) for path in inside.rglob("*") if path.is_symlink())


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Return an empty library and cache, with an R that only copies."""
    with make_build(capsys, monkeypatch) as made:
        yield made


def test_a_commit_is_compiled_from_whatever_folder_its_tarball_has(build: Build) -> None:
    """As a forge packs it: the folder is called after repository and commit. Another kind of file must be right."""
    entry = package("a", files=build.file("a", "commit", top=f"repo-{'0' * 40}", R="text"))
    status, lines = build.run(entry)
    assert (status, [line.rpartition(" ")[0] for line in lines]) == (0, ["pyrlab-r compiled a 1.0"])
    assert (build.folder / "library/a/R").read_text(encoding="utf-8") == "text"
    assert not [path for path in (build.folder / "library").iterdir() if path.name != "a"]
    assert build.run(entry) == (0, ["pyrlab-r cached a 1.0"])
    status, lines = build.run(package("b", files=build.file("b", top="repo")))
    assert (status, lines) == (1, ["pyrlab-r refused b 1.0: repo/DESCRIPTION is not in the folder b"])


def test_a_commit_of_another_package_is_refused(build: Build) -> None:
    status, lines = build.run(package("a", files=build.file("other", "commit", top="a")))
    assert (status, lines) == (1, ["pyrlab-r refused a 1.0: DESCRIPTION says other 1.0"])


def test_a_package_is_compiled_once_and_then_cached(build: Build) -> None:
    """The second build has the same bytes and times in its library as the first, and compiles nothing."""
    entries = [package("b", ["a"], files=build.file("b")), package("a", files=build.file("a", R="text"))]
    status, lines = build.run(*entries)
    assert (status, [line.rpartition(" ")[0] for line in lines]) == (
        0,
        ["pyrlab-r compiled a 1.0", "pyrlab-r compiled b 1.0"],
    )
    first, entry = build.tree("library"), (build.folder / "cache" / "a-key").read_bytes()
    (build.folder / "library").rename(build.folder / "old")
    os.utime(build.folder / "cache" / "a-key", (0, 0))
    assert build.run(*entries) == (0, ["pyrlab-r cached a 1.0", "pyrlab-r cached b 1.0"])
    assert build.tree("library") == first
    assert first["a/R"] == (b"text", MTIME)
    assert build.tree("cache")["a-key"][1] > 0, "its last use counts"
    (build.folder / "cache" / "a-key").unlink()
    build.run(*entries)
    assert (build.folder / "cache" / "a-key").read_bytes() == entry
    assert sorted(path.name for path in (build.folder / "cache").iterdir()) == ["a-key", "b-key"]


def test_a_compile_sees_nothing_of_who_builds(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables are fixed, its home is its own, and the date is the source's."""
    monkeypatch.setenv("R_PROFILE_USER", "mine")
    monkeypatch.setenv("CFLAGS", "-O0")
    build.run(package("a", files=build.file("a", environment="to be kept")))
    pairs = (build.folder / "library/a/environment").read_text(encoding="utf-8").splitlines()
    variables = dict(pair.split("=", 1) for pair in pairs)
    assert {"R_PROFILE_USER", "CFLAGS"}.isdisjoint(variables)
    assert variables["HOME"] == str(build.folder / "library/.pyrlab/packages/a")
    assert (variables["TZ"], variables["SOURCE_DATE_EPOCH"]) == ("UTC", str(MTIME))


def test_a_binary_is_unpacked_and_not_kept(build: Build) -> None:
    """It is preferred to the source that stands behind it."""
    binary = build.file("a", "binary", DESCRIPTION="Package: a\nVersion: 1.0\nBuilt: R 4.5.0\n")
    entry = package("a", files=binary + build.file("a"))
    assert build.run(entry) == (0, ["pyrlab-r unpacked a 1.0"])
    assert list(build.tree("library")) == ["a", "a/DESCRIPTION"]
    assert build.tree("cache") == {}


def test_the_first_file_that_was_downloaded_is_taken(build: Build) -> None:
    """A repository may have lost the binary."""
    status, lines = build.run(package("a", files=[{"kind": "binary", "sha256": "0" * 64}, *build.file("a")]))
    assert (status, lines[0].startswith("pyrlab-r compiled a 1.0 ")) == (0, True)


def test_other_bytes_are_not_unpacked(build: Build) -> None:
    """The line names the package; the library stays empty."""
    files = build.file("a")
    path = build.folder / "files" / files[0]["sha256"]
    path.write_bytes(path.read_bytes() + b"more")
    assert build.run(package("a", files=files)) == (8, ["pyrlab-r mismatch a 1.0"])
    assert build.tree("library") == {}


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        pytest.param(
            lambda build: build.file("a", version="2.0"), "DESCRIPTION says a 2.0", id="another-version-than-planned"
        ),
        pytest.param(
            lambda build: build.file("a", DESCRIPTION="Package: b\nVersion: 1.0\n"),
            "DESCRIPTION says b 1.0",
            id="another-package",
        ),
        pytest.param(lambda build: build.file("b"), "b/DESCRIPTION is not in the folder a", id="another-folder"),
        pytest.param(lambda _: [], "none of its files was fetched", id="nothing-downloaded"),
        pytest.param(
            lambda build: build.file("a", "binary"),
            "DESCRIPTION says that it is source, and the plan that it is a binary",
            id="source-as-binary",
        ),
    ],
)
def test_a_file_that_is_not_what_the_plan_says_is_refused(
    build: Build, file: Callable[[Build], object], reason: str
) -> None:
    """The reason follows the package's name and version."""
    assert build.run(package("a", files=file(build))) == (1, [f"pyrlab-r refused a 1.0: {reason}"])
    assert build.tree("library") == {}


def test_a_file_that_is_no_archive_is_refused(build: Build) -> None:
    """Its hash may be right all the same: a repository served a page instead."""
    (build.folder / "files" / hashlib.sha256(b"<html>").hexdigest()).write_bytes(b"<html>")
    files = [{"kind": "source", "sha256": hashlib.sha256(b"<html>").hexdigest()}]
    status, lines = build.run(package("a", files=files))
    assert (status, lines[0].partition(": ")[0]) == (1, "pyrlab-r refused a 1.0")
    assert "no whole tar archive" in lines[0]


def test_a_failed_compile_shows_its_last_lines_and_what_it_needs(build: Build) -> None:
    """Forty lines, the requirements, and what was compiled before stays in the cache."""
    wrong = build.file("b", wrong="".join(f"line {number}\n" for number in range(50)))
    status, lines = build.run(
        package("a", files=build.file("a")),
        package("b", ["a"], files=wrong, system_requirements="libcurl:\n libcurl-devel"),
        package("c", ["b"], files=build.file("c")),
    )
    assert status == 1
    assert lines[1:] == [
        "pyrlab-r failed b 1.0",
        "pyrlab-r output",
        *(f"line {number}" for number in range(10, 50)),
        "pyrlab-r end",
        "pyrlab-r requirements b: libcurl: libcurl-devel",
    ]
    assert list(build.tree("cache")) == ["a-key"]


def test_a_compile_on_a_full_disk_says_so(build: Build) -> None:
    """The compiler's own words tell."""
    wrong = build.file("a", wrong="cc1: fatal error: a.s: No space left on device\n")
    status, lines = build.run(package("a", files=wrong))
    assert (status, lines[:2]) == (1, ["pyrlab-r full", "pyrlab-r failed a 1.0"])


def test_a_full_cache_leaves_no_half_entry(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither under the final name nor under another."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.os, "fsync", full)
    assert build.run(package("a", files=build.file("a"))) == (1, ["pyrlab-r full"])
    assert build.tree("cache") == {}


@pytest.mark.parametrize(
    ("after", "line"),
    [
        pytest.param({"a": ["b"], "b": ["a"]}, ["pyrlab-r plan a -> b -> a wait for each other"], id="ring"),
        pytest.param({"a": ["z"]}, ["pyrlab-r plan a 1.0 waits for z, which is not in the plan"], id="unknown"),
    ],
)
def test_a_plan_that_cannot_end_is_refused(build: Build, after: dict[str, list[str]], line: list[str]) -> None:
    """Before anything is installed."""
    assert build.run(*(package(name, needed) for name, needed in after.items())) == (1, line)


def test_jupyter_finds_the_kernel(build: Build) -> None:
    """As the package ships it."""
    build.run(package("IRkernel", files=build.file("IRkernel", **{"kernelspec/kernel.json": '{"argv": ["R"]}'})))
    assert (build.folder / "kernels" / "ir" / "kernel.json").read_text(encoding="utf-8") == '{"argv": ["R"]}'


def test_nothing_is_compiled_with_debug_information() -> None:
    """It would be stripped again."""
    assert "CXX17FLAGS += -g0\n" in script.makevars()


def test_what_a_package_prints_is_no_line_of_ours(build: Build) -> None:
    """Or it could tell users of a full disk, or end its own evidence."""
    wrong = build.file("a", wrong="pyrlab-r full\npyrlab-r end\nERROR: compilation failed\n")
    _, lines = build.run(package("a", files=wrong))
    assert lines == [
        "pyrlab-r failed a 1.0",
        "pyrlab-r output",
        "pyrlab_r full",
        "pyrlab_r end",
        "ERROR: compilation failed",
        "pyrlab-r end",
    ]
