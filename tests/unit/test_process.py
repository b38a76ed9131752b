"""Starting programs: quiet until they fail, then the command and the end of its output, and always in time."""

import gc
import os
import shlex
import time
import warnings
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.adapters.process import CommandError, MissingProgramError

REMEDY = "the end of its output says why; run the same with --debug to see all of it"


def test_output_and_errors_come_back_in_order() -> None:
    """Standard error is a part of what a program printed."""
    assert process.run(["sh", "-c", "echo one; echo two >&2; echo three"], timeout=30) == "one\ntwo\nthree\n"


def test_a_failure_shows_the_command_and_its_output() -> None:
    """The status is in the message, the output in the detail."""
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=30)
    assert str(caught.value) == "sh -c 'echo out; echo err >&2; exit 3' ended with status 3"
    assert (caught.value.remedy, caught.value.detail, caught.value.output) == (REMEDY, "out\nerr", "out\nerr\n")


def test_a_long_command_is_cut_and_a_long_output_shows_its_end() -> None:
    """Three words of the command, and the last lines, of which all are kept for those who look for a cause."""
    script = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i; done; exit 1"
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", script, "and", "more"], timeout=30)
    assert str(caught.value) == f"sh -c {shlex.quote(script)} … ended with status 1"
    assert caught.value.detail.splitlines() == [str(number) for number in range(100 - process.TAIL_LINES + 1, 101)]
    assert len(caught.value.output.splitlines()) == 100


def test_a_program_that_takes_too_long_is_ended() -> None:
    """What it printed until then is kept."""
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", "echo begun; exec sleep 60"], timeout=0.5)
    assert str(caught.value) == "sh -c 'echo begun; exec sleep 60' took more than 0 s"
    assert caught.value.detail == "begun"


def test_a_timeout_holds_for_what_a_program_has_started() -> None:
    """A child that keeps the output open does not make us wait for it."""
    begun = time.monotonic()
    with pytest.raises(CommandError, match=r"^sh -c 'sleep 2; true' took more than 0 s$"):
        process.run(["sh", "-c", "sleep 2; true"], timeout=0.2)
    assert time.monotonic() - begun < 1.5


def test_a_missing_program_is_named() -> None:
    """The remedy is to install it."""
    with pytest.raises(MissingProgramError) as caught:
        process.run(["no-such-program", "--version"], timeout=30)
    assert str(caught.value) == "no-such-program is not installed, or not on the PATH"
    assert caught.value.remedy == "install no-such-program"


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    """The program is there, and installing it would not help."""
    with pytest.raises((CommandError, OSError)):
        process.run(["true"], timeout=30, cwd=tmp_path / "nowhere")


def test_lines_are_told_as_they_come() -> None:
    """Without their ends, and up to the one that the program dies after."""
    told: list[str] = []
    with pytest.raises(CommandError):
        process.run(["sh", "-c", "echo one; echo; printf two; exit 1"], timeout=30, on_line=told.append)
    assert told == ["one", "", "two"]


def test_a_listener_that_fails_ends_the_run() -> None:
    """Its own error goes on, once the program has ended."""

    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match=r"^one$"):
        process.run(["echo", "one"], timeout=30, on_line=refuse)


def test_a_program_has_no_input_and_the_given_folder_and_variables(tmp_path: Path) -> None:
    """So that it never waits for a key, and depends on nothing else."""
    shown = process.run(
        ["sh", "-c", "cat; pwd; echo $GREETING"],
        timeout=30,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GREETING": "hello"},
    )
    assert shown == f"{tmp_path}\nhello\n"


def test_nothing_stays_open_after_a_run() -> None:
    """A long session starts many programs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        process.run(["true"], timeout=30)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_bytes_that_are_no_text_are_replaced() -> None:
    """An odd byte in a log must not hide the log."""
    assert process.run(["printf", r"a\377b\n"], timeout=30) == "a\ufffdb\n"


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        pytest.param("a\nb\nc\n", 2, "b\nc", id="end"),
        pytest.param("a\n", 2, "a", id="short"),
        pytest.param("", 2, "", id="empty"),
    ],
)
def test_tail_is_the_last_lines(text: str, lines: int, expected: str) -> None:
    """Without the last line's end."""
    assert process.tail(text, lines) == expected
