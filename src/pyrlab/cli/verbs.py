"""The verbs of the command line: arguments to a use case, and its outcome to what is shown."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pyrlab.adapters import held_file
from pyrlab.adapters.docker import engine as docker
from pyrlab.adapters.docker import engine_install
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.cli import labs, report, report_labs
from pyrlab.cli.display import say
from pyrlab.cli.sessions import Session
from pyrlab.cli.terminal import err, out
from pyrlab.cli.working import working
from pyrlab.commands import adopt as adopting
from pyrlab.commands import bundle as bundling
from pyrlab.commands import changes as comparing
from pyrlab.commands import doctor as examining
from pyrlab.commands import imports as importing
from pyrlab.commands import lock as locking
from pyrlab.commands import outdated as looking
from pyrlab.commands import propose as proposing
from pyrlab.commands import proxies as caching
from pyrlab.commands import rollback as rolling
from pyrlab.commands import upgrade as upgrading
from pyrlab.commands import why as explaining
from pyrlab.commands.build import build as build_images
from pyrlab.errors import HeldError, NotWellError, PyrlabError, UsageError
from pyrlab.model import architectures
from pyrlab.model import doctor as findings
from pyrlab.model.settings import Settings
from pyrlab.model.wish import KINDS, Wish
from pyrlab.steps.architecture import chosen as architecture_of
from pyrlab.steps.architecture import named


def _settings() -> Settings:
    return read_settings(Path.cwd(), os.environ)


def _engines(architecture: str = "") -> Settings:
    """Return the settings for what the engine is to run: an architecture as Debian calls it, else its own."""
    return architecture_of(_settings(), docker.find(), architecture)


class _Verbs(click.Group):
    """The verbs, each of which tells how it is called as a session."""

    command_class = Session


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Four package lists in, four verified JupyterLab images out."""


@cli.command()
def engine() -> None:
    """Make sure that a Docker engine with BuildKit answers."""
    out.print(engine_install.ensure())


@cli.command(examples=("", "--json", "--fix"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a check.")
@click.option("--fix", is_flag=True, help="Start an engine, and remove what killed runs left, first.")
def doctor(as_json: bool, fix: bool) -> None:  # noqa: FBT001
    """Tell whether this machine, its engine and its network will do; each line that says no has a remedy."""
    current = _settings()
    if fix:
        examining.fix(current, say=say)
    # Its lines say what is wrong with the engine, or with what it builds by.
    with contextlib.suppress(PyrlabError):
        current = architecture_of(current, docker.find_server())
    found = examining.examine(current, say=say)
    if as_json:
        out.print_json(json.dumps([check.table() for check in found.checks]))
    else:
        out.print(report.doctor(found.checks))
    names = findings.not_well(found.checks)
    error = NotWellError(f"not well: {', '.join(names)}", remedy="their lines say what to do") if names else None
    if error and found.overdue:
        # Somebody's thread still waits for an answer, and Python would wait for it.
        report.failure(err, error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code)
    if error:
        raise error


@cli.command(examples=("", "--stop"))
@click.option("--stop", is_flag=True, help="Stop them. What they keep stays, for the next start.")
def proxies(stop: bool) -> None:  # noqa: FBT001
    """Run apt-cacher-ng and devpi on this machine, for all projects: what was downloaded once is not again."""
    current = _settings()
    if stop:
        stopped = caching.stop(say=say)
        out.print(f"Stopped: {', '.join(stopped)}." if stopped else "None of them runs; nothing to do.")
        return
    # They serve all architectures, and run on the engine's own.
    found = docker.find()
    current = architecture_of(current, found, found.architecture)
    with working(current, "proxies"):
        caching.start(current, say=say)
    out.print(report.proxies())


@cli.command(examples=("", "python", "--upgrade", "--upgrade-package numpy", "--check"))
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--upgrade", is_flag=True, help="Move every pin to the newest version that the lists allow.")
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Move just this one.")
@click.option("--check", is_flag=True, help="Only say whether lists and locks agree. Needs no network.")
@click.option("--architecture", default="", metavar="NAME", help="Lock for this one, such as arm64, beside the others.")
def lock(
    kinds: Sequence[str],
    upgrade: bool,  # noqa: FBT001
    upgrade_packages: Sequence[str],
    check: bool,  # noqa: FBT001
    architecture: str,
) -> None:
    """Pin every list: all three locks, or those of KINDS."""
    if check and (upgrade or upgrade_packages):
        raise UsageError(
            f"--check only compares, so it cannot go with {'--upgrade' if upgrade else '--upgrade-package'}",
            remedy="nox -s lock -- --check, or without --check to move pins; nox -s outdated shows what is newer",
        )
    if check:
        locking.check(_settings(), kinds or KINDS)
        out.print("The locks agree with the lists.")
        return
    wanted = architectures.parse(architecture, "--architecture") if architecture else ""
    with _locks_all_or_none(Path.cwd()):
        current = _engines(wanted)
        held = held_file.read_holds(current).below if upgrade else {}
        wish = Wish(frozenset(kinds or KINDS), upgrade, frozenset(upgrade_packages), held, current.upgrade.min_age)
        with working(current, "lock"):
            changes = locking.lock(current, wish, say=say)
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
    folders = (project, *(project / name for name in architectures.KNOWN))
    return {path: path.read_bytes() for folder in folders for path in folder.glob("*.lock") if path.is_file()}


@cli.command(examples=("", "rlab", "--locked"))
@click.argument("images", nargs=-1)
@click.option("--locked", is_flag=True, help="Fail when a pinned package is nowhere to be had, instead of relocking.")
@click.option(
    "--platform", default="", metavar="NAME", help="For this one, such as linux/arm64; the engine emulates it."
)
def build(images: Sequence[str], locked: bool, platform: str) -> None:  # noqa: FBT001
    """Build the images, or those named, from the locks."""
    current = _engines(architectures.parse(platform, "--platform") if platform else "")
    with working(current, "build"):
        build_images(current, images, locked=locked, say=say, warn=report_labs.warn)


@cli.command(
    examples=("", "rlab", "rlab -k notebooks -x"),
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def smoke(arguments: Sequence[str]) -> None:
    """Prove both labs, or those named first in ARGUMENTS; the rest goes to pytest."""
    if {"-h", "--help"} & set(arguments):
        click.echo(click.get_current_context().get_help())
        return
    from pyrlab.commands.smoke import smoke as smoke_labs  # noqa: PLC0415 - pytest is slow to import, and only this needs it

    sys.exit(smoke_labs(_engines(), arguments))


@cli.command(examples=("", "--dry-run", "python", "--upgrade-package numpy"))
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Move just this one.")
@click.option("--dry-run", is_flag=True, help="Only show what is newer. Builds and changes nothing.")
@click.option("--strict", is_flag=True, help="Fail when anything is held back; what was proved is taken all the same.")
def upgrade(kinds: Sequence[str], upgrade_packages: Sequence[str], dry_run: bool, strict: bool) -> None:  # noqa: FBT001
    """Move all, or those of KINDS, to the newest versions that keep the labs proved."""
    current = _engines()
    wish = Wish(
        frozenset(kinds or KINDS),
        upgrade=not upgrade_packages,
        upgrade_packages=frozenset(upgrade_packages),
        min_age=current.upgrade.min_age,
    )
    with working(current, "upgrade"):
        done = upgrading.upgrade(current, wish, dry_run=dry_run, say=say)
    for line in report.upgraded(done, dry_run=dry_run):
        out.print(line)
    if strict and done.held:
        raise HeldError(
            f"held back: {', '.join(sorted(held.name for held in done.held))}",
            remedy="held.toml says why; mend that, and upgrade again",
        )


@cli.command(examples=("", "--sources labs.tar"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--sources", is_flag=True, help="Add all files that the locks pin, to build without a network.")
def bundle(file: Path | None, sources: bool) -> None:  # noqa: FBT001
    """Write images, lists, locks and settings into FILE, or .pyrlab/bundle.tar, for a machine without a network."""
    current = _engines()
    with working(current, "bundle"):
        done = bundling.bundle(current, file, sources=sources, say=say)
    out.print(f"{done.path}: {done.size / 1e6:.0f} MB, SHA-256 {done.sha256}")


@cli.command()
def rollback() -> None:
    """Bring back the locks and images of before the latest upgrade."""
    current = _engines()
    with working(current, "rollback"):
        generation = rolling.rollback(current, say=say)
    out.print(f"Back at {report.generation(generation)}.")


@cli.command(examples=("", "--json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a generation.")
def history(as_json: bool) -> None:  # noqa: FBT001
    """List the kept generations: what each upgrade replaced."""
    current = _settings()
    # What an engine emulates has generations of its own; all others are told without an engine.
    kept = rolling.history(_engines() if current.architecture else current)
    if as_json:
        out.print_json(json.dumps([generation.table() for generation in kept]))
    else:
        out.print(report.generations(kept))


@cli.command("import", examples=("renv.lock", "DESCRIPTION"))
@click.argument("file", type=click.Path(path_type=Path))
def import_file(file: Path) -> None:
    """Take over what FILE names into the list of R packages: a DESCRIPTION, an renv.lock or a lock of pak."""
    current = _settings()
    with working(current, "import"):
        outcome = importing.import_file(current, file)
    out.print(report.imported(outcome))


@cli.command(examples=("pylab", "thesis"))
@click.argument("lab")
def adopt(lab: str) -> None:
    """Write the packages that were added in LAB, which is stopped, into the lists; then LAB has them from its image."""
    current = _engines()
    with working(current, "adopt"):
        done = adopting.adopt(current, lab)
    out.print(report_labs.adopted(done))


@cli.command(examples=("", "--all", "--json"))
@click.option("--all", "all_rows", is_flag=True, help="Show what is up to date, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a name.")
def outdated(all_rows: bool, as_json: bool) -> None:  # noqa: FBT001
    """Show which packages of the lists are newer than the locks, and what holds them. Changes nothing."""
    rows = looking.outdated(named(_settings()), say=say)
    shown = rows if all_rows else [row for row in rows if row.behind or not (row.locked and row.newest)]
    if as_json:
        out.print_json(json.dumps([row.table() for row in shown]))
    else:
        out.print(report.outdated(shown, of=rows))


@cli.command(examples=("numpy", "numpy --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a pin of that name.")
def why(name: str, as_json: bool) -> None:  # noqa: FBT001
    """Show which line of which list brings the package NAME, by which chain, into which images, and since when."""
    found = explaining.why(named(_settings()), name, say=say)
    if as_json:
        out.print_json(json.dumps([reason.table() for reason in found.reasons]))
    else:
        out.print(report.why(found))


@cli.command(examples=("main", "main --json"))
@click.argument("commit")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a changed pin.")
def changes(commit: str, as_json: bool) -> None:  # noqa: FBT001
    """Show what changed in the locks since COMMIT. The same is in .pyrlab/changes.md, for a review."""
    by_file = comparing.changes(_settings(), commit)
    if as_json:
        out.print_json(json.dumps([row.table(file) for file, rows in by_file.items() for row in rows]))
    else:
        out.print(report.changes(by_file))


@cli.command(examples=("", "--merge-request main"))
@click.option("--merge-request", metavar="BRANCH", default="", help="Let GitLab open or update one into BRANCH.")
def propose(merge_request: str) -> None:
    """Push changed locks and held.toml as the branch pyrlab/upgrade of origin. Your own branch stays as it is."""
    current = _settings()
    with working(current, "propose"):
        proposal = proposing.propose(current, merge_request=merge_request)
    out.print(report.proposed(proposal))


for verb in labs.VERBS:
    cli.add_command(verb)
