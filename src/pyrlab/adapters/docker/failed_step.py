"""The step of a build that failed: what it printed and how it ended, out of BuildKit's plain output."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# "#14 ERROR: …" is BuildKit's own: what a step prints has its time behind the number, as in "#14 2.531 ERROR: …".
_ERROR = re.compile(r"(?P<step>#\d+) ERROR: (?:.*exit code: (?P<status>\d+)$)?")


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step's lines without BuildKit's numbers and times, and its exit status; -1 where none is known."""

    lines: Sequence[str]
    status: int


def failed_step(output: str) -> FailedStep:
    """Return the first step that failed; one without lines when none did, as at a bake file that cannot be read."""
    # By newlines alone, as BuildKit does: at any other sign a step could begin a line with a number of its choice.
    lines = output.split("\n")
    error = next((match for line in lines if (match := _ERROR.match(line))), None)
    if error is None:
        return FailedStep((), -1)
    own = [re.sub(r"^#\d+ (?:\d+\.\d+ )?", "", line) for line in lines if line.startswith(f"{error['step']} ")]
    return FailedStep([line for line in own if line != "..." and not line.startswith("[")], int(error["status"] or -1))
