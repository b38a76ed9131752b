"""Trials of an upgrade: which tests are red because of it, and which bumps they are red by."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyrlab.adapters.files import read_json
from pyrlab.adapters.python.metadata import modules
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.proof import MUST_NOT
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade import compose
from pyrlab.model.upgrade.bounds import Files, bounds_of, sources_of
from pyrlab.model.upgrade.bumps import Bump, Member, Package, bumps_of, moves
from pyrlab.model.upgrade.notebooks import Difference, compare
from pyrlab.model.upgrade.search import Search
from pyrlab.model.upgrade.suspects import suspects
from pyrlab.model.upgrade.verdicts import INSTALLS, Trial, Verdict
from pyrlab.steps import pinned_files, proof
from pyrlab.steps.candidate import Candidate, content
from pyrlab.steps.images import Plan
from pyrlab.steps.proof import FAILED, Outcome, Proof

Say = Callable[[str], None]
# Before a test's name: it is red when a number in the notebook's output is another than in the old image.
NUMBERS = "numbers of "
# Where something differs in a notebook: cell, kind, and what stands before it.
Place = tuple[int, str, str]


@dataclass
class Judged:
    """What the proof of a candidate comes to. ``regressions`` are red by the upgrade.

    ``flaky`` passed when they ran again, ``known`` are red in the old images as well: both are told, and block nothing.
    """

    regressions: dict[str, Outcome] = field(default_factory=dict)
    flaky: dict[str, Outcome] = field(default_factory=dict)
    known: dict[str, Outcome] = field(default_factory=dict)

    def add(self, other: "Judged") -> None:
        """Take up what another proof showed."""
        self.regressions |= other.regressions
        self.flaky |= other.flaky
        self.known |= other.known


@dataclass(frozen=True)
class Trials:
    """An upgrade from ``current`` to ``newest``, in trials that build what is needed and run what is red."""

    candidate: Candidate
    current: Locks
    newest: Locks
    asked: Collection[Package]
    # What was red in trials: which bumps were taken, and how it ended.
    red: list[tuple[frozenset[str], Outcome]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The project's own settings."""
        return self.candidate.settings

    @property
    def images(self) -> list[str]:
        """The names of all images."""
        return list(self.settings.graph.images)

    @cached_property
    def members(self) -> list[Member]:
        """What moves."""
        return compose.members(self.current, self.newest)

    @cached_property
    def bumps(self) -> tuple[Bump, ...]:
        """What moves, grouped by what can move alone."""
        old, new = (self._files(locks) for locks in (self.current, self.newest))
        sources = sources_of(self.current, old) | sources_of(self.newest, new)
        return bumps_of(
            self.members,
            bounds_of(self.current, old),
            bounds_of(self.newest, new),
            asked=self.asked,
            sources=sources,
        )

    def _files(self, locks: Locks) -> Files:
        """Return what the files of the packages that move say, as far as this machine has them."""
        moving = {member.package for member in self.members}
        debs = [pin for pin in locks.all_debs if Package(compose.DEBS, pin.name) in moving]
        pins = [pin for lock in locks.python.values() for pin in lock.pins]
        wheels = [pin for pin in pins if Package(compose.PYTHON, pin.name) in moving]
        return Files(
            controls={pin.sha256: pinned_files.control(self.settings, pin) for pin in debs},
            requirements={pin.name: pinned_files.requirements_of(self.settings, pin, locks.debs) for pin in wheels},
        )

    def locks(self, take: Collection[str]) -> Locks:
        """Return the locks with these bumps taken, and all others held."""
        if len(set(take)) == len(self.bumps):
            return self.newest
        return compose.compose(self.current, self.newest, self.held_packages(take))

    def held_packages(self, take: Collection[str]) -> set[Package]:
        """Return the packages that stay as they are, where these bumps are taken."""
        return {member.package for member, moved in moves(self.bumps, take).items() if not moved}

    @cached_property
    def _conditions(self) -> str:
        """All but the locks that a verdict depends on, as a hash: tests, notebooks, how they run, the recipe."""
        settings = self.settings
        files = sorted(path for path in (settings.project / proof.TESTS).rglob("*.py"))
        files += sorted(path for glob in settings.proof.notebooks for path in settings.project.glob(glob))
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
        keys = [Plan(settings, self.newest).materials.recipe_digests, content(settings, self.current)]
        return hashlib.sha256(repr([digests, settings.proof, settings.smoke_exempt, keys]).encode()).hexdigest()

    # ---- what is red, and why

    def prove(self, tests: Collection[str], outputs: str) -> tuple[Proof, Judged]:
        """Run tests, or all, on the candidate's images as they are, and judge what is red."""
        shown = self.candidate.prove(tests, outputs)
        return shown, self._judge(shown)

    def _judge(self, shown: Proof) -> Judged:
        red = shown.red
        again = self.candidate.prove(red, "again").outcomes if red else {}
        flaky = {test: outcome for test, outcome in red.items() if test in again and not again[test].failed}
        still = {test: outcome for test, outcome in red.items() if test not in flaky}
        before = self._before(still)
        known = {test: outcome for test, outcome in still.items() if test in before}
        regressions = {test: outcome for test, outcome in still.items() if test not in known}
        numbers = {
            test: one for test, one in self._changed_numbers(shown).items() if test.removeprefix(NUMBERS) not in red
        }
        return Judged(regressions | numbers, flaky, known)

    def _before(self, tests: Iterable[str]) -> set[str]:
        """Return which of these tests are red in the old images, too: twice, as it may be by chance."""
        red = set(tests)
        for folder in ("before", "before-again"):
            red = set(proof.prove(self.settings, red, self.candidate.folder / folder).red) if red else red
        return red

    @cached_property
    def baseline(self) -> Proof:
        """What the user's own notebooks show in the old images."""
        return self._own_notebooks("old")

    @cached_property
    def _chance(self) -> dict[str, set[Place]]:
        """The places, by test, where the notebooks show something else each time they run: in the old images alone."""
        if not any(self.baseline.notebook(test) for test in self.baseline.outcomes):
            return {}
        again = self._own_notebooks("old-again")
        return {test: set(map(_place, found)) for test, found in self._compared(self.baseline, again).items()}

    def _own_notebooks(self, outputs: str) -> Proof:
        folder = self.candidate.folder / outputs
        if not self.settings.proof.notebooks:
            return Proof({}, folder)
        return proof.prove(self.settings, [f"{proof.TESTS}/test_lab_proof.py"], folder)

    def starts(self, shown: Proof) -> dict[str, tuple[float | None, float | None]]:
        """Return how long the labs took to answer, before and after, in seconds; None where that was not seen."""
        before, after = self.baseline.starts, shown.starts
        return {lab: (before.get(lab), after.get(lab)) for lab in before.keys() | after.keys()}

    def differences(self, shown: Proof) -> dict[str, tuple[Difference, ...]]:
        """Return, by test, what the user's notebooks show in another way than in the old images, but not by chance."""
        found = self._compared(self.baseline, shown)
        if not any(found.values()):
            return found
        return {
            test: tuple(one for one in differences if _place(one) not in self._chance.get(test, set()))
            for test, differences in found.items()
        }

    def _compared(self, before: Proof, after: Proof) -> dict[str, tuple[Difference, ...]]:
        found = {}
        for test in after.outcomes:
            old, new = before.notebook(test), after.notebook(test)
            if old and new:
                found[test] = compare(read_json(old), read_json(new), tolerance=self.settings.proof.tolerance)
        return found

    def _changed_numbers(self, shown: Proof) -> dict[str, Outcome]:
        """Return an outcome for each notebook with another number than before, where the settings forbid that."""
        if self.settings.proof.numbers != MUST_NOT:
            return {}
        found = {}
        for test, differences in self.differences(shown).items():
            numbers = [one for one in differences if one.change is not None]
            if numbers:
                lines = [f"cell {one.cell}: {one.where} {one.was} -> {one.now}" for one in numbers]
                found[NUMBERS + test] = Outcome(NUMBERS + test, FAILED, text="\n".join(lines))
        return found

    def suspects(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the bumps that a failure points at, the most suspect first."""
        return suspects(outcome.text, self._source(outcome.test), self.bumps, self._modules)

    def _source(self, test: str) -> str:
        """Return the code of a notebook's cells, where the test is one of a notebook."""
        path = self.baseline.notebook(test.removeprefix(NUMBERS))
        cells = read_json(path).get("cells", []) if path else []
        return "\n".join("".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "code")

    @cached_property
    def _modules(self) -> Mapping[str, str]:
        """The distributions of Python's modules, of what moves."""
        moving = {member.package.name for member in self.members if member.package.ecosystem == compose.PYTHON}
        found: dict[str, str] = {}
        for pin in (pin for lock in self.newest.python.values() for pin in lock.pins if pin.name in moving):
            wheel = pinned_files.wheel(self.settings, pin, self.newest.debs)
            for module in modules(wheel) if wheel else ():
                found.setdefault(module, pin.name)
        return found

    # ---- the search

    def search(self, red: Mapping[str, Outcome]) -> Search:
        """Return a search for what makes these tests red."""
        wanted = {test: self.suspects(outcome) for test, outcome in red.items()}
        return Search(self.bumps, wanted, max_trials=self.settings.upgrade.max_trials)

    def run(self, search: Search, *, until: float) -> None:
        """Run trials until the search knows, or the time ``until`` has come."""
        while search.trial and time.monotonic() < until:
            take = len(search.trial.take)
            self.candidate.say(
                f"trial {search.outcome.trials} (at most {self.settings.upgrade.max_trials}): "
                f"{take} of {len(self.bumps)} taken, {_words(search.trial.tests)}"
            )
            verdict = self.try_(search.trial)
            self.candidate.say("  red" if verdict.failed else "  green")
            search.tell(verdict)

    def try_(self, trial: Trial) -> Verdict:
        """Return what a trial shows, from memory where these very locks were tried."""
        locks = self.locks(trial.take)
        key, verdicts = f"{content(self.settings, locks)} {self._conditions}", self.candidate.verdicts
        missing = [test for test in sorted(trial.tests) if verdicts.get(key, test) is None]
        installs = verdicts.get(key, INSTALLS)
        if installs is None or (missing and not installs.failed):
            reason = self.candidate.build(locks, self._images_of(trial.tests))
            installs = Outcome(INSTALLS, FAILED if reason else proof.PASSED, text=reason)
            verdicts.note(key, installs)
            for outcome in self._run(missing) if missing and not reason else ():
                verdicts.note(key, outcome)
        known = [installs] if installs.failed else [verdicts.get(key, test) for test in sorted(trial.tests)]
        red = [one for one in known if one and one.failed]
        self.red.extend((trial.take, one) for one in red)
        return Verdict({one.test: self.suspects(one) for one in red})

    def reason(self, bump: str, tests: Collection[str], held: Collection[str]) -> Outcome | None:
        """Return how a test ended by this bump: of the red trials with it, the one with the fewest others held."""
        own = [
            (len(take & set(held)), number)
            for number, (take, one) in enumerate(self.red)
            if bump in take and one.test in tests
        ]
        return self.red[min(own)[1]][1] if own else None

    def _run(self, tests: Sequence[str]) -> list[Outcome]:
        """Run tests on the candidate as it is; what fails runs twice, as it may be flaky."""
        plain = sorted({test.removeprefix(NUMBERS) for test in tests})
        shown = self.candidate.prove(plain, "trial")
        red = [test for test in tests if test in shown.red]
        again = self.candidate.prove(red, "again").outcomes if red else {}
        outcomes = {**shown.outcomes, **{test: outcome for test, outcome in again.items() if not outcome.failed}}
        numbers = self._changed_numbers(shown)
        # What does not apply, as a package that it needs is not there, cannot be red by what is.
        green = {test: Outcome(test, proof.PASSED) for test in tests}
        return [numbers.get(test) or outcomes.get(test) or green[test] for test in tests]

    def _images_of(self, tests: Collection[str]) -> list[str]:
        """Return the images that tests run in: the labs that their names begin with; all where none is told."""
        labs = [lab for lab in self.settings.graph.labs if any(f"[{lab}" in test for test in tests)]
        return labs or self.images


def _place(difference: Difference) -> Place:
    return difference.cell, difference.kind, difference.where


def _words(tests: Collection[str]) -> str:
    return f"{len(tests)} tests" if len(tests) != 1 else next(iter(tests))
