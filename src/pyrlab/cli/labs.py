"""The verbs for labs that run: arguments to a use case, and its outcome to what is shown."""

import contextlib
import getpass
import json
import os
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.cli import report_labs
from pyrlab.cli.display import Display
from pyrlab.cli.sessions import Session
from pyrlab.cli.terminal import err, out
from pyrlab.cli.working import working
from pyrlab.commands import clean as cleaning
from pyrlab.commands import labs as daily
from pyrlab.commands import serve as serving
from pyrlab.commands.build import build as build_images
from pyrlab.errors import LabError
from pyrlab.model.serving import LOOPBACK, Bind, Request, Tunnel, parse_memory
from pyrlab.model.settings import Settings
from pyrlab.steps.architecture import chosen
from pyrlab.steps.labs import Running


def _settings() -> Settings:
    return chosen(read_settings(Path.cwd(), os.environ), engine.find_server())


@click.command(
    cls=Session,
    examples=(
        "pylab",
        "rlab --notebooks ~/thesis --memory 8g",
        "pylab --name thesis --port 8890",
        "pylab --remote me@server.example",
    ),
)
@click.argument("lab", required=False)
@click.option(
    "--name", default="", metavar="NAME", help="What this lab is known by, where one image is served several times."
)
@click.option("--port", type=int, metavar="PORT", help="The port on this machine; never 6006.")
@click.option(
    "--address",
    default=LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen. Whoever reaches another address may try to get in.",
)
@click.option(
    "--notebooks",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder to work in; made if it is missing.",
)
@click.option(
    "--mount",
    "mounts",
    multiple=True,
    metavar="MOUNT",
    help="One more folder, as docker run has it: src=/data,dst=/data,readonly.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Variables for the lab, NAME=VALUE a line. docker inspect shows them.",
)
@click.option("--gpus", default="", metavar="GPUS", help="As docker run has it: all, a number, or device=0,1.")
@click.option("--memory", default="", metavar="SIZE", help="The most memory that the lab may use, such as 8g.")
@click.option(
    "--cpus", type=float, default=0.0, metavar="CORES", help="The most cores that the lab may use, such as 2.5."
)
@click.option("--read-only", is_flag=True, help="Let nothing be written but notebooks, the home folder and /tmp.")
@click.option("--clean", is_flag=True, help="Start without the packages that were added to the lab. They stay.")
@click.option("--remote", default="", metavar="HOST", help="Print the ssh line to get there from another computer.")
@click.option("--foreground", is_flag=True, help="Show the log; the lab stops when this command ends.")
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.option("--locked", is_flag=True, help="Fail when a pinned package is nowhere to be had.")
def serve(  # noqa: PLR0913, PLR0917 - the options of one command
    lab: str | None,
    name: str,
    port: int | None,
    address: str,
    notebooks: Path | None,
    mounts: Sequence[str],
    env_file: Path | None,
    gpus: str,
    memory: str,
    cpus: float,
    read_only: bool,  # noqa: FBT001
    clean: bool,  # noqa: FBT001
    remote: str,
    foreground: bool,  # noqa: FBT001
    no_browser: bool,  # noqa: FBT001
    locked: bool,  # noqa: FBT001
) -> None:
    """Start LAB in the background and open it; build it first if need be. Without LAB, list those that there are."""
    current = _settings()
    if lab is None:
        out.print(report_labs.choices(daily.choices(current)))
        return
    current = current.serving(lab, port=port, notebooks=notebooks)
    request = Request.of(
        current,
        lab,
        name=name,
        address=address,
        gpus=gpus,
        memory=parse_memory(memory) if memory else 0,
        cpus=cpus,
        env_file=env_file.expanduser().absolute() if env_file else None,
        mounts=tuple(map(Bind.parse, mounts)),
        read_only=read_only,
        clean=clean,
    )
    with Display(f"serving {request.name}") as display:

        def build_lab() -> None:
            with display.phase("build"):
                build_images(current, [lab], locked=locked, say=display.say, warn=report_labs.warn)

        served = serving.serve(current, request, build=build_lab, say=display.say)
        if served.started:
            display.ready()
    with _in_foreground(current, served) if foreground else contextlib.nullcontext():
        out.print(f"{request.name} is ready: {served.link}")
        _show_way(served.lab, remote)
        if not no_browser and not remote and serving.has_display():
            # A browser's arguments are in the list of processes, which every user of a machine can read.
            webbrowser.open(daily.open_page(current, request.name).page.as_uri())
        if foreground:
            _follow(current, request.name)


def _show_way(lab: Running, remote: str) -> None:
    """Print how to get to a lab from another computer, where somebody sits at one."""
    tunnel = Tunnel.find(remote, os.environ.get("SSH_CONNECTION", ""), _user())
    if tunnel:
        err.print("from your own computer, keep this running, and then open the link there:", markup=False)
        err.print(f"  {tunnel.command(lab.request)}", markup=False)


def _user() -> str:
    """Return the name of this user; nothing for one without an entry in the user database."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


@contextlib.contextmanager
def _in_foreground(current: Settings, served: serving.Served) -> Iterator[None]:
    """Let an interrupt stop a lab that this run has started."""
    name = served.lab.name
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if served.started:
            daily.stop(current, name)
        interrupt.add_note(f"{name} is stopped" if served.started else f"{name} goes on: it was there before")
        raise


def _follow(current: Settings, name: str) -> None:
    """Show a lab's log until it ends."""
    for line in daily.logs(current, name, follow=True):
        out.print(line, markup=False)
    raise LabError(f"{name} has ended", remedy=f"its log, above, may say why; nox -s restart -- {name}")


@click.command("list", cls=Session, examples=("", "--json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of tables, one a lab.")
def list_labs(as_json: bool) -> None:  # noqa: FBT001
    """List the labs of this project: what runs, since when, where, from which image, with what memory and kernels."""
    rows = daily.list_labs(_settings())
    if as_json:
        out.print_json(json.dumps([row.table() for row in rows]))
    else:
        out.print(report_labs.rows(rows))


@click.command(cls=Session, examples=("pylab", "thesis"))
@click.argument("lab")
def stop(lab: str) -> None:
    """Stop LAB, by the name that `list` shows. Its notebooks, settings and token stay."""
    out.print(f"{lab} is stopped." if daily.stop(_settings(), lab) else f"{lab} was not running.")


@click.command(cls=Session, examples=("pylab",))
@click.argument("lab")
def restart(lab: str) -> None:
    """Stop LAB, and start it from the present image, as it was asked for before. Its link stays the same."""
    with Display(f"restarting {lab}") as display:
        link = daily.restart(_settings(), lab, say=display.say)
        display.ready()
    out.print(f"{lab} is ready: {link}")


@click.command(cls=Session, examples=("pylab", "pylab -f"))
@click.argument("lab")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
def logs(lab: str, follow: bool) -> None:  # noqa: FBT001
    """Show what LAB has logged."""
    for line in daily.logs(_settings(), lab, follow=follow):
        out.print(line, markup=False)


@click.command("open", cls=Session, examples=("pylab",))
@click.argument("lab")
def open_lab(lab: str) -> None:
    """Print the link of LAB, which runs, and open it in the browser."""
    current = _settings()
    opened = daily.open_page(current, lab)
    out.print(f"{lab} is ready: {opened.link}")
    _show_way(opened.lab, "")
    if serving.has_display():
        webbrowser.open(opened.page.as_uri())


@click.command(cls=Session, examples=("pylab",))
@click.argument("lab")
def shell(lab: str) -> None:
    """Open a shell in LAB, which runs, as its own user. What is piped in is run instead."""
    process.hand_over(daily.shell_command(_settings(), lab))


@click.command("clean", cls=Session, examples=("", "--yes"))
@click.option("--yes", is_flag=True, help="Remove it. Without this, nothing is changed.")
def clean(yes: bool) -> None:  # noqa: FBT001
    """Show what this project has left and nothing needs any more, with what it frees; `--yes` removes it.

    Images of candidates and of earlier builds, roots and other parts of the work folder, and files of the store that no
    lock names and no build has. Never a running lab, never what `rollback` brings back.
    """
    current = _settings()
    with working(current, "clean"):
        garbage = cleaning.find(current)
        out.print(report_labs.garbage(garbage, current.project))
        if yes and garbage:
            out.print(f"Removed: {report_labs.size(cleaning.clean(current, garbage))} are free again.")


VERBS = (serve, list_labs, stop, restart, logs, open_lab, shell, clean)
