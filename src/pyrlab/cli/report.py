"""Tables and sentences out of values: the only place that knows how pyrlab's answers look."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pyrlab.adapters.git import NOT_COMMITTED
from pyrlab.commands import why as reasons
from pyrlab.commands.imports import Outcome
from pyrlab.commands.propose import BRANCH, Proposal
from pyrlab.commands.upgrade import Upgrade
from pyrlab.errors import PyrlabError
from pyrlab.model import caching
from pyrlab.model.changes import OTHER_FILES, Change
from pyrlab.model.doctor import Check, State
from pyrlab.model.outdated import Row
from pyrlab.model.upgrade.report import Updates, essence
from pyrlab.model.why import Answer
from pyrlab.steps.generations import Generation

_STYLES = {"added": "green", "removed": "red", "up": "cyan", "down": "yellow", OTHER_FILES: "magenta"}
# So many lines of the lists are shown for a pin; of libc6 all lines would be.
_SHOWN_LINES = 5


def changes(by_file: Mapping[str, Sequence[Change]]) -> RenderableType:
    """Return a table of what changed, a row a pin, or a line that says that nothing did."""
    parts: list[RenderableType] = []
    for file, rows in by_file.items():
        if not rows:
            parts.append(Text(f"{file}: nothing changed"))
            continue
        parts.append(_moves(f"{file}: {_counts(rows)}", rows))
    return Group(*parts)


def _counts(rows: Sequence[Change]) -> str:
    counts = {kind: sum(row.kind == kind for row in rows) for kind in _STYLES}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _moves(title: str, rows: Sequence[Change]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("", "package", "old", "new"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(Text(row.kind, style=_STYLES[row.kind]), row.name, row.old, row.new)
    return table


def doctor(checks: Sequence[Check]) -> RenderableType:
    """Return a line for each check: how it is, what was looked at, what was found, and the remedy where it is ill."""
    styles = {State.WELL: "green", State.ILL: "bold red", State.UNTOLD: "yellow"}
    width = max((len(check.name) for check in checks), default=0)
    lines = [
        Text.assemble(
            (f"{check.state:<8}", styles[check.state]),
            f"  {check.name:<{width}}  {check.found}",
            (f"; try: {check.remedy}" if check.remedy else "", "bold"),
        )
        for check in checks
    ]
    if not any(check.state is State.ILL for check in checks):
        lines.append(Text("All is well."))
    return Group(*lines)


def imported(outcome: Outcome) -> RenderableType:
    """Return what an import did, a line a package, and what is left to do."""
    merged, found = outcome.merged, outcome.found
    lines = [f"{outcome.file}: {len(merged.added)} added" if merged.added else f"{outcome.file}: nothing changed"]
    lines += [f"  + {request}" for request in merged.added]
    lines += _section(
        "left as the list has it:",
        [f"{_all(kept.theirs)} in {found.kind}, {_all(kept.own)} in {kept.own[0].where}" for kept in merged.kept],
    )
    lines += _section("not taken over:", [f"{refused.name}: {refused.reason}" for refused in found.refused])
    lines += _section("to know:", [*outcome.notes, *outcome.proposal.notes])
    lines += _section(
        "add to r.repositories in pyrlab.toml:", [json.dumps(entry) for entry in outcome.proposal.entries]
    )
    if merged.added:
        lines.append("then: nox -s lock -- r")
    return Text("\n".join(lines))


def _all(requests: Sequence[object]) -> str:
    return " and ".join(map(str, requests))


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)] if lines else []


def outdated(rows: Sequence[Row], *, of: Sequence[Row]) -> RenderableType:
    """Return a table for each ecosystem, a row a name; ``of`` are all names, of which ``rows`` are shown."""
    parts: list[RenderableType] = []
    for ecosystem in dict.fromkeys(row.ecosystem for row in of):
        every = [row for row in of if row.ecosystem == ecosystem]
        title = f"{ecosystem}: {sum(row.behind for row in every)} of {len(every)} behind"
        own = [row for row in rows if row.ecosystem == ecosystem]
        if not own:
            parts.append(Text(title))
            continue
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for heading in ("list", "locked", "newest", "held by"):
            table.add_column(heading, overflow="fold")
        for row in own:
            style = "cyan" if row.behind else ""
            locked, newest = (_short(version) or "-" for version in (row.locked, row.newest))
            table.add_row(row.listed, locked, Text(newest, style=style), "; ".join(row.held))
        parts.append(table)
    if any(row.behind for row in of):
        parts.append(Text("nox -s lock -- --upgrade takes what nothing holds; --upgrade-package NAME just one"))
    return Group(*parts)


def _short(version: str) -> str:
    """Return a version; of a digest its beginning, which is enough to tell two apart."""
    return version[: len("sha256:") + 12] if version.startswith("sha256:") else version


def why(outcome: reasons.Outcome) -> RenderableType:
    """Return a paragraph for each pin of a name: version and images, the lines that bring it, and since when."""
    parts: list[RenderableType] = []
    for reason in outcome.reasons:
        answer, pinned = reason.answer, reason.answer.pinned
        place = f"in {', '.join(pinned.images)}" if pinned.images else pinned.note
        parts.append(Text.assemble((f"{answer.ecosystem}: {answer.name} {pinned.version}", "bold"), f", {place}"))
        parts += [Text(f"  {line}") for line in _lines_of(answer)]
        parts.append(Text(f"  in {pinned.lock}{_since(reason.since)}"))
    if outcome.other_cases:
        parts.append(Text(f"R tells upper from lower case: there is {' and '.join(outcome.other_cases)}, too"))
    return Group(*parts)


def _since(commit: str) -> str:
    if not commit or commit == NOT_COMMITTED:
        return f", {commit}" if commit else ""
    return f" since {commit}"


def _lines_of(answer: Answer) -> list[str]:
    """Return a line for each chain, or for the shortest ones, and what cannot be told."""
    shown = answer.chains[:_SHOWN_LINES]
    lines = [f"{chain.line.where}: {chain}" for chain in shown]
    more = len(answer.chains) - len(shown)
    if more:
        lines.append(f"and {more} more {'line' if more == 1 else 'lines'} of the lists")
    return [*lines, *answer.notes]


def proposed(proposal: Proposal | None) -> RenderableType:
    """Return what became of a proposal, as a sentence."""
    if proposal is None:
        return Text("Nothing to propose: the locks and held.toml are as in the last commit.")
    files = ", ".join(proposal.files)
    return Text(f"{BRANCH} has {files} {'now' if proposal.pushed else 'already'}.")


def upgraded(done: Upgrade, *, dry_run: bool) -> list[RenderableType]:
    """Return what an upgrade did: what the lists name and changed, the essence of its report, and where that is.

    A dry run has no report, so it shows all that changes.
    """
    if not any(done.changes.values()) and not done.report:
        return [Text("Everything is at its newest already.")]
    if dry_run or not done.report:
        shown: list[RenderableType] = [changes({file: rows for file, rows in done.changes.items() if rows})]
    else:
        shown = [part for updates in done.report.updates for part in _updates(updates)]
    if dry_run:
        return [*shown, Text("Nothing was changed: this was a dry run.")]
    lines = essence(done.report) if done.report else []
    if done.released:
        lines.append(f"no longer held: {', '.join(held.name for held in done.released)}")
    if done.promoted:
        lines.append("The locks and images are replaced; nox -s rollback brings back those of before.")
    else:
        lines.append("Nothing of it is taken: the locks and images are as they were.")
    return [*shown, Text("\n".join([*lines, f"report: {done.page}"]))]


def _updates(updates: Updates) -> Iterator[RenderableType]:
    """Yield a table of what the lists name, and how many others there are: the report has them."""
    title = f"{updates.ecosystem}: {_counts(updates.all)}"
    if not updates.direct:
        yield Text(f"{title}; no list names them")
        return
    yield _moves(title, updates.direct)
    if updates.indirect:
        yield Text(f"and {len(updates.indirect)} that no list names")


def generation(one: Generation) -> str:
    """Return a generation in words."""
    replaced = datetime.fromtimestamp(one.replaced, tz=UTC).astimezone()
    return f"generation {one.number}, {one.summary}, replaced {replaced:%Y-%m-%d %H:%M}"


def generations(kept: Sequence[Generation]) -> RenderableType:
    """Return a line for each kept generation, the latest first."""
    if not kept:
        return Text("No generation is kept: nothing was upgraded yet.")
    return Text("\n".join(map(generation, kept)))


def failure(console: Console, error: PyrlabError) -> None:
    """Print an error: its evidence first, so that what went wrong and what to do stand last, where eyes are."""
    if error.detail:
        console.print(Text(error.detail, style="dim"), soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
    console.print(Text.assemble(("  try: ", "bold"), error.remedy), soft_wrap=True)


def proxies() -> Text:
    """Return how the caching proxies of this machine are used."""
    debian, python = caching.DEBIAN, caching.PYTHON
    return Text(
        f"{debian.title} and {python.title} run, for programs on this machine only, and start again with the engine.\n"
        "In this shell, for all projects:\n"
        f"  export APTPROXY={debian.url} PIPPROXY={python.url}\n"
        "Or in pyrlab.toml, for this one:\n"
        "  [network]\n"
        f'  apt_proxy = "{debian.url}"\n'
        f'  python_index = "{python.url}"\n'
        "To stop them: nox -s proxies -- --stop"
    )
