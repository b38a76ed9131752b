"""What packages print reaches the user, and steers no terminal."""

import io
import logging
import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine_install
from pyrlab.cli import report
from pyrlab.cli.display import say
from pyrlab.cli.terminal import HarmlessConsole, HarmlessFormatter, harmless
from pyrlab.errors import BuildError
from pyrlab.model.changes import Change

CommandLine = Callable[..., tuple[int, str, str]]
TEXTS = st.text() | st.text(st.sampled_from("\x1b\x9b\x9d\x9c\x07[]m;31\\\r\n\t\u202e a"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("gcc: é ✓\n\tline 2", "gcc: é ✓\n\tline 2", id="text"),
        pytest.param("\x1b[31;1mred\x1b[0m", "red", id="colour"),
        pytest.param("\x9b31mred", "red", id="colour-in-one-character"),
        pytest.param("gone\x1b[2K\x1b[1A", "gone", id="deletes-lines"),
        pytest.param("\x1b]0;title\x07a\x1b]52;c;cm0=\x1b\\b", "ab", id="title-and-clipboard"),
        pytest.param("\x9d0;title\x9cb\x90q\x9c", "b", id="title-in-one-character"),
        pytest.param("\x1b]0;to no end", "\\x1b]0;to no end", id="without-an-end"),
        pytest.param("\x1b[\x1b[31m31mred", "\\x1b[31mred", id="one-in-another"),
        pytest.param("done\rerror\x08\x7f\x85", "done\\x0derror\\x08\\x7f\\x85", id="overwrites"),
        pytest.param("abc\u202etxt\u2069\udcff", "abc\\u202etxt\\u2069\\udcff", id="direction-and-no-text"),
    ],
)
def test_controls_are_dropped_or_shown_by_their_numbers(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(text=TEXTS)
@example("\x1b[\x1b]\x07m\x9b")
def test_no_text_steers_the_terminal(text: str) -> None:
    """Wherever it stands: in an error, in a step, in a table. rich's own colours are off here."""
    stream = io.StringIO()
    console = HarmlessConsole(file=stream, soft_wrap=True, width=200)
    report.failure(console, BuildError(text, remedy=text, detail=text))
    console.print(f"· {text}", style="dim", markup=False)
    console.print(report.changes({"x.lock": [Change("up", "zoo", "1", harmless(text).replace("[", ""))]}))
    controls = {character for character in stream.getvalue() if unicodedata.category(character) == "Cc"}
    assert controls <= {"\n", "\t"}
    assert harmless(harmless(text)) == harmless(text)


def test_the_command_line_shows_it_so(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its steps and in its error, and with --debug in all that programs print."""

    def ensure() -> str:
        say("compiled \x1b[2Jzoo")
        process.run([sys.executable, "-c", "print('\\x1b]0;title\\x07loud')"], timeout=30)
        raise BuildError("failed\x1b[1A", remedy="look", detail="a\x1bcb")

    monkeypatch.setattr(engine_install, "ensure", ensure)
    status, _, said = command_line("engine")
    assert (status, said) == (7, "· compiled zoo\na\\x1bcb\nerror: failed\n  try: look\n")

    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    _, _, said = command_line("engine", "--debug")
    lines = said.splitlines()
    assert (lines[0], "loud" in lines, lines[-2:]) == ("· compiled zoo", True, ["error: failed", "  try: look"])
    assert "\x1b" not in said


def test_what_programs_print_is_shown_without_users_in_urls() -> None:
    """By --debug: apt writes a password in a form of its own, which is not the one that is hidden."""
    line = logging.makeLogRecord({"msg": "%s", "args": ("E: Failed to fetch http://me:hu%2f(sh@h.test/x  403",)})
    assert HarmlessFormatter().format(line) == "E: Failed to fetch http://h.test/x  403"
