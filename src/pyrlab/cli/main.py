"""Arguments to a use case, and its outcome to an exit status."""

import contextlib
import json
import logging
import os
import platform
import signal
import sys
import traceback
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from docker.errors import DockerException

from pyrlab import __version__
from pyrlab.adapters import held_file
from pyrlab.adapters.docker import engine_install
from pyrlab.adapters.files import FULL
from pyrlab.adapters.process import INTERRUPTS
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.cli import report
from pyrlab.cli.terminal import HarmlessConsole, HarmlessFormatter, harmless
from pyrlab.commands import changes as comparing
from pyrlab.commands import imports as importing
from pyrlab.commands import lock as locking
from pyrlab.commands import outdated as looking
from pyrlab.commands import propose as proposing
from pyrlab.commands import rollback as rolling
from pyrlab.commands import serve as serving
from pyrlab.commands import upgrade as upgrading
from pyrlab.commands import why as explaining
from pyrlab.commands.build import build as build_images
from pyrlab.errors import MAKE_ROOM, HeldError, InternalError, PyrlabError, UsageError
from pyrlab.model import settings
from pyrlab.model.changes import Change
from pyrlab.model.wish import KINDS, Wish
from pyrlab.steps import generations
from pyrlab.steps.workspace import busy

INTERRUPTED = 130
# After `>&-` there is no such stream at all; then what would be written is nobody's.
sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
# A log file has no width of its own: there, tables are as wide as they need to be.
out = HarmlessConsole(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)
err = HarmlessConsole(stderr=True, soft_wrap=True, highlight=False)


def _say(step: str) -> None:
    err.print(f"· {step}", style="dim", markup=False)


def _settings() -> settings.Settings:
    return read_settings(Path.cwd(), os.environ)


@contextlib.contextmanager
def _busy(current: settings.Settings, what: str) -> Iterator[None]:
    """Be the only run in the project, which is whole: what a killed upgrade began to replace is replaced first."""
    with busy(current.workspace, what, say=_say):
        if generations.finish(current):
            _say("finished what an earlier run, which was killed, had begun to replace")
        yield


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Four package lists in, four verified JupyterLab images out."""


@cli.command()
def engine() -> None:
    """Make sure that a Docker engine with BuildKit answers."""
    out.print(engine_install.ensure())


@cli.command()
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--upgrade", is_flag=True, help="Move every pin to the newest version that the lists allow.")
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Move just this one.")
@click.option("--check", is_flag=True, help="Only say whether lists and locks agree. Needs no network.")
def lock(kinds: Sequence[str], upgrade: bool, upgrade_packages: Sequence[str], check: bool) -> None:  # noqa: FBT001
    """Pin every list: all three locks, or those of KINDS."""
    if check and (upgrade or upgrade_packages):
        raise UsageError(
            f"--check only compares, so it cannot go with {'--upgrade' if upgrade else '--upgrade-package'}",
            remedy="nox -s lock -- --check, or without --check to move pins; nox -s outdated shows what is newer",
        )
    current = _settings()
    if check:
        locking.check(current, kinds or KINDS)
        out.print("The locks agree with the lists.")
        return
    held = held_file.read_holds(current).below if upgrade else {}
    wish = Wish(frozenset(kinds or KINDS), upgrade, frozenset(upgrade_packages), held, current.upgrade.min_age)
    with _busy(current, "lock"), _locks_all_or_none(current.project):
        changes = locking.lock(current, wish, say=_say)
    out.print(report.changes(changes))


@contextlib.contextmanager
def _locks_all_or_none(project: Path) -> Iterator[None]:
    """Let the message of an interrupt say what became of the locks, which are replaced all at once."""
    before = _lock_bytes(project)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        untouched = _lock_bytes(project) == before
        interrupt.add_note("the locks are as they were" if untouched else "the new locks are written")
        raise


def _lock_bytes(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.glob("*.lock") if path.is_file()}


@cli.command()
@click.argument("images", nargs=-1)
@click.option(
    "--locked", is_flag=True, help="Fail when the archive has dropped a pinned package, instead of relocking."
)
def build(images: Sequence[str], locked: bool) -> None:  # noqa: FBT001
    """Build the images, or those named, from the locks."""
    current = _settings()
    with _busy(current, "build"):
        build_images(current, images, locked=locked, say=_say, warn=_warn)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def smoke(arguments: Sequence[str]) -> None:
    """Prove both labs, or those named first; the rest goes to pytest."""
    from pyrlab.commands.smoke import smoke as smoke_labs  # noqa: PLC0415 - pytest is slow to import, and only this needs it

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
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Move just this one.")
@click.option("--dry-run", is_flag=True, help="Only show what is newer. Builds and changes nothing.")
@click.option("--strict", is_flag=True, help="Fail when anything is held back; what was proved is taken all the same.")
def upgrade(kinds: Sequence[str], upgrade_packages: Sequence[str], dry_run: bool, strict: bool) -> None:  # noqa: FBT001
    """Move all, or those of KINDS, to the newest versions that keep the labs proved."""
    current = _settings()
    wish = Wish(
        frozenset(kinds or KINDS),
        upgrade=not upgrade_packages,
        upgrade_packages=frozenset(upgrade_packages),
        min_age=current.upgrade.min_age,
    )
    with _busy(current, "upgrade"):
        done = upgrading.upgrade(current, wish, dry_run=dry_run, say=_say)
    for line in report.upgraded(done, dry_run=dry_run):
        out.print(line)
    if strict and done.held:
        raise HeldError(
            f"held back: {', '.join(sorted(held.name for held in done.held))}",
            remedy="held.toml says why; mend that, and upgrade again",
        )


@cli.command()
def rollback() -> None:
    """Bring back the locks and images of before the latest upgrade."""
    current = _settings()
    with _busy(current, "rollback"):
        generation = rolling.rollback(current, say=_say)
    out.print(f"Back at {report.generation(generation)}.")


@cli.command()
def history() -> None:
    """List the kept generations: what each upgrade replaced."""
    out.print(report.generations(rolling.history(_settings())))


@cli.command()
@click.argument("lab")
def stop(lab: str) -> None:
    """Stop LAB. Its notebooks stay."""
    out.print(f"{lab} is stopped." if serving.stop(_settings(), lab) else f"{lab} was not running.")


@cli.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def import_file(file: Path) -> None:
    """Take over what FILE names into the list of R packages: a DESCRIPTION, an renv.lock or a lock of pak."""
    current = _settings()
    with _busy(current, "import"):
        outcome = importing.import_file(current, file)
    out.print(report.imported(outcome))


@cli.command()
@click.option("--all", "all_rows", is_flag=True, help="Show what is up to date, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a name.")
def outdated(all_rows: bool, as_json: bool) -> None:  # noqa: FBT001
    """Show which packages of the lists are newer than the locks, and what holds them. Changes nothing."""
    rows = looking.outdated(_settings(), say=_say)
    shown = rows if all_rows else [row for row in rows if row.behind or not (row.locked and row.newest)]
    if as_json:
        out.print_json(json.dumps([row.table() for row in shown]))
    else:
        out.print(report.outdated(shown, of=rows))


@cli.command()
@click.argument("name")
def why(name: str) -> None:
    """Show which line of which list brings the package NAME, by which chain, into which images, and since when."""
    out.print(report.why(explaining.why(_settings(), name, say=_say)))


@cli.command()
@click.argument("commit")
def changes(commit: str) -> None:
    """Show what changed in the locks since COMMIT. The same is in .pyrlab/changes.md, for a review."""
    out.print(report.changes(comparing.changes(_settings(), commit)))


@cli.command()
@click.option("--merge-request", metavar="BRANCH", default="", help="Let GitLab open or update one into BRANCH.")
def propose(merge_request: str) -> None:
    """Push changed locks and held.toml as the branch pyrlab/upgrade of origin. Your own branch stays as it is."""
    current = _settings()
    with _busy(current, "propose"):
        proposal = proposing.propose(current, merge_request=merge_request)
    out.print(report.proposed(proposal))


def _warn(changes: dict[str, list[Change]]) -> None:
    err.print("WARNING: the archive has dropped pinned packages. These were locked anew:", style="bold yellow")
    err.print(report.changes({file: rows for file, rows in changes.items() if rows}))
    err.print("Commit the changed locks; build with --locked to make this an error.", style="bold yellow")


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
        return _fail(UsageError(error.format_message(), remedy="nox -s SESSION -- --help"), debug=debug)
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
