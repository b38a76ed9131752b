"""The use cases around labs that run: `list`, `stop`, `restart`, `logs`, `open` and `shell`, for this project's own."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pyrlab.adapters.docker import containers, engine
from pyrlab.errors import LabError
from pyrlab.model.added import Added
from pyrlab.model.serving import INSIDE
from pyrlab.model.settings import Settings
from pyrlab.steps import added, lab_runs, labs
from pyrlab.steps.labs import Running
from pyrlab.steps.workspace import busy

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A lab as `list` shows it. ``since`` is in ISO 8601, ``memory`` and its limit in bytes, None where not known.

    So is ``added``: what was added to it beside its image.
    """

    name: str
    lab: str
    status: str
    since: str
    address: str
    port: int
    notebooks: str
    image: str
    current: bool
    memory: int | None
    memory_limit: int | None
    kernels: int | None
    container: str
    added: Added | None

    def table(self) -> dict[str, object]:
        """Return the row for a program: its columns by name, and of what was added a table each."""
        packages = None if self.added is None else [package.table() for package in self.added.packages]
        return {**asdict(self), "added": packages}


@dataclass(frozen=True, slots=True)
class Choice:
    """A lab that can be served, its languages, and the port that it takes without more being said."""

    lab: str
    languages: Sequence[str]
    port: int
    built: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A lab that runs, its link, and a page that leads there for a browser's command line."""

    lab: Running
    link: str
    page: Path


def choices(current: Settings) -> list[Choice]:
    """Return the labs that can be served."""
    return [
        Choice(name, sorted(set(lab.kernels.values())), current.ports[name], labs.has_image(current, name))
        for name, lab in current.graph.labs.items()
    ]


def list_labs(current: Settings) -> list[Row]:
    """Return this project's labs of this user, by name; those that do not run any more, too."""
    engine.find()
    return [_row(current, lab) for lab in labs.all_of(current)]


def _row(current: Settings, lab: Running) -> Row:
    used, limit = containers.memory(lab.container) if lab.runs else (None, None)
    state = lab.container.attrs["State"]
    return Row(
        name=lab.name,
        lab=lab.request.lab,
        status=lab.container.status,
        since=str(state["StartedAt"] if lab.runs else state["FinishedAt"]),
        address=lab.request.address,
        port=lab.request.port,
        notebooks=str(lab.request.notebooks),
        image=current.tag(lab.request.lab),
        current=labs.is_current(current, lab),
        memory=used,
        memory_limit=limit,
        kernels=labs.kernels(current, lab) if lab.runs else None,
        container=str(lab.container.name),
        added=added.of_lab(current, lab),
    )


def stop(current: Settings, name: str) -> bool:
    """Stop a lab and remove its container; the notebooks stay. Returns whether it was there."""
    engine.find()
    lab = labs.find_known(current, name)
    if lab is None:
        return False
    lab_runs.stop(current, lab)
    return True


def restart(current: Settings, name: str, *, say: Say) -> str:
    """Stop a lab, start it from the present image with all that it was asked for, and return its link: the same one.

    Raises LabError where there is no such lab.
    """
    engine.find()
    with busy(current.workspace, f"restart {name}", say=say):
        lab = labs.find_known(current, name)
        if lab is None:
            raise LabError(f"{name} does not run", remedy=f"nox -s serve -- {name}")
        if not labs.has_image(current, lab.request.lab):
            raise LabError(
                f"there is no image for {name} any more", remedy=f"nox -s build -- {lab.request.lab}; then restart it"
            )
        lab_runs.check(lab.request)
        say(f"stopping {name}")
        lab_runs.stop(current, lab)
        return labs.link_of(current, lab_runs.start(current, lab.request, say=say))


def logs(current: Settings, name: str, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a lab's log, and go on with what comes until it ends when ``follow``."""
    engine.find()
    lab = labs.find_known(current, name)
    if lab is None:
        raise LabError(f"{name} does not run, and has no log", remedy=f"nox -s serve -- {name}")
    return containers.log_lines(lab.container, follow=follow)


def open_page(current: Settings, name: str) -> Opened:
    """Return a lab that runs, once it answers, and write its page. Raises LabError when it does not."""
    engine.find()
    lab = labs.need_running(current, name)
    lab_runs.wait(current, lab)
    return Opened(lab, labs.link_of(current, lab), labs.page_of(current, lab))


def shell_command(current: Settings, name: str) -> list[str]:
    """Return the command of a shell in a lab that runs, as the lab's own user, for the terminal that this run has.

    It starts in the notebooks' folder, as terminals of JupyterLab do.
    """
    engine.find()
    lab = labs.need_running(current, name)
    terminal = ["--tty"] if sys.stdin.isatty() else []
    return ["docker", "exec", "--interactive", *terminal, "--workdir", INSIDE, str(lab.container.name), "bash"]
