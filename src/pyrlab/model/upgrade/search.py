"""The search for the smallest set of bumps to hold back, so that what an upgrade broke is green again.

It runs nothing itself: it says what to try next, and is told what that showed.

    search = Search(bumps, {"test_plot": ["pandas"]}, max_trials=40)
    while search.trial:
        search.tell(run(search.trial))
    search.outcome

What failures name is held first; often that is all. Otherwise the longest prefix of the bumps is searched with which
a test is green, and the bump behind it is held back with all that need it; and so on, until all tests are green. At
the end each bump that is held is tried once more, unless what was seen says that it is red.

Where more bumps do not always break more, the search takes longer, and may hold too much. It always ends, and what it
returns was seen green.
"""

import itertools
import operator
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from pyrlab.model.upgrade.bumps import Bump
from pyrlab.model.upgrade.choices import Choices
from pyrlab.model.upgrade.verdicts import INSTALLS, Finding, Known, Trial, Verdict

Steps = Generator[Trial, Verdict, None]
# A bump, and those that are taken with it in one step.
Step = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The most bumps that may be taken, as far as was seen; none where nothing helps.

    ``held`` are all others, each with the tests that are known to be red with it. ``trials`` counts what was
    remembered, too. ``complete`` is False while the search may find more to take. The full proof of the result is up
    to the caller: see ``Search.extend``.
    """

    take: frozenset[str]
    held: Mapping[str, frozenset[str]]
    trials: int
    complete: bool


class _OutOfTrialsError(Exception):
    """The next trial would be one too many."""


class Search:
    """A search among ``bumps``, of which each stands behind those that it needs.

    ``red`` are the tests that are red with all bumps and green with none, and of each the bumps that its failure
    names, the likeliest first. Where the bumps cannot even be installed together, that is the one test INSTALLS.

    ``findings`` has what trials showed, by choice and test: None where it was green, else what the failure names. It
    may be kept, and given to another search for the same bumps, which then asks nothing of it again.

    After ``max_trials``, remembered ones among them, ``trial`` is None, as it is when the search is at its end.
    """

    def __init__(
        self,
        bumps: Sequence[Bump],
        red: Mapping[str, Sequence[str]],
        *,
        max_trials: int,
        findings: Mapping[tuple[frozenset[str], str], Finding] | None = None,
    ) -> None:
        self.findings: dict[tuple[frozenset[str], str], Finding] = dict(findings or {})
        self.trial: Trial | None = None
        self._choices = Choices(bumps)
        self._max_trials = max_trials
        self._red: list[str] = []
        self._known = Known()
        self._green: list[int] = []
        self._trials = 0
        self._complete = False
        self._start(self._choices.everything, red)

    def tell(self, verdict: Verdict) -> None:
        """Go on with what ``trial`` showed."""
        if not self.trial:
            raise ValueError("there is no trial to tell of")
        self._go_on(verdict)

    def extend(self, red: Mapping[str, Sequence[str]]) -> None:
        """Go on, as the full proof of the outcome showed that these tests are red: with what each failure names.

        Where the outcome cannot be installed after all, no trial so far has shown that anything can.
        """
        take = self._best
        if INSTALLS in red and INSTALLS not in self._red:
            self.findings = {key: one for key, one in self.findings.items() if key[1] != INSTALLS or one is not None}
            self._known.forget_green(INSTALLS)
            self._green.clear()
        self._start(take, red)

    @property
    def outcome(self) -> Outcome:
        """The best answer so far."""
        take = self._best
        held: dict[str, frozenset[str]] = {}
        for name in self._choices.names(self._choices.everything & ~take):
            needed = self._choices.names(self._choices.missing(name, take))
            own = self._blame(take | self._choices.of([name]))
            held[name] = frozenset().union(*(held[other] for other in needed)) if needed else own
        return Outcome(self._names(take), held, self._trials, self._complete)

    def _start(self, take: int, red: Mapping[str, Sequence[str]]) -> None:
        for test, suspects in red.items():
            self._known.note(take, test, tuple(suspects))
            self._known.note(0, test, None)
        self._red += [test for test in red if test not in self._red]
        self._complete = False
        self._steps = self._search(take)
        self._go_on(None)

    def _go_on(self, verdict: Verdict | None) -> None:
        try:
            self.trial = self._steps.send(verdict) if verdict else next(self._steps)
        except StopIteration:
            self.trial, self._complete = None, True
        except _OutOfTrialsError:
            self.trial = None

    def _search(self, take: int) -> Steps:
        while (yield from self._is_broken(take)):
            order = yield from self._suspects_last(take)
            culprit = yield from self._culprit(order)
            take &= ~self._choices.held_with(culprit)
        yield from self._restore()

    def _is_broken(self, take: int) -> Generator[Trial, Verdict, bool]:
        """Tell whether any test is red with a choice. It is only tried where that is not known."""
        if not self._reasons(take):
            yield from self._try(take)
        return bool(self._reasons(take))

    def _suspects_last(self, take: int) -> Generator[Trial, Verdict, list[Step]]:
        """Return the bumps of a red choice in the order in which to search.

        What failures name goes behind all others, each as one step with what needs it: of each failure the first
        name, then two more, four …, until nothing is red without them, or nothing more is named. The likeliest is the
        very last.
        """
        last: list[Step] = []
        counts: dict[tuple[str, tuple[str, ...]], int] = {}
        while True:
            red, suspects = self._reasons(take), []
            for test in red:
                named = self._known.suspects(take, test)
                count = counts.setdefault((test, named), 1)
                counts[test, named] *= 2
                suspects += [name for name in named if take & self._choices.of([name])][:count]
            if not suspects:
                return [*self._one_by_one(take), *reversed(last)]
            for suspect in suspects:
                step = take & self._choices.held_with(suspect)
                if step:
                    last.append((suspect, step))
                take &= ~step
            if not all(self._known.is_known(take, test) for test in red):
                yield from self._try(take)

    def _one_by_one(self, take: int) -> list[Step]:
        return [(name, self._choices.of([name])) for name in self._choices.names(take)]

    def _culprit(self, order: Sequence[Step]) -> Generator[Trial, Verdict, str]:
        """Return the bump behind the longest green prefix of an order, for the test that is known to break first."""
        prefixes = list(itertools.accumulate((bumps for _, bumps in order), operator.or_, initial=0))
        high, prefix = next((place, prefix) for place, prefix in enumerate(prefixes) if self._reasons(prefix))
        test = self._reasons(prefix)[0]
        low = max(place for place in range(high) if self._known.is_green(prefixes[place], test))
        while high - low > 1:
            middle = (low + high) // 2
            yield from self._try(prefixes[middle])
            if self._known.is_green(prefixes[middle], test):
                low = middle
            else:
                high = middle
        return order[low][0]

    def _try(self, take: int) -> Steps:
        """See what all red tests say of a choice, but for those that are known to be red."""
        tests = [test for test in self._red if not self._known.is_red(take, test)]
        if all((take, test) in self._known.seen for test in tests):
            return
        if self._trials == self._max_trials:
            raise _OutOfTrialsError
        self._trials += 1
        names = self._names(take)
        missing = [test for test in [INSTALLS, *tests] if (names, test) not in self.findings]
        if missing and self.findings.get((names, INSTALLS)) is None:
            verdict = yield Trial(names, frozenset(missing) - {INSTALLS})
            self.findings |= {(names, test): verdict.of(test) for test in missing}
        self._note(take, names, tests)

    def _note(self, take: int, names: frozenset[str], tests: Sequence[str]) -> None:
        installs = self.findings[names, INSTALLS]
        self._known.note(take, INSTALLS, installs)
        for test in tests:
            if test != INSTALLS:
                finding = self.findings[names, test] if installs is None else ()
                self._known.note(take, test, finding, ran=installs is None)
        if all(self._known.seen.get((take, test), ()) is None for test in self._red):
            self._green.append(take)

    def _restore(self) -> Steps:
        """Take what can be taken after all, until nothing can alone."""
        best = -1
        while best != self._best:
            best = self._best
            yield from self._try(best)
            for name in self._choices.next_to(best):
                if best == self._best:
                    yield from self._take_back(name, best)
            if best == self._best:
                yield from self._take_back_together(best)

    def _take_back(self, name: str, take: int) -> Steps:
        """Take one bump more. Where it is red only together with one that less depends on, hold that one instead."""
        joined = take | self._choices.of([name])
        weight = self._choices.weight(name)
        lighter = self._choices.of(other for other in self._choices.names(take) if self._choices.weight(other) < weight)
        heavy = joined & ~lighter
        if (yield from self._is_broken(heavy)) or not (yield from self._is_broken(joined)):
            return
        partner = yield from self._culprit(self._one_by_one(heavy) + self._one_by_one(joined & lighter))
        held = self._choices.held_with(partner)
        for other in self._choices.next_to(take):
            if other != name:
                held |= self._choices.held_with(other)
        instead = self._choices.everything & ~held
        if instead.bit_count() > take.bit_count():
            yield from self._try(instead)

    def _take_back_together(self, take: int) -> Steps:
        """Take all that cannot be installed alone: bumps may need each other although none says so."""
        names = self._choices.next_to(take)
        stuck = [name for name in names if not self._installs(take | self._choices.of([name]))]
        if len(stuck) > 1:
            yield from self._is_broken(take | self._choices.of(stuck))

    def _installs(self, take: int) -> bool:
        return self._known.seen.get((take, INSTALLS)) is None

    @property
    def _best(self) -> int:
        """The largest choice that was green for all that it was tried with, and is not known to be red since."""
        return max((take for take in self._green if not self._reasons(take)), key=int.bit_count, default=0)

    def _reasons(self, take: int) -> list[str]:
        """Return the tests that are known to be red with a choice."""
        return [test for test in self._red if self._known.is_red(take, test)]

    def _blame(self, take: int) -> frozenset[str]:
        """Return the reasons not to take a choice. Where it cannot be installed, that is the only one."""
        reasons = self._reasons(take)
        return frozenset({INSTALLS} if INSTALLS in reasons or not self._installs(take) else reasons)

    def _names(self, take: int) -> frozenset[str]:
        return frozenset(self._choices.names(take))
