"""A report as sections, tables and plots, in the order in which they are read. Markdown and HTML show the same."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pyrlab.model.changes import OTHER_FILES, Change
from pyrlab.model.upgrade.notebooks import ERROR, PLOT, TABLE, Difference
from pyrlab.model.upgrade.pictures import Picture
from pyrlab.model.upgrade.report import (
    KINDS,
    Advisory,
    ImageFigures,
    NotebookRun,
    Phrase,
    Quote,
    Report,
    Updates,
    counted,
    megabytes,
    percent,
    place,
    seconds,
)
from pyrlab.model.upgrade.texts import NUMBER, TEXT

# A table with more rows is folded; the rows that need attention never are.
_UNFOLDED = 15
_MARKS = {"up": "", "down": "older", "added": "new", "removed": "removed", OTHER_FILES: OTHER_FILES}


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. ``fold`` is what to call it when it is folded, empty when it is not.

    ``minor`` says that its rows are the first to be left out where there is no room. Columns in ``right`` are numbers.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[Phrase, ...], ...]
    fold: str = ""
    minor: bool = False
    right: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plots:
    """A plot before and after, of which one may be missing."""

    caption: Phrase
    old: Picture | None
    new: Picture | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it. ``alarm`` says that somebody has to look at it."""

    title: str
    parts: tuple[Phrase | Grid | Plots, ...]
    alarm: bool = False


def facts(report: Report) -> Phrase:
    """Return the line below the headline: when, on what, and how much work it was."""
    day = f"{report.day.day} {report.day:%B %Y}"
    work = f" · {counted(report.trials, 'trial')} in {seconds(report.seconds)}" if report.trials else ""
    same = sum(not run.differences for run in report.notebooks)
    proved = f" · {same} of {counted(len(report.notebooks), 'notebook')} as before" if report.notebooks else ""
    return (f"{day} · Debian ", Quote(report.suite), proved, work)


def sections(report: Report) -> list[Section]:
    """Return what there is to say; numbers that changed without a word come first."""
    every = [
        _numbers(report),
        _errors(report),
        _held(report),
        _advisories(report),
        *(_updates(updates, report.advisories) for updates in report.updates),
        _plots(report),
        _other_differences(report),
        _images(report.images),
        _tests(report),
    ]
    return [section for section in every if section and section.parts]


def _numbers(report: Report) -> Section | None:
    found = report.found(NUMBER)
    rows = tuple(
        (place(run, one), _code(one), _quote(one.where), _quote(one.was), _quote(one.now), (percent(one.change),))
        for run, one in found
    )
    headings = ("where", "source", "number", "was", "is", "change")
    said = (
        "These results are not what they were, and no error says so. "
        f"Differences of up to {report.tolerance:g} of a value are left out."
    )
    grid = _grid(headings, rows, right=(3, 4, 5))
    return Section("Numbers that changed", ((said,), grid), alarm=True) if rows else None


def _errors(report: Report) -> Section | None:
    return _differences("Errors in notebooks", report.found(ERROR), alarm=True)


def _other_differences(report: Report) -> Section | None:
    return _differences("Other differences in notebooks", [*report.found(TABLE), *report.found(TEXT)], alarm=False)


def _differences(title: str, found: Sequence[tuple[NotebookRun, Difference]], *, alarm: bool) -> Section | None:
    rows = tuple(
        (place(run, one), _code(one), _quote(one.where), _quote(one.was), _quote(one.now)) for run, one in found
    )
    return Section(title, (_grid(("where", "source", "what", "was", "is"), rows),), alarm=alarm) if rows else None


def _held(report: Report) -> Section | None:
    rows = tuple(
        (
            (Quote(one.held.name), f" ({one.held.ecosystem})"),
            _quote(one.version),
            _quote(one.held.below),
            _quote(one.held.test),
            _quote(one.held.why),
            (str(one.held.since or ""),),
        )
        for one in report.held
    )
    said = "With these at their newest version something failed. The next upgrade tries them again."
    headings = ("package", "stays at", "held below", "what failed", "why", "since")
    return Section("Held back", ((said,), _grid(headings, rows, right=(5,))), alarm=True) if rows else None


def _advisories(report: Report) -> Section | None:
    rows = tuple(
        ((Quote(one.name), f" ({one.ecosystem})"), _listed(one.ids), _quote(one.source)) for one in report.advisories
    )
    parts: list[Phrase | Grid] = [_grid(("package", "repairs", "source"), rows, fold="packages")] if rows else []
    if report.unreachable:
        parts.append((*_listed(report.unreachable), " could not be reached: there may be more."))
    return Section("Security", tuple(parts), alarm=False) if parts else None


def _updates(updates: Updates, advisories: Iterable[Advisory]) -> Section:
    repaired = {one.name for one in advisories if one.ecosystem == updates.ecosystem}
    headings = ("package", "was", "is", "")
    parts: list[Phrase | Grid] = []
    if updates.direct:
        rows = tuple(_change(one, repaired) for one in updates.direct)
        parts.append(_grid(headings, rows, fold="packages that the lists name"))
    if updates.indirect:
        rows = tuple(_change(one, repaired) for one in updates.indirect)
        parts.append(Grid(headings, rows, f"{counted(len(rows), 'package')} that no list names", minor=True))
    numbers = [(sum(one.kind == kind for one in updates.all), word) for kind, word in KINDS.items()]
    said = ", ".join(f"{number:,} {word}" for number, word in numbers if number)
    return Section(f"{updates.ecosystem}: {said}", tuple(parts))


def _change(change: Change, repaired: set[str]) -> tuple[Phrase, ...]:
    marks = [mark for mark in (_MARKS[change.kind], "security" if change.name in repaired else "") if mark]
    return _quote(change.name), _quote(change.old), _quote(change.new), (", ".join(marks),)


def _plots(report: Report) -> Section | None:
    plots = tuple(Plots((*place(run, one), " ", *_code(one)), one.old, one.new) for run, one in report.found(PLOT))
    return Section("Plots that changed", plots) if plots else None


def _images(images: Sequence[ImageFigures]) -> Section | None:
    rows = tuple(
        (
            _quote(one.name),
            (megabytes(one.old_size),),
            (megabytes(one.new_size),),
            (_growth(one),),
            (seconds(one.old_start),),
            (seconds(one.new_start),),
        )
        for one in images
    )
    headings = ("image", "size was", "is", "change", "start took", "takes")
    return Section("Images", (_grid(headings, rows, right=(1, 2, 3, 4, 5)),)) if rows else None


def _growth(image: ImageFigures) -> str:
    if image.old_size is None or image.new_size is None:
        return ""
    return f"{(image.new_size - image.old_size) / 1e6:+,.0f} MB"


def _tests(report: Report) -> Section | None:
    rows = [(_quote(name), ("flaky: passed when it ran again",)) for name in report.flaky]
    rows += [(_quote(name), ("failed before the upgrade, too: no regression",)) for name in report.red_before]
    return Section("Tests", (_grid(("test", "what it did"), tuple(rows)),)) if rows else None


def _grid(
    headings: tuple[str, ...], rows: tuple[tuple[Phrase, ...], ...], *, fold: str = "", right: tuple[int, ...] = ()
) -> Grid:
    """Return a table, folded when it is long."""
    name = f"{len(rows):,} {fold or 'rows'}" if len(rows) > _UNFOLDED else ""
    return Grid(headings, rows, name, right=right)


def _code(difference: Difference) -> Phrase:
    return _quote(difference.line)


def _quote(text: str) -> Phrase:
    return (Quote(text),) if text else ()


def _listed(names: Iterable[str]) -> Phrase:
    return tuple(_separated(names))


def _separated(names: Iterable[str]) -> Iterator[str | Quote]:
    for number, name in enumerate(names):
        if number:
            yield ", "
        yield Quote(name)
