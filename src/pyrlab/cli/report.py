"""Tables and sentences out of values: the only place that knows how pyrlab's answers look."""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pyrlab.errors import PyrlabError
from pyrlab.model.changes import Change

_STYLES = {"added": "green", "removed": "red", "up": "cyan", "down": "yellow"}


def changes(by_file: Mapping[str, Sequence[Change]]) -> RenderableType:
    """Return a table of what changed, a row a pin, or a line that says that nothing did."""
    parts: list[RenderableType] = []
    for file, rows in by_file.items():
        if not rows:
            parts.append(Text(f"{file}: nothing changed"))
            continue
        counts = {kind: sum(row.kind == kind for row in rows) for kind in _STYLES}
        title = f"{file}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for heading in ("", "package", "old", "new"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(Text(row.kind, style=_STYLES[row.kind]), row.name, row.old, row.new)
        parts.append(table)
    return Group(*parts)


def failure(console: Console, error: PyrlabError) -> None:
    """Print an error: its evidence first, so that what went wrong and what to do stand last, where eyes are."""
    if error.detail:
        console.print(Text(error.detail, style="dim"), soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
    console.print(Text.assemble(("  try: ", "bold"), error.remedy), soft_wrap=True)
