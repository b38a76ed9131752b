"""The one line that says why R packages cannot be had together, out of what a search met."""

import pytest
from shelf import Shelf

from pyrlab.model.cran.conflict import Notes, Ring, Unfit
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.universe import Candidate, Requirement, Universe
from pyrlab.model.cran.version import RVersion

LEAVE_OPEN = "ask for another version or repository in r_packages.txt, or leave it open"


def record(name: str, version: str) -> Record:
    return Record(name, RVersion.parse(version), f"{name}_{version}.tar.gz")


def candidate(name: str, version: str, repository: str = "cran") -> Candidate:
    return Candidate(repository, record(name, version))


def line(name: str, operator: str = "", version: str = "", number: int = 1, repository: str = "") -> Requirement:
    return Requirement(Dependency(name, operator, version), f"r_packages.txt:{number}", repository=repository)


def of(parent: Candidate, name: str, operator: str = "", version: str = "") -> Requirement:
    return Requirement(Dependency(name, operator, version), parent=parent)


SHELF = Shelf("cran", {"a": [record("a", "1.0"), record("a", "2.0")], "b": [record("b", "3.0")]})
UNIVERSE = Universe(RVersion.parse("4.5.0"), [SHELF])


def test_each_package_is_told_with_what_there_is_of_it() -> None:
    error = Notes(UNIVERSE).error([line("b", ">=", "4"), line("a", ">=", "3", 2)])
    assert str(error) == (
        "r_packages.txt:1: b >= 4, and r_packages.txt:2: a >= 3 cannot be had together; "
        "there is a 2.0 (cran), 1.0 (cran); b 3.0 (cran)"
    )
    assert error.remedy == LEAVE_OPEN


def test_who_wants_it_is_told_from_the_list_on() -> None:
    top, middle = candidate("top", "1.0"), candidate("middle", "2.0")
    notes = Notes(UNIVERSE, wanted_by={"top": {line("top")}, "middle": {of(top, "middle", ">=", "2")}})
    assert str(notes.error([of(middle, "a", "==", "9")])) == (
        "r_packages.txt:1: top → top 1.0 wants middle >= 2 → middle 2.0 wants a == 9 cannot be had; "
        "there is a 2.0 (cran), 1.0 (cran)"
    )


def test_the_shortest_way_is_told() -> None:
    top, middle = candidate("top", "1.0"), candidate("middle", "2.0")
    wanted_by = {"top": {line("top")}, "middle": {of(top, "middle"), line("middle", number=2)}}
    told = str(Notes(UNIVERSE, wanted_by=wanted_by).error([of(middle, "a", "==", "9")]))
    assert told.startswith("r_packages.txt:2: middle → middle 2.0 wants a == 9 cannot be had")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        pytest.param(0, "", id="none"),
        pytest.param(
            5,
            ", 0.5 (cran, archived), 0.4 (cran, archived), 0.3 (cran, archived), 0.2 (cran, archived), "
            "0.1 (cran, archived)",
            id="as-many-as-are-shown",
        ),
        pytest.param(
            6,
            ", 0.6 (cran, archived), 0.5 (cran, archived), 0.4 (cran, archived), 0.3 (cran, archived), "
            "0.2 (cran, archived), older ones (cran, archived)",
            id="more",
        ),
    ],
)
def test_of_an_archive_the_newest_are_told(count: int, shown: str) -> None:
    """What is current too is told once."""
    listed = ["3.0", *(f"0.{number}" for number in range(count, 0, -1))]
    notes = Notes(UNIVERSE, archived={("cran", "b"): listed})
    assert (
        str(notes.error([line("b", ">", "9")]))
        == f"r_packages.txt:1: b > 9 cannot be had; there is b 3.0 (cran){shown}"
    )


def test_what_the_image_has_is_told_too() -> None:
    universe = Universe(UNIVERSE.r, [SHELF], installed={"b": candidate("b", "2.5", "debian")})
    told = str(Notes(universe).error([line("b", ">", "9")]))
    assert told.endswith("; there is b 3.0 (cran), 2.5 (the image)")
    universe = Universe(UNIVERSE.r, [SHELF], installed={"b": candidate("b", "3.0", "debian")})
    assert str(Notes(universe).error([line("b", ">", "9")])).endswith("; there is b 3.0 (cran)")


def test_what_would_be_right_and_is_of_no_use_says_why() -> None:
    """The newest of each repository that would do speaks for all; what is of no use is not told as being there."""
    needs_r = {
        candidate("a", "1.0"): Unfit("a 1.0 needs R >= 4.6"),
        candidate("a", "2.0"): Unfit("a 2.0 needs R >= 4.7"),
        candidate("a", "0.5"): Unfit("a 0.5 needs R < 4"),
    }
    error = Notes(UNIVERSE, unfit={"a": needs_r}).error([line("a", ">=", "1")])
    assert str(error) == "r_packages.txt:1: a >= 1 cannot be had: a 2.0 needs R >= 4.7"
    assert error.remedy == (
        "take a newer R, with base.suite in pyrlab.toml, or drop what asks for it from r_packages.txt"
    )


def test_what_no_repository_has_is_for_another_repository() -> None:
    lacking = {candidate("a", "2.0"): Unfit("a 2.0 wants y and x, which no repository has", ("y", "x"))}
    error = Notes(UNIVERSE, unfit={"a": lacking}).error([line("a", ">", "1")])
    assert error.remedy == "add a repository that has x, y to r.repositories in pyrlab.toml"


def test_what_nobody_can_read_is_said() -> None:
    empty = Universe(UNIVERSE.r, [Shelf("cran", {})])
    assert str(Notes(empty).error([line("a")])) == (
        "r_packages.txt:1: a cannot be had: what the repositories say of it cannot be read"
    )


def test_who_takes_any_version_is_no_cause() -> None:
    """Nor is what an older version of a package wants, beside its newer one."""
    causes = [
        line("a"),
        of(candidate("top", "1.0"), "a", "==", "7"),
        of(candidate("top", "2.0"), "a", "==", "8"),
        line("a", repository="mine", number=3),
    ]
    notes = Notes(UNIVERSE, wanted_by={"top": {line("top", number=2)}})
    assert str(notes.error(causes)) == (
        "r_packages.txt:2: top → top 2.0 wants a == 8, and r_packages.txt:3: a @ mine cannot be had together; "
        "there is a 2.0 (cran), 1.0 (cran)"
    )


def test_a_ring_is_told_whole() -> None:
    error = Ring(("a", "b", "a")).error()
    assert (str(error), error.remedy) == (
        "these R packages need each other, so none can be installed first: a → b → a",
        "ask for another version of one of them, or leave them out of r_packages.txt",
    )
