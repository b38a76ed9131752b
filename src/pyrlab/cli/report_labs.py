"""Tables and sentences about labs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pyrlab.cli import report
from pyrlab.cli.terminal import err
from pyrlab.commands.adopt import Adopted
from pyrlab.commands.clean import Garbage
from pyrlab.commands.labs import Choice, Row
from pyrlab.model.added import Package
from pyrlab.model.changes import Change

_UNITS = ("B", "kB", "MB", "GB", "TB")


def choices(found: Sequence[Choice]) -> RenderableType:
    """Return the labs that can be served, a line each."""
    table = _table("lab", "languages", "port", "image")
    for choice in found:
        image = "built" if choice.built else "not built yet"
        table.add_row(choice.lab, ", ".join(choice.languages), str(choice.port), image)
    return Group(table, Text(f"nox -s serve -- {found[0].lab} starts one; nox -s serve -- --help shows its options"))


def rows(found: Sequence[Row]) -> RenderableType:
    """Return a table of labs, and what to do about those that run from old images or do not run."""
    if not found:
        return Text("No lab of this project runs: nox -s serve lists what can be served.")
    table = _table("name", "lab", "status", "since", "port", "image", "memory", "kernels")
    for row in found:
        image = "current" if row.current else Text("older", style="yellow")
        memory = size(row.memory) if row.memory is not None else "-"
        kernels = "-" if row.kernels is None else str(row.kernels)
        port = str(row.port) if row.address == "127.0.0.1" else f"{row.address}:{row.port}"
        table.add_row(row.name, row.lab, row.status, moment(row.since), port, image, memory, kernels)
    notes = [
        f"{row.name} runs from an older image than the present one: nox -s restart -- {row.name}"
        for row in found
        if not row.current
    ]
    notes += [f"{row.name}: {sentence}" for row in found if row.added for sentence in row.added.says]
    notes += [f"{row.name} does not run: nox -s restart -- {row.name}" for row in found if row.status != "running"]
    return Group(table, *map(Text, notes))


def adopted(done: Adopted) -> RenderableType:
    """Return what `adopt` has done, a line each."""
    proposal = done.proposal
    if not done.any:
        return Text(f"Nothing was added to {done.name}.")
    says = [f"{file}: {', '.join(lines)}, added in {done.name}" for file, lines in proposal.lines.items()]
    for package, file in proposal.listed.items():
        says.append(f"{package.name} is in {file} already{_what_to_do(package)}")
    if proposal.along:
        says.append(f"not written, as they came with others: {', '.join(package.name for package in proposal.along)}")
    if proposal.broken:
        says.append(f"not written, as half installed: {', '.join(package.name for package in proposal.broken)}")
    says.append(f"The volume of {done.name} is empty again.")
    if proposal.lines:
        says.append(f"Now pin it, and start the lab on the new image: nox -s lock, nox -s serve -- {done.name}")
    return Text("\n".join(says))


def _what_to_do(package: Package) -> str:
    if not package.image:
        return ", and not in the image yet: nox -s lock, nox -s build"
    if package.image == package.version:
        return ""
    return f", and the lab had {package.version}: nox -s lock -- --upgrade-package {package.name}"


def garbage(found: Garbage, project: Path) -> RenderableType:
    """Return a table of what `clean` removes, with the bytes that each part frees, and what it leaves alone."""
    notes = []
    if found.build_cache:
        notes.append(
            f"The engine's build cache, {size(found.build_cache)}, is of all projects together, and stays: "
            "docker builder prune empties it."
        )
    if not found:
        return Text("\n".join(["Nothing to remove.", *notes]))
    table = _table("what", "frees")
    tagged = [stale for stale in found.images if stale.tags]
    for stale in tagged:
        table.add_row(f"image {', '.join(stale.tags)}", _at_least(stale.freed))
    bare = [stale for stale in found.images if not stale.tags]
    if bare:
        images = "image" if len(bare) == 1 else "images"
        table.add_row(f"{len(bare)} {images} that later builds replaced", _at_least(sum(one.freed for one in bare)))
    for folder, freed in found.folders.items():
        table.add_row(f"folder {folder.relative_to(project)}", size(freed))
    if found.files:
        files = f"{len(found.files)} {'file' if len(found.files) == 1 else 'files'} of the store"
        table.add_row(f"{files} that nobody used for a day", size(sum(found.files.values())))
    total = f"In all {_at_least(found.freed)}: nox -s clean -- --yes removes it."
    return Group(table, *map(Text, [total, *notes]))


def _at_least(freed: int) -> str:
    """Return what images free: layers that only they share are not counted before they are gone."""
    return f"{size(freed)} or more"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def moment(text: str) -> str:
    """Return a time of the engine's, in nanoseconds and UTC, as people here read it."""
    try:
        # Python knows microseconds.
        found = datetime.strptime(text.partition(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return text
    return f"{found.astimezone():%Y-%m-%d %H:%M}"


def size(number: float) -> str:
    """Return a number of bytes as Docker writes it: in steps of a thousand."""
    for unit in _UNITS[:-1]:
        if number < 1000:  # noqa: PLR2004 - a step
            return f"{number:.0f} {unit}" if unit in {"B", "kB"} else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} {_UNITS[-1]}"


def warn(changes: dict[str, list[Change]]) -> None:
    """Print what was locked anew, as the archive has dropped it."""
    err.print("WARNING: the archive has dropped pinned packages. These were locked anew:", style="bold yellow")
    err.print(report.changes({file: rows for file, rows in changes.items() if rows}))
    err.print("Commit the changed locks; build with --locked to make this an error.", style="bold yellow")
