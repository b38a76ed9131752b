"""Made-up upgrades, of which is known what breaks them; `python tests/unit/upgrade_worlds.py 10000` prints figures."""

import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from pyrlab.model.upgrade.bumps import Bound, Bump, Member, Package, bumps_of
from pyrlab.model.upgrade.search import Search
from pyrlab.model.upgrade.verdicts import INSTALLS, Finding, Trial, Verdict

ECOSYSTEMS = ("debs", "r", "python")


@dataclass(frozen=True)
class Culprit:
    """Bumps with which a test is red, if all of them are taken, and what the failure names."""

    test: str
    members: frozenset[str]
    named: tuple[str, ...] = ()


@dataclass
class World:
    """An upgrade. ``tried`` are the trials that were run.

    Of ``unknown_needs`` the first cannot be installed without the second, and no bump says so.
    """

    bumps: Sequence[Bump]
    culprits: Sequence[Culprit]
    unknown_needs: Sequence[tuple[str, str]] = ()
    tried: list[Trial] = field(default_factory=list)

    @property
    def everything(self) -> frozenset[str]:
        """The names of all bumps."""
        return frozenset(bump.name for bump in self.bumps)

    def red(self, take: frozenset[str]) -> dict[str, tuple[str, ...]]:
        """Return the tests that are red with these bumps, each with what its failure names.

        A failure is that of the first culprit only. Where the bumps cannot be installed, nothing else runs.
        """
        if any(first in take and second not in take for first, second in self.unknown_needs):
            return {INSTALLS: ()}
        found: dict[str, tuple[str, ...]] = {}
        for culprit in self.culprits:
            if culprit.members <= take:
                found.setdefault(culprit.test, culprit.named)
        return {INSTALLS: found[INSTALLS]} if INSTALLS in found else found

    def is_consistent(self, take: Iterable[str]) -> bool:
        """Tell whether each bump has what it needs."""
        there = frozenset(take)
        return all(bump.needs <= there for bump in self.bumps if bump.name in there)

    def run(self, trial: Trial) -> Verdict:
        """Run a trial, which must be consistent."""
        assert self.is_consistent(trial.take)
        self.tried.append(trial)
        red = self.red(trial.take)
        return Verdict({test: named for test, named in red.items() if test in {INSTALLS, *trial.tests}})

    def held_with(self, names: Iterable[str]) -> frozenset[str]:
        """Return what cannot be taken without these: they, and all that need them."""
        names = set(names)
        return frozenset(bump.name for bump in self.bumps if bump.name in names or bump.needs & names)

    def fewest(self) -> int:
        """Return how many bumps have to be held back at least."""
        choices = itertools.product(*(sorted(culprit.members) for culprit in self.culprits))
        return min(len(self.held_with(choice)) for choice in choices)


Findings = Mapping[tuple[frozenset[str], str], Finding]


def solve(world: World, *, max_trials: int = 1000, findings: Findings | None = None) -> Search:
    """Search, and prove each result in full, until that is green."""
    search = Search(world.bumps, world.red(world.everything), max_trials=max_trials, findings=findings)
    while True:
        while search.trial:
            search.tell(world.run(search.trial))
        red = world.red(search.outcome.take)
        if not red:
            return search
        search.extend(red)


@cache
def flat(count: int) -> tuple[Bump, ...]:
    """Return bumps that have nothing to do with each other."""
    changes = [Member(Package(ECOSYSTEMS[number % 3], f"p{number:04}"), "1", "2") for number in range(count)]
    return bumps_of(changes, {}, {})


def bounded(dice: random.Random, count: int) -> tuple[Bump, ...]:
    """Return about as many bumps with bounds among them, in three ecosystems; some are families, some bring others."""
    packages = [Package(dice.choice(ECOSYSTEMS), f"p{number:04}") for number in range(count + count // 10)]
    olds = ["" if dice.random() < 0.05 else "1" for _ in packages]
    changes = {package: Member(package, old, "2") for package, old in zip(packages, olds, strict=True)}
    old: dict[Package, dict[Package, Bound]] = {}
    new: dict[Package, dict[Package, Bound]] = {}
    for _ in range(count // 2):
        first, second = dice.sample(packages, 2)
        if first.ecosystem != second.ecosystem:
            continue
        if dice.random() < 0.7:
            new.setdefault(first, {})[second] = {"2"}.__contains__
        elif changes[first].old:
            old.setdefault(first, {})[second] = {"", "1"}.__contains__
    return bumps_of(changes.values(), old, new)


def a_world(seed: int, count: int = 60) -> World:
    """Return an upgrade with one to three culprits."""
    dice = dice_for(f"{seed}")
    bumps = bounded(dice, count)
    names = [bump.name for bump in bumps]
    guilty = dice.sample(names, 6)
    culprits = []
    for number in range(dice.choice([1, 2, 3])):
        members = [guilty.pop() for _ in range(2 if dice.random() < 0.2 else 1)]
        test = INSTALLS if len(members) == 1 and dice.random() < 0.1 else f"test_{dice.choice([0, number])}"
        culprits.append(Culprit(test, frozenset(members), _traceback(dice, names, members)))
    return World(bumps, culprits)


def _traceback(dice: random.Random, names: Sequence[str], members: Sequence[str]) -> tuple[str, ...]:
    """Return what a failure names: the culprit, mostly; or others; or nothing."""
    kind = dice.random()
    others = dice.sample(names, dice.choice([1, 1, 2, 4]))
    if kind < 0.6:
        return (dice.choice(members), *others[1:])
    if kind < 0.7:
        return (*others, dice.choice(members))
    return tuple(others) if kind < 0.85 else ()


def one_culprit(dice: random.Random, members: int = 1, *, named: bool = False) -> World:
    """Return 60 bumps without bounds, of which one, or two only together, break a test."""
    bumps = flat(60)
    guilty = dice.sample([bump.name for bump in bumps], members)
    return World(bumps, [Culprit("test", frozenset(guilty), tuple(guilty[:1]) if named else ())])


def several(dice: random.Random, culprits: int, count: int = 60) -> World:
    """Return bumps without bounds, of which several break a test each."""
    bumps = flat(count)
    guilty = dice.sample([bump.name for bump in bumps], culprits)
    return World(bumps, [Culprit(f"test_{name}", frozenset({name})) for name in guilty])


@dataclass(frozen=True)
class Figures:
    """What searches in many worlds came to: shares of 1, and trials."""

    green: float
    minimal: float
    trials: tuple[int, ...]

    @property
    def median(self) -> float:
        """Return the median of the trials."""
        return statistics.median(self.trials)

    def __str__(self) -> str:
        ninety = sorted(self.trials)[int(0.9 * len(self.trials))]
        return (
            f"{len(self.trials):6} worlds: {self.green:7.2%} green, {self.minimal:7.2%} minimal; "
            f"trials: median {self.median:g}, 90 % {ninety}, max {max(self.trials)}"
        )


def figures(worlds: Iterable[World]) -> Figures:
    """Search in each world."""
    trials, minimal, green = [], 0, 0
    for world in worlds:
        outcome = solve(world).outcome
        trials.append(len(world.tried))
        minimal += len(outcome.held) == world.fewest()
        green += not world.red(outcome.take) and world.is_consistent(outcome.take)
    return Figures(green / len(trials), minimal / len(trials), tuple(trials))


def dice_for(name: str) -> random.Random:
    """Return the same dice each time."""
    return random.Random(name)  # noqa: S311 - for tests


def main(count: int) -> None:
    """Print a table."""
    cases: dict[str, Callable[[random.Random], World]] = {
        "one, named": lambda dice: one_culprit(dice, named=True),
        "one": one_culprit,
        "two that fail only together": lambda dice: one_culprit(dice, 2),
        "two independent": lambda dice: several(dice, 2),
        "three independent": lambda dice: several(dice, 3),
    }
    for name, make in cases.items():
        dice = dice_for(name)
        print(f"{name:28}", figures(make(dice) for _ in range(count // 10)))
    start = time.perf_counter()
    print(f"{'all kinds':28}", figures(map(a_world, range(count))))
    print(f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]))
