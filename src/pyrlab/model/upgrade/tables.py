"""Two HTML tables, such as a data frame's, compared cell by cell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import zip_longest
from typing import NamedTuple

from pyrlab.model.upgrade import texts
from pyrlab.model.upgrade.texts import Finding

TABLE = "table"
# What a browser accepts, more or less; and an end for a span of 10^9.
_MOST_SPANNED = 1000
_SILENT = ("style", "script", "title")
# Behind these headings a summary of statsmodels says when it was made.
_DATED = frozenset({"Date:", "Time:"})


class Cell(NamedTuple):
    """One cell: its text, whether it is a heading, and over how many columns and rows it reaches."""

    text: str
    heading: bool
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table as a grid: ``columns`` are the headings, one a column; a row has a label and as many cells."""

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, rows: Sequence[Sequence[Cell]]) -> "HtmlTable":
        """Make a table of what its rows say: leading rows of headings name the columns, leading headings the row."""
        grid = list(_grid(rows))
        heads = 0
        while heads < len(grid) and grid[heads] and all(cell.heading for cell in grid[heads]):
            heads += 1
        if heads == len(grid):
            # Headings only: they are all there is to compare.
            heads = 0
        head, body = grid[:heads], grid[heads:]
        label = min((_leading_headings(row) for row in body), default=0)
        width = max(map(len, grid), default=0)
        return cls(
            columns=tuple(
                _joined(row[place].text for row in head if place < len(row)) for place in range(label, width)
            ),
            labels=tuple(_joined(cell.text for cell in row[:label]) for row in body),
            rows=tuple(tuple(cell.text for cell in row[label:]) for row in body),
        )


class _Reader(HTMLParser):
    """Reads tables, and the text around them. A table inside a cell is that cell's text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[Cell]]] = []
        self.outside: list[str] = []
        self._depth = 0
        self._silent = 0
        self._cell: Cell | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.tables.append([])
        elif self._depth == 1 and tag == "tr":
            self._end_cell()
            self.tables[-1].append([])
        elif self._depth == 1 and tag in {"td", "th"}:
            self._end_cell()
            said = dict(attrs)
            self._cell = Cell("", tag == "th", _span(said.get("colspan")), _span(said.get("rowspan")))
        else:
            self._parts().append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "table" and self._depth:
            if self._depth == 1:
                self._end_cell()
            self._depth -= 1
        elif self._depth == 1 and tag in {"td", "th", "tr"}:
            self._end_cell()
        else:
            self._parts().append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts().append(data)

    def close(self) -> None:
        super().close()
        self._end_cell()

    def _parts(self) -> list[str]:
        return self._text if self._cell else self.outside

    def _end_cell(self) -> None:
        if self._cell:
            rows = self.tables[-1]
            if not rows:
                rows.append([])
            rows[-1].append(self._cell._replace(text=" ".join("".join(self._text).split())))
        self._cell, self._text = None, []


def read(html: str) -> tuple[list[HtmlTable], str]:
    """Return the tables of an output, and the text around them, a caption among it."""
    reader = _Reader()
    try:
        reader.feed(texts.without(html, "<!--", "-->"))
        reader.close()
    except AssertionError:
        # html.parser's answer to a marked section that no HTML has. What came before it is read.
        pass
    return [HtmlTable.of(rows) for rows in reader.tables], " ".join("".join(reader.outside).split())


def compare(old: str, new: str, tolerance: float) -> list[Finding]:
    """Return where two outputs in HTML differ: numbers beyond the relative ``tolerance``, cells, rows, columns."""
    if old == new:
        return []
    (before, around), (after, now_around) = read(old), read(new)
    findings = texts.compare(around, now_around, tolerance)
    for number, (was, now) in enumerate(zip_longest(before, after), start=1):
        if was is None or now is None:
            findings.append(Finding(TABLE, f"table {number}", _size(was), _size(now)))
        elif was != now:
            findings += _compare_tables(was, now, tolerance)
    return findings


def _compare_tables(old: HtmlTable, new: HtmlTable, tolerance: float) -> Iterator[Finding]:
    columns = list(_matched(old.columns, new.columns))
    yield from _compare_names("column", old.columns, new.columns, columns, tolerance)
    rows = list(_matched(old.labels, new.labels))
    yield from _compare_names("row", old.labels, new.labels, rows, tolerance)
    for before, after in rows:
        if before is None or after is None:
            continue
        for was, now in columns:
            if was is None or now is None:
                continue
            heading = _at(old.rows[before], was - 1) if was else old.labels[before]
            if heading not in _DATED:
                where = f"row {_name(new.labels, after)}, column {_name(new.columns, now)}"
                yield from _compare_cells(_at(old.rows[before], was), _at(new.rows[after], now), where, tolerance)


def _compare_cells(old: str, new: str, where: str, tolerance: float) -> Iterator[Finding]:
    for found in texts.compare(old, new, tolerance):
        kind = found.kind if found.kind == texts.NUMBER else TABLE
        yield Finding(kind, where, found.was, found.now, found.change)


def _compare_names(
    what: str, old: Sequence[str], new: Sequence[str], pairs: Sequence[tuple[int | None, int | None]], tolerance: float
) -> Iterator[Finding]:
    """Yield what became of the headings: those lost and new, those that are called otherwise, and another order."""
    for before, after in pairs:
        if before is None or after is None:
            name = _name(new, after) if before is None and after is not None else _name(old, before or 0)
            there = texts.short(f"{what} {name}")
            yield Finding(TABLE, there, "" if before is None else there, "" if after is None else there)
        elif old[before] != new[after]:
            yield from _compare_cells(old[before], new[after], f"heading of {what} {after + 1}", tolerance)
    known = [after for _, after in sorted((a, b) for a, b in pairs if a is not None and b is not None)]
    if known != sorted(known):
        yield Finding(TABLE, f"order of {what}s", texts.short(", ".join(old)), texts.short(", ".join(new)))


def _matched(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield which of the old headings is which of the new: by name where names are unique, else by position.

    Equally many of which some are called otherwise go by position, too: 0.30 may have become 0.30000000000000004.
    """
    unique = len(set(old)) == len(old) and len(set(new)) == len(new)
    if not unique or (len(old) == len(new) and set(old) != set(new)):
        yield from (
            (number if number < len(old) else None, number if number < len(new) else None)
            for number in range(max(len(old), len(new)))
        )
        return
    places = {name: place for place, name in enumerate(new)}
    yield from ((place, places.get(name)) for place, name in enumerate(old))
    known = set(old)
    yield from ((None, place) for place, name in enumerate(new) if name not in known)


def _grid(rows: Sequence[Sequence[Cell]]) -> Iterator[list[Cell]]:
    """Yield rows in which a cell stands in every column and row that it reaches over."""
    reaching: dict[int, Cell] = {}
    for row in rows:
        line: list[Cell] = []
        cells = iter(row)
        below: dict[int, Cell] = {}
        while True:
            cell = reaching.pop(len(line), None)
            width = 1
            if cell is None:
                cell = next(cells, None)
                if cell is None:
                    break
                width = cell.columns
            for _ in range(width):
                if cell.rows > 1:
                    below[len(line)] = cell._replace(rows=cell.rows - 1, columns=1)
                line.append(cell)
        reaching = below
        yield line


def _span(said: str | None) -> int:
    """Return over how many columns or rows a cell reaches; what cannot be read is 1, as in a browser."""
    digits = (said or "").lstrip("0")[: len(str(_MOST_SPANNED)) + 1]
    return max(1, min(int(digits), _MOST_SPANNED)) if digits.isascii() and digits.isdecimal() else 1


def _leading_headings(row: Sequence[Cell]) -> int:
    return next((place for place, cell in enumerate(row) if not cell.heading), len(row))


def _joined(parts: Iterator[str]) -> str:
    return " / ".join(dict.fromkeys(part for part in parts if part))


def _at(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""


def _name(names: Sequence[str], place: int) -> str:
    """Return a heading, or the number of its row or column."""
    return (names[place] if place < len(names) else "") or str(place + 1)


def _size(table: HtmlTable | None) -> str:
    return f"{len(table.rows)} rows, {len(table.columns)} columns" if table else ""
