"""What is shown while something is worked on: on a terminal it moves, elsewhere not, and NO_COLOR has no colour."""

import io
import re

import pytest

from pyrlab.cli import display
from pyrlab.cli.display import Display
from pyrlab.cli.terminal import HarmlessConsole

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38)")


def shown(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """Return what a console has got at the end of some work; it is a terminal where TERM says so."""
    console = HarmlessConsole(
        file=io.StringIO(),
        force_terminal="TERM" in environment,
        soft_wrap=True,
        highlight=False,
        width=80,
        _environ=environment,
    )
    monkeypatch.setattr(display, "err", console)
    with Display("serving pylab") as work:
        with work.phase("build"):
            work.say("building pylab [x]\x1b[2J")
        work.say("starting pylab")
        console.print("loud", style="red")
        work.ready()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_in_a_log_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch).splitlines()
    assert lines[:3] == ["· building pylab [x]", "· starting pylab", "loud"]
    assert re.fullmatch(r"· ready after \d+\.\d s: build \d+\.\d s, start \d+\.\d s", lines[3])
    assert len(lines) == 4


def test_on_a_terminal_what_is_worked_on_stands_below_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, TERM="xterm")
    assert "serving pylab 0:00:00" in re.sub(r"\x1b\[[\d;]*m", "", text)
    assert text.endswith("\x1b[2K"), "the moving line is wiped out at the end"
    assert "\x1b[2J" not in text
    assert COLOUR.search(text)


def test_no_color_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """As no-color.org has it: whatever its value. What moves still moves."""
    text = shown(monkeypatch, TERM="xterm", NO_COLOR="0")
    assert "loud" in text
    assert not COLOUR.search(text)
    assert text.endswith("\x1b[2K")


def test_a_terminal_that_cannot_move_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[2K" not in shown(monkeypatch, TERM="dumb")
