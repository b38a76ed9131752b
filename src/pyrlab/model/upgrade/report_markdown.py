"""A report as Markdown, for a pull request: GitHub's flavour and GitLab's, in both of which it looks the same."""

import re
from collections.abc import Iterator, Sequence

from pyrlab.model.upgrade import outline
from pyrlab.model.upgrade.outline import Grid, Plots, Section
from pyrlab.model.upgrade.report import Phrase, Report, counted, headline, shown

# GitHub takes 65,536 characters in a body or comment; the rest is for who puts a line of his own around it.
MOST = 60_000
# Rows of a table: of the indirect changes, and of any other. The first that fit are taken.
_ROWS = ((1000, 1000), (200, 1000), (50, 200), (0, 50), (0, 10), (0, 0))
_LONGEST = 120
_BACKTICKS = re.compile("`+")


def markdown(report: Report) -> str:
    """Return the report in at most MOST characters. Where it is longer, a line below a table says what is left out.

    Foreign text stands in code spans: there is no markup in it, no mention of a user, no link and no picture.
    """
    sections = outline.sections(report)
    text = ""
    for minor, others in _ROWS:
        text = "\n\n".join(_blocks(report, sections, minor, others)) + "\n"
        if len(text) <= MOST:
            break
    return text


def _blocks(report: Report, sections: Sequence[Section], minor: int, others: int) -> Iterator[str]:
    yield f"**{_phrase(headline(report))}**"
    yield _phrase(outline.facts(report))
    for section in sections:
        yield f"### {section.title}"
        plots = [part for part in section.parts if isinstance(part, Plots)]
        for part in section.parts:
            if isinstance(part, Grid):
                yield _table(part, minor if part.minor else others)
            elif not isinstance(part, Plots):
                yield _phrase(part)
        if plots:
            yield _list(plots, others)


def _table(grid: Grid, most: int) -> str:
    lines = [
        _row(grid.headings),
        _row(["---:" if column in grid.right else "---" for column in range(len(grid.headings))]),
        *(_row([_phrase(cell) for cell in row]) for row in grid.rows[:most]),
    ]
    left = len(grid.rows) - most
    more = f"\n\nand {counted(left, 'more row')}, which are left out here." if left > 0 else ""
    table = "\n".join(lines) + more
    if not grid.fold:
        return table
    return f"<details>\n<summary>{grid.fold}</summary>\n\n{table}\n\n</details>"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _list(plots: Sequence[Plots], most: int) -> str:
    lines = [f"- {_phrase(plot.caption)}" for plot in plots[:most]]
    more = [f"- and {len(plots) - most} more"] if len(plots) > most else []
    return "\n".join(["Both pictures of each are in the report as HTML.", "", *lines, *more])


def _phrase(phrase: Phrase) -> str:
    return "".join(part if isinstance(part, str) else _code(part.text) for part in phrase)


def _code(text: str) -> str:
    """Return foreign text as a code span that also stands in a table's cell.

    A fence is longer than any run of backticks in it (CommonMark 6.1), and a pipe is escaped even there (GFM 4.10).
    """
    text = shown(text)
    if not text:
        return ""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    pad = " " if "`" in {text[0], text[-1]} else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")
