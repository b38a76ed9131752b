"""Starting programs: quiet until they fail, then the command and the end of its output, and always in time."""

import gc
import os
import shlex
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.adapters.process import CommandError, MissingProgramError

REMEDY = "the end of its output says why; run the same with --debug to see all of it"


@pytest.fixture
def short_rest(monkeypatch: pytest.MonkeyPatch) -> float:
    """Wait for the dead of others for a moment only: some systems keep them in their list for as long as they like."""
    monkeypatch.setattr(process, "REST", 0.2)
    return process.REST


def test_output_and_errors_come_back_in_order() -> None:
    """Standard error is a part of what a program printed."""
    assert process.run(["sh", "-c", "echo one; echo two >&2; echo three"], timeout=30) == "one\ntwo\nthree\n"


def test_only_a_newline_ends_a_line() -> None:
    """With a carriage return, a build step could begin a line that looks like BuildKit's own; bytes may be no text."""
    lines: list[str] = []
    shown = process.run(["printf", r"#1 a\r#2 b\n\377\303\251"], timeout=30, on_line=lines.append)
    assert (shown, lines) == ("#1 a\r#2 b\n\ufffdé", ["#1 a\r#2 b", "\ufffdé"])


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


@pytest.mark.usefixtures("short_rest")
def test_a_timeout_holds_for_what_a_program_has_started() -> None:
    """A child that keeps the output open does not make us wait for it."""
    begun = time.monotonic()
    with pytest.raises(CommandError, match=r"^sh -c 'sleep 2; true' took more than 0 s$"):
        process.run(["sh", "-c", "sleep 2; true"], timeout=0.2)
    assert time.monotonic() - begun < 1.5


@pytest.mark.usefixtures("short_rest")
def test_what_runs_over_its_time_fails_even_if_it_then_ends_well() -> None:
    """It was told to end, and ended with 0: it has not done what it was asked."""
    with pytest.raises(CommandError, match=r"took more than 0 s$"):
        process.run(["sh", "-c", "trap 'exit 0' TERM; sleep 60 & wait"], timeout=0.3)


def test_a_grandchild_that_keeps_the_output_does_not_keep_us(short_rest: float) -> None:
    """The command has ended, well: what it left running in the background is not waited for, nor ended."""
    begun = time.monotonic()
    printed = process.run(["sh", "-c", "sleep 5 & echo $!; echo done"], timeout=60)
    assert time.monotonic() - begun < short_rest + 1
    pid, done = printed.split()
    assert done == "done"
    os.kill(int(pid), signal.SIGTERM)  # it is alive


def test_what_comes_after_the_programs_end_is_read_for_a_moment() -> None:
    """A pipe's last lines may come from a child."""
    assert process.run(["sh", "-c", "(sleep 0.2; echo late) & echo early"], timeout=60) == "early\nlate\n"


@pytest.mark.usefixtures("short_rest")
def test_a_program_that_closes_its_output_is_still_in_time() -> None:
    """Its end is waited for, but no longer than agreed."""
    with pytest.raises(CommandError, match=r"took more than 0 s$"):
        process.run(["sh", "-c", "exec >&- 2>&-; sleep 60"], timeout=0.3)


PROGRAM = """
import signal, sys
from pyrlab.adapters import process
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, interrupt)
process.PATIENCE, process.REST = map(float, sys.argv[2:])
try:
    process.run(["sh", "-c", sys.argv[1]], timeout=60, on_line=lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def end_by_sigterm(script: str, *, patience: float = 30.0, rest: float = 0.2) -> tuple[float, list[str]]:
    """Run a script by process.run, end its caller alone by SIGTERM, and return the seconds that took, and the lines."""
    command = [sys.executable, "-c", PROGRAM, script, str(patience), str(rest)]
    caller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert caller.stdout is not None
    with caller.stdout:
        first = caller.stdout.readline()
        caller.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        lines = [first.strip(), *caller.stdout.read().splitlines()]
        caller.wait(timeout=30)
    return time.monotonic() - begun, lines


def is_gone(pid: str) -> bool:
    """Tell whether a process has ended; init may not have heard of it yet."""
    status = Path("/proc", pid, "stat")
    return not status.exists() or ") Z" in status.read_text(encoding="utf-8")


def test_sigterm_to_us_alone_ends_the_program_at_once() -> None:
    """And what it has started, too."""
    took, [pid, last] = end_by_sigterm("sleep 60 & echo $!; wait")
    assert last == "interrupted"
    assert took < 2
    assert is_gone(pid)


def test_an_interrupted_program_may_clean_up(tmp_path: Path) -> None:
    """It is asked first."""
    cleaned = tmp_path / "cleaned"
    end_by_sigterm(f"trap 'echo yes > {cleaned}; exit' TERM; echo begun; sleep 60 & wait")
    assert cleaned.read_text(encoding="utf-8") == "yes\n"


def test_one_that_will_not_end_is_killed_with_all_that_it_has_started() -> None:
    """After the time that it has for that."""
    script = "trap '' TERM; sh -c 'while :; do sleep 1; done' & echo $!; wait; wait"
    took, [pid, last] = end_by_sigterm(script, patience=1.0)
    assert last == "interrupted"
    assert 0.9 < took < 4
    assert is_gone(pid)


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
