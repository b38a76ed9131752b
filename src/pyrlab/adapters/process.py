"""The one place that starts other programs: quiet until they fail, then the command and the end of its output."""

import logging
import queue
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pyrlab.errors import PyrlabError

log = logging.getLogger(__name__)

TAIL_LINES = 40


class CommandError(PyrlabError):
    """A program ended with a status that is not 0, or not in time."""

    def __init__(self, command: Sequence[str], reason: str, output: str) -> None:
        self.output = output
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


def run(
    command: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run ``command`` and return what it printed, standard error included.

    ``timeout`` is in seconds. ``on_line`` sees each line as it comes. Ctrl-C reaches the program too (it is in our
    process group); we then wait for it, so that it can clean up, before the interrupt goes on.
    Raises CommandError, or MissingProgramError when there is no such program.
    """
    log.debug("$ %s", shlex.join(command))
    try:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        if cwd and not cwd.is_dir():
            raise
        raise MissingProgramError(command[0]) from error
    output: list[str] = []
    try:
        expired = _follow(process, timeout, output, on_line)
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    if status:
        reason = f"took more than {timeout:.0f} s" if expired else f"ended with status {status}"
        raise CommandError(command, reason, "".join(output))
    return "".join(output)


def _follow(
    process: "subprocess.Popen[str]", timeout: float, output: list[str], on_line: Callable[[str], None] | None
) -> bool:
    """Collect what a program prints, until it ends or its time is over; return whether it had to be ended."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # A thread reads, so that the time limit holds even where a grandchild keeps the pipe open.
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    deadline = time.monotonic() + timeout
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            process.kill()
            return True
        if line is None:
            return False
        log.debug("%s", line.rstrip("\n"))
        output.append(line)
        if on_line:
            on_line(line.rstrip("\n"))


def _read(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _end(process: "subprocess.Popen[str]") -> None:
    """Give an interrupted program ten seconds to end by itself, then end it."""
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
