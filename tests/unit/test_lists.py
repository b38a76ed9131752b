"""The four lists: what is read, and what each bad line is answered."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from graphs import GRAPH, TEXT
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.errors import ListError
from pyrlab.model.cran.record import Dependency
from pyrlab.model.cran.version import RVersion
from pyrlab.model.graph import Graph
from pyrlab.model.lists import BASE_DEBS, IMPLIED, PYTHON, R_DEBS, DebRequest, Lists, R, RRequest
from pyrlab.model.locks import debs, python, r
from pyrlab.model.settings import Settings

ReadLists = Callable[[Mapping[str, str]], Lists]
DEB_REMEDY = "write one lower-case package name a line, or name=version"
R_REMEDY = (
    "write one name a line as in library(NAME); if need be with a version and a repository: "
    "NAME >= 1.2 @ cran, and NAME[Suggests] for what it suggests"
)
R_ITSELF_REMEDY = "delete the line; R comes with the Debian suite, base.suite in pyrlab.toml"
R_VERSION_REMEDY = "write a version as R does, like 1.8-12"
PYTHON_REMEDY = "write a package name, with a version specifier if you need one: numpy>=2"


@pytest.mark.parametrize(
    ("file", "text", "message", "remedy"),
    [
        pytest.param(
            BASE_DEBS,
            "curl\n\nCurl\n",
            "base_debs.txt:3: 'Curl' is not a Debian package",
            DEB_REMEDY,
            id="deb-upper-case",
        ),
        pytest.param(
            BASE_DEBS, "curl git", "base_debs.txt:1: 'curl git' is not a Debian package", DEB_REMEDY, id="deb-two-names"
        ),
        pytest.param(
            R_DEBS, "r-base=", "r_debs.txt:1: 'r-base=' is not a Debian package", DEB_REMEDY, id="deb-without-version"
        ),
        pytest.param(
            R_DEBS, "-o Debug=1", "r_debs.txt:1: '-o Debug=1' is not a Debian package", DEB_REMEDY, id="deb-option"
        ),
        pytest.param(
            PYTHON,
            "# index\n--index-url x  # ours",
            "requirements.in:2: '--index-url x' is an option of pip, not a package",
            "put index settings into pyrlab.toml, and list packages only",
            id="python-option",
        ),
        pytest.param(
            PYTHON,
            "-r other.in",
            "requirements.in:1: '-r other.in' is an option of pip, not a package",
            "put index settings into pyrlab.toml, and list packages only",
            id="python-other-file",
        ),
        pytest.param(
            PYTHON,
            "NumPy @ https://wheels.example/numpy.whl",
            "requirements.in:1: NumPy comes from a URL, which cannot be locked by version and hash",
            "name a release on the package index",
            id="python-url",
        ),
        pytest.param(
            PYTHON,
            "numpy=1",
            "requirements.in:1: 'numpy=1' is not a Python requirement: "
            "Expected semicolon (after name with no version specifier) or end",
            PYTHON_REMEDY,
            id="python-one-equals-sign",
        ),
        pytest.param(
            R, "zoo\nr-cran-zoo", "r_packages.txt:2: 'r-cran-zoo' is not an R package", R_REMEDY, id="r-name-of-deb"
        ),
        pytest.param(R, "zoo ~> 1", "r_packages.txt:1: 'zoo ~> 1' is not an R package", R_REMEDY, id="r-operator"),
        pytest.param(R, "zoo >=", "r_packages.txt:1: 'zoo >=' is not an R package", R_REMEDY, id="r-without-version"),
        pytest.param(R, "zoo != 1.0", "r_packages.txt:1: 'zoo != 1.0' is not an R package", R_REMEDY, id="r-any-but"),
        pytest.param(R, "zoo @", "r_packages.txt:1: 'zoo @' is not an R package", R_REMEDY, id="r-from-nowhere"),
        pytest.param(
            R,
            "zoo @ https://cran.example.org",
            "r_packages.txt:1: 'zoo @ https://cran.example.org' is not an R package",
            R_REMEDY,
            id="r-from-a-url",
        ),
        pytest.param(R, "R", "r_packages.txt:1: 'R' is not an R package, but R itself", R_ITSELF_REMEDY, id="r-itself"),
        pytest.param(
            R, "R>=4.0", "r_packages.txt:1: 'R>=4.0' is not an R package, but R itself", R_ITSELF_REMEDY, id="r-bound"
        ),
        pytest.param(
            R,
            "zoo 1.8-12",
            "r_packages.txt:1: 'zoo 1.8-12' is not an R package",
            "for a version, write zoo == 1.8-12",
            id="r-version-after-a-blank",
        ),
        pytest.param(
            R,
            "zoo=1.8-12",
            "r_packages.txt:1: 'zoo=1.8-12' is not an R package",
            "for a version, write zoo == 1.8-12",
            id="r-version-after-one-equals-sign",
        ),
        pytest.param(
            R,
            "zoo @ cran >= 1.2",
            "r_packages.txt:1: 'zoo @ cran >= 1.2' is not an R package",
            R_REMEDY,
            id="r-repository-before-version",
        ),
        pytest.param(
            R, "zoo[Imports]", "r_packages.txt:1: 'zoo[Imports]' is not an R package", R_REMEDY, id="r-another-field"
        ),
        pytest.param(
            R, "zoo >= 1..2 @ cran", "r_packages.txt:1: '1..2' is not an R version", R_VERSION_REMEDY, id="r-with-place"
        ),
        pytest.param(
            R, "zoo >= 1.0rc1", "r_packages.txt:1: '1.0rc1' is not an R version", R_VERSION_REMEDY, id="r-version"
        ),
    ],
)
def test_a_malformed_line_is_named_with_file_and_number(
    read_lists: ReadLists, file: str, text: str, message: str, remedy: str
) -> None:
    """The whole message and the remedy, for each list."""
    with pytest.raises(ListError) as caught:
        read_lists({file: text})
    assert (str(caught.value), caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        pytest.param(
            {BASE_DEBS: "curl=1\ncurl=2"},
            "base_debs.txt:2: curl=2 contradicts curl=1 in base_debs.txt:1",
            id="in-one-list",
        ),
        pytest.param(
            {BASE_DEBS: "\ncurl=1", R_DEBS: "curl = 2"},
            "r_debs.txt:1: curl=2 contradicts curl=1 in base_debs.txt:2",
            id="between-the-lists-of-debs",
        ),
        pytest.param(
            {PYTHON: "NumPy==1.0\nscipy\nnumpy==2.0"},
            "requirements.in:3: numpy==2.0 contradicts NumPy==1.0 in requirements.in:1",
            id="python-by-normalised-name",
        ),
    ],
)
def test_two_pins_of_one_package_contradict_each_other(
    read_lists: ReadLists, texts: dict[str, str], message: str
) -> None:
    """Both lines are named, so that either can go."""
    with pytest.raises(ListError) as caught:
        read_lists(texts)
    assert (str(caught.value), caught.value.remedy) == (message, "keep one of the two lines")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("numpy==2.0\nnumpy>=1", id="pin-and-bound"),
        pytest.param("numpy==2.0\nnumpy==2.0", id="one-line-twice"),
        pytest.param("numpy==1.0\nnumpy==1.0.0", id="one-version-in-two-spellings"),
        pytest.param("numpy==1.*\nnumpy==1.26", id="prefix-and-pin"),
        pytest.param(
            'numpy==1; python_version < "3.12"\nnumpy==2; python_version >= "3.12"', id="markers-that-exclude"
        ),
    ],
)
def test_python_lines_that_can_both_hold_are_no_contradiction(read_lists: ReadLists, text: str) -> None:
    """Only what no resolver could satisfy is refused here."""
    assert "numpy" in {request.name for request in read_lists({PYTHON: text}).all_python}


@pytest.mark.parametrize("file", [BASE_DEBS, R_DEBS, PYTHON, R])
def test_a_missing_list_is_named(project: Path, file: str) -> None:
    """Every one of the four has to be there, if only empty."""
    (project / file).unlink()
    with pytest.raises(ListError) as caught:
        read_lists(project, GRAPH)
    remedy = f"create it, empty if you want nothing: {project / file}"
    assert (str(caught.value), caught.value.remedy) == (f"{file} is missing", remedy)


def test_a_list_that_is_not_utf_8_is_named(project: Path) -> None:
    """The message says where the bad byte is."""
    (project / BASE_DEBS).write_bytes(b"curl\n\xff")
    with pytest.raises(ListError) as caught:
        read_lists(project, GRAPH)
    message = "base_debs.txt is not UTF-8 text: 'utf-8' codec can't decode byte 0xff in position 5: invalid start byte"
    assert (str(caught.value), caught.value.remedy) == (message, "save it as UTF-8")


def test_empty_lists_hold_what_the_images_need(read_lists: ReadLists) -> None:
    """What nobody asked for says that pyrlab did."""
    lists = read_lists({})
    assert [request.name for request in lists.debs["pyrlab-base"]] == sorted(GRAPH.images["pyrlab-base"].debs_needed)
    assert [request.name for request in lists.debs["rlab-base"]] == sorted(GRAPH.images["rlab-base"].debs_needed)
    assert [request.name for request in lists.all_python] == sorted(GRAPH.shared_python)
    assert [request.name for request in lists.r] == sorted(GRAPH.images["rlab"].r_needed)
    assert {request.where for request in lists.all_python} == {IMPLIED}


def test_comments_blank_lines_and_spaces_are_skipped(read_lists: ReadLists) -> None:
    """Line numbers count what is skipped, too."""
    lists = read_lists({BASE_DEBS: "# tools\n\n  curl  # for downloads\ng++\n", R: "\tzoo #\n"})
    assert DebRequest("curl", None, "base_debs.txt:3") in lists.debs["pyrlab-base"]
    assert DebRequest("g++", None, "base_debs.txt:4") in lists.debs["pyrlab-base"]
    assert RRequest("zoo", "", "", "r_packages.txt:1") in lists.r


def test_a_users_own_line_replaces_the_implied_one(read_lists: ReadLists) -> None:
    """A pin for what the images need anyway is kept, and stands alone."""
    lists = read_lists({PYTHON: "JupyterLab==4.5", R: "IRkernel >= 1.3"})
    assert [str(request) for request in lists.all_python if request.name == "jupyterlab"] == ["JupyterLab==4.5"]
    assert [str(request) for request in lists.r] == ["IRkernel >= 1.3"]


@pytest.mark.parametrize(
    ("line", "version", "expected"),
    [
        pytest.param("zoo", "0.1", True, id="any"),
        pytest.param("zoo >= 1.8-12", "1.8.12", True, id="at-least"),
        pytest.param("zoo>1.9", "1.10", True, id="newer"),
        pytest.param("zoo == 1.8", "1.8-1", False, id="exactly"),
        pytest.param("zoo < 2", "2.0", False, id="older"),
    ],
)
def test_an_r_request_allows_versions_as_r_orders_them(line: str, version: str, *, expected: bool) -> None:
    """With or without spaces around the sign."""
    assert RRequest.parse(line, where="r_packages.txt:1").wanted.allows(RVersion.parse(version)) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("zoo @ cran", RRequest("zoo", "", "", "", repository="cran"), id="repository"),
        pytest.param("zoo@my-cran.2026", RRequest("zoo", "", "", "", repository="my-cran.2026"), id="no-spaces"),
        pytest.param("zoo[Suggests]", RRequest("zoo", "", "", "", suggests=True), id="suggests"),
        pytest.param(
            "zoo >= 1.8-12 @ cran", RRequest("zoo", ">=", "1.8-12", "", repository="cran"), id="bound-and-place"
        ),
        pytest.param(
            "data.table [Suggests] == 1.2  @  cran",
            RRequest("data.table", "==", "1.2", "", repository="cran", suggests=True),
            id="everything",
        ),
    ],
)
def test_an_r_request_says_from_where_and_with_what(line: str, expected: RRequest) -> None:
    """A repository by its name in the settings, and what the package suggests."""
    assert RRequest.parse(line, where="") == expected


def test_comments_may_follow_a_repository(read_lists: ReadLists) -> None:
    """As they may follow any request."""
    lists = read_lists({R: "IRkernel @ cran  # the newest\n"})
    assert lists.r == (RRequest("IRkernel", "", "", "r_packages.txt:1", repository="cran"),)


R_REQUESTS = st.builds(
    lambda name, bound, repository, suggests: RRequest(name, bound[0], bound[1], "", repository, suggests),
    st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,4}[A-Za-z0-9]", fullmatch=True),
    st.just(("", "")) | st.tuples(st.sampled_from([">=", ">", "==", "<=", "<"]), st.sampled_from(["1.2", "1.8-12"])),
    st.sampled_from(["", "cran", "debian", "r-universe_2.x"]),
    st.booleans(),
)


@given(request=R_REQUESTS)
def test_an_r_request_is_parsed_as_it_is_written(request: RRequest) -> None:
    """What a message shows can be put into the list as it is; it is in the lock's digest, too."""
    assert RRequest.parse(str(request), where="") == request


DEB_LINES = st.lists(st.sampled_from(["abc", "abd=1.0-1", "xyz", "# note", ""]))
PYTHON_LINES = st.lists(st.sampled_from(["numpy", "NumPy", "numpy>=2", "scipy==1.0", "scipy<2", "# note", ""]))
R_LINES = st.lists(st.sampled_from(["Zoo", "zoo", "zoo >= 1.8-12", "zoo @ cran", "zoo[Suggests]", "xts", "# note", ""]))


@given(texts=st.tuples(DEB_LINES, DEB_LINES, PYTHON_LINES, R_LINES), data=st.data())
def test_order_of_lines_changes_neither_requests_nor_digests(
    tmp_path_factory: pytest.TempPathFactory, texts: tuple[list[str], ...], data: st.DataObject
) -> None:
    """Only the line numbers tell two orders of one list apart."""
    read = []
    for lists in (texts, [data.draw(st.permutations(lines)) for lines in texts]):
        folder = tmp_path_factory.mktemp("project")
        for name, lines in zip((BASE_DEBS, R_DEBS, PYTHON, R), lists, strict=True):
            (folder / name).write_text("\n".join(lines), encoding="utf-8")
        read.append(read_lists(folder, GRAPH))
    one, other = read
    for requests, others in (
        (one.all_debs, other.all_debs),
        (one.all_python, other.all_python),
        (one.r, other.r),
    ):
        assert [str(request) for request in requests] == [str(request) for request in others]
    assert debs.input_of(one, "trixie") == debs.input_of(other, "trixie")
    assert python.input_of(one.all_python, "trixie") == python.input_of(other.all_python, "trixie")
    assert r.input_of(one, "trixie", ("debian",)) == r.input_of(other, "trixie", ("debian",))


def test_lists_of_a_checkout_with_crlf_are_the_same(read_lists: ReadLists, project: Path) -> None:
    """As git makes one on other systems, and editors there write it."""
    texts = {BASE_DEBS: "# tools\ncurl\n", PYTHON: "numpy>=2  # fast\n", R_DEBS: "r-base=1\n", R: "zoo >= 1.8\n"}
    wanted = read_lists(texts)
    for name, text in texts.items():
        (project / name).write_bytes(text.replace("\n", "\r\n").encode())
    assert read_lists({}) == wanted


def test_settings_with_crlf_are_the_same(project: Path, load_settings: Callable[..., Settings]) -> None:
    """pyrlab.toml comes out of the same checkout."""
    wanted = load_settings('[images]\nprefix = "team/"\n')
    (project / "pyrlab.toml").write_bytes(b'[images]\r\nprefix = "team/"\r\n')
    assert read_settings(project, {}) == wanted


def test_pins_of_two_packages_are_no_contradiction(read_lists: ReadLists) -> None:
    lists = read_lists({PYTHON: "a==1\nb==2\na==1.0\n", BASE_DEBS: "curl=1\ngit=2\n"})
    assert [str(request) for request in lists.all_python if "==" in str(request)] == ["a==1", "a==1.0", "b==2"]


def test_a_graph_without_r_packages_has_no_list_of_them() -> None:
    graph = Graph.parse(TEXT.replace('r = "r_packages.txt"\n', ""))
    lists = Lists.parse(graph, {BASE_DEBS: "", R_DEBS: "", PYTHON: "pip"})
    assert lists.r == ()


def test_what_nobody_asked_for_says_so(read_lists: ReadLists) -> None:
    """Errors about it name no line of a list."""
    lists = read_lists({})
    where = [request.where for request in lists.all_debs] + [request.where for request in lists.all_python]
    assert {*where, *(request.where for request in lists.r)} == {IMPLIED}
    assert [(str(request), request.wanted) for request in lists.r] == [("IRkernel", Dependency("IRkernel"))]
