"""One run of the command line: its signals, its last net, and the exit status that it ends with."""

import contextlib
import logging
import platform
import signal
import sys
import traceback
from collections.abc import Sequence

import click
from docker.errors import DockerException

from pyrlab import __version__
from pyrlab.adapters.files import FULL
from pyrlab.adapters.process import INTERRUPTS
from pyrlab.cli import report
from pyrlab.cli.sessions import Session
from pyrlab.cli.terminal import HarmlessFormatter, err, harmless
from pyrlab.cli.verbs import cli
from pyrlab.errors import MAKE_ROOM, InternalError, PyrlabError, UsageError

INTERRUPTED = 130


def main() -> int:
    """Run the command line. Returns the exit status: 0, an error's own one, or 130 after an interrupt."""
    for number in INTERRUPTS:
        # Whoever started us with nohup wants us to outlive the terminal.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    _log_harmlessly()
    logging.getLogger("pyrlab").setLevel(logging.DEBUG if debug else logging.WARNING)
    try:
        cli.main(arguments, prog_name="pyrlab", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort) as interrupt:
        # click has made an Abort of it; what became of the work was noted on the interrupt itself.
        known = getattr(interrupt.__cause__ or interrupt, "__notes__", ())
        # After SIGHUP there may be no terminal left to write to.
        with contextlib.suppress(OSError):
            err.print("; ".join(["interrupted", *known]))
        return INTERRUPTED
    except click.ClickException as error:
        return _fail(UsageError(error.format_message(), remedy=_help_for(error)), debug=debug)
    except PyrlabError as error:
        return _fail(error, debug=debug)
    except (OSError, DockerException) as error:
        return _fail(PyrlabError(str(error), remedy=_way_on(error)), debug=debug)
    except Exception as error:  # noqa: BLE001 - the last net: whatever else happens is one message, too
        return _fail(_unknown(error, arguments), debug=debug)
    return 0


def _log_harmlessly() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(HarmlessFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _help_for(error: click.ClickException) -> str:
    """Return the command that shows how the verb is called that was called in another way."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    verb = context.command.name if context and isinstance(context.command, Session) else "SESSION"
    return f"nox -s {verb} -- --help"


def _way_on(error: Exception) -> str:
    """Return the remedy for what the system or the engine refused."""
    if isinstance(error, OSError) and error.errno in FULL:
        if error.filename:
            where = f"on the disk of {error.filename}"
            return f"make room {where} (docker builder prune, where Docker is on it, too); then run the same again"
        return f"{MAKE_ROOM}; then run the same again"
    return "mend that, and run the same again"


def _unknown(error: Exception, arguments: Sequence[str]) -> InternalError:
    """Return the message for an error that nobody foresaw."""
    said = " ".join(str(error).split())
    shown = f"{type(error).__name__}: {said}" if said else type(error).__name__
    verb = arguments[0] if arguments else ""
    return InternalError(
        f"pyrlab {verb} failed by a fault of its own: {shown}",
        remedy="run the same with --debug to see where, and please report it with what that shows "
        f"(pyrlab {__version__}, Python {platform.python_version()}, {platform.system()})",
    )


def _interrupt(*_: object) -> None:
    """End the work by a KeyboardInterrupt, once: what cleans up after it is not to be interrupted itself.

    Nox, too, sends more than one signal when Ctrl-C is pressed.
    """
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _fail(error: PyrlabError, *, debug: bool) -> int:
    if debug:
        sys.stderr.write(harmless(traceback.format_exc()))
    report.failure(err, error)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
