"""What apt answered, as pins; and what it could not answer, as the line of the list that asked."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from debian.deb822 import Deb822
from graphs import GRAPH

from pyrlab.adapters.debian.apt import Answer, parse_uris
from pyrlab.errors import ListError
from pyrlab.model.lists import BASE_DEBS, R_DEBS, Lists, R
from pyrlab.model.locks.debs import DebPin

Ask = Callable[..., Answer]

AVAILABLE: dict[tuple[str, str, str], str] = {
    ("ca-certificates", "2025", "all"): "c0",
    ("curl", "8.14.1-2", "amd64"): "c1",
    ("curl", "8.15.0-1", "amd64"): "c2",
    ("libc6", "2.41-12", "amd64"): "c3",
    ("libnss-extrausers", "0.6-6", "amd64"): "cb",
    ("locales", "2.41-12", "all"): "c4",
    ("r-base-core", "4.5.0-3", "amd64"): "c5",
    ("r-bioc-limma", "3.64-1", "amd64"): "c6",
    ("r-cran-ggplot2", "3.5.1+dfsg-1", "all"): "c7",
    ("r-cran-irkernel", "1.3.2-2", "all"): "c8",
    ("r-cran-repr", "1.1.7-1", "all"): "c9",
    ("tini", "1:0.19.0-2", "amd64"): "ca",
}
PATH = "pool/main/x.deb"
LIBC = DebPin("libc6", "2.41-12", "amd64", "c3", 10, PATH)
FIELDS = {
    "r-cran-irkernel": "Package: IRkernel\nVersion: 1.3.2.9000\n"
    "Imports: repr (>= 0.4.99), methods,\n  crayon\nSuggests: limma\n",
    "r-cran-repr": "Package: repr\nVersion: 1.1.7\nImports: utils, IRkernel\n",
    "r-bioc-limma": "Package: limma\nVersion: 3.64\nDepends: R (>= 3.6.0)\nLinkingTo: repr\n",
}


STANZAS = """\
Package: r-cran-irkernel
Version: 1.3.2-2
Depends: r-api-4.0, r-base-core (>= 4.5.0-2), libc6 (>= 2.4), libold | libzmq5:any, r-cran-repr

Package: r-cran-repr
Version: 1.1.7-1
Depends: r-base-core (>= 4.5.0-2)

Package: r-bioc-limma
Version: 3.64-1

Package: r-cran-repr
Version: 1.1.4-1
Depends: libc6

Package: libcurl4-openssl-dev
Version: 8.14.1-2
Depends: libcurl4t64 (= 8.14.1-2)
"""
SOURCES = """\
Package: r-cran-repr
Binary: r-cran-repr
Build-Depends: debhelper-compat (= 13),
 libfoo-dev

Package: r-bioc-limma
Binary: r-bioc-limma
"""


@pytest.fixture
def ask(tmp_path: Path, read_lists: Callable[[Mapping[str, str]], Lists]) -> Ask:
    """Return a maker of answers: apt's files by name beside the usual archive, and lists by theirs."""

    def make(files: Mapping[str, str] | None = None, **lists: str) -> Answer:
        rows = [" ".join([*package, sha256, "10", PATH]) for package, sha256 in AVAILABLE.items()]
        folder = tmp_path / "answer"
        folder.mkdir(exist_ok=True)
        for name, text in {"available": "\n".join(rows), "stanzas": STANZAS, **(files or {})}.items():
            (folder / name).write_text(text, encoding="utf-8")
        names = {"base": BASE_DEBS, "r_debs": R_DEBS, "r": R}
        descriptions = {deb: dict(Deb822(text)) for deb, text in FIELDS.items()}
        return Answer(folder, read_lists({names[key]: text for key, text in lists.items()}), GRAPH, descriptions)

    return make


def test_an_archive_that_has_everything_passes(ask: Ask) -> None:
    """Names and versions; R packages are another module's."""
    ask(base="curl=8.14.1-2", r="limma\nggplot2 >= 3").check()


@pytest.mark.parametrize(
    ("lists", "message", "remedy"),
    [
        pytest.param(
            {"base": "\ncrul"},
            "base_debs.txt:2: Debian has no package 'crul'",
            "did you mean curl?",
            id="deb-with-a-typing-error",
        ),
        pytest.param(
            {"r_debs": "zzzz"},
            "r_debs.txt:1: Debian has no package 'zzzz'",
            "check its name: apt-cache search",
            id="deb-like-no-other",
        ),
        pytest.param(
            {"base": "curl=7.0"},
            "base_debs.txt:1: Debian has no curl 7.0",
            "ask for one of: 8.14.1-2, 8.15.0-1",
            id="version-of-a-deb",
        ),
    ],
)
def test_a_request_that_the_archive_cannot_meet_is_named(
    ask: Ask, lists: dict[str, str], message: str, remedy: str
) -> None:
    """The whole message and the remedy."""
    with pytest.raises(ListError) as caught:
        ask(**lists).check()
    assert (str(caught.value), caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        pytest.param("pyrlab-base.err", "base_debs.txt: apt cannot install all of it together", id="base"),
        pytest.param("rlab-base.err", "r_debs.txt: apt cannot install all of it together", id="r-debs"),
    ],
)
def test_lists_without_a_solution_show_apts_reasons(ask: Ask, file: str, message: str) -> None:
    """In apt's own words."""
    with pytest.raises(ListError) as caught:
        ask({file: "E: Unable to correct problems\n"}).check()
    assert (str(caught.value), caught.value.detail) == (message, "E: Unable to correct problems\n")


def test_uris_are_read_as_names_versions_and_architectures() -> None:
    """An epoch's colon is escaped in file names; what is no URI is skipped."""
    text = (
        "Reading package lists...\n"
        "'http://deb.example/pool/t/tini_0.19.0-2_amd64.deb' tini_1%3a0.19.0-2_amd64.deb 258 SHA256:00\n"
        "'http://deb.example/pool/c/curl_8.14.1-2_amd64.deb' curl_8.14.1-2_amd64.deb 269\n"
    )
    assert parse_uris(text) == [("curl", "8.14.1-2", "amd64"), ("tini", "1:0.19.0-2", "amd64")]


def test_a_section_is_what_an_image_adds(ask: Ask) -> None:
    """With the archive's hashes, marked when asked for by name, and without what is held at that very version."""
    uris = "'x' tini_1%3a0.19.0-2_amd64.deb 1\n'x' libc6_2.41-12_amd64.deb 1\n'x' curl_8.15.0-1_amd64.deb 1\n"
    below = [LIBC, DebPin("curl", "8.14.1-2", "amd64", "c1", 10, PATH)]
    assert ask({"pyrlab-base.uris": uris}).section("pyrlab-base", below, {"tini"}) == (
        DebPin("curl", "8.15.0-1", "amd64", "c2", 10, PATH),
        DebPin("tini", "1:0.19.0-2", "amd64", "ca", 10, PATH, requested=True),
    )


def test_an_image_that_adds_nothing_has_no_pins(ask: Ask) -> None:
    """Its file may be missing, too."""
    assert ask().section("rlab-system", [], set()) == ()


@pytest.mark.parametrize(
    "file", [pytest.param("rlab-system.err", id="run"), pytest.param("rlab-build.err", id="compile")]
)
def test_what_r_packages_want_is_checked_when_they_are_chosen(ask: Ask, file: str) -> None:
    """Not before: another choice may have a solution."""
    answer = ask({file: "E: Unable to correct problems\n"})
    answer.check()
    with pytest.raises(ListError) as caught:
        answer.check_r()
    assert (str(caught.value), caught.value.detail) == (
        "r_packages.txt: apt cannot install all of it together",
        "E: Unable to correct problems\n",
    )


def test_r_packages_that_can_be_had_pass(ask: Ask) -> None:
    """An image without packages of its own has no file at all."""
    ask({"rlab-system.err": ""}).check_r()


def test_descriptions_are_records_by_deb(ask: Ask) -> None:
    """R's own names, versions and dependencies."""
    answer = ask()
    assert sorted(answer.r_records) == ["r-bioc-limma", "r-cran-irkernel", "r-cran-repr"]
    record = answer.r_records["r-cran-irkernel"]
    assert (record.name, str(record.version), record.file) == ("IRkernel", "1.3.2.9000", "r-cran-irkernel")
    assert list(map(str, record.dependencies)) == ["crayon", "repr >= 0.4.99"]


def test_stanzas_are_of_the_versions_that_apt_would_take(ask: Ask) -> None:
    """Of one package, the first; among them what compiles packages."""
    stanzas = ask().stanzas
    assert sorted(stanzas) == ["libcurl4-openssl-dev", "r-bioc-limma", "r-cran-irkernel", "r-cran-repr"]
    assert stanzas["r-cran-repr"]["Version"] == "1.1.7-1"


def test_sources_are_read_where_the_mirror_has_them(ask: Ask) -> None:
    """Fields may go over lines."""
    first, second = ask({"sources": SOURCES}).sources
    assert first["Build-Depends"] == "debhelper-compat (= 13),\n libfoo-dev"
    assert second["Binary"] == "r-bioc-limma"


def test_a_mirror_without_sources_tells_nothing(ask: Ask) -> None:
    """That is no mistake."""
    assert ask().sources == []


def test_system_libraries_are_debs_that_rlab_holds(ask: Ask) -> None:
    """Of alternatives the one that is there; neither R itself nor its packages."""
    system = ask().system({"libc6", "libzmq5", "r-base-core", "r-cran-repr"})
    assert system == {"r-cran-irkernel": ["libc6", "libzmq5"], "r-cran-repr": [], "r-bioc-limma": []}


def test_a_deb_whose_description_was_not_read_has_system_libraries_too(ask: Ask) -> None:
    """The lock pins it all the same."""
    answer = replace(ask(), descriptions={})
    assert answer.system({"libc6"})["r-cran-irkernel"] == ["libc6"]


def test_what_apt_would_install_is_known_by_image(ask: Ask) -> None:
    """By name; R's version is that of rlab-base."""
    answer = ask(
        {
            "rlab-base.uris": "'x' r-base-core_4.5.0-3_amd64.deb 1\n",
            "rlab-system.uris": "'x' r-cran-repr_1.1.7-1_all.deb 1\n'x' libc6_2.41-12_amd64.deb 1\n",
            "names": "r-cran-repr\n",
        }
    )
    assert answer.version("r-base-core") == "4.5.0-3"
    assert answer.version("curl") == ""
    assert answer.closure("rlab-system") == {"r-cran-repr", "libc6"}
    assert answer.closure("rlab-build") == set()
    assert answer.r_debs() == ["r-cran-repr"]


# ---- Sources of R's images

EXTRA = """\
curl 9.0 amd64 d1 10 extra/curl.deb
curl 8.15.0-1 amd64 d2 10 extra/curl.deb
own 1.0 all d3 10 ./extra/own.deb
r-base-core 4.6.0-1 amd64 d4 10 extra/r.deb
"""


def test_rs_images_may_have_what_their_own_sources_have(ask: Ask) -> None:
    files = {
        "available-r": EXTRA,
        "rlab-base.uris": "'u' own_1.0_all.deb 10\n'u' r-base-core_4.6.0-1_amd64.deb 10\n",
        "rlab-system.uris": "'u' curl_9.0_amd64.deb 10\n",
    }
    answer = ask(files, r_debs="own\nr-base-core=4.6.0-1")
    answer.check()
    assert {pin.name: (pin.version, pin.path) for pin in answer.section("rlab-base", [], {"own"})} == {
        "own": ("1.0", "extra/own.deb"),
        "r-base-core": ("4.6.0-1", "extra/r.deb"),
    }
    assert [pin.sha256 for pin in answer.section("rlab-system", [], set())] == ["d1"]
    assert answer.version("r-base-core") == "4.6.0-1"
    assert "own" in answer.names


def test_other_images_have_nothing_of_them(ask: Ask) -> None:
    with pytest.raises(ListError, match=r"^base_debs\.txt:1: Debian has no package 'own'$"):
        ask({"available-r": EXTRA}, base="own").check()
    with pytest.raises(ListError, match=r"^base_debs\.txt:1: Debian has no curl 9\.0$"):
        ask({"available-r": EXTRA}, base="curl=9.0").check()


def test_of_two_files_of_one_version_debians_own_counts(ask: Ask) -> None:
    """So another archive can slip nobody its own bytes under a version of Debian's."""
    answer = ask({"available-r": EXTRA, "rlab-base.uris": "'u' curl_8.15.0-1_amd64.deb 10\n"})
    assert [pin.sha256 for pin in answer.section("rlab-base", [], set())] == ["c2"]
