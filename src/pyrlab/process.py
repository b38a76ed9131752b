"""The one place that starts other programs: quiet until they fail, then the command and the end of its output."""

import logging
import shlex
import subprocess
import threading
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
        raise MissingProgramError(command[0]) from error
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    try:
        output = _read(process, on_line)
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        expired = not timer.is_alive()
        timer.cancel()
    if status:
        reason = f"took more than {timeout:.0f} s" if expired else f"ended with status {status}"
        raise CommandError(command, reason, output)
    return output


def _read(process: "subprocess.Popen[str]", on_line: Callable[[str], None] | None) -> str:
    assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
    lines = []
    for line in process.stdout:
        log.debug("%s", line.rstrip("\n"))
        lines.append(line)
        if on_line:
            on_line(line.rstrip("\n"))
    return "".join(lines)


def _end(process: "subprocess.Popen[str]") -> None:
    """Give an interrupted program ten seconds to end by itself, then end it."""
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
