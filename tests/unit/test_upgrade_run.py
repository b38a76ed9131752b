"""Whole upgrades on a machine without an engine: what is tried, what is held back, and what is replaced together."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from docker.errors import APIError
from machine import Machine, Project
from upgrade_play import is_of

from pyrlab.adapters import process
from pyrlab.adapters.docker import tags
from pyrlab.adapters.held_file import read_holds
from pyrlab.adapters.lock_files import read_locks
from pyrlab.commands.build import build
from pyrlab.commands.rollback import history, rollback
from pyrlab.commands.upgrade import Upgrade, upgrade
from pyrlab.errors import LabError, NoRoomError, UsageError
from pyrlab.model.debian_sources import parse_sources
from pyrlab.model.locks.debs import ROOT
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.settings import Settings
from pyrlab.model.wish import KINDS, Wish
from pyrlab.steps import generations, locking, proof
from pyrlab.steps.candidate import Candidate
from pyrlab.steps.comparison import NUMBERS, Comparison
from pyrlab.steps.images import Plan
from pyrlab.steps.overlays import BuiltImages
from pyrlab.steps.proof import FAILED, PASSED, Outcome, Proof
from pyrlab.steps.trials import Trials

Versions = Mapping[str, str]
Fails = Callable[[Versions], str]
OWN = proof.OWN_NOTEBOOKS
BOOK = f"{OWN}::test_own_notebook[pylab-book.ipynb]"
PLOT, MODEL, TABLE = (
    "tests/smoke/t.py::test_plot[pylab]",
    "tests/smoke/t.py::test_model[rlab]",
    "t.py::test_table[pylab]",
)


def versions_of(settings: Settings) -> dict[str, str]:
    """Return the version of each package in the locks of a workspace: R's packages by their names, too."""
    return versions_in(read_locks(settings))


def versions_in(locks: Locks) -> dict[str, str]:
    """Return the version of each package in locks."""
    found = {pin.name: pin.version for pin in locks.debs.pins()}
    if locks.r:
        found |= {pin.name: pin.version for pin in locks.r.debs} | {pin.name: pin.version for pin in locks.r.packages}
    return found | {pin.name: pin.version for lock in locks.python.values() for pin in lock.pins}


@dataclass
class World:
    """Plays pytest: each test says by the installed versions why it fails, or nothing. ``runs`` are all runs.

    ``prints`` has what the notebook of a test prints.
    """

    tests: dict[str, Fails] = field(default_factory=dict)
    by_files: dict[str, Callable[[Settings], bool]] = field(default_factory=dict)
    prints: dict[str, Callable[[Versions], str]] = field(default_factory=dict)
    runs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def prove(self, settings: Settings, tests: Collection[str], outputs: Path, *, reruns: int = 0) -> Proof:
        """Take the place of ``proof.prove``: the images must be there, and those of the locks of the workspace."""
        if any("::test_answers[" in test for test in tests):
            assert all(is_of(settings, read_locks(settings), re.findall(r"\[(\w+)", test)[0]) for test in tests)
            seconds = 3.0 if settings.variant else 2.0
            return Proof({}, outputs, {re.findall(r"\[(\w+)", test)[0]: seconds for test in tests})
        self.runs.append((settings.variant, tuple(sorted(tests))))
        locks = read_locks(settings)
        versions = versions_in(locks)
        outcomes = {}
        for test in self.prints if tests == [OWN] else sorted(tests) or self.tests:
            lab = re.findall(r"\[(\w+)", test)[0]
            assert is_of(settings, locks, lab), f"{lab} is not built for {test}"
            said = [self.tests[test](versions) for _ in range(1 + reruns)]
            why = said[-1] if all(said) else ""
            if test in self.by_files and self.by_files[test](settings):
                why = "Error: other files"
            output = self._execute(test, versions, outputs) if test in self.prints else ""
            outcomes[test] = Outcome(test, FAILED if why else PASSED, text=why, output=output)
        return Proof(outcomes, outputs)

    def _execute(self, test: str, versions: Versions, outputs: Path) -> str:
        name = re.findall(r"\[(.+)\]", test)[0]
        stream = {"output_type": "stream", "name": "stdout", "text": self.prints[test](versions)}
        told = {"cell_type": "markdown", "metadata": {}, "source": "# About gamma"}
        cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [stream], "source": "print(x)"}
        none = {"cell_type": "code", "execution_count": 2, "metadata": {}, "outputs": [], "source": ["y = 1\n", "y"]}
        cells = {"cells": [told, cell, none], "nbformat": 4, "metadata": {}}
        outputs.mkdir(parents=True, exist_ok=True)
        (outputs / name).write_text(json.dumps(cells), encoding="utf-8")
        return str(name)

    @property
    def trials(self) -> int:
        """How many runs were for some tests only."""
        return sum(bool(tests) for _, tests in self.runs)


def newer(**bad: str) -> Fails:
    """Return a test that fails where all of these packages are at these versions; its words name the last one."""

    def fails(versions: Versions) -> str:
        broken = all(versions.get(name.replace("_", "-")) == version for name, version in bad.items())
        return f"site-packages/{list(bad)[-1]}/x.py:1: in f\nValueError: no {list(bad)[-1]}" if broken else ""

    return fails


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world in place of pytest, with a test that is always green."""
    made = World({PLOT: lambda _: "", MODEL: lambda _: ""})
    monkeypatch.setattr(proof, "prove", made.prove)
    return made


NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


@pytest.fixture
def lab(own: Project) -> Project:
    """Return a project that is locked and built, all of whose packages have a newer version since."""
    publish(own.machine, "1.0", "1", "1.8.12")
    own.write("requirements.in", *NAMES)
    own.write("base_debs.txt", "editor")
    own.write("r_packages.txt", "zoo")
    own.lock()
    build(own.settings, (), locked=True, say=own.said.append, warn=lambda _: None)
    publish(own.machine, "2.0", "2", "1.8.14")
    own.machine.bakes.clear()
    return own


def publish(machine: Machine, of_python: str, of_debian: str, of_r: str) -> None:
    """Put all packages into the archives in these versions."""
    with machine.at_once():
        for name in NAMES:
            machine.add_wheel(name, of_python)
        machine.add_deb("editor", of_debian)
        machine.add_r_deb("zoo", of_r)


def run(lab: Project, *kinds: str, dry_run: bool = False, packages: str = "") -> Upgrade:
    """Upgrade, and return what came of it."""
    lab.said.clear()
    wish = Wish(frozenset(kinds or KINDS), upgrade=not packages, upgrade_packages=frozenset(packages.split()))
    return upgrade(lab.settings, wish, dry_run=dry_run, say=lab.said.append)


def state(lab: Project) -> dict[str, object]:
    """Return all that an upgrade replaces: files, and the images by tag."""
    settings = lab.settings
    images = {settings.tag(name): lab.machine.get(settings.tag(name)).id for name in settings.graph.images}
    return {**files_of(lab), **images}


def files_of(lab: Project) -> dict[str, str]:
    """Return the files that an upgrade replaces."""
    return {name: lab.read(name) for name in LOCKS if (lab.folder / name).exists()}


@dataclass(frozen=True)
class Present:
    """What a project has at some time: a copy of its work folder, what an upgrade replaces of its files, its images."""

    work: Path | None
    files: Mapping[str, str]
    images: Mapping[str, Mapping[str, str]]

    def restore(self, lab: Project) -> None:
        """Have the project as it was; with an empty work folder, where none was copied."""
        shutil.rmtree(lab.folder / ".pyrlab")
        if self.work:
            shutil.copytree(self.work, lab.folder / ".pyrlab", symlinks=True)
        for name in LOCKS:
            (lab.folder / name).unlink(missing_ok=True)
        for name, text in self.files.items():
            (lab.folder / name).write_text(text, encoding="utf-8")
        lab.machine.images.clear()
        lab.machine.images.update(self.images)


def present(lab: Project, work: Path | None = None) -> Present:
    """Return what the project has now."""
    return Present(work, files_of(lab), dict(lab.machine.images))


LOCKS = ("debs.lock", "requirements.lock", "r_packages.lock", "held.toml")


def held(done: Upgrade) -> dict[str, str]:
    """Return what is held back, and below which version."""
    return {one.name: one.below for one in done.held}


def test_what_is_green_replaces_locks_and_images_together(lab: Project, world: World) -> None:
    done = run(lab)
    assert done.promoted
    assert held(done) == {}
    versions = versions_of(lab.settings)
    assert {versions[name] for name in NAMES} == {"2.0"}
    assert (versions["editor"], versions["zoo"]) == ("2", "1.8.14")
    plan = Plan(lab.settings, read_locks(lab.settings))
    assert all(plan.is_current(name) for name in lab.settings.graph.images)
    assert not [tag for tag in lab.machine.images if tag.endswith("-candidate")]
    assert world.trials == 0
    assert done.report
    starts = {one.name: (one.old_start, one.new_start) for one in done.report.images if one.new_start}
    assert starts == dict.fromkeys(lab.settings.graph.labs, (2.0, 3.0))


def test_an_upgraded_project_has_nothing_to_build_or_to_upgrade(lab: Project, world: World) -> None:
    run(lab)
    lab.machine.bakes.clear()
    build(lab.settings, (), locked=True, say=lab.said.append, warn=lambda _: None)
    assert lab.machine.bakes == []
    world.runs.clear()
    done = run(lab)
    assert not done.promoted
    assert not any(done.changes.values())
    assert world.runs == []


@pytest.mark.parametrize(
    ("name", "version", "test"),
    [("gamma", "2.0", PLOT), ("editor", "2", PLOT), ("zoo", "1.8.14", MODEL)],
    ids=["python", "debian", "r"],
)
def test_the_culprit_is_held_back_and_all_others_are_taken(
    lab: Project, world: World, name: str, version: str, test: str
) -> None:
    world.tests[test] = newer(**{name: version})
    done = run(lab)
    assert held(done).keys() >= {name}
    assert held(done).keys() <= {name, f"r-cran-{name}"}
    assert held(done)[name] == version
    versions = versions_of(lab.settings)
    assert versions[name] != version
    others = {one: versions[one] for one in (*NAMES, "editor", "zoo") if one != name}
    assert set(others.values()) <= {"2.0", "2", "1.8.14"}
    assert done.promoted
    plan = Plan(lab.settings, read_locks(lab.settings))
    assert all(plan.is_current(name) for name in lab.settings.graph.images)


def test_a_culprit_that_the_traceback_names_takes_two_trials(lab: Project, world: World) -> None:
    world.tests[PLOT] = newer(delta="2.0")
    assert run(lab).trials <= 2


def test_two_that_fail_only_together_cost_one_of_them(lab: Project, world: World) -> None:
    world.tests[PLOT] = newer(alpha="2.0", epsilon="2.0")
    done = run(lab)
    assert len(done.held) == 1
    assert held(done).keys() <= {"alpha", "epsilon"}


def test_three_that_have_nothing_to_do_with_each_other(lab: Project, world: World) -> None:
    world.tests |= {PLOT: newer(alpha="2.0"), MODEL: newer(zoo="1.8.14"), TABLE: newer(beta="2.0")}
    done = run(lab)
    assert {one.name: (one.test, one.why) for one in done.held} == {
        "alpha": (PLOT, "ValueError: no alpha"),
        "beta": (TABLE, "ValueError: no beta"),
        "zoo": (MODEL, "ValueError: no zoo"),
        "r-cran-zoo": (MODEL, "ValueError: no zoo"),
    }


def test_what_needs_the_culprit_in_its_new_version_is_held_back_with_it(lab: Project, world: World) -> None:
    lab.machine.add_wheel("alpha", "3.0", "gamma>=2.0")
    world.tests[PLOT] = newer(gamma="2.0")
    done = run(lab)
    assert held(done) == {"alpha": "3.0", "gamma": "2.0"}
    assert versions_of(lab.settings)["alpha"] == "1.0"


def test_what_the_lock_says_of_the_culprit_is_why_and_since_when(lab: Project, world: World) -> None:
    world.tests[PLOT] = newer(gamma="2.0")
    run(lab)
    text = lab.read("held.toml")
    assert 'name = "gamma"' in text
    assert 'why = "ValueError: no gamma"' in text
    assert f'test = "{PLOT}"' in text
    assert re.search(r"^since = \d{4}-\d\d-\d\d$", text, re.MULTILINE)


def test_what_is_held_stays_at_lock_upgrade_and_is_tried_again_by_the_next_upgrade(lab: Project, world: World) -> None:
    world.tests[PLOT] = newer(gamma="2.0")
    run(lab)
    lab.machine.add_wheel("gamma", "2.1")
    wish = Wish(upgrade=True, held=read_holds(lab.settings).below)
    locking.lock(lab.settings, wish, say=lab.said.append)
    assert versions_of(lab.settings)["gamma"] == "1.0"
    done = run(lab)
    assert held(done) == {}
    assert [one.name for one in done.released] == ["gamma"]
    assert versions_of(lab.settings)["gamma"] == "2.1"
    assert not (lab.folder / "held.toml").exists()


def test_a_flaky_test_blames_nobody(lab: Project, world: World) -> None:
    seen: list[str] = []

    def flaky(versions: Versions) -> str:
        seen.append(versions["alpha"])
        return "TimeoutError" if len(seen) == 1 else ""

    world.tests[PLOT] = flaky
    done = run(lab)
    assert held(done) == {}
    assert list(done.judged.flaky) == [PLOT]
    assert done.promoted


def test_a_trial_that_is_red_once_blames_nobody_else(lab: Project, world: World) -> None:
    seen: list[str] = []

    def flaky(versions: Versions) -> str:
        if versions["gamma"] == "2.0":
            return "ValueError: no gamma"
        seen.append(versions["alpha"])
        return "TimeoutError" if seen.count("2.0") == 1 else ""

    world.tests[PLOT] = flaky
    assert held(run(lab)) == {"gamma": "2.0"}


def test_what_was_red_before_is_no_regression(lab: Project, world: World) -> None:
    world.tests[PLOT] = lambda _: "AssertionError: always"
    done = run(lab)
    assert held(done) == {}
    assert list(done.judged.known) == [PLOT]
    assert done.promoted


def with_notebook(lab: Project, world: World, prints: Callable[[Versions], str], *, numbers: str) -> None:
    """Have a notebook that prints so, and what ``proof.numbers`` says of its numbers."""
    lab.toml += f'[proof]\nnotebooks = ["book.ipynb"]\nnumbers = "{numbers}"\n'
    world.tests[BOOK] = lambda _: ""
    world.prints[BOOK] = prints


def test_a_number_that_changes_is_told_or_held_back(lab: Project, world: World) -> None:
    with_notebook(lab, world, lambda versions: f"mean {42 if versions['gamma'] == '1.0' else 41}", numbers="may change")
    before = present(lab)
    done = run(lab)
    assert done.report
    assert [(one.was, one.now) for notebook in done.report.notebooks for one in notebook.differences] == [("42", "41")]
    assert held(done) == {}
    before.restore(lab)
    lab.toml = lab.toml.replace("may change", "must not change")
    assert held(run(lab)) == {"gamma": "2.0"}


def test_the_code_of_a_notebook_is_what_its_test_is_suspected_by(lab: Project, world: World) -> None:
    """As it was in the old images; of another test there is none."""
    with_notebook(lab, world, lambda _: "done", numbers="may change")
    comparison = Comparison(Candidate(lab.settings, lab.said.append))
    assert comparison.source(BOOK) == "print(x)\ny = 1\ny"
    assert comparison.source(NUMBERS + BOOK) == "print(x)\ny = 1\ny"
    assert comparison.source(PLOT) == ""


def test_why_a_bump_is_held_is_what_was_red_with_the_fewest_others_held(lab: Project) -> None:
    """Of its own tests, in trials that took it; the first of equal ones."""
    comparison = Comparison(Candidate(lab.settings, lab.said.append))
    trials = Trials(comparison, lab.locks, lab.locks, ())
    mine, other = (Outcome(PLOT, FAILED, text=text) for text in ("mine", "other"))
    table = Outcome(TABLE, FAILED)
    held = {"alpha", "beta", "gamma"}
    trials.red.append((frozenset({"alpha"}), table))
    trials.red.append((frozenset({"beta"}), other))
    assert trials.reason("alpha", [PLOT], held) is None
    trials.red.append((frozenset({"alpha", "beta", "zeta"}), other))
    assert trials.reason("alpha", [PLOT], held) is other
    trials.red.append((frozenset({"alpha", "zeta", "eta"}), mine))
    trials.red.append((frozenset({"alpha"}), other))
    assert trials.reason("alpha", [PLOT], held) is mine
    assert trials.reason("alpha", [TABLE, MODEL], held) is table


def test_a_number_that_differs_each_time_blames_nobody_and_is_not_told(lab: Project, world: World) -> None:
    drawn = iter(range(10**6))
    with_notebook(lab, world, lambda _: f"random {next(drawn)}", numbers="must not change")
    done = run(lab)
    assert held(done) == {}
    assert done.report
    assert [notebook.differences for notebook in done.report.notebooks] == [()]


def test_what_was_red_once_before_and_then_green_is_a_regression(lab: Project, world: World) -> None:
    """A hiccup of the old image must not let a real one through."""
    seen: list[str] = []

    def fails(versions: Versions) -> str:
        if versions["gamma"] == "2.0":
            return "site-packages/gamma/x.py"
        seen.append("old")
        return "TimeoutError" if len(seen) == 1 else ""

    world.tests[PLOT] = fails
    assert held(run(lab)) == {"gamma": "2.0"}


def test_where_all_of_it_is_red_all_is_held_and_nothing_else_changes(lab: Project, world: World) -> None:
    before = state(lab)
    old = versions_of(lab.settings)
    world.tests[PLOT] = lambda versions: "" if versions == old else "Error: all of it"
    done = run(lab)
    assert not done.promoted
    assert held(done).keys() >= {*NAMES, "editor", "zoo"}
    assert done.report
    assert done.report.images == (), "the candidate's are those of the last trial"
    assert {**state(lab), "held.toml": ""} == {**before, "held.toml": ""}
    assert history(lab.settings) == []


def test_where_no_trial_is_left_nothing_changes(lab: Project, world: World) -> None:
    before = state(lab)
    lab.toml += "[upgrade]\nmax_trials = 0\n"
    world.tests[PLOT] = newer(gamma="2.0")
    with pytest.raises(LabError, match="nothing is changed"):
        run(lab)
    assert state(lab) == before


def test_a_dry_run_shows_and_touches_nothing(lab: Project, world: World) -> None:
    before = state(lab)
    done = run(lab, dry_run=True)
    assert {change.name for change in done.changes["requirements.lock"]} >= set(NAMES)
    assert state(lab) == before
    assert world.runs == []


def test_what_is_too_young_is_not_asked_for(lab: Project, world: World) -> None:
    del world
    wish = Wish(upgrade=True, min_age=timedelta(days=3))
    upgrade(lab.settings, wish, dry_run=True, say=lab.said.append)
    *_, asked = [question.request for question in lab.machine.questions if question.kind == "python"]
    age = datetime.now(UTC) - datetime.strptime(asked["prior"], "%Y-%m-%dT%H:%M:%S%z")
    assert timedelta(days=3) <= age < timedelta(days=3, minutes=5)


def test_what_a_killed_run_found_out_holds_for_the_same_tests_only(lab: Project, world: World) -> None:
    own = lab.folder / "tests/smoke/test_own.py"
    own.parent.mkdir(parents=True)
    own.write_text("first", encoding="utf-8")
    old = present(lab)
    seen: list[str] = []

    def fails(versions: Versions) -> str:
        seen.append(versions["gamma"])
        if len(seen) == 6:
            raise KilledError
        # It names nothing, so that more than one trial is needed.
        return "Error" if versions["gamma"] == "2.0" else ""

    world.tests[PLOT] = fails
    with pytest.raises(KilledError):
        run(lab)
    verdicts = lab.folder / ".pyrlab/variants/candidate/verdicts"
    found = verdicts.read_text(encoding="utf-8")

    def trials() -> int:
        world.runs.clear()
        verdicts.parent.mkdir(parents=True, exist_ok=True)
        verdicts.write_text(found, encoding="utf-8")
        assert held(run(lab)) == {"gamma": "2.0"}
        return world.trials

    same = trials()
    old.restore(lab)
    own.write_text("second", encoding="utf-8")
    assert trials() > same


def test_the_newest_locks_of_a_killed_run_count_for_the_same_start_alone(
    lab: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, everything = lab.locks, Wish(upgrade=True)
    asked: list[str] = []
    monkeypatch.setattr(locking, "lock", lambda settings, _, *, say: asked.append(say or settings.variant))

    def asks(settings: Settings, *, current: Locks = locks, wish: Wish = everything) -> bool:
        asked.clear()
        Candidate(settings, lab.said.append).relock(current, wish)
        return bool(asked)

    own = lab.settings
    assert asks(own)
    assert not asks(own)
    [source] = parse_sources(["deb http://m.example/debian trixie main"])
    [repository, *_] = own.r_repositories
    for other in (
        replace(own, python_index="https://m.example/simple/"),
        replace(own, apt_sources=(str(source),)),
        replace(own, r_apt_sources=(str(source),)),
        replace(own, r_repositories=(replace(repository, url="https://m.example/cran"),)),
    ):
        assert asks(other)
        assert not asks(other)
        assert asks(own)
    assert asks(own, wish=Wish(frozenset({"python"}), upgrade=True))
    assert asks(own, wish=replace(everything, min_age=timedelta(days=3)))
    assert asks(own)
    moved = replace(locks, debs=replace(locks.debs, sections={ROOT: locks.debs.sections[ROOT]}))
    assert asks(own, current=moved)
    assert asks(own)
    hours = time.time() + 6 * 3600
    monkeypatch.setattr(time, "time", lambda: hours)
    assert asks(own)


def test_other_files_of_the_same_version_can_be_the_culprit(lab: Project, world: World) -> None:
    run(lab)
    old = {pin.name: pin.files for lock in read_locks(lab.settings).python.values() for pin in lock.pins}
    lab.machine.change_wheel("gamma", "2.0")
    lab.machine.add_wheel("alpha", "3.0")

    def fails(settings: Settings) -> bool:
        pins = {pin.name: pin.files for lock in read_locks(settings).python.values() for pin in lock.pins}
        return pins["gamma"] != old["gamma"]

    world.by_files[PLOT] = fails
    shown = run(lab, dry_run=True).changes["requirements.lock"]
    assert {(change.name, change.kind) for change in shown} == {("alpha", "up"), ("gamma", "other files")}
    done = run(lab)
    now = {pin.name: pin for lock in read_locks(lab.settings).python.values() for pin in lock.pins}
    assert now["alpha"].version == "3.0"
    assert now["gamma"].files == old["gamma"]
    assert held(done) == {}


def test_other_files_of_the_same_version_are_taken_where_another_is_the_culprit(lab: Project, world: World) -> None:
    run(lab)
    lab.machine.change_wheel("gamma", "2.0")
    lab.machine.add_wheel("alpha", "3.0")
    world.tests[PLOT] = newer(alpha="3.0")
    assert held(run(lab)) == {"alpha": "3.0"}
    files = {pin.name: pin.files for lock in read_locks(lab.settings).python.values() for pin in lock.pins}
    assert [file.filename for file in files["gamma"]] == ["gamma-2.0-1-py3-none-any.whl"]


def test_a_full_disk_says_nothing_about_the_pins(lab: Project, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(lab)
    world.tests[PLOT] = newer(gamma="2.0")
    proved = proof.prove

    def prove(settings: Settings, tests: Collection[str], outputs: Path, **options: int) -> Proof:
        lab.machine.fail = "#9 ERROR: failed\n#9 0.1 No space left on device"
        return proved(settings, tests, outputs, **options)

    monkeypatch.setattr(proof, "prove", prove)
    with pytest.raises(NoRoomError):
        run(lab)
    assert state(lab) == before


def test_a_lab_that_still_runs_on_the_oldest_generation_keeps_its_image(
    lab: Project, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world
    lab.toml += "[upgrade]\nkeep = 1\n"
    run(lab)
    lab.machine.add_wheel("alpha", "3.0")

    def in_use(*_: object, **__: object) -> None:
        answer = requests.Response()
        answer.status_code = 409
        raise APIError("in use", answer)

    monkeypatch.setattr(Machine, "remove", in_use)
    assert run(lab).promoted
    assert [one.number for one in history(lab.settings)] == [2]


def test_what_is_changed_meanwhile_is_not_overwritten(lab: Project, world: World) -> None:
    def fails(versions: Versions) -> str:
        del versions
        (lab.folder / "held.toml").write_text("# mine\n", encoding="utf-8")
        return ""

    world.tests[PLOT] = fails
    before = state(lab)
    with pytest.raises(UsageError, match=r"held\.toml was changed"):
        run(lab)
    assert {**state(lab), "held.toml": ""} == {**before, "held.toml": ""}
    assert lab.read("held.toml") == "# mine\n"


def test_a_killed_change_is_not_made_over_newer_work(lab: Project, world: World) -> None:
    del world
    kept = generations.keep(lab.settings, summary="before")
    (lab.folder / "requirements.lock").write_text("newer\n", encoding="utf-8")
    change = generations.restoring(lab.settings, kept)
    note = lab.folder / ".pyrlab/change.json"
    note.write_text(json.dumps(asdict(change)), encoding="utf-8")
    (lab.folder / "requirements.lock").write_text("newest\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"requirements\.lock was changed"):
        generations.finish(lab.settings)
    assert lab.read("requirements.lock") == "newest\n"


def test_what_is_held_of_a_package_that_is_gone_or_moved_by_hand_is_dropped(lab: Project, world: World) -> None:
    del world
    entry = '[[held]]\necosystem = "Python"\nname = "{}"\nbelow = "{}"\n'
    lab.write("held.toml", entry.format("gone", "2"), entry.format("alpha", "0.5"), entry.format("beta", "9"))
    done = run(lab, packages="gamma")
    assert held(done) == {"beta": "9"}


def test_just_one_package_or_one_kind(lab: Project, world: World) -> None:
    run(lab, packages="beta")
    versions = versions_of(lab.settings)
    assert [name for name in NAMES if versions[name] == "2.0"] == ["beta"]
    run(lab, "debs")
    versions = versions_of(lab.settings)
    assert versions["editor"] == "2"
    assert versions["alpha"] == "1.0"
    del world


def test_rollback_goes_back_as_often_as_generations_are_kept(lab: Project, world: World) -> None:
    del world
    states = [state(lab)]
    for number in range(3, 7):
        run(lab)
        states.append(state(lab))
        lab.machine.add_wheel("alpha", f"{number}.0")
    assert [one.number for one in history(lab.settings)] == [4, 3, 2]
    assert len({tuple(sorted(one.items())) for one in states}) == len(states)
    for earlier in reversed(states[1:4]):
        rollback(lab.settings, say=lab.said.append)
        assert state(lab) == earlier
    with pytest.raises(UsageError, match="no generation"):
        rollback(lab.settings, say=lab.said.append)


class KilledError(BaseException):
    """Takes the place of SIGKILL: nothing of ours handles it."""


@dataclass
class Watch:
    """Sees each step of a run that changes something, and keeps what SIGKILL would leave right before some of them.

    ``count`` is the last step, ``proved`` the last one that was a proof. ``left`` are by step a copy of the work
    folder, and all that an upgrade replaces.
    """

    lab: Project
    copies: Path
    kept: Collection[int] = ()
    count: int = 0
    proved: int = 0
    left: dict[int, Present] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def step(self, name: str) -> None:
        """Count a step. While something is copied, the threads that fetch wait, each before its own next step."""
        with self.turn:
            self.count += 1
            if name == "prove":
                self.proved = self.count
            if self.count in self.kept:
                copy = self.copies / str(self.count)
                shutil.copytree(self.lab.folder / ".pyrlab", copy, symlinks=True)
                self.left[self.count] = present(self.lab, copy)

    def begin(self, kept: Collection[int] = ()) -> None:
        """Count from the start, and keep what is there before these steps."""
        self.count, self.kept = 0, kept


@pytest.fixture
def watch(lab: Project, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Watch:
    """Return what sees each bake, each proof, each file that is replaced, and each tag."""
    watch = Watch(lab, tmp_path / "copies")

    def watched(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def call(*arguments: object, **options: object) -> object:
            watch.step(name)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    watched(tags, "give")
    watched(tags, "take")
    watched(Path, "replace")
    watched(Path, "rename")
    watched(Path, "unlink")
    watched(Machine, "_bake")
    watched(proof, "prove")
    del world
    return watch


def test_killed_anywhere_all_is_old_or_all_is_new_and_the_next_run_comes_to_the_same_end(
    lab: Project, world: World, watch: Watch
) -> None:
    """Before every step of replacing, and some of those before it: what is there then is what the next run finds."""
    world.tests[PLOT] = newer(gamma="2.0")
    old, before = state(lab), present(lab)
    run(lab)
    new = state(lab)
    assert new != old
    # Once more, as the first run also fetched; and again, now that the steps are known.
    before.restore(lab)
    watch.begin()
    run(lab)
    last, proved = watch.count, watch.proved
    kept = [*range(1, proved, 50), *range(proved, last + 1)]
    before.restore(lab)
    watch.begin(kept)
    run(lab)
    watch.begin()
    assert list(watch.left) == kept
    for at, left in watch.left.items():
        left.restore(lab)
        generations.finish(lab.settings)
        assert state(lab) in (old, new), f"killed at step {at} of {last}"
        run(lab)
        assert state(lab) == new, f"killed at step {at} of {last}"


def test_a_trial_is_put_over_what_lacks_the_least(lab: Project, world: World) -> None:
    """Of the newest versions' images and the project's own: no trial installs more than half, and no tag stays."""
    world.tests[PLOT] = newer(gamma="2.0")
    assert held(run(lab, "python")) == {"gamma": "2.0"}
    assert not [tag for tag in lab.machine.images if tag.endswith(("-candidate", "-newest"))]
    sizes = [int(found[1]) for line in lab.said if (found := re.search(r"putting (\d+) packages? over pylab", line))]
    assert sizes
    assert max(sizes) <= len(NAMES) // 2, lab.said


@pytest.mark.parametrize("gone", [["pylab"], ["pylab", "pylab-newest"]])
def test_no_trial_is_put_over_an_image_that_is_gone(
    lab: Project, world: World, monkeypatch: pytest.MonkeyPatch, gone: list[str]
) -> None:
    """A tag that the engine does not have BuildKit would ask a public registry for."""
    world.tests[PLOT] = newer(gamma="2.0")
    keep = Candidate.keep_newest

    def keep_and_lose(candidate: Candidate, locks: Locks) -> BuiltImages:
        kept = keep(candidate, locks)
        for name in gone:
            image, _, variant = name.partition("-")
            del lab.machine.images[lab.settings.of_variant(variant).tag(image)]
        return kept

    monkeypatch.setattr(Candidate, "keep_newest", keep_and_lose)
    assert held(run(lab)) == {"gamma": "2.0"}
    over = [line for line in lab.said if " over pylab" in line]
    assert bool(over) == (len(gone) == 1)


def test_what_is_green_in_trials_and_cannot_be_built_is_searched_for_in_builds(
    lab: Project, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where R packages do not load with another deb below: no trial of a deb looks at them."""
    world.tests[PLOT] = newer(gamma="2.0")
    bake = Machine._bake  # noqa: SLF001 - it is the machine's own

    def fails(machine: Machine, work: Path) -> None:
        settings = lab.settings.of_variant("candidate")
        if work == settings.workspace.work and '"target": "pylab"' in (work / "bake.json").read_text(encoding="utf-8"):
            found = versions_in(read_locks(settings))
            if (found["gamma"], found["editor"]) == ("1.0", "2"):
                raise process.CommandError(["docker"], "ended with status 1", "#9 ERROR: failed", 1)
        bake(machine, work)

    monkeypatch.setattr(Machine, "_bake", fails)
    assert held(run(lab)) == {"gamma": "2.0", "editor": "2"}
