"""The difference of two locks: a row where other bytes stand behind the same version, in each of the three locks."""

import io
from dataclasses import replace

import lock_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pyrlab.cli import report
from pyrlab.model.changes import Change, diff
from pyrlab.model.cran.version import RVersion
from pyrlab.model.locks.lockset import Lock
from pyrlab.model.locks.r import RFile

OTHER = "b" * 64


def rows(old: Lock, new: Lock) -> list[Change]:
    """Return what `lock` says of two locks."""
    return diff(old.versions(), new.versions(), new.order, hashes=(old.hashes(), new.hashes()))


def same(name: str, version: str) -> list[Change]:
    return [Change("other files", name, version, version)]


def test_a_deb_with_other_bytes_is_a_row() -> None:
    tini = replace(samples.deb("tini"), sha256=OTHER)
    sections = {**samples.DEBS.sections, "pyrlab-base": (samples.deb("curl", requested=True), tini)}
    assert rows(samples.DEBS, replace(samples.DEBS, sections=sections)) == same("tini (pyrlab-base)", "1")


@pytest.mark.parametrize("part", ["one-more", "another-is-installed"])
def test_a_distribution_with_other_files_is_a_row(part: str) -> None:
    """A wheel more on the index, and another choice among them."""
    numpy = samples.PYTHON.pins[3]
    if part == "one-more":
        changed = replace(numpy, hashes=(*numpy.hashes, f"sha256:{OTHER}"))
    else:
        changed = replace(numpy, files=(replace(numpy.files[0], sha256=OTHER),))
    pins = tuple(changed if pin == numpy else pin for pin in samples.PYTHON.pins)
    assert rows(samples.PYTHON, replace(samples.PYTHON, pins=pins)) == same("numpy", "2.3.1")


@pytest.mark.parametrize("part", ["package", "its-deb", "system"])
def test_an_r_package_with_other_files_is_a_row(part: str) -> None:
    zoo = samples.R.packages[2]
    source = replace(zoo, repository="cran", deb=None, files=(RFile("source", "src/contrib/zoo_1.0.tar.gz", "a" * 64),))
    old = replace(samples.R, packages=(source,))
    if part == "package":
        files = (replace(source.files[0], sha256=OTHER),)
        assert rows(old, replace(old, packages=(replace(source, files=files),))) == same("zoo", "1.0")
        moved = (replace(source.files[0], path="src/contrib/Archive/zoo/zoo_1.0.tar.gz"),)
        assert rows(old, replace(old, packages=(replace(source, files=moved),))) == []
    elif part == "its-deb":
        assert rows(old, replace(old, packages=(zoo,))) == same("zoo", "1.0")
    else:
        debs = (replace(samples.deb("libuv"), sha256=OTHER), samples.deb("libzmq5"))
        assert rows(old, replace(old, debs=debs)) == same("libuv (system)", "1")


def test_what_an_earlier_lock_does_not_know_is_no_row() -> None:
    """One of an earlier format has no files, one that was edited no hashes that count."""
    assert rows(samples.without_files(samples.PYTHON), samples.PYTHON) == []
    without = replace(samples.PYTHON, pins=tuple(replace(pin, hashes=(), files=()) for pin in samples.PYTHON.pins))
    assert rows(without, samples.PYTHON) == []
    source = RFile("source", "src/contrib/zoo_1.0.tar.gz", "a" * 64)
    zoo = replace(samples.R.packages[2], deb=None, files=(source,))
    unknown = replace(zoo, files=(replace(source, sha256=""),))
    assert rows(replace(samples.R, packages=(unknown,)), replace(samples.R, packages=(zoo,))) == []


@given(lock=st.one_of(samples.debs_locks(), samples.python_locks(), samples.r_locks()))
def test_a_lock_has_the_hashes_of_all_that_it_names(lock: Lock) -> None:
    """And differs in nothing from itself."""
    assert lock.hashes().keys() == lock.versions().keys()
    assert all(any(parts) for parts in lock.hashes().values())
    assert rows(lock, lock) == []


def test_a_version_that_moves_is_one_row() -> None:
    hashes = ({"zoo": (frozenset("a"),)}, {"zoo": (frozenset("b"),)})
    assert diff({"zoo": "1"}, {"zoo": "2"}, RVersion.parse, hashes=hashes) == [Change("up", "zoo", "1", "2")]


def test_each_kind_of_row_is_counted() -> None:
    changes = [Change("up", "a", "1", "2"), *same("numpy", "2.3.1"), *same("scipy", "1")]
    stream = io.StringIO()
    Console(file=stream, width=80).print(report.changes({"requirements.lock": changes}))
    shown = " ".join(stream.getvalue().split())
    assert shown == (
        "requirements.lock: 1 up, 2 other files "
        "package old new up a 1 2 other files numpy 2.3.1 2.3.1 other files scipy 1 1"
    )
