"""The resolver's golden cases: a folder each, with a list, the repositories, and what comes out."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from shelf import Shelf

from pyrlab.errors import ListError
from pyrlab.model.cran import resolver
from pyrlab.model.cran.index import Index
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.resolver import Candidate, Universe, resolve
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

R = RVersion.parse("4.5.0")
CASES = sorted((Path(__file__).parent / "resolver").iterdir())


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_golden_case(folder: Path) -> None:
    """The list's lines are resolved, or refused, as ``expected`` says."""
    assert outcome(folder) == (folder / "expected").read_text()


def test_an_unknown_dependency_is_not_searched_in_the_archive() -> None:
    """It may be archived itself, but no older version of those that want it is a likely cure."""
    universe = universe_of(Path(__file__).parent / "resolver" / "unknown-dependency")
    with pytest.raises(ListError):
        resolve([RRequest("limma2", "", "", "r_packages.txt:1")], universe)
    assert asked(universe) == ["BiocGenerics"]


def test_current_versions_need_no_archive() -> None:
    """A plain list costs one index a repository."""
    universe = universe_of(Path(__file__).parent / "resolver" / "pin-in-the-archive-only")
    resolve([RRequest("dplyr", ">=", "1.0", "r_packages.txt:1")], universe)
    assert asked(universe) == []


@pytest.mark.parametrize("lists_archive", [pytest.param(True, id="listed"), pytest.param(False, id="unlisted")])
def test_an_exact_pin_costs_one_download(*, lists_archive: bool) -> None:
    """Whether the server shows what is in its archive or not."""
    folder = Path(__file__).parent / "resolver" / "pin-in-the-archive-only"
    universe = universe_of(folder, lists_archive=lists_archive)
    solution = resolve([RRequest("dplyr", "==", "1.0.10", "r_packages.txt:1")], universe)
    assert str(solution.packages["dplyr"]) == "dplyr 1.0.10"
    assert set(asked(universe)) == {"dplyr", "dplyr 1.0.10"}


def test_only_the_archive_of_the_repository_that_a_line_names_is_asked() -> None:
    """Others may be slow, or ask for a password."""
    old = Record("zoo", RVersion.parse("1.0"), "zoo_1.0.tar.gz")
    now = Record("zoo", RVersion.parse("2.0"), "zoo_2.0.tar.gz")
    sources = [Shelf(name, {"zoo": [now]}, {"zoo": [old]}) for name in ("cran", "internal")]
    request = RRequest("zoo", "==", "1.0", "r_packages.txt:1", "internal")
    assert resolve([request], Universe(R, sources)).packages == {"zoo": Candidate("internal", old)}
    assert (sources[0].asked, sources[1].asked) == ([], ["zoo", "zoo 1.0"])


def test_a_clash_costs_twenty_downloads_a_package_at_most() -> None:
    """Without an end, a list that cannot be had would fetch whole archives."""
    wish = (Dependency("core", ">=", "2.0"),)
    now, *old = (Record("zoo", RVersion.parse(f"1.{n}"), f"zoo_1.{n}.tar.gz", wish) for n in range(40, 0, -1))
    core = Record("core", RVersion.parse("1.0"), "core_1.0.tar.gz")
    shelf = Shelf("cran", {"zoo": [now], "core": [core]}, {"zoo": old})
    requests = [RRequest("core", "==", "1.0", "r_packages.txt:1"), RRequest("zoo", "", "", "r_packages.txt:2")]
    with pytest.raises(ListError):
        resolve(requests, Universe(R, [shelf]))
    assert len({one for one in shelf.asked if one.startswith("zoo ")}) == 20


def test_old_versions_are_looked_at_down_to_the_first_that_fits() -> None:
    """One old rlang makes twelve packages older, each to its third old version: 37 downloads, and not one more."""
    names = [f"package{number:02}" for number in range(12)]
    current, old = {}, {}
    for name, below in zip(names, [*names[1:], "rlang"], strict=True):
        # All want the package after them, in a version that grows with their own, and rlang.
        versions = [
            Record(
                name,
                RVersion.parse(f"1.{number}"),
                f"{name}_1.{number}.tar.gz",
                (
                    Dependency(below, ">=", f"1.{number - 8}" if below != "rlang" else "1.0.6"),
                    Dependency("rlang", ">=", "1.1.0" if number > 18 else "1.0.0"),
                ),
            )
            for number in range(21, 0, -1)
        ]
        current[name], old[name] = versions[:1], versions[1:]
    current["rlang"] = [Record("rlang", RVersion.parse("1.1.4"), "rlang_1.1.4.tar.gz")]
    old["rlang"] = [Record("rlang", RVersion.parse(f"1.0.{number}"), f"rlang_1.0.{number}.tar.gz") for number in (6, 5)]
    shelf = Shelf("cran", current, old)
    requests = [RRequest(names[0], "", "", "r_packages.txt:1"), RRequest("rlang", "==", "1.0.6", "r_packages.txt:2")]
    solution = resolve(requests, Universe(R, [shelf]))
    assert [str(solution.packages[name]) for name in names] == [f"{name} 1.18" for name in names]
    assert len([one for one in shelf.asked if " " in one]) == 12 * 3 + 1


@pytest.mark.parametrize(
    ("lists_archive", "unlisted"),
    [pytest.param(False, (), id="lists-nothing"), pytest.param(True, ("core 1.0",), id="lists-others")],
)
def test_an_archive_is_asked_for_what_is_wanted_exactly_later_on(
    *, lists_archive: bool, unlisted: Sequence[str]
) -> None:
    """The first charts wants an old core, whichever; what to ask for becomes known from the second one."""
    newer = Record("charts", RVersion.parse("2.0"), "charts_2.0.tar.gz", (Dependency("core", "<", "1.5"),))
    older = Record("charts", RVersion.parse("1.0"), "charts_1.0.tar.gz", (Dependency("core", "==", "1.0"),))
    now, other, old = (
        Record("core", RVersion.parse(version), f"core_{version}.tar.gz") for version in ("2.0", "1.5", "1.0")
    )
    first = Shelf("first", {"charts": [newer]}, {"core": [other]})
    second = Shelf(
        "second",
        {"charts": [older], "core": [now]},
        {"core": [other, old]},
        lists_archive=lists_archive,
        unlisted=unlisted,
    )
    solution = resolve([RRequest("charts", "", "", "r_packages.txt:1")], Universe(R, [first, second]))
    assert solution.packages == {"charts": Candidate("first", newer), "core": Candidate("second", old)}


def test_a_pin_that_the_archive_does_not_list_costs_one_try() -> None:
    """R's own list of an archive may be older than what is in it; no other version is looked at for that."""
    universe = universe_of(Path(__file__).parent / "resolver" / "pin-that-nobody-has")
    with pytest.raises(ListError):
        resolve([RRequest("zoo", "==", "1.9-9", "r_packages.txt:1")], universe)
    assert asked(universe) == ["zoo", "zoo 1.9-9"]


def test_a_pin_that_the_archive_lists_is_tried_as_it_is_written_there() -> None:
    """Its file is called so."""
    universe = universe_of(Path(__file__).parent / "resolver" / "pin-with-dots-for-a-hyphen")
    [line] = (Path(__file__).parent / "resolver" / "pin-with-dots-for-a-hyphen" / "request").read_text().splitlines()
    resolve([RRequest.parse(line, where="r_packages.txt:1")], universe)
    assert len([one for one in asked(universe) if " " in one]) == 1


def test_a_version_that_was_only_guessed_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an archive lists nothing, what is wanted exactly is a guess; without it, others are looked at as before."""
    monkeypatch.setattr(resolver, "OLDER", 1)
    now, old = (Record("zoo", RVersion.parse(version), f"zoo_{version}.tar.gz") for version in ("2.0", "1.5"))
    team = Shelf("team", {"zoo": [now]}, lists_archive=False)
    solution = resolve(
        [RRequest("zoo", "==", "1.5", "r_packages.txt:1")],
        Universe(R, [team, Shelf("cran", {"zoo": [now]}, {"zoo": [old]})]),
    )
    assert solution.packages == {"zoo": Candidate("cran", old)}


def outcome(folder: Path) -> str:
    """Return what a user gets: a line a package, or the message and what to try."""
    lines = enumerate((folder / "request").read_text().splitlines(), start=1)
    try:
        requests = [RRequest.parse(line, where=f"r_packages.txt:{number}") for number, line in lines]
        solution = resolve(requests, universe_of(folder))
    except ListError as error:
        return f"error: {error}\ntry: {error.remedy}\n"
    found = [f"{one} {one.repository}\n" for one in solution.packages.values()]
    left_out = [f"left out: {name}: {why}\n" for name, why in solution.left_out.items()]
    return "".join([*found, *left_out, *(f"warning: {warning}\n" for warning in solution.warnings)])


def universe_of(folder: Path, *, lists_archive: bool = True) -> Universe:
    """Return what a case's files hold."""
    case = tomllib.loads((folder / "case.toml").read_text())
    shelves = {}
    for path in folder.glob("*.packages"):
        index = Index.parse(path.read_bytes())
        named = re.findall(r"^Package: (\S+)", path.read_text(), flags=re.MULTILINE)
        shelves[path.stem] = Shelf(
            path.stem,
            {name: index.records(name) for name in index.names},
            read(path.with_suffix(".archive")),
            lists_archive=lists_archive and case.get("lists_archive", True),
            refused={name: index.broken(name) for name in named},
            damaged=case.get("damaged", {}),
            unlisted=case.get("unlisted", ()),
        )
    return Universe(
        r=RVersion.parse(case["r"]),
        sources=[shelves[name] for name in case["repositories"]],
        installed=candidates(case.get("installed", []), shelves),
        locked=candidates(case.get("locked", []), shelves),
        bioconductor=case.get("bioconductor", []),
    )


def read(path: Path) -> dict[str, Sequence[Record]]:
    """Return the records of a PACKAGES file, by name; none where there is no file."""
    if not path.exists():
        return {}
    index = Index.parse(path.read_bytes())
    return {name: index.records(name) for name in index.names}


def candidates(lines: Sequence[str], shelves: Mapping[str, Shelf]) -> dict[str, Candidate]:
    """Return the candidates of lines like ``zoo 1.8-12 cran``."""
    found = {}
    for name, version, repository in map(str.split, lines):
        shelf = shelves[repository]
        records = [*shelf.current.get(name, ()), *shelf.old.get(name, ())]
        found[name] = Candidate(repository, next(one for one in records if str(one.version) == version))
    return found


def asked(universe: Universe) -> list[str]:
    """Return what was looked up in archives."""
    return [name for source in universe.sources if isinstance(source, Shelf) for name in source.asked]
