"""What may reach a terminal: packages' own code prints, too, and must neither steer it nor hide what is said."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from pyrlab.adapters.http_errors import masked

# Colours and movements of the cursor (CSI), then titles, links and clipboards (OSC and its like) with their text.
# Source: ECMA-48, 5.4 and 5.6. Each has a form of one character, too, of the C1 controls.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
)
# Controls that are left, overrides of the direction of writing, and bytes that were no text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Return ``text`` without sequences that steer a terminal; of other controls but newline and tab, their numbers."""
    return _CONTROL.sub(_number, _SEQUENCE.sub("", text))


def _number(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"  # noqa: PLR2004 - two digits


class HarmlessConsole(Console):
    """A console that shows every text by ``harmless``, whichever table or sentence it stands in."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Return rich's segments. Its own styles and controls are no text, and stay."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless(text), style, control)


class HarmlessFormatter(logging.Formatter):
    """What --debug shows, by ``harmless``: the output of programs, line by line, without the users in its URLs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        return harmless(masked(super().format(record)))


# After `>&-` there is no such stream at all; then what would be written is nobody's.
sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
# A log file has no width of its own: there, tables are as wide as they need to be.
out = HarmlessConsole(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)
err = HarmlessConsole(stderr=True, soft_wrap=True, highlight=False)
