"""A repository's PACKAGES: each form in which it comes, and what becomes of stanzas that cannot be read."""

import gzip
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.cran.index import Index, read_description
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.version import RVersion

ZOO = b"Package: zoo\nVersion: 1.8-12\nDepends: R (>= 3.1.0), stats\nImports: utils, lattice (>= 0.20-27)\n"
XTS = b"Package: xts\nVersion: 0.14.1\nDepends: zoo\nLinkingTo: zoo\nNeedsCompilation: yes\n"
LATTICE, R = Dependency("lattice", ">=", "0.20-27"), Dependency("R", ">=", "3.1.0")
ZOO_FILE, XTS_FILE = "src/contrib/zoo_1.8-12.tar.gz", "src/contrib/xts_0.14.1.tar.gz"
ZOO_RECORD = Record("zoo", RVersion.parse("1.8-12"), ZOO_FILE, dependencies=(LATTICE,), gates=(R,))
XTS_RECORD = Record("xts", RVersion.parse("0.14.1"), XTS_FILE, dependencies=(Dependency("zoo"),), linking=("zoo",))


def versions(index: Index, name: str) -> list[str]:
    """Return the versions of a package in the order of its records."""
    return [str(record.version) for record in index.records(name)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ZOO + b"\n" + XTS, id="plain"),
        pytest.param(gzip.compress(ZOO + b"\n" + XTS), id="gzip"),
        pytest.param(gzip.compress(ZOO + b"\n") + gzip.compress(XTS), id="gzip-of-two-members"),
        pytest.param((ZOO + b"\n" + XTS).replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(ZOO + b"\r\n" + XTS + b"\r", id="carriage-return-at-the-end"),
        pytest.param(b"\xef\xbb\xbf" + ZOO + b"\n" + XTS, id="byte-order-mark"),
        pytest.param(ZOO + b" \t\n" + XTS, id="blank-line-of-spaces"),
        pytest.param(b"\n\n" + ZOO + b"\n\n \n\n" + XTS + b"\n\n", id="many-blank-lines"),
        pytest.param((ZOO + b"\n" + XTS).removesuffix(b"\n"), id="no-newline-at-the-end"),
        pytest.param(b"# made today\n\n#\n" + ZOO + b"\n#Package: no\n" + XTS, id="comments"),
        pytest.param(ZOO.replace(b"Imports: utils,", b"Imports:\n utils,\n# why\n\t") + b"\n" + XTS, id="continued"),
        pytest.param(ZOO.replace(b"27)", b"27),\n ,") + b"\n" + XTS, id="trailing-commas"),
        pytest.param(ZOO.replace(b"Package: zoo\n", b"") + b"Package: zoo\n\n" + XTS, id="name-comes-last"),
        pytest.param(ZOO + b"Title: It: says\n  Package: foo\n\n" + XTS, id="colons-and-names-inside-a-value"),
        pytest.param("Author: Zoë\n\n".encode("latin-1").join([ZOO, XTS]), id="latin-1"),
        pytest.param("Author: Zoë \U0001f600\u2028\x85\n\n".encode().join([ZOO, XTS]), id="utf-8-with-odd-separators"),
        pytest.param(b"Author: \xff\xfe\x00\n\n".join([ZOO, XTS]), id="bytes-of-no-encoding"),
        pytest.param(b"License: GPL\n\n".join([ZOO, XTS]) + b"\nSource: a stanza without a name\n", id="nameless"),
    ],
)
def test_an_index_in_any_form_is_the_same_packages(data: bytes) -> None:
    """Names, versions, files, dependencies and gates, as the plain text says them."""
    index = Index.parse(data)
    assert sorted(index.names) == ["xts", "zoo"]
    assert (index.records("zoo"), index.records("xts")) == ((ZOO_RECORD,), (XTS_RECORD,))
    assert (index.broken("zoo"), index.broken("xts")) == ((), ())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(
            b"\n<!DOCTYPE html>\n<html><body>Package: x</body></html>",
            "holds no package; it begins with '<!DOCTYPE html>\\n<html><body>Package: x</body></html>'",
            id="web-page",
        ),
        pytest.param(gzip.compress(b"RDX3\nX\n\0"), "holds no package; it begins with 'RDX3\\nX\\n\\x00'", id="rds"),
        pytest.param(b"# nothing yet\n", "holds no package; it begins with '# nothing yet'", id="only-comments"),
        pytest.param(b"package: zoo\n", "holds no package; it begins with 'package: zoo'", id="field-in-lower-case"),
        pytest.param(gzip.compress(ZOO)[:-1], "is truncated: its gzip data has no end", id="gzip-cut-at-the-end"),
        pytest.param(gzip.compress(ZOO)[:40], "is truncated: its gzip data has no end", id="gzip-cut-in-the-middle"),
        pytest.param(gzip.compress(ZOO)[:5], "is truncated: its gzip data has no end", id="gzip-cut-in-its-header"),
        pytest.param(gzip.compress(ZOO) + b"more", "is damaged: Not a gzipped file (b'mo')", id="gzip-and-more"),
    ],
)
def test_what_is_no_index_is_a_value_error(data: bytes, reason: str) -> None:
    """The reason goes on where the index's name ends."""
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        Index.parse(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="no-bytes"),
        pytest.param(b"\n \r\n", id="blank"),
        pytest.param(b"\xef\xbb\xbf", id="only-a-byte-order-mark"),
        pytest.param(gzip.compress(b""), id="gzip-of-nothing"),
    ],
)
def test_an_empty_index_has_no_packages(data: bytes) -> None:
    """R writes it for a folder without packages: a repository that has just been made."""
    index = Index.parse(data)
    assert (list(index.names), index.records("zoo"), index.broken("zoo")) == ([], (), ())


def test_flipped_bytes_in_gzip_are_damage() -> None:
    """The checksum of gzip is compared, and so is its stream."""
    whole = gzip.compress(ZOO)
    for position in (12, len(whole) - 6):
        changed = whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        with pytest.raises(ValueError, match=r"^is damaged: "):
            Index.parse(changed)


@pytest.mark.parametrize(
    ("lines", "file"),
    [
        pytest.param("", "src/contrib/zoo_1.8-12.tar.gz", id="by-name-and-version"),
        pytest.param("Path: 4.6.0/Recommended", "src/contrib/4.6.0/Recommended/zoo_1.8-12.tar.gz", id="path"),
        pytest.param("Path: ./old/", "src/contrib/old/zoo_1.8-12.tar.gz", id="path-with-dot-and-slash"),
        pytest.param("Path:\nFile:", "src/contrib/zoo_1.8-12.tar.gz", id="empty-fields"),
        pytest.param("File: sha256-0a1b", "src/contrib/sha256-0a1b", id="file"),
        pytest.param("Path: old\nFile: z..1.tgz", "src/contrib/old/z..1.tgz", id="path-and-file"),
    ],
)
def test_path_moves_a_file_and_file_renames_it(lines: str, file: str) -> None:
    """Both are below the folder of the index, and the version is spelled as in the index."""
    (record,) = Index.parse(ZOO + lines.encode()).records("zoo")
    assert record.file == file


@pytest.mark.parametrize("key", ["Path", "File"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("/etc/zoo", id="absolute"),
        pytest.param("//example.org/zoo", id="absolute-host"),
        pytest.param("../zoo", id="above"),
        pytest.param("a/../../zoo", id="above-from-within"),
        pytest.param("https:/example.org/zoo", id="url"),
        pytest.param("file:zoo", id="url-without-slash"),
        pytest.param("..\\zoo", id="backslash"),
        pytest.param("zoo%2f..", id="percent"),
        pytest.param("zoo?x#y", id="query"),
        pytest.param("a zoo", id="space"),
    ],
)
def test_a_file_outside_the_repository_is_refused(key: str, value: str) -> None:
    """The package is not offered, and the reason shows the value."""
    index = Index.parse(ZOO + f"{key}: {value}\n".encode())
    assert index.records("zoo") == ()
    assert index.broken("zoo") == (f"its Path and File lead to {value!r}, which is not below src/contrib",)


def test_files_are_below_the_folder_that_the_caller_names() -> None:
    """Repositories with binaries for one R have another folder than src/contrib."""
    (record,) = Index.parse(ZOO, folder="src/contrib/4.5").records("zoo")
    assert record.file == "src/contrib/4.5/zoo_1.8-12.tar.gz"


def test_a_name_may_occur_more_than_once() -> None:
    """Newest first by R's order; equal versions stay in the order of the index, each with its own gate and file."""
    index = index_of(
        {"Package": "a1", "Version": "1.9", "Depends": "R (>= 4.0)"},
        {"Package": "a1", "Version": "1.10", "Depends": "R (>= 4.6)", "Path": "4.6"},
        {"Package": "b1", "Version": "1.0"},
        {"Package": "a1", "Version": "1.10.0", "Depends": "R (< 4.6)", "Path": "4.5"},
    )
    assert versions(index, "a1") == ["1.10", "1.10.0", "1.9"]
    assert [str(record.gates[0]) for record in index.records("a1")] == ["R >= 4.6", "R < 4.6", "R >= 4.0"]
    assert [record.file.split("/")[2] for record in index.records("a1")] == ["4.6", "4.5", "a1_1.9.tar.gz"]


def test_names_keep_their_case_and_unknown_ones_have_no_records() -> None:
    """R's names differ by case, and asking for another one is no error."""
    index = index_of({"Package": "IRkernel", "Version": "1.3.2"})
    assert list(index.names) == ["IRkernel"]
    assert "irkernel" not in index.names
    assert (index.records("irkernel"), index.broken("irkernel")) == ((), ())


def test_each_stanza_has_its_own_encoding() -> None:
    """One old package does not garble the others."""
    field = "SystemRequirements: für\n\n"
    index = Index.parse(ZOO + field.encode("latin-1") + XTS + field.encode())
    assert [index.records(name)[0].system_requirements for name in ("zoo", "xts")] == ["für", "für"]


def test_a_package_is_parsed_once() -> None:
    """A resolver asks for the same records over and over."""
    index = Index.parse(ZOO)
    assert index.records("zoo") is index.records("zoo")


@pytest.mark.parametrize(
    ("stanza", "reason"),
    [
        pytest.param("Package: bad", "the field Version is missing", id="no-version"),
        pytest.param("Package: bad\nVersion: 1.0rc1", "Version: '1.0rc1' is not an R version", id="version"),
        pytest.param(
            "Package: bad\nVersion: 7",
            "Version: '7' has one component, and R wants a package's version to have two",
            id="version-of-one-component",
        ),
        pytest.param(
            "Package: bad\nVersion: 1.0\nImports: zoo,\n ~xts",
            "Imports: '~xts' is not a dependency of an R package",
            id="dependency",
        ),
        pytest.param(
            "Package: bad\nVersion: 1.0\nLinkingTo: zoo (>= 1..2)", "LinkingTo: '1..2' is not an R version", id="bound"
        ),
        pytest.param("Package: bad\nVersion: 1.0\n<br>junk", "'<br>junk' is not a field", id="junk"),
        pytest.param(" junk: x\nPackage: bad\nVersion: 1.0", "'junk: x' is not a field", id="continues-nothing"),
        pytest.param(
            "Package: bad\nVersion: 1.0\nVersion: 2.0", "the field Version occurs twice in one stanza", id="field-twice"
        ),
    ],
)
def test_a_stanza_that_cannot_be_read_breaks_no_other(stanza: str, reason: str) -> None:
    """Its neighbours and its namesakes are read, and it says itself what is wrong."""
    index = Index.parse(b"\n".join([ZOO, f"{stanza}\n".encode(), b"Package: bad\nVersion: 0.9\n", XTS]))
    assert (versions(index, "zoo"), versions(index, "xts")) == (["1.8-12"], ["0.14.1"])
    assert versions(index, "bad") == ["0.9"]
    assert index.broken("bad") == (reason,)


def test_two_stanzas_without_a_blank_line_are_both_named() -> None:
    """Neither can be told from the other, so both are broken instead of one being lost."""
    index = Index.parse(ZOO + XTS)
    reason = "the field Package occurs twice in one stanza"
    assert [index.broken(name) for name in ("zoo", "xts")] == [(reason,), (reason,)]


def test_a_plain_index_that_ends_within_a_line_says_so() -> None:
    """What was cut off cannot be told, but a stanza that no longer parses has this as its likely reason."""
    index = Index.parse(ZOO + b"\n" + XTS[:19])
    assert versions(index, "zoo") == ["1.8-12"]
    assert index.records("xts") == ()
    assert index.broken("xts") == (
        "'Versio' is not a field (the text ends here without a newline: it may be truncated)",
    )


WINDOWS = b"Package: RWinEdt\nVersion: 2.0-6\nOS_type: windows\n"


@pytest.mark.parametrize("end", [pytest.param(b"\n", id="newline"), pytest.param(b"\r\n", id="crlf")])
def test_what_is_for_windows_is_not_there(end: bytes) -> None:
    """R drops it from what is available, and refuses to install it; it still says why."""
    index = Index.parse(b"\n".join([ZOO, WINDOWS, XTS]).replace(b"\n", end))
    assert sorted(index.names) == ["xts", "zoo"]
    assert index.records("RWinEdt") == ()
    assert index.broken("RWinEdt") == ("it is for 'windows' only (OS_type)",)


@pytest.mark.parametrize(
    ("field", "needed"),
    [
        pytest.param(b"Imports: limma", True, id="alone"),
        pytest.param(b"Depends: R (>= 4.0), limma (>= 3.0)", True, id="among-others"),
        pytest.param(b"LinkingTo: Rcpp,\n        limma", True, id="on-another-line"),
        pytest.param(b"Imports:\n\tlimma", True, id="below-its-field"),
        pytest.param(b"Suggests: limma", False, id="suggested"),
        pytest.param(b"Imports: limma2, a.limma, limma.b", False, id="another-name"),
        pytest.param(b"Imports: zoo\nSuggests: limma", False, id="in-the-next-field"),
        pytest.param(b"Imports: Limma", False, id="another-case"),
    ],
)
def test_an_index_tells_whether_a_package_is_needed(field: bytes, needed: bool) -> None:  # noqa: FBT001 - a table
    """CRAN's packages need what CRAN itself or Bioconductor has."""
    index = Index.parse(ZOO + b"\n" + XTS.rstrip(b"\n") + b"\n" + field + b"\n")
    assert index.needs("limma") == needed


@pytest.mark.parametrize("value", [pytest.param(b" unix", id="unix"), pytest.param(b"", id="empty")])
def test_what_is_for_unix_is_there(value: bytes) -> None:
    """As is what does not say."""
    index = Index.parse(ZOO + b"OS_type:" + value + b"\n")
    assert (list(index.names), versions(index, "zoo")) == (["zoo"], ["1.8-12"])


def test_of_one_name_for_two_systems_ours_counts() -> None:
    """The other stanza takes nothing away."""
    index = Index.parse(ZOO + b"\n" + ZOO.replace(b"1.8-12", b"1.9-0") + b"OS_type: windows\n")
    assert (list(index.names), versions(index, "zoo")) == (["zoo"], ["1.8-12"])


def test_an_index_of_nothing_but_windows_is_read() -> None:
    """It has nothing for us."""
    assert list(Index.parse(WINDOWS).names) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n\r\n", "is empty", id="blank"),
        pytest.param(b"Package: zoo\n", "cannot be read: the field Version is missing", id="no-version"),
        pytest.param(b"<html>", "cannot be read: '<html>' is not a field", id="web-page"),
        pytest.param(WINDOWS, "cannot be read: it is for 'windows' only (OS_type)", id="windows"),
    ],
)
def test_what_is_no_description_is_a_value_error(data: bytes, reason: str) -> None:
    """The reason goes on where the file's name ends."""
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        read_description(data)


def test_a_description_is_read_as_a_stanza_is() -> None:
    """In the same forms; what follows a blank line is another stanza."""
    text = b"\xef\xbb\xbf\r\n" + ZOO.replace(b"\n", b"\r\n") + b"\r\nPackage: other\r\n"
    assert read_description(text) == replace(ZOO_RECORD, file="")


PACKAGES = st.fixed_dictionaries(
    {
        "Package": st.sampled_from(["Rcpp", "data.table", "zoo"]),
        "Version": st.from_regex(r"[0-2]([.-][0-2]){1,2}", fullmatch=True),
    },
    optional={
        "Depends": st.just("R (>= 4.1)"),
        "Imports": st.sampled_from(["lattice,\n  xts (>= 0.1)", "cli,"]),
        "Path": st.sampled_from(["old", "4.6.0/Recommended"]),
        "Built": st.text("aä;\u2028", min_size=1, max_size=5).filter(str.strip),
    },
)


def render(stanzas: Iterable[Mapping[str, str]]) -> str:
    """Write an index as R does."""
    return "\n".join("".join(f"{key}: {value}\n" for key, value in fields.items()) for fields in stanzas)


def index_of(*stanzas: Mapping[str, str]) -> Index:
    """Return an index of these fields."""
    return Index.parse(render(stanzas).encode())


def file_of(fields: Mapping[str, str]) -> str:
    """Return where a package of ``PACKAGES`` lies."""
    folder = f"src/contrib/{fields['Path']}" if "Path" in fields else "src/contrib"
    return f"{folder}/{fields['Package']}_{fields['Version']}.tar.gz"


@given(stanzas=st.lists(PACKAGES, min_size=1, max_size=8))
def test_what_is_rendered_is_read_back(stanzas: list[dict[str, str]]) -> None:
    """Every stanza becomes one record with its fields, and its file."""
    index = index_of(*stanzas)
    assert set(index.names) == {fields["Package"] for fields in stanzas}
    for name in index.names:
        own = [fields for fields in stanzas if fields["Package"] == name]
        expected = [Record.of(fields, file=file_of(fields)) for fields in own]
        assert sorted(map(str, index.records(name))) == sorted(map(str, expected))


@given(stanzas=st.lists(PACKAGES, min_size=1, max_size=8, unique_by=str), data=st.data())
def test_order_of_stanzas_does_not_change_the_records(stanzas: list[dict[str, str]], data: st.DataObject) -> None:
    """Only records of equal versions stand in the order of the index."""
    one, other = index_of(*stanzas), index_of(*data.draw(st.permutations(stanzas)))
    assert set(one.names) == set(other.names)
    for name in one.names:
        assert set(one.records(name)) == set(other.records(name))
        assert [record.version for record in one.records(name)] == [record.version for record in other.records(name)]


SCRAPS = [
    b"Package: zoo\n",
    b"Version: 1.0\n",
    b"Path: ",
    b"\n",
    b"\r",
    b" ",
    b"#",
    b":",
    b"..",
    b"\xff",
    gzip.compress(ZOO)[:30],
]


@given(data=st.lists(st.sampled_from(SCRAPS), max_size=12).map(b"".join))
def test_no_bytes_raise_anything_but_value_error(data: bytes) -> None:
    """Whatever a server sends, there is an index, or a reason."""
    try:
        index = Index.parse(data)
    except ValueError:
        return
    assert all(index.records(name) or index.broken(name) for name in index.names)
