"""Proving the labs of a workspace: the smoke tests and the user's notebooks, run by pytest in a process of its own."""

import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyrlab.adapters import process, temporary
from pyrlab.errors import LabError
from pyrlab.model.settings import Settings
from pyrlab.model.settings_keys import VARIANT

TESTS = "tests/smoke"
OWN_NOTEBOOKS = f"{TESTS}/test_lab_proof.py"
# Workers of pytest-xdist: tests/smoke/conftest.py says how many. One that was killed ends the run.
SIDE_BY_SIDE = ("-n", "auto", "--max-worker-restart=0")
# As long as the smoke tests of two labs and many notebooks may take together.
TIMEOUT = 4 * 3600.0
PASSED, FAILED = "passed", "failed"
# pytest's exit statuses for: all passed, some failed, and none left to run.
_RAN = {0, 1, 5}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test ended; ``text`` is the evidence of a failure, ``output`` the notebook it left, as ``LAB-PATH``."""

    test: str
    outcome: str
    seconds: float = 0.0
    text: str = field(default="", repr=False)
    output: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is red."""
        return self.outcome == FAILED

    @property
    def last_line(self) -> str:
        """The last line of the evidence that says something: of a traceback, what was raised."""
        lines = [line.strip() for line in _plain(self.text).splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a run of the proof showed: outcomes by test, and the folder with the executed notebooks.

    ``starts`` are the seconds that labs took until they answered.
    """

    outcomes: Mapping[str, Outcome]
    outputs: Path
    starts: Mapping[str, float] = field(default_factory=dict)

    @property
    def red(self) -> dict[str, Outcome]:
        """The tests that failed."""
        return {test: outcome for test, outcome in self.outcomes.items() if outcome.failed}

    def notebook(self, test: str) -> Path | None:
        """Return the executed notebook that a test left, if it is one of a notebook and came so far."""
        output = self.outcomes[test].output if test in self.outcomes else ""
        return self.outputs / output if output else None


def prove(settings: Settings, tests: Collection[str], outputs: Path, *, reruns: int = 0) -> Proof:
    """Run ``tests`` (by pytest's node ids; all when empty) against the images of this workspace.

    A test that does not apply to what the locks of this workspace hold has no outcome. ``outputs`` is where executed
    notebooks are put. What fails runs ``reruns`` times more, in another lab: what passes then has passed.
    Raises LabError when pytest could not run.
    """
    # What an earlier run left says nothing of this one.
    shutil.rmtree(outputs, ignore_errors=True)
    outputs.mkdir(parents=True)
    with temporary.folder(outputs.parent) as folder:
        results = folder / "results"
        command = [sys.executable, "-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider"]
        command += [f"--results={results}", f"--outputs={outputs}", f"--reruns={reruns}"]
        command += sorted(tests) or [TESTS, *SIDE_BY_SIDE]
        environment = {**os.environ, VARIANT: settings.variant}
        try:
            process.run(command, timeout=TIMEOUT, env=environment, cwd=settings.project)
        except process.CommandError as error:
            if error.status not in _RAN:
                raise LabError(
                    "the proof could not be run", remedy="its last lines say why", detail=process.tail(error.output, 20)
                ) from error
        return _read(results, outputs)


def starts(settings: Settings, labs: Iterable[str], folder: Path) -> Mapping[str, float]:
    """Return the seconds that labs take until they answer, each with nothing beside it. Raises LabError."""
    tests = [f"{OWN_NOTEBOOKS}::test_answers[{lab}]" for lab in labs]
    return prove(settings, tests, folder).starts if tests else {}


def _read(results: Path, outputs: Path) -> Proof:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    found: dict[str, Outcome] = {}
    starts: dict[str, float] = {}
    for line in lines:
        said = json.loads(line)
        if "lab" in said:
            starts[said["lab"]] = said["start"]
            continue
        # A test that fails and whose fixture then fails as well is red once.
        if not (said["test"] in found and found[said["test"]].failed):
            found[said["test"]] = Outcome(**said)
    return Proof(found, outputs, starts)


def _plain(text: str) -> str:
    """Return text without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
