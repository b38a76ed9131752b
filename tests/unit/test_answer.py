"""What apt answered, as pins; and what it could not answer, as the line of the list that asked."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pyrlab.answer import Answer, parse_uris
from pyrlab.errors import ListError
from pyrlab.lists import BASE_DEBS, R_DEBS, Lists, R, RRequest
from pyrlab.locks.debs import DebPin
from pyrlab.locks.r import RPin

Ask = Callable[..., Answer]

AVAILABLE = {
    ("ca-certificates", "2025", "all"): "c0",
    ("curl", "8.14.1-2", "amd64"): "c1",
    ("curl", "8.15.0-1", "amd64"): "c2",
    ("libc6", "2.41-12", "amd64"): "c3",
    ("locales", "2.41-12", "all"): "c4",
    ("r-base-core", "4.5.0-3", "amd64"): "c5",
    ("r-bioc-limma", "3.64-1", "amd64"): "c6",
    ("r-cran-ggplot2", "3.5.1+dfsg-1", "all"): "c7",
    ("r-cran-irkernel", "1.3.2-2", "all"): "c8",
    ("r-cran-repr", "1.1.7-1", "all"): "c9",
    ("tini", "1:0.19.0-2", "amd64"): "ca",
}
IRKERNEL = DebPin("r-cran-irkernel", "1.3.2-2", "all", "c8", requested=True)
REPR = DebPin("r-cran-repr", "1.1.7-1", "all", "c9")
LIMMA = DebPin("r-bioc-limma", "3.64-1", "amd64", "c6", requested=True)
LIBC = DebPin("libc6", "2.41-12", "amd64", "c3")
R_BASE = DebPin("r-base-core", "4.5.0-3", "amd64", "c5", requested=True)
FIELDS = {
    "r-cran-irkernel.description": "Package: IRkernel\nVersion: 1.3.2.9000\n"
    "Imports: repr (>= 0.4.99), methods,\n  crayon\nSuggests: limma\n",
    "r-cran-irkernel.depends": "r-api-4.0, r-base-core (>= 4.5.0-2), libc6 (>= 2.4), libold | libc6:any, r-cran-repr\n",
    "r-cran-repr.description": "Package: repr\nVersion: 1.1.7\nImports: utils, IRkernel\n",
    "r-cran-repr.depends": "r-base-core (>= 4.5.0-2)\n",
    "r-bioc-limma.description": "Package: limma\nVersion: 3.64\nDepends: R (>= 3.6.0)\nLinkingTo: repr\n",
}


@pytest.fixture
def ask(tmp_path: Path, read_lists: Callable[[Mapping[str, str]], Lists]) -> Ask:
    """Return a maker of answers: apt's files by name beside the usual archive, and lists by theirs."""

    def make(files: Mapping[str, str] | None = None, **lists: str) -> Answer:
        rows = [" ".join([*package, sha256]) for package, sha256 in AVAILABLE.items()]
        fields = {f"fields/{name}": text for name, text in FIELDS.items()}
        folder = tmp_path / "answer"
        (folder / "fields").mkdir(parents=True, exist_ok=True)
        for name, text in {"available": "\n".join(rows), **fields, **(files or {})}.items():
            (folder / name).write_text(text, encoding="utf-8")
        names = {"base": BASE_DEBS, "r_debs": R_DEBS, "r": R}
        return Answer(folder, read_lists({names[key]: text for key, text in lists.items()}))

    return make


def test_an_archive_that_has_everything_passes(ask: Ask) -> None:
    """Names, versions, and R packages of both kinds."""
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
        pytest.param(
            {"r": "stats"}, "r_packages.txt:1: stats is a part of R itself", "delete the line", id="package-of-r-itself"
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


def test_an_unknown_r_package_gets_a_suggestion_that_its_list_can_hold(ask: Ask) -> None:
    """Who follows the advice must not meet the next error."""
    with pytest.raises(ListError) as caught:
        ask(r="ggplto2").check()
    assert str(caught.value) == "r_packages.txt:1: Debian has no R package 'ggplto2'"
    suggested = caught.value.remedy.removeprefix("did you mean ").removesuffix("?")
    assert RRequest.parse(suggested, where="").name == "ggplot2"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        pytest.param("pyrlab-base.err", "base_debs.txt: apt cannot install all of it together", id="base"),
        pytest.param("rlab-base.err", "r_debs.txt: apt cannot install all of it together", id="r-debs"),
        pytest.param("rlab.err", "r_packages.txt: apt cannot install all of it together", id="r"),
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
    below = [LIBC, DebPin("curl", "8.14.1-2", "amd64", "c1")]
    assert ask({"pyrlab-base.uris": uris}).section("pyrlab-base", below, {"tini"}) == (
        DebPin("curl", "8.15.0-1", "amd64", "c2"),
        DebPin("tini", "1:0.19.0-2", "amd64", "ca", requested=True),
    )


def test_an_image_that_adds_nothing_has_no_pins(ask: Ask) -> None:
    """Its file may be missing, too."""
    assert ask().section("rlab", [], set()) == ()


def test_r_packages_are_the_closure_of_the_list(ask: Ask) -> None:
    """By R's names, hard dependencies in the lock only; system libraries without R itself; rings end."""
    assert ask(r="limma").r_packages([LIMMA, REPR, IRKERNEL, LIBC, R_BASE]) == (
        RPin("IRkernel", "1.3.2.9000", "debian", IRKERNEL, requested=True, dependencies=("repr",), system=("libc6",)),
        RPin("limma", "3.64", "debian", LIMMA, requested=True, dependencies=("repr",), system=()),
        RPin("repr", "1.1.7", "debian", REPR, requested=False, dependencies=("IRkernel",), system=()),
    )


def test_r_packages_that_only_debian_needs_are_no_pins(ask: Ask) -> None:
    """What the list does not pull in, by R's own word, is a deb and not a package of the lock."""
    assert [pin.name for pin in ask().r_packages([LIMMA, IRKERNEL, REPR])] == ["IRkernel", "repr"]
    assert ask().r_packages([IRKERNEL, REPR]) == ask().r_packages([REPR, IRKERNEL])


def test_debs_of_the_r_list_are_found_under_either_prefix(ask: Ask) -> None:
    """CRAN's and Bioconductor's."""
    assert ask(r="limma").r_deb_names() == {"r-cran-irkernel", "r-bioc-limma"}


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        pytest.param(
            "irkernel",
            "r_packages.txt:1: there is no R package 'irkernel': R tells upper from lower case",
            "write IRkernel",
            id="lower-case",
        ),
        pytest.param(
            "GGplot2",
            "r_packages.txt:1: there is no R package 'GGplot2': R tells upper from lower case",
            "look for its name in Debian's r-cran-ggplot2",
            id="true-name-unknown",
        ),
        pytest.param(
            "repr >= 2",
            "r_packages.txt:1: repr >= 2 cannot be had: Debian has repr 1.1.7",
            "ask for that version, or for none",
            id="version",
        ),
    ],
)
def test_an_r_request_that_debian_cannot_meet_is_named(ask: Ask, line: str, message: str, remedy: str) -> None:
    """R's names and versions are known once the packages are looked into."""
    answer = ask(r=line)
    answer.check()
    with pytest.raises(ListError) as caught:
        answer.r_packages([IRKERNEL, REPR])
    assert (str(caught.value), caught.value.remedy) == (message, remedy)
