"""What a candidate shows beside the old images: which tests are red by the upgrade alone, and which outputs differ."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pyrlab.adapters.docker import tags
from pyrlab.adapters.files import read_json
from pyrlab.model.proof import MUST_NOT
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.notebooks import Difference, compare
from pyrlab.steps import proof
from pyrlab.steps.candidate import Candidate
from pyrlab.steps.proof import FAILED, Outcome, Proof

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
class Comparison:
    """A candidate and the old images of its project, whose notebooks run when they are first asked for."""

    candidate: Candidate

    @property
    def settings(self) -> Settings:
        """The project's own settings."""
        return self.candidate.settings

    def prove(self) -> tuple[Proof, Judged]:
        """Run all tests on the candidate's images as they are, and judge what is red."""
        shown = self.candidate.prove((), "new")
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
            test: one for test, one in self.changed_numbers(shown).items() if test.removeprefix(NUMBERS) not in red
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
        return proof.prove(self.settings, [proof.OWN_NOTEBOOKS], folder)

    def starts(self) -> dict[str, tuple[float | None, float | None]]:
        """Return how long the labs take to answer, before and after, in seconds; None where there is no image."""
        before, after = self._starts(self.settings), self._starts(self.candidate.own)
        return {lab: (before.get(lab), after.get(lab)) for lab in before.keys() | after.keys()}

    def _starts(self, settings: Settings) -> Mapping[str, float]:
        there = [lab for lab in settings.graph.labs if tags.image_of(settings.tag(lab))]
        return proof.starts(settings, there, self.candidate.folder / "starts")

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

    def changed_numbers(self, shown: Proof) -> dict[str, Outcome]:
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

    def source(self, test: str) -> str:
        """Return the code of a notebook's cells, where the test is one of a notebook."""
        path = self.baseline.notebook(test.removeprefix(NUMBERS))
        cells = read_json(path).get("cells", []) if path else []
        return "\n".join("".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "code")


def _place(difference: Difference) -> Place:
    return difference.cell, difference.kind, difference.where
