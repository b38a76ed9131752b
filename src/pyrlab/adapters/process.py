"""The one place that starts other programs: quiet until they fail, then the command and the end of its output."""

import contextlib
import logging
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, NoReturn

from pyrlab.errors import PyrlabError

log = logging.getLogger(__name__)

# What ends a run before its time: Ctrl-C, a service manager, a terminal that is closed.
INTERRUPTS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
TAIL_LINES = 40
# Seconds that an interrupted program has to end by itself.
PATIENCE = 10.0
# What runs now, from all threads.
_running: "set[subprocess.Popen[bytes]]" = set()
# Seconds that the rest of a program's output, or of what it has started, gets after its own end.
REST = 1.0


class CommandError(PyrlabError):
    """A program ended with a ``status`` that is not 0, or not in time: then it has none."""

    def __init__(self, command: Sequence[str], reason: str, output: str, status: int | None = None) -> None:
        self.output = output
        self.status = status
        super().__init__(
            f"{shlex.join(command[:3])}{' …' if len(command) > 3 else ''} {reason}",  # noqa: PLR2004 - readable head
            remedy="the end of its output says why; run the same with --debug to see all of it",
            detail=tail(output),
        )


class MissingProgramError(PyrlabError):
    """A program is not on the PATH."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed, or not on the PATH", remedy=f"install {program}")


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """Return the last ``lines`` lines of ``text``."""
    return "\n".join(text.splitlines()[-lines:])


def run(  # noqa: PLR0913 - what a program is started with
    command: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    stdin: BinaryIO | None = None,
) -> str:
    """Run ``command`` and return what it printed, standard error included.

    ``timeout`` is in seconds. ``on_line`` sees each line as it comes. The program reads ``stdin`` from where it stands,
    and gets a session of its own: a terminal's Ctrl-C reaches only us, and whatever interrupts us (Ctrl-C, SIGTERM,
    SIGHUP) ends the program with all that it has started, before the interrupt goes on.
    Raises CommandError, or MissingProgramError when there is no such program.
    """
    log.debug("$ %s", shlex.join(command))
    try:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd and not cwd.is_dir():
            raise
        raise MissingProgramError(command[0]) from error
    output: list[str] = []
    _running.add(process)
    try:
        expired = _follow(process, timeout, output, on_line)
        if expired:
            _end(process)
    except BaseException:
        _end(process)
        raise
    finally:
        _running.discard(process)
    status = process.wait()
    # A program that ran over its time did not do what it was asked, even if it then ended well.
    if expired:
        raise CommandError(command, f"took more than {timeout:.0f} s", "".join(output))
    if status:
        raise CommandError(command, f"ended with status {status}", "".join(output), status)
    return "".join(output)


def hand_over(command: Sequence[str]) -> NoReturn:
    """Become ``command``, with this run's own terminal: for what the user works in, which has no time limit.

    Raises MissingProgramError when there is no such program.
    """
    log.debug("$ %s", shlex.join(command))
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - a list built here, never a shell's text
    except FileNotFoundError as error:
        raise MissingProgramError(command[0]) from error


class _Event(Enum):
    """What can happen to a program beside that it prints a line."""

    CLOSED = auto()  # its output has ended
    EXITED = auto()


_Happening = str | _Event


def _follow(
    process: "subprocess.Popen[bytes]", timeout: float, output: list[str], on_line: Callable[[str], None] | None
) -> bool:
    """Collect what a program prints, until it ends or its time is over; return whether its time was over.

    What a program has started in the background may keep the output open long after it has ended: then what is there
    is read for a moment, and no longer.
    """
    happenings: queue.SimpleQueue[_Happening] = queue.SimpleQueue()
    enough = threading.Event()
    # Threads wait for the two things that may happen, so that the first one wakes us, and so that the time holds.
    threading.Thread(target=_read, args=(process, happenings, enough), daemon=True).start()
    threading.Thread(target=_await_exit, args=(process, happenings), daemon=True).start()
    deadline = time.monotonic() + timeout
    open_things = set(_Event)
    try:
        while open_things:
            try:
                happening = happenings.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return _Event.EXITED in open_things
            if isinstance(happening, _Event):
                open_things.discard(happening)
                if happening is _Event.EXITED:
                    deadline = min(deadline, time.monotonic() + REST)
                continue
            log.debug("%s", happening.rstrip("\n"))
            output.append(happening)
            if on_line:
                on_line(happening.rstrip("\n"))
        return False
    finally:
        enough.set()


def _read(
    process: "subprocess.Popen[bytes]", happenings: "queue.SimpleQueue[_Happening]", enough: threading.Event
) -> None:
    assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
    with process.stdout:
        for line in process.stdout:
            if enough.is_set():
                return
            # Only a newline ends a line. Python's text streams take a carriage return for one, too: with it, what a
            # build step prints could pass for a line of BuildKit's own.
            happenings.put(line.decode("utf-8", errors="replace"))
    happenings.put(_Event.CLOSED)


def _await_exit(process: "subprocess.Popen[bytes]", happenings: "queue.SimpleQueue[_Happening]") -> None:
    process.wait()
    happenings.put(_Event.EXITED)


def end_all() -> None:
    """End what other threads have started: an interrupt reaches the main thread alone."""
    for process in list(_running):
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it has started: politely, and after ten seconds for certain."""
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=PATIENCE)
        # It ended by itself. What it has started may still be at it, and gets a moment.
        deadline = time.monotonic() + REST
        while _signal_group(process, None) and time.monotonic() < deadline:
            time.sleep(0.02)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals | None) -> bool:
    """Send a signal to a program's whole group; return whether anybody is in it. ``None`` only asks."""
    try:
        # start_new_session gave the group the program's own id.
        os.killpg(process.pid, number or 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
