"""What one notebook showed in two images: the differences that mean something, the gravest first."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from pyrlab.model.upgrade import pictures, tables, texts
from pyrlab.model.upgrade.pictures import PNG, SVG, Picture
from pyrlab.model.upgrade.texts import NUMBER, TEXT, Finding

TABLE, ERROR, PLOT = tables.TABLE, "error", "plot"
# In the order of their weight: a number that moved is what nobody would have seen.
KINDS = (NUMBER, TABLE, ERROR, PLOT, TEXT)
STDERR = "stderr"
_LONGEST_LINE = 80
# A result comes in several formats: the one that tells most is compared.
_HTML, _PLAIN = "text/html", "text/plain"
_AS_TEXT = (_PLAIN, "text/markdown", "text/latex", _HTML)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference in the output of one cell.

    ``cell`` counts the code cells from 1 (0 is the notebook itself), ``line`` is the first of its source. ``kind`` is
    one of KINDS. ``where`` is what stands before a number, names row and column, or is stderr. ``was`` and ``now``
    are short. ``change`` is a number's relative change with its sign; infinite from 0, and to and from NaN. Plots
    have ``old`` and ``new``, of which one may be missing.
    """

    cell: int
    line: str
    kind: str
    where: str
    was: str
    now: str
    change: float | None = None
    old: Picture | None = None
    new: Picture | None = None


@dataclass(slots=True)
class _Outputs:
    """What a cell put out, sorted by what it is."""

    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    plots: list[Picture] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def compare(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, tolerance: float
) -> tuple[Difference, ...]:
    """Compare a notebook executed in the old image and in the new one, both as nbformat 4 has them.

    None is a notebook that one side did not run. ``tolerance`` is relative, at least 0. What is not a notebook has no
    cells. Numbers come first, the largest change before the others, then KINDS in their order; stderr is last.
    """
    if old is None or new is None:
        was, now = ("did not run" if notebook is None else "ran" for notebook in (old, new))
        return () if was == now else (Difference(0, "", ERROR, "", was, now),)
    before, after = _code_cells(old), _code_cells(new)
    found = []
    if len(before) != len(after):
        found.append(Difference(0, "", TEXT, "code cells", str(len(before)), str(len(after))))
    stopped = False
    for number, (cell, other) in enumerate(zip(before, after, strict=False), start=1):
        # What stands below an error ran on one side only, and says nothing about it.
        if not (stopped and _ran(cell) != _ran(other)):
            found += _compare_cells(number, cell, other, tolerance)
        stopped = stopped or _failed(cell) or _failed(other)
    return tuple(sorted(found, key=_weight))


def _weight(difference: Difference) -> tuple[int, bool, float, int]:
    change = abs(difference.change) if difference.change is not None else 0.0
    return KINDS.index(difference.kind), difference.where == STDERR, -change, difference.cell


def _compare_cells(
    number: int, old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float
) -> Iterator[Difference]:
    before, after = _sorted(old), _sorted(new)
    line = _first_line(new) or _first_line(old)
    for finding in _text_findings(before, after, tolerance):
        yield Difference(number, line, finding.kind, finding.where, finding.was, finding.now, finding.change)
    # A warning's numbers are its text: nobody computed them.
    for finding in texts.compare("".join(before.stderr), "".join(after.stderr), tolerance):
        where = f"{finding.where} " if finding.kind == NUMBER else ""
        yield Difference(number, line, TEXT, STDERR, where + finding.was, where + finding.now)
    for was, now in zip_longest(before.errors, after.errors):
        if was is None or now is None or was[0] != now[0] or texts.compare(was[1], now[1], tolerance):
            yield Difference(number, line, ERROR, "", _error(was), _error(now))
    for plot, other in zip_longest(before.plots, after.plots):
        if plot is None or other is None or not pictures.same(plot, other):
            yield Difference(number, line, PLOT, "", _size(plot), _size(other), None, plot, other)


def _text_findings(before: _Outputs, after: _Outputs, tolerance: float) -> Iterator[Finding]:
    yield from texts.compare("".join(before.stdout), "".join(after.stdout), tolerance)
    for was, now in zip_longest(before.texts, after.texts, fillvalue=""):
        yield from texts.compare(was, now, tolerance)
    for was, now in zip_longest(before.tables, after.tables, fillvalue=""):
        yield from tables.compare(was, now, tolerance)


def _code_cells(notebook: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [cell for cell in _dicts(_get(notebook, "cells")) if cell.get("cell_type") == "code"]


def _ran(cell: Mapping[str, Any]) -> bool:
    return cell.get("execution_count") is not None or bool(cell.get("outputs"))


def _failed(cell: Mapping[str, Any]) -> bool:
    return any(output.get("output_type") == "error" for output in _dicts(cell.get("outputs")))


def _first_line(cell: Mapping[str, Any]) -> str:
    lines = (line for line in _text(cell.get("source")).splitlines() if line.strip())
    return texts.short(next(lines, ""), _LONGEST_LINE)


def _sorted(cell: Mapping[str, Any]) -> _Outputs:
    outputs = _Outputs()
    for output in _dicts(cell.get("outputs")):
        kind = output.get("output_type")
        if kind == "stream":
            # A stream comes in pieces that differ from run to run: all of them are one text.
            stream = outputs.stderr if output.get("name") == STDERR else outputs.stdout
            stream.append(_text(output.get("text")))
        elif kind == "error":
            outputs.errors.append((_text(output.get("ename")), _text(output.get("evalue"))))
        elif kind in ("execute_result", "display_data"):
            _sort_in(outputs, _get(output, "data"))
    return outputs


def _sort_in(outputs: _Outputs, data: object) -> None:
    """Put a result where its richest format belongs."""
    found = {str(mime): value for mime, value in data.items()} if isinstance(data, Mapping) else {}
    html = _text(found.get(_HTML))
    structured = sorted(mime for mime in found if mime.endswith("json") and "widget" not in mime)
    if PNG in found:
        outputs.plots.append(Picture(PNG, _decoded(_text(found[PNG]))))
    elif SVG in found:
        outputs.plots.append(Picture(SVG, _text(found[SVG]).encode("utf-8", "replace")))
    elif "<table" in html.lower():
        outputs.tables.append(html)
    elif structured:
        outputs.texts.append(json.dumps(found[structured[0]], sort_keys=True, indent=0, default=str, skipkeys=True))
    else:
        mime = next((mime for mime in _AS_TEXT if mime in found), None)
        if mime:
            text = _text(found[mime])
            outputs.texts.append(tables.read(text)[1] if mime == _HTML else text)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode("utf-8", "replace")


def _error(error: tuple[str, str] | None) -> str:
    return texts.short(": ".join(part for part in error if part)) if error else "no error"


def _size(plot: Picture | None) -> str:
    return f"{plot.mime}, {len(plot.data):,} bytes" if plot else "no plot"


def _dicts(value: object) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _get(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _text(value: object) -> str:
    """Return a text that nbformat keeps whole or as a list of lines; of anything else, nothing."""
    if isinstance(value, list | tuple):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
