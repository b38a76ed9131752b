"""Two texts that a cell printed, compared: numbers by a tolerance, the words between them exactly."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from difflib import SequenceMatcher
from itertools import zip_longest

NUMBER, TEXT = "number", "text"
LONGEST = 160
# In a joined text: here was the end of a line.
NEWLINE = " ⏎ "
# Aligning lines costs the product of their numbers; beyond this they are compared by position.
_MOST_PAIRS = 250_000
_LONGEST_LABEL = 40
# A number with more digits is compared as a word, so that the arithmetic below is exact.
_LONGEST_NUMBER = 400
_EXACT = Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_NAN = frozenset({"nan", "na"})
# Lines that belong to each other: from and to in the old text, from and to in the new one.
_Block = tuple[int, int, int, int]

# The first alternatives are words that hold digits: 0xff, a version, a date, a time of day. A comma or an underscore
# separates thousands only where it is alone in its kind: 1,234,567 is a number, 1,22,333 are three.
_TOKEN = re.compile(
    r"""
    0[xX][0-9a-fA-F]+
    | [0-9]+(?:\.[0-9]+){2,}
    | [0-9]{4}-[0-9]{2}-[0-9]{2}
    | [0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?
    | (?P<number>
        (?<![\w.])[-+]?(?:nan|NaN|NAN|NA|inf|Inf|INF|Infinity)(?!\w)
        | (?<![\w.])(?<![0-9],)[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![\w,])
        | (?<![\w.])[-+]?[0-9]{1,3}(?:_[0-9]{3})+(?:\.[0-9]+)?(?!\w)
        | (?<![\w.])[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?
      )
    """,
    re.VERBOSE,
)
# A rule below a heading is as long as the widest number.
_RULE = re.compile(r"([-=─━_~*+#])\1{2,}")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Lines that say how long something took, or how far it has come.
_TIMING = re.compile(
    r"CPU times:|Wall time:|Compiler\s*:|Parser\s*:|peak memory:|Time difference of "
    r"|.*\bper loop \(mean|.*[0-9]%\|.*\||.*[0-9](?:it/s|s/it)\b|[ \t]*[0-9]+/[0-9]+ .*(?:/step|ETA|━|\[=)"
)
_VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = (
    # R's system.time()
    (re.compile(r"(?m)^[ \t]*user[ \t]+system[ \t]+elapsed[ \t]*\n.*$"), ""),
    # Where an object lies in memory: as Python and R show it, by hex(id(x)), and by id(x) as a number.
    (re.compile(r"\b(at |environment: ?|pointer: ?|bytecode: ?|namespace: ?)0x[0-9a-fA-F]+"), r"\g<1>0x…"),
    (re.compile(r"\b0x(?:7[ef]|5[56])[0-9a-f]{10}\b"), "0x…"),
    (re.compile(r"(?<![\w.,+-])(?:1(?:39|40)[0-9]{12}|9[345][0-9]{12})(?![\w.,])"), "0x…"),
    # A summary of statsmodels says when it was made.
    (re.compile(r"\b(Date: +)\w{3}, [0-9]{2} \w{3} [0-9]{4}\b"), r"\g<1>…"),
    (re.compile(r"\b(Time: +)[0-9]{2}:[0-9]{2}:[0-9]{2}\b"), r"\g<1>…"),
    # The file of a cell, a version in a path, and the line of a warning.
    (re.compile(r"/ipykernel_[0-9]+/[0-9]+\.py"), "/….py"),
    (re.compile(r"(?<=/)([A-Za-z_-]*)[0-9]+(?:\.[0-9]+)+(?=/)"), r"\g<1>…"),
    (re.compile(r"(\.(?:py|R|r)):[0-9]+\b"), r"\g<1>"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in which two outputs differ; ``kind`` is number, text or table.

    ``where`` is what stands before a number, or names row and column. ``change`` is a number's relative change with
    its sign; infinite where there is none, as from 0 or to NaN.
    """

    kind: str
    where: str
    was: str
    now: str
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A text taken apart: ``numbers`` stand between ``words``, of which there is one more.

    ``labels`` are what stands before each number on its line.
    """

    text: str
    words: tuple[str, ...]
    numbers: tuple[str, ...]
    labels: tuple[str, ...]


def short(text: str, length: int = LONGEST) -> str:
    """Return ``text`` on one line, with its end cut off where it is longer than ``length``."""
    line = NEWLINE.join(" ".join(part.split()) for part in text.splitlines() if part.strip())
    return line if len(line) <= length else line[: length - 1] + "…"


def without(text: str, start: str, end: str) -> str:
    """Return ``text`` without what stands from each ``start`` to its ``end``, or to the end of the text.

    Unlike a regular expression it takes no longer when none ends.
    """
    first, *parts = text.split(start)
    return first + "".join(part.partition(end)[2] for part in parts)


def settle(text: str) -> str:
    """Return ``text`` without what differs from run to run: colours, progress, times, addresses, versions in paths."""
    lines = [_last_state(line) for line in _ANSI.sub("", text).replace("\r\n", "\n").split("\n")]
    text = "\n".join(line.rstrip() for line in lines if not _TIMING.match(line))
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return text.strip("\n")


def _last_state(line: str) -> str:
    """Return what a terminal shows of a line that was written over by carriage returns."""
    states = [state for state in line.split("\r") if state.strip()]
    return states[-1] if states else ""


def compare(old: str, new: str, tolerance: float) -> list[Finding]:
    """Return where two texts differ; numbers do beyond the relative ``tolerance``.

    Either number is the measure: 1 and 2 differ by 100 %, whichever was first. NaN equals NaN.
    """
    old, new = settle(old), settle(new)
    if old == new:
        return []
    before, after = read(old), read(new)
    if before.words == after.words:
        return list(_moved(before, after, tolerance))
    return _compare_lines(old, new, tolerance)


def read(text: str) -> Reading:
    """Take a text apart. White space, and the length of a rule, mean nothing."""
    words, numbers, labels = [], [], []
    end = 0
    for match in _TOKEN.finditer(text):
        if not match["number"] or len(match["number"]) > _LONGEST_NUMBER:
            continue
        words.append(_word(text[end : match.start()]))
        numbers.append(match["number"])
        labels.append(text[max(0, match.start() - _LONGEST_LABEL) : match.start()].rpartition("\n")[2].strip())
        end = match.end()
    words.append(_word(text[end:]))
    return Reading(text, tuple(words), tuple(numbers), tuple(labels))


def _word(text: str) -> str:
    return " ".join(_RULE.sub(r"\1\1\1", text).split())


def _moved(before: Reading, after: Reading, tolerance: float) -> Iterator[Finding]:
    """Yield the numbers that moved between two readings with equally many."""
    for was, now, label in zip(before.numbers, after.numbers, after.labels, strict=True):
        if was == now:
            continue
        old, new = _value(was), _value(now)
        if _differ(old, new, tolerance):
            yield Finding(NUMBER, label, short(was), short(now), _change(old, new))


def _value(number: str) -> Decimal:
    plain = number.replace(",", "").replace("_", "").lower()
    return Decimal("NaN") if plain.lstrip("+-") in _NAN else _EXACT.create_decimal(plain)


def _differ(old: Decimal, new: Decimal, tolerance: float) -> bool:
    if old.is_nan() or new.is_nan():
        return old.is_nan() != new.is_nan()
    if old == new:
        return False
    if old.is_infinite() or new.is_infinite():
        return True
    smaller = min(_EXACT.abs(old), _EXACT.abs(new))
    gap = _EXACT.abs(_EXACT.subtract(old, new))
    return gap > _EXACT.multiply(Decimal(tolerance), smaller)


def _change(old: Decimal, new: Decimal) -> float:
    if not (old.is_finite() and new.is_finite()) or not old:
        return math.inf
    return float(_EXACT.divide(_EXACT.subtract(new, old), _EXACT.abs(old)))


def _compare_lines(old: str, new: str, tolerance: float) -> list[Finding]:
    """Compare line by line what has other words, so that a number that moved is not lost beside them."""
    before, after = ([read(line) for line in text.split("\n") if line.strip()] for text in (old, new))
    findings: list[Finding] = []
    for first, last, start, end in _blocks([one.words for one in before], [one.words for one in after]):
        lost, came = before[first:last], after[start:end]
        findings += _reworded(lost, came)
        if len(lost) == len(came):
            # 3.14 that became np.float64(3.15) is a number that moved, too.
            pairs = [pair for pair in zip(lost, came, strict=True) if len(pair[0].numbers) == len(pair[1].numbers)]
            findings += [found for pair in pairs for found in _moved(*pair, tolerance)]
    return findings


def _reworded(lost: Sequence[Reading], came: Sequence[Reading]) -> list[Finding]:
    if [one.words for one in lost] == [one.words for one in came]:
        return []
    was, now = ("\n".join(one.text for one in lines) for lines in (lost, came))
    return [Finding(TEXT, "", short(was), short(now))]


def _blocks(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> Iterator[_Block]:
    """Yield which lines belong to each other."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    yield 0, start, 0, start
    middle = _aligned(old[start : len(old) - end], new[start : len(new) - end])
    yield from ((a + start, b + start, c + start, d + start) for a, b, c, d in middle)
    yield len(old) - end, len(old), len(new) - end, len(new)


def _common(old: Sequence[object], new: Sequence[object]) -> int:
    """Return how many items at the beginning are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((place for place, (was, now) in pairs if was != now), min(len(old), len(new)))


def _aligned(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> Iterator[_Block]:
    if len(old) * len(new) > _MOST_PAIRS:
        for number, (was, now) in enumerate(zip_longest(old, new)):
            yield number, number + (was is not None), number, number + (now is not None)
        return
    # difflib's answer depends on which side is first: here it must not.
    swap = list(old) > list(new)
    first, second = (new, old) if swap else (old, new)
    for _, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        yield (c, d, a, b) if swap else (a, b, c, d)
