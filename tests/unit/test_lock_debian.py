"""The Debian side of a lock run: what it tells, and how often."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyrlab.adapters.debian.apt import Answer
from pyrlab.model.locks.debs import DebPin
from pyrlab.steps import fetch, lock_debian
from pyrlab.steps.choose_r import Asked, Choice

ZOO = DebPin("r-cran-zoo", "1.0-1", "amd64", "a" * 64)


@pytest.fixture
def said() -> list[str]:
    """Return what the run has told."""
    return []


@pytest.fixture
def job(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lock_debian.Job:
    """Return a run that only talks."""
    graph = SimpleNamespace(with_r=SimpleNamespace(name="rlab"))
    settings = SimpleNamespace(cache=tmp_path, graph=graph, r_repositories=())
    root = SimpleNamespace(architecture="amd64")
    lists = SimpleNamespace(r=())
    parts = (settings, lists, None, SimpleNamespace(r=None, debs=None), root, said.append)
    monkeypatch.setattr(lock_debian, "root_for", lambda *_, **__: root)
    monkeypatch.setattr(lock_debian, "_locks", lambda *_: None)
    return lock_debian.Job(*cast("Any", parts))


def run(job: lock_debian.Job) -> None:
    """Lock."""
    lock_debian.lock_debian(
        job.settings, job.lists, job.wish, job.earlier, architecture=job.root.architecture, say=job.say
    )


def test_a_description_that_cannot_be_read_is_told_once(
    job: lock_debian.Job, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many turns apt and the choice of R packages take; another reason is told."""
    reasons = ["the deb cannot be read: short", "the deb cannot be read: short", "it is for 'windows' only (OS_type)"]

    def description(*_: object) -> dict[str, str]:
        raise ValueError(reasons[turns - 1])

    def choose(*_: object, **__: object) -> Choice:
        return Choice.nothing()

    def wanted() -> Iterator[Asked]:
        yield from (Asked(frozenset({"zoo"})), Asked(frozenset()), Asked(frozenset()))

    turns = 0

    def ask(*_: object) -> Answer:
        nonlocal turns
        turns += 1
        return answer

    answer = Answer(job.settings.cache, cast("Any", None), cast("Any", None))
    moves = wanted()
    monkeypatch.setattr(Answer, "check", lambda _: None)
    monkeypatch.setattr(Answer, "check_r", lambda _: None)
    monkeypatch.setattr(Answer, "version", lambda *_: "4.5.0-1")
    monkeypatch.setattr(Answer, "r_pins", lambda _: [ZOO])
    monkeypatch.setattr(Answer, "r_system", "")
    monkeypatch.setattr(Answer, "r_below", "")
    monkeypatch.setattr(Choice, "asked", lambda *_: next(moves))
    monkeypatch.setattr(lock_debian, "_ask_apt", ask)
    monkeypatch.setattr(lock_debian, "_sources", lambda _: "")
    monkeypatch.setattr(lock_debian, "_chooser", lambda _: SimpleNamespace(choose=choose))
    monkeypatch.setattr(fetch, "fetch", lambda *_, **__: None)
    monkeypatch.setattr(fetch, "store_of", lambda _: None)
    monkeypatch.setattr(lock_debian, "description", description)
    run(job)
    words = "r-cran-zoo: its DESCRIPTION cannot be read, so Debian's own words on it count:"
    assert turns == 3
    assert said == [f"{words} {reasons[0]}", f"{words} {reasons[2]}"]


def test_what_is_left_out_and_what_is_archived_is_told(
    job: lock_debian.Job, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks alone do not show it."""
    warning = "plots 1.0 needs gone, which cran archived: its old version 2.0 is taken"
    choice = Choice({}, {}, {}, {"blat": "no repository has it"}, [warning])
    monkeypatch.setattr(lock_debian, "_in_turns", lambda _: (None, None, choice))
    run(job)
    assert said == ["left out: blat, which is only suggested: no repository has it", f"warning: {warning}"]
