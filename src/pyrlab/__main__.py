"""Arguments to a use case, and its outcome to an exit status."""

import logging
import os
import signal
import sys
import traceback
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from pyrlab import engine as engines
from pyrlab import lock as locking
from pyrlab import report, settings
from pyrlab import serve as serving
from pyrlab.build import build as build_images
from pyrlab.errors import PyrlabError, UsageError
from pyrlab.lists import Lists
from pyrlab.locks import Change

INTERRUPTED = 130
# A log file has no width of its own: there, tables are as wide as they need to be.
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def _say(step: str) -> None:
    err.print(f"· {step}", style="dim", markup=False)


def _settings() -> settings.Settings:
    return settings.load(Path.cwd(), os.environ)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Four package lists in, four verified JupyterLab images out."""


@cli.command()
@click.argument("labs", nargs=-1)
def engine(labs: Sequence[str]) -> None:
    """Make sure that a Docker engine with BuildKit answers."""
    del labs  # `nox -s engine serve -- pylab` gives both sessions the same arguments
    out.print(engines.ensure())


@cli.command()
@click.argument("kinds", nargs=-1, type=click.Choice(locking.KINDS))
@click.option("--upgrade", is_flag=True, help="Move every pin to the newest version that the lists allow.")
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Move just this one.")
@click.option("--check", is_flag=True, help="Only say whether lists and locks agree. Needs no network.")
def lock(kinds: Sequence[str], upgrade: bool, upgrade_packages: Sequence[str], check: bool) -> None:  # noqa: FBT001
    """Pin every list: all three locks, or those of KINDS."""
    current = _settings()
    if check:
        locking.Locks.load(current.project).check(Lists.read(current.project), current)
        out.print("The locks agree with the lists.")
        return
    wish = locking.Wish(frozenset(kinds or locking.KINDS), upgrade, frozenset(upgrade_packages))
    out.print(report.changes(locking.lock(current, wish, say=_say)))


@cli.command()
@click.argument("images", nargs=-1)
@click.option(
    "--locked", is_flag=True, help="Fail when the archive has dropped a pinned package, instead of relocking."
)
def build(images: Sequence[str], locked: bool) -> None:  # noqa: FBT001
    """Build the images, or those named, from the locks."""
    build_images(_settings(), images, locked=locked, say=_say, warn=_warn)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def smoke(arguments: Sequence[str]) -> None:
    """Prove both labs, or those named first; the rest goes to pytest."""
    from pyrlab.smoke import smoke as smoke_labs  # noqa: PLC0415 - pytest is slow to import, and only this needs it

    sys.exit(smoke_labs(_settings(), arguments))


@cli.command()
@click.argument("lab")
@click.option("--port", type=int, help="The port on this machine; never 6006.")
@click.option("--notebooks", type=click.Path(path_type=Path), help="The folder to work in; made if it is missing.")
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.option("--locked", is_flag=True, help="As in build.")
def serve(lab: str, port: int | None, notebooks: Path | None, no_browser: bool, locked: bool) -> None:  # noqa: FBT001
    """Start LAB (pylab or rlab) in the background and open it; build it first if need be."""
    current = _settings().serving(lab, port=port, notebooks=notebooks)

    def build_lab() -> None:
        build_images(current, [lab], locked=locked, say=_say, warn=_warn)

    link = serving.serve(current, lab, build=build_lab, say=_say)
    out.print(f"{lab} is ready: {link}")
    if not no_browser and serving.has_display():
        webbrowser.open(link)


@cli.command()
@click.argument("lab")
def stop(lab: str) -> None:
    """Stop LAB. Its notebooks stay."""
    out.print(f"{lab} is stopped." if serving.stop(_settings(), lab) else f"{lab} was not running.")


def _warn(changes: dict[str, list[Change]]) -> None:
    err.print("WARNING: the archive has dropped pinned packages. These were locked anew:", style="bold yellow")
    err.print(report.changes({file: rows for file, rows in changes.items() if rows}))
    err.print("Commit the changed locks; build with --locked to make this an error.", style="bold yellow")


def main() -> int:
    """Run the command line. Returns the exit status: 0, an error's own one, or 130 after Ctrl-C."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("pyrlab").setLevel(logging.DEBUG if debug else logging.WARNING)
    try:
        cli.main(arguments, prog_name="pyrlab", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C changes nothing either
        err.print("interrupted; nothing was changed")
        return INTERRUPTED
    except click.ClickException as error:
        report.failure(err, UsageError(error.format_message(), remedy="see the session's help: pyrlab COMMAND --help"))
        return UsageError.exit_code
    except PyrlabError as error:
        if debug:
            traceback.print_exc()
        report.failure(err, error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
