"""Trials of an upgrade: locks that take some of it, built and tried, until it is known which bumps break what."""

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyrlab.adapters.python.metadata import modules
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade import compose
from pyrlab.model.upgrade.bounds import Files, bounds_of, sources_of
from pyrlab.model.upgrade.bumps import Bump, Member, Package, bumps_of, moves
from pyrlab.model.upgrade.search import Search
from pyrlab.model.upgrade.suspects import suspects
from pyrlab.model.upgrade.verdicts import INSTALLS, Trial, Verdict
from pyrlab.steps import pinned_files, proof
from pyrlab.steps.candidate import Candidate, content
from pyrlab.steps.comparison import NUMBERS, Comparison
from pyrlab.steps.images import Plan
from pyrlab.steps.overlays import BuiltImages
from pyrlab.steps.proof import FAILED, Outcome

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trials:
    """An upgrade from ``current`` to ``newest``, in trials that build what is needed and run what is red."""

    comparison: Comparison
    current: Locks
    newest: Locks
    asked: Collection[Package]
    # What was red in trials: which bumps were taken, and how it ended.
    red: list[tuple[frozenset[str], Outcome]] = field(default_factory=list)
    # The images that trials are put over: the project's own, and the newest, once they are built. Without any, trials
    # build all images.
    there: list[BuiltImages] = field(default_factory=list)

    @property
    def candidate(self) -> Candidate:
        """Where trials are built and run."""
        return self.comparison.candidate

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
        debs = [pin for pin in locks.all_debs if pin.has_file and Package(compose.DEBS, pin.name) in moving]
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

    def suspects(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the bumps that a failure points at, the most suspect first."""
        return suspects(outcome.text, self.comparison.source(outcome.test), self.bumps, self._modules)

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
            began = time.monotonic()
            verdict = self.try_(search.trial)
            self.candidate.say(f"  {'red' if verdict.failed else 'green'}: {time.monotonic() - began:.1f} s")
            search.tell(verdict)

    def try_(self, trial: Trial) -> Verdict:
        """Return what a trial shows, from memory where these very locks were tried."""
        locks = self.locks(trial.take)
        key, verdicts = self._key(locks), self.candidate.verdicts
        tests = sorted(trial.tests)
        missing = [test for test in tests if verdicts.get(key, test) is None]
        installs = verdicts.get(key, INSTALLS)
        if not _is_red(installs) and (missing or (installs is None and self._builds(trial))):
            installs = self._see(locks, trial, missing)
        known = [installs] if _is_red(installs) else [verdicts.get(key, test) for test in tests]
        red = [one for one in known if one and one.failed]
        self.red.extend((trial.take, one) for one in red)
        return Verdict({one.test: self.suspects(one) for one in red})

    def _see(self, locks: Locks, trial: Trial, tests: Sequence[str]) -> Outcome | None:
        """Make the images of a trial, run ``tests`` in them, and remember it all; return what ``_make`` does."""
        key, verdicts = self._key(locks), self.candidate.verdicts
        installs = self._make(locks, trial)
        if installs:
            verdicts.note(key, installs)
        for outcome in self._run(tests) if tests and not _is_red(installs) else ():
            verdicts.note(key, outcome)
        return installs

    def _make(self, locks: Locks, trial: Trial) -> Outcome | None:
        """Make the images of a trial; return whether all images can be built of its locks, where it shows that."""
        images = self.images if self._builds(trial) else self._images_of(trial.tests)
        if not self._builds(trial) and self._put_over(locks, images):
            return None
        reason = self.candidate.build(locks, images)
        if not reason and set(images) != set(self.images):
            return None
        return Outcome(INSTALLS, FAILED if reason else proof.PASSED, text=reason)

    def _put_over(self, locks: Locks, images: Collection[str]) -> bool:
        return set(images) <= set(self.settings.graph.labs) and self.candidate.put_over(locks, images, self.there)

    def _builds(self, trial: Trial) -> bool:
        """Tell whether a trial is to show what can be built: it is, once some locks could not be."""
        return not trial.tests or not self.there

    def _key(self, locks: Locks) -> str:
        """Return what a verdict depends on, as a hash."""
        return f"{content(self.settings, locks)} {self._conditions}"

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
        shown = self.candidate.prove(plain, "trial", reruns=1)
        numbers = self.comparison.changed_numbers(shown)
        # What does not apply, as a package that it needs is not there, cannot be red by what is.
        green = {test: Outcome(test, proof.PASSED) for test in tests}
        return [numbers.get(test) or shown.outcomes.get(test) or green[test] for test in tests]

    def _images_of(self, tests: Collection[str]) -> list[str]:
        """Return the images that tests run in: the labs that their names begin with; all where none is told."""
        labs = [lab for lab in self.settings.graph.labs if any(f"[{lab}" in test for test in tests)]
        return labs or self.images


def _is_red(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.failed


def _words(tests: Collection[str]) -> str:
    return f"{len(tests)} tests" if len(tests) != 1 else next(iter(tests))
