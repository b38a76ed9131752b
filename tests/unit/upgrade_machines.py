"""Random upgrades of 60 packages or so, of which is known what breaks them, and how little must be held back.

Unlike the pure worlds of upgrade_worlds.py these are packages with bounds, for the whole command: see upgrade_play.py.
"""

import itertools
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pyrlab.model.upgrade.verdicts import INSTALLS

PYTHON, R, R_DEB, DEB, R_LAB_DEB = "python", "r", "r deb", "deb", "deb of rlab"
KIND_OF = {PYTHON: PYTHON, R: R, R_DEB: R, DEB: "debs", R_LAB_DEB: "debs"}
# How many of each move, of which some only move together: 60 bumps, or a few less. And how their names begin.
COUNTS = {PYTHON: 32, R: 10, R_DEB: 5, DEB: 12, R_LAB_DEB: 5}
STEMS = {PYTHON: "py", R: "ra", R_DEB: "rb", DEB: "libd", R_LAB_DEB: "libr"}
LISTS = {
    PYTHON: "requirements.in",
    R: "r_packages.txt",
    R_DEB: "r_packages.txt",
    DEB: "base_debs.txt",
    R_LAB_DEB: "r_debs.txt",
}
NEWER, OLDER, ANY = ">=2", "<2", ""
PYLAB, RLAB = "pylab", "rlab"
FLAKY = "tests/smoke/t.py::test_flaky[pylab]"
# What is red with the newest, so that a flaky test is seen beside others; and one that is always green.
GREEN = "tests/smoke/t.py::test_green[rlab]"
# The images in which a package of a kind is.
IMAGES = {
    PYTHON: {"pylab"},
    R: {"rlab"},
    R_DEB: {"rlab"},
    DEB: {"pyrlab-base", "pylab", "rlab-base", "rlab"},
    R_LAB_DEB: {"rlab-base", "rlab"},
}


@dataclass
class Moving:
    """A package with an old version, 1, and a new one, 2; one that is added or removed has just one of them.

    ``needs`` are by version, then by the other's name. ``breaks`` are what the new version refuses in the old one.
    """

    kind: str
    name: str
    versions: tuple[int, ...] = (1, 2)
    needs: dict[int, dict[str, str]] = field(default_factory=lambda: {1: {}, 2: {}})
    breaks: set[str] = field(default_factory=set)
    source: str = ""
    listed: bool = True

    def version(self, number: int) -> str:
        """Return a version as its ecosystem writes it."""
        return f"{number}-1" if KIND_OF[self.kind] == "debs" else f"{number}.0"


@dataclass(frozen=True)
class Culprit:
    """Packages that make a test red where all of them are new, and what the failure names, the likeliest first."""

    test: str
    members: tuple[str, ...]
    named: tuple[str, ...]


@dataclass
class RandomUpgrade:
    """An upgrade. ``flaky`` tells that a test is red now and then, by ``dice``."""

    seed: str
    packages: dict[str, Moving]
    culprits: Sequence[Culprit]
    flaky: bool
    dice: random.Random

    @property
    def named(self) -> bool:
        """Whether there is one culprit, which its failure names first."""
        only = self.culprits[0]
        return len(self.culprits) == 1 and only.named[:1] == only.members[:1]

    @property
    def tests(self) -> list[str]:
        """All tests of the proof."""
        own = {culprit.test for culprit in self.culprits} - {INSTALLS}
        return sorted({*own, GREEN, *([FLAKY] if self.flaky else [])})

    def red(self, new: Collection[str]) -> dict[str, Culprit]:
        """Return the tests that are red with these packages being new, each with the first culprit."""
        found: dict[str, Culprit] = {}
        for culprit in self.culprits:
            if set(culprit.members) <= set(new):
                found.setdefault(culprit.test, culprit)
        return found

    # ---- how little must be held, by the world's own rules

    def _edges(self) -> set[tuple[str, str]]:
        """Return pairs of which the first cannot be new (or gone) without the second."""
        found = set()
        for name, package in self.packages.items():
            found |= {(name, other) for other in package.breaks}
            for other, spec in package.needs[2].items():
                if spec == NEWER or 1 not in self.packages[other].versions:
                    found.add((name, other))
            for other, spec in package.needs[1].items():
                if spec == OLDER or 2 not in self.packages[other].versions:
                    found.add((other, name))
            found |= {
                (name, other)
                for other, mate in self.packages.items()
                if package.source and package.source == mate.source
            }
        return {(first, second) for first, second in found if first != second}

    def held_with(self, names: Collection[str]) -> frozenset[str]:
        """Return all that stays old where these do."""
        edges, held = self._edges(), set(names)
        while more := {first for first, second in edges if second in held} - held:
            held |= more
        return frozenset(held)

    def bumps(self, names: Collection[str]) -> set[frozenset[str]]:
        """Return the groups of packages that can only move together, of those that have both versions."""
        both = [name for name in names if len(self.packages[name].versions) == 2]
        held = {name: self.held_with([name]) for name in both}
        return {frozenset(other for other in both if held[other] == held[name]) for name in both}

    def fewest(self) -> int:
        """Return how many bumps must be held at least: one member of each culprit, and all that needs them."""
        choices = itertools.product(*(culprit.members for culprit in self.culprits))
        return min(len(self.bumps(self.held_with(choice))) for choice in choices)

    # ---- what is wrong with an end

    def faults(self, versions: Mapping[str, str]) -> list[str]:
        """Return what is wrong with installed versions, by name."""
        there = {name: version for name, version in versions.items() if name in self.packages}
        number = {name: int(version[0]) for name, version in there.items()}
        new = [name for name, found in number.items() if found == 2]
        found = [f"{test} is red" for test in self.red(new)]
        wanted = {name for name, package in self.packages.items() if package.listed}
        waiting = sorted(wanted)
        for name in waiting:
            if name not in number:
                found.append(f"{name} is missing")
                continue
            package = self.packages[name]
            for other, spec in package.needs[number[name]].items():
                fits = {NEWER: number.get(other, 0) >= 2, OLDER: number.get(other, 2) < 2, ANY: other in number}
                found += [] if fits[spec] else [f"{name} {number[name]} needs {other}{spec}: {number.get(other)}"]
                waiting += [] if other in wanted else [other]
                wanted.add(other)
            if number[name] == 2:
                found += [f"{name} breaks {other}" for other in package.breaks if number.get(other) == 1]
        return found + [f"{name} is of no use" for name in sorted(there.keys() - wanted)]


# ---- making one up


def a_random_upgrade(seed: str) -> RandomUpgrade:
    """Return 60 packages that move, with bounds among them, and one to three culprits."""
    dice = random.Random(seed)  # noqa: S311 - for tests
    packages = {
        name: Moving(kind, name)
        for kind, count in COUNTS.items()
        for name in (f"{STEMS[kind]}{number:02}" for number in range(count))
    }
    names = list(packages)
    for _ in range(45):
        first, second = sorted(dice.sample(names, 2))
        _bind(dice, packages[first], packages[second])
    _families(dice, packages)
    _come_and_go(dice, packages)
    culprits = _culprits(dice, {name: packages[name] for name in names})
    return RandomUpgrade(seed, packages, culprits, dice.random() < 0.1, dice)


def _bind(dice: random.Random, first: Moving, second: Moving) -> None:
    """Let the first need the second in its new version; or, in its old one, refuse that."""
    kinds = {first.kind, second.kind}
    if len(kinds) == 2 and kinds not in ({DEB, R_LAB_DEB}, {R, R_DEB}):
        return
    # What is in all images cannot need what is in one; nor can Debian's packages need CRAN's.
    if len(kinds) == 2 and first.kind in {DEB, R_DEB}:
        first, second = second, first
    chance = dice.random()
    if chance < 0.5:
        first.needs[2][second.name] = NEWER
    elif chance < 0.7 and first.kind != R_DEB:
        first.needs[1][second.name] = OLDER
        first.needs[2].setdefault(second.name, ANY)
    elif chance < 0.8 and KIND_OF[first.kind] == "debs":
        second.breaks.add(first.name)
    else:
        first.needs[1][second.name] = ANY
        first.needs[2].setdefault(second.name, ANY)


def _families(dice: random.Random, packages: Mapping[str, Moving]) -> None:
    """Let three wheels need each other in one version, and the debs of a source move together."""
    family = dice.sample([name for name, package in packages.items() if package.kind == PYTHON], 3)
    for first, second in zip(family, [*family[1:], family[0]], strict=True):
        packages[first].needs[1][second] = OLDER
        packages[first].needs[2][second] = NEWER
    debs = dice.sample([name for name, package in packages.items() if package.kind == DEB], 3)
    for name in debs:
        packages[name].source = f"{debs[0]}-source"


def _come_and_go(dice: random.Random, packages: dict[str, Moving]) -> None:
    """Let some new versions need what was not there, and some old ones what nobody needs any more."""
    for kind in (PYTHON, R, DEB):
        own = [name for name, package in packages.items() if package.kind == kind]
        for number in range(2):
            added, gone = f"{STEMS[kind]}9{number}", f"{STEMS[kind]}8{number}"
            packages[added] = Moving(kind, added, (2,), listed=False)
            packages[gone] = Moving(kind, gone, (1,), listed=False)
            for name in dice.sample(own, dice.choice([1, 1, 2])):
                packages[name].needs[2][added] = ANY
            for name in dice.sample(own, dice.choice([1, 1, 2])):
                packages[name].needs[1][gone] = ANY


def _culprits(dice: random.Random, packages: Mapping[str, Moving]) -> list[Culprit]:
    guilty = dice.sample(list(packages), len(packages))
    culprits = []
    for number in range(dice.choice([1, 2, 3])):
        members = [guilty.pop()]
        labs = IMAGES[packages[members[0]].kind]
        if dice.random() < 0.2:
            members.append(next(name for name in guilty if labs & IMAGES[packages[name].kind]))
            guilty.remove(members[1])
            labs = labs & IMAGES[packages[members[1]].kind]
        lab = dice.choice([lab for lab in (PYLAB, RLAB) if lab in labs])
        test = f"tests/smoke/t.py::test_{dice.choice([0, number])}[{lab}]"
        if len(members) == 1 and dice.random() < 0.1:
            test = INSTALLS
        culprits.append(Culprit(test, tuple(members), _named(dice, packages, members)))
    return culprits


def _named(dice: random.Random, packages: Mapping[str, Moving], members: Sequence[str]) -> tuple[str, ...]:
    """Return what a failure names: the culprit, mostly; or others of its kind; or nothing."""
    kind = packages[members[0]].kind
    alike = [name for name, package in packages.items() if package.kind == kind and name not in members]
    others = dice.sample(alike, min(dice.choice([1, 1, 2, 4]), len(alike)))
    chance = dice.random()
    if chance < 0.6:
        return (members[0], *others[1:])
    if chance < 0.7:
        return (*others, members[0])
    return tuple(others) if chance < 0.85 else ()


def words(world: RandomUpgrade, culprit: Culprit) -> str:
    """Return what a failure says: a traceback of its language, a linker, or what ended a build."""
    kind = KIND_OF[world.packages[culprit.members[0]].kind]
    if culprit.test == INSTALLS:
        return "\n".join([*(f"while installing {name}" for name in reversed(culprit.named)), "error: status 1"])
    if kind == PYTHON:
        frames = [f'  File "/opt/lab/lib/site-packages/{name}/x.py", line 1' for name in reversed(culprit.named)]
        return "\n".join(["Traceback (most recent call last):", *frames, "ValueError: 42"])
    if kind == R:
        return "\n".join(["Backtrace:", *(f" {name}::f(x)" for name in reversed(culprit.named)), "Error: 42"])
    return "\n".join([*(f"{name}.so.1: cannot open shared object file" for name in culprit.named), "OSError: 42"])
