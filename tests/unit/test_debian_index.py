"""Sources, indexes and closures of Debian packages."""

import random

import pytest
from debian_archives import packages, stanza
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import BuildError, UsageError
from pyrlab.model.debian import Index, Record, Relation, closure
from pyrlab.model.debian_sources import Key, Source, parse_sources


def index_of(*stanzas: str) -> Index:
    index = Index()
    index.add(packages(*stanzas))
    return index


def versions(records: tuple[Record, ...]) -> dict[str, str]:
    return {record.name: record.version for record in records}


@pytest.mark.parametrize(
    ("line", "source", "folder"),
    [
        pytest.param(
            "deb http://m/debian trixie main contrib",
            Source("http://m/debian", "trixie", ("main", "contrib")),
            "http://m/debian/dists/trixie",
            id="plain",
        ),
        pytest.param(
            "deb [signed-by=/k.asc arch=amd64,arm64 check-valid-until=no] https://m/d/ sid main # ours",
            Source(
                "https://m/d",
                "sid",
                ("main",),
                signed_by=(Key("/k.asc"),),
                architectures=("amd64", "arm64"),
                check_valid_until=False,
            ),
            "https://m/d/dists/sid",
            id="options",
        ),
        pytest.param(
            "deb [trusted=yes] file:///debs ./", Source("file:///debs", "./", trusted=True), "file:///debs", id="flat"
        ),
        pytest.param(
            "deb file:/debs trixie main",
            Source("file:/debs", "trixie", ("main",)),
            "file:/debs/dists/trixie",
            id="path",
        ),
        pytest.param(
            "deb [signed-by=/a=b.asc trusted=no lang=de] http://m/d sid main",
            Source("http://m/d", "sid", ("main",), signed_by=(Key("/a=b.asc"),)),
            "http://m/d/dists/sid",
            id="value-with-a-sign",
        ),
        pytest.param(
            "deb http://m/x sub/dir/", Source("http://m/x", "sub/dir/"), "http://m/x/sub/dir", id="flat-below"
        ),
    ],
)
def test_a_source_is_read_from_its_line(line: str, source: Source, folder: str) -> None:
    assert Source.parse(line) == source
    assert source.folder == folder


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("deb http://me:secret@m/debian", "is no source of Debian packages", id="no-suite"),
        pytest.param("rpm http://me:secret@m/debian trixie main", "is no source of Debian packages", id="not-deb"),
        pytest.param("deb http://me:secret@m/debian trixie", "needs components", id="no-components"),
        pytest.param("deb http://me:secret@m/debian ./ main", "too many words", id="flat-with-components"),
        pytest.param("deb [trusted=maybe] http://me:secret@m/d trixie main", "neither yes nor no", id="neither"),
        pytest.param("deb [signed-by=,] http://me:secret@m/d trixie main", "that names no key", id="no-key"),
        pytest.param("deb [snapshot=2026] http://me:secret@m/d trixie main", "does not know, snapshot", id="unknown"),
        pytest.param(
            "deb [signed-by=0xABCDEF12] http://me:secret@m/d trixie main",
            r"^base\.apt_sources: 'deb \[signed-by=0xABCDEF12\] http://m/d trixie main' has an option signed-by that "
            "is no whole fingerprint$",
            id="whole-message",
        ),
        pytest.param("deb m/debian//me:secret@x trixie main", "' has no URI$", id="no-scheme"),
    ],
)
def test_a_bad_line_is_shown_without_its_password(line: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        parse_sources([line])
    assert "secret" not in str(caught.value)
    assert "sources.list(5)" in caught.value.remedy


def test_comments_and_source_packages_are_no_sources() -> None:
    lines = ["# deb http://m/d a main", "", "deb-src http://m/d trixie main", "deb http://m/d trixie main"]
    assert [source.suite for source in parse_sources(lines)] == ["trixie"]


@pytest.mark.parametrize(
    ("relation", "version", "accepted"),
    [
        pytest.param(Relation("a", ">=", "1.9"), "1.10", True, id="numbers-not-text"),
        pytest.param(Relation("a", "<<", "1.0"), "1.0~rc1", True, id="tilde-is-before"),
        pytest.param(Relation("a", "<<", "1.0"), "1.0", False, id="strictly-older"),
        pytest.param(Relation("a", ">>", "1.0"), "1:0.1", True, id="epoch-wins"),
        pytest.param(Relation("a", "=", "1.0-1"), "1.0-1+b1", False, id="equal"),
        pytest.param(Relation("a", "<=", "2"), "2", True, id="at-most"),
        pytest.param(Relation("a", ">>", "2"), "2", False, id="strictly-newer"),
    ],
)
def test_bounds(relation: Relation, version: str, accepted: bool) -> None:  # noqa: FBT001 - a column
    assert relation.accepts(version) is accepted


def test_the_closure_has_what_every_system_has_and_all_dependencies() -> None:
    index = index_of(
        stanza("dpkg", Essential="yes", Pre_Depends="libc"),
        stanza("mount", Priority="required"),
        stanza("libc"),
        stanza("apt", Depends="libapt (>= 1), dpkg"),
        stanza("libapt"),
        stanza("games"),
    )
    assert list(versions(closure(index, ["apt"]))) == ["apt", "dpkg", "libapt", "libc", "mount"]


@pytest.mark.parametrize(
    ("depends", "chosen"),
    [
        pytest.param("missing | b", "b", id="first-that-is-there"),
        pytest.param("b | a", "b", id="in-their-order"),
        pytest.param("b | root2", "root2", id="one-that-is-chosen-already"),
        pytest.param("virtual", "c", id="most-important-provider"),
        pytest.param("same", "a", id="provider-by-name"),
        pytest.param("versioned (>= 2)", "b", id="provider-of-a-version"),
        pytest.param("a:any", "a", id="any-architecture"),
        pytest.param("a (>= 9) | b", "b", id="bound"),
    ],
)
def test_alternatives_and_providers(depends: str, chosen: str) -> None:
    index = index_of(
        stanza("root", Depends=f"root2, {depends}"),
        stanza("root2"),
        stanza("a", Provides="virtual, same"),
        stanza("b", Provides="virtual, same,\n versioned (= 2)", Priority="optional"),
        stanza("c", Provides="virtual, versioned", Priority="important"),
    )
    assert set(versions(closure(index, ["root"]))) == {"root", "root2", chosen}


def test_the_newest_version_of_all_sources_is_taken_and_a_kept_one_stays() -> None:
    index = index_of(stanza("a", "1.9"), stanza("b", "1"))
    index.add(packages(stanza("a", "1.10")))
    assert versions(closure(index, ["a"])) == {"a": "1.10"}
    assert versions(closure(index, ["a"], keep=[("a", "1.9")])) == {"a": "1.9"}
    assert versions(closure(index, ["a"], keep=[("a", "1.8")])) == {"a": "1.10"}


def test_a_kept_package_stays_where_another_could_take_its_place() -> None:
    index = index_of(
        stanza("a", Depends="mail, x | y"),
        stanza("exim", Provides="mail", Priority="important"),
        stanza("postfix", Provides="mail"),
        stanza("x"),
        stanza("y"),
    )
    assert set(versions(closure(index, ["a"]))) == {"a", "exim", "x"}
    assert set(versions(closure(index, ["a"], keep=[("postfix", "1"), ("y", "1")]))) == {"a", "postfix", "y"}


def test_stanzas_may_be_apart_by_more_than_one_empty_line() -> None:
    index = Index()
    index.add("\n\n" + stanza("a") + " \n\n" + stanza("b") + "\n\n\n" + stanza("c") + "\n")
    assert [len(index.versions(name)) for name in ("a", "b", "c")] == [1, 1, 1]


def test_an_archive_of_less_weight_only_gives_what_others_lack() -> None:
    index = index_of(stanza("a", "1"))
    index.add(packages(stanza("a", "2"), stanza("b", "2")), weight=100)
    assert versions(closure(index, ["a", "b"])) == {"a": "1", "b": "2"}


def test_a_kept_version_moves_where_another_package_needs_a_newer_one() -> None:
    index = index_of(
        stanza("libc", "1"), stanza("libc", "2"), stanza("tool", "2", Depends="libc (= 2)"), stanza("a", Depends="libc")
    )
    assert versions(closure(index, ["a", "tool"], keep=[("libc", "1"), ("a", "1")])) == {
        "a": "1",
        "libc": "2",
        "tool": "2",
    }


def test_a_newest_version_that_cannot_be_installed_yet_gives_way() -> None:
    index = index_of(stanza("a", "1"), stanza("a", "2", Depends="libc (>= 9)"), stanza("libc", "1"))
    assert versions(closure(index, ["a"])) == {"a": "1"}


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        pytest.param("b", "b cannot be had: the archive has no such package, and a 1 depends on it", id="missing"),
        pytest.param("c (>= 2)", r"c \(>= 2\) cannot be had: the archive has c 1, and a 1 depends on it", id="old"),
        pytest.param("b | c:arm64", r"b \| c:arm64 cannot be had", id="another-architecture"),
    ],
)
def test_what_cannot_be_satisfied_is_named_with_who_wants_it(depends: str, message: str) -> None:
    index = index_of(stanza("a", Depends=depends), stanza("c", "1"))
    with pytest.raises(BuildError, match=message):
        closure(index, ["a"])


def test_the_newest_version_is_the_one_that_an_error_speaks_of() -> None:
    index = index_of(stanza("a", "1", Depends="libz"), stanza("a", "2", Depends="libc (>= 9)"))
    with pytest.raises(BuildError, match=r"libc \(>= 9\) cannot be had.* and a 2 depends on it"):
        closure(index, ["a"])


def test_a_root_that_the_archive_lacks_is_named() -> None:
    with pytest.raises(BuildError, match="python3 cannot be had: the archive has no such package, and a root needs it"):
        closure(index_of(stanza("a")), ["python3"])


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"Filename": "../../etc/passwd"}, id="path-upwards"),
        pytest.param({"Filename": "/etc/passwd"}, id="absolute"),
        pytest.param({"Filename": "http://evil/x.deb"}, id="another-server"),
        pytest.param({"SHA256": "123"}, id="hash"),
        pytest.param({"Size": "many"}, id="size"),
        pytest.param({"Version": "not a version"}, id="version"),
    ],
)
def test_a_stanza_that_no_archive_has_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(BuildError, match="describes 'a' in a way that cannot be read"):
        closure(index_of(stanza("a", **fields)), ["a"])


NAMES = ("a", "b", "c", "d", "e", "f")
VERSIONS = ("1", "1.9", "1.10", "2~rc1")


@st.composite
def worlds(draw: st.DrawFn) -> list[str]:
    """Draw packages that depend on each other by all kinds of relations, some in several versions."""

    def relation() -> str:
        name = draw(st.sampled_from((*NAMES, "v", "w")))
        bound = draw(st.sampled_from(("", "", "", " (>= 1.9)", " (<< 2)", " (= 1.10)")))
        return name + bound

    def clause() -> str:
        return " | ".join(relation() for _ in range(draw(st.integers(1, 2))))

    stanzas = {}
    for _ in range(draw(st.integers(1, 12))):
        name, version = draw(st.sampled_from(NAMES)), draw(st.sampled_from(VERSIONS))
        fields = {"Priority": draw(st.sampled_from(("required", "important", "optional", "optional")))}
        if draw(st.booleans()):
            fields["Depends"] = ", ".join(clause() for _ in range(draw(st.integers(1, 3))))
        if draw(st.integers(0, 3)) == 0:
            fields["Provides"] = draw(st.sampled_from(("v", "w (= 2)", "v, w")))
        stanzas[name, version] = stanza(name, version, **fields)
    return list(stanzas.values())


def solved(stanzas: list[str], keep: list[tuple[str, str]] | None = None) -> tuple[Record, ...] | str:
    try:
        return closure(index_of(*stanzas), ["a"], keep=keep or [])
    except BuildError as error:
        return str(error)


@given(worlds())
def test_a_closure_is_closed(stanzas: list[str]) -> None:
    found = solved(stanzas)
    if isinstance(found, str):
        return
    assert len({record.name for record in found}) == len(found)
    assert index_of(*stanzas).required | {"a"} <= {
        name for record in found for name in (record.name, *(provided.name for provided in record.provides))
    }
    for record in found:
        for clause in record.depends:
            assert any(other.satisfies(relation) for other in found for relation in clause)


@given(worlds(), st.integers())
def test_the_order_of_an_index_never_matters(stanzas: list[str], seed: int) -> None:
    shuffled = random.Random(seed).sample(stanzas, len(stanzas))  # noqa: S311 - no secret
    assert solved(stanzas) == solved(shuffled)


@given(worlds())
def test_a_closure_kept_is_the_same_closure(stanzas: list[str]) -> None:
    found = solved(stanzas)
    if not isinstance(found, str):
        assert solved(stanzas, [(record.name, record.version) for record in found]) == found


def test_a_record_is_all_that_its_stanza_says() -> None:
    text = stanza(
        "a",
        "1:2-3",
        Filename="./pool/a.deb",
        SHA256="A" * 64,
        Size="12",
        Priority="important",
        Pre_Depends="libc (>= 2) | libd",
        Depends="b:any, c:amd64 (< 3),\n d:arm64",
        Provides="v (= 4), w",
    )
    assert Record.parse(text, weight=100) == Record(
        name="a",
        version="1:2-3",
        architecture="amd64",
        sha256="a" * 64,
        size=12,
        path="pool/a.deb",
        priority="important",
        depends=(
            (Relation("libc", ">=", "2"), Relation("libd")),
            (Relation("b"),),
            (Relation("c", "<=", "3"),),
            (Relation("d:arm64"),),
        ),
        provides=(Relation("v", "=", "4"), Relation("w")),
        weight=100,
    )


@pytest.mark.parametrize(
    ("name", "fields", "what"),
    [
        pytest.param("a", {"Filename": ""}, "Filename", id="no-path"),
        pytest.param("a", {"Filename": "pool/a b.deb"}, "Filename", id="path-with-a-space"),
        pytest.param("a", {"Filename": "pool/../a.deb"}, "Filename", id="path-upwards-in-between"),
        pytest.param("a", {"SHA256": "g" * 64}, "SHA256", id="no-hash"),
        pytest.param("a_b", {}, "Package", id="name"),
        pytest.param("-a", {}, "Package", id="name-like-an-option"),
        pytest.param("a", {"Architecture": "amd64 all"}, "Package", id="architecture"),
    ],
)
def test_a_stanza_that_is_refused_says_what_is_wrong(name: str, fields: dict[str, str], what: str) -> None:
    """It ends up in commands and paths."""
    with pytest.raises(BuildError) as caught:
        Record.parse(stanza(name, **fields))
    assert str(caught.value) == f"the archive's index describes {name!r} in a way that cannot be read ({what})"
    assert caught.value.remedy == (
        "tell whoever keeps this archive; or use another one, in base.apt_sources of pyrlab.toml"
    )


def test_text_that_is_no_stanza_is_refused() -> None:
    with pytest.raises(BuildError, match=r"^the archive's index describes 'a package' in a way .* \(Package\)$"):
        index_of(stanza("a"), "<html>")


def test_versions_are_in_debians_order() -> None:
    """The first is the one to take. Of equal ones, the order of the sources does not matter."""
    names = [f"1.{number}" for number in range(9, 12)] + ["1:0", "2~rc1"]
    index = index_of(*(stanza("a", name, Filename=f"pool/{number}.deb") for number, name in enumerate(names)))
    assert [record.version for record in index.versions("a")] == ["1:0", "2~rc1", "1.11", "1.10", "1.9"]
    assert len(index) == 5
    twins = [stanza("b", SHA256=digit * 64) for digit in "123"]
    assert index_of(*twins).versions("b") == index_of(*reversed(twins)).versions("b")


def test_of_providers_one_of_unknown_priority_comes_last() -> None:
    index = index_of(
        stanza("root", Depends="v"),
        stanza("a", Provides="v", Priority="whatever"),
        stanza("b", Provides="v", Priority="extra"),
    )
    assert set(versions(closure(index, ["root"]))) == {"root", "b"}


def test_all_versions_that_do_not_do_are_named() -> None:
    index = index_of(stanza("a", Depends="c (>= 3)"), stanza("c", "1"), stanza("c", "2"))
    with pytest.raises(BuildError) as caught:
        closure(index, ["a"])
    assert str(caught.value) == "c (>= 3) cannot be had: the archive has c 2, c 1, and a 1 depends on it"
    assert caught.value.remedy == (
        "try again later if the archive is being updated; else check base.suite and base.apt_sources"
    )


def test_a_source_is_written_into_an_image_without_its_options() -> None:
    """They name files of this machine."""
    line = "deb [signed-by=/k.asc arch=amd64] http://m/debian/ trixie main contrib"
    assert str(Source.parse(line)) == "deb http://m/debian trixie main contrib"
    assert str(Source.parse("deb [trusted=yes] file:///debs ./")) == "deb file:///debs ./"


def test_a_stanza_without_a_file_is_refused() -> None:
    text = "".join(f"{line}\n" for line in stanza("a").splitlines() if not line.startswith("Filename"))
    with pytest.raises(BuildError, match=r"describes 'a' in a way that cannot be read \(Filename\)$"):
        Record.parse(text)
