"""What an upgrade did, as a value; its headline, and its essence for the terminal."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from unicodedata import category

from pyrlab.model.changes import OTHER_FILES, Change
from pyrlab.model.upgrade.held import Held
from pyrlab.model.upgrade.notebooks import ERROR, Difference
from pyrlab.model.upgrade.texts import NUMBER

# What is said of so many packages, by the kind of their change, in this order.
KINDS = {"up": "newer", "down": "older", "added": "added", "removed": "removed", OTHER_FILES: "with other files"}
_MOST_NAMES = 3
_MOST_NUMBERS = 5
_MINUTE = 60
# Beyond this a percentage reads better without decimals, and beyond the other with an exponent.
_LARGE, _HUGE = 1_000, 1_000_000
_GIGA = 1_000_000_000
# These turn the order of text around, so that it reads as what it is not.
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


@dataclass(frozen=True, slots=True)
class Quote:
    """Text that is not ours: a name, a version, what a notebook printed. It is shown as it is, never as markup."""

    text: str


Phrase = tuple[str | Quote, ...]
# In place of an id: Debian's security suite says that it repairs something, and its changelog what.
SECURITY_UPDATE = "security update"


@dataclass(frozen=True, slots=True)
class Updates:
    """What changed in one ecosystem: ``direct`` are what a list asks for, ``indirect`` what these need."""

    ecosystem: str
    direct: tuple[Change, ...] = ()
    indirect: tuple[Change, ...] = ()

    @property
    def all(self) -> tuple[Change, ...]:
        """Both, the direct ones first."""
        return self.direct + self.indirect


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A package that is held, and the version at which it stays."""

    held: Held
    version: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """Known vulnerabilities that an update repairs: their ids, such as CVE-2026-1, and who says so."""

    ecosystem: str
    name: str
    ids: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ImageFigures:
    """An image before and after: sizes in bytes, starts in seconds. None is what was not measured."""

    name: str
    old_size: int | None
    new_size: int | None
    old_start: float | None = None
    new_start: float | None = None


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """A notebook that ran in the old and in the new image, and what differs, in the order of ``notebooks.compare``."""

    path: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What an upgrade did. ``unreachable`` are sources of advisories that did not answer.

    ``tolerance`` is the relative one of numbers in notebooks. ``flaky`` are tests that passed when they ran again, and
    ``red_before`` such as fail in the old image, too. ``seconds`` is how long all ``trials`` took.
    """

    day: date
    suite: str
    updates: tuple[Updates, ...] = ()
    held: tuple[HeldBack, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    unreachable: tuple[str, ...] = ()
    images: tuple[ImageFigures, ...] = ()
    notebooks: tuple[NotebookRun, ...] = ()
    tolerance: float = 0.0
    flaky: tuple[str, ...] = ()
    red_before: tuple[str, ...] = ()
    trials: int = 0
    seconds: float = 0.0

    @property
    def repaired(self) -> int:
        """How many known vulnerabilities are repaired, of those that have an id."""
        return len({name for advisory in self.advisories for name in advisory.ids} - {SECURITY_UPDATE})

    @property
    def security_updates(self) -> int:
        """How many packages have a security update whose vulnerabilities are told by no id."""
        return sum(SECURITY_UPDATE in advisory.ids for advisory in self.advisories)

    def count(self, kind: str) -> int:
        """Return how many packages went ``up`` or ``down``, were ``added`` or ``removed``."""
        return sum(change.kind == kind for updates in self.updates for change in updates.all)

    def found(self, kind: str) -> list[tuple[NotebookRun, Difference]]:
        """Return the differences of one kind in all notebooks; numbers have the largest change first."""
        found = [(run, one) for run in self.notebooks for one in run.differences if one.kind == kind]
        return sorted(found, key=lambda pair: -abs(pair[1].change or 0.0))


def headline(report: Report) -> Phrase:
    """Return the one sentence that tells what happened, as in ``62 packages newer, 1 held back: numpy``."""
    packages = list(_moves(report))
    if report.held:
        packages.append((f"{len(report.held)} held back: ", *_names(one.held.name for one in report.held)))
    results = [*_in_notebooks(report, ERROR, "new error"), *_in_notebooks(report, NUMBER, "number", " changed")]
    if report.repaired:
        results.append((f"{counted(report.repaired, 'known vulnerability', 'known vulnerabilities')} repaired",))
    if report.security_updates:
        results.append((f"{counted(report.security_updates, 'package')} with a security update",))
    if not packages:
        packages.append(("every package was at its newest",))
    first, *rest = join([join(packages, ", "), *results], "; ")
    return (str(first)[:1].upper() + str(first)[1:], *rest, ".")


def essence(report: Report) -> list[str]:
    """Return the lines for a terminal: the headline, numbers that changed, what is held, and what was not proved.

    No line has a control character; markup of a terminal library is the caller's to escape.
    """
    numbers = report.found(NUMBER)
    lines = [headline(report)]
    lines += [("  ", *_moved(run, one)) for run, one in numbers[:_MOST_NUMBERS]]
    if len(numbers) > _MOST_NUMBERS:
        lines.append((f"  and {counted(len(numbers) - _MOST_NUMBERS, 'more number')}",))
    lines += [("  ", *place(run, one), ": ", Quote(one.now)) for run, one in report.found(ERROR)]
    lines += [_staying(one) for one in report.held]
    lines += [_image(one) for one in report.images]
    if report.unreachable:
        lines.append(("could not be asked for known vulnerabilities: ", *_names(report.unreachable)))
    if report.flaky:
        lines.append(("flaky, passed when run again: ", *_names(report.flaky)))
    if report.red_before:
        lines.append(("failed before the upgrade, too: ", *_names(report.red_before)))
    return [plain(line) for line in lines]


def place(run: NotebookRun, difference: Difference) -> Phrase:
    """Return where a difference is: notebook and cell."""
    return (Quote(run.path), f", cell {difference.cell}") if difference.cell else (Quote(run.path),)


def plain(phrase: Phrase) -> str:
    """Return a phrase as text on one line."""
    return "".join(part if isinstance(part, str) else shown(part.text) for part in phrase)


def shown(text: str) -> str:
    """Return foreign text on one line, without control characters and such that turn its order around."""
    text = " ".join(text.split()).translate(_BIDI)
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or category(char) == "Cf")


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 package`` or ``2 packages``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(change: float | None) -> str:
    """Return a relative change with its sign; nothing where there is none, as from 0."""
    if change is None or not math.isfinite(change):
        return ""
    value = 100 * change
    if abs(value) < _LARGE:
        return f"{value:+.3g} %"
    return f"{value:+,.0f} %" if abs(value) < _HUGE else f"{value:+.1e} %"


def megabytes(size: int | None) -> str:
    """Return a size as Docker shows it, in powers of 1000; nothing for one that was not measured."""
    if size is None:
        return ""
    return f"{size / 1e9:.2f} GB" if size >= _GIGA else f"{size / 1e6:.0f} MB"


def seconds(duration: float | None) -> str:
    """Return a duration in seconds, or minutes; nothing for one that was not measured."""
    if duration is None:
        return ""
    if duration < _MINUTE:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), _MINUTE)
    return f"{minutes} min {rest} s"


def join(phrases: Iterable[Phrase], separator: str) -> Phrase:
    """Return phrases as one."""
    joined: list[str | Quote] = []
    for phrase in phrases:
        joined += [separator, *phrase] if joined else phrase
    return tuple(joined)


def _moves(report: Report) -> Iterator[Phrase]:
    counts = [(number, word) for kind, word in KINDS.items() if (number := report.count(kind))]
    for place, (number, word) in enumerate(counts):
        # Once is enough: 62 packages newer, 3 added.
        yield (f"{number:,} {word}" if place else f"{counted(number, 'package')} {word}",)


def _in_notebooks(report: Report, kind: str, what: str, happened: str = "") -> Iterator[Phrase]:
    found = report.found(kind)
    if found:
        paths = dict.fromkeys(run.path for run, _ in found)
        yield (f"{counted(len(found), what)}{happened} in ", *_names(paths))


def _names(names: Iterable[str]) -> Phrase:
    """Return some names, and how many more there are."""
    every = list(names)
    some: list[Phrase] = [(Quote(name),) for name in every[:_MOST_NAMES]]
    more = len(every) - _MOST_NAMES
    return (*join(some, ", "), f" and {more} more") if more > 0 else join(some, ", ")


def _moved(run: NotebookRun, number: Difference) -> Phrase:
    change = f" ({percent(number.change)})" if percent(number.change) else ""
    return (*place(run, number), ": ", Quote(f"{number.where} {number.was} → {number.now}"), change)


def _staying(one: HeldBack) -> Phrase:
    since = f" since {one.held.since}" if one.held.since else ""
    why = [(Quote(text),) for text in (one.held.test, one.held.why) if text]
    return (
        "held back: ",
        Quote(one.held.name),
        " stays at ",
        Quote(one.version),
        ", below ",
        Quote(one.held.below),
        since,
        *(": " if why else "",),
        *join(why, ": "),
    )


def _image(image: ImageFigures) -> Phrase:
    size = _step(megabytes(image.old_size), megabytes(image.new_size))
    start = _step(seconds(image.old_start), seconds(image.new_start))
    return (Quote(image.name), f": {size}", f", ready in {start}" if start else "")


def _step(old: str, new: str) -> str:
    return f"{old or 'unknown'} → {new or 'unknown'}" if old or new else ""
