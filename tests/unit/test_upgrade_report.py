"""The upgrade's report: what it says, in which order, and that foreign text is never more than text."""

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import curve, sample
from rich.console import Console

from pyrlab.cli.report import upgraded
from pyrlab.commands.upgrade import Upgrade
from pyrlab.model.changes import Change
from pyrlab.model.upgrade.held import Held
from pyrlab.model.upgrade.notebooks import Difference
from pyrlab.model.upgrade.outline import Grid, Plots, facts, sections
from pyrlab.model.upgrade.pictures import Picture
from pyrlab.model.upgrade.report import (
    KINDS,
    SECURITY_UPDATE,
    Advisory,
    HeldBack,
    ImageFigures,
    NotebookRun,
    Report,
    Updates,
    essence,
    headline,
    percent,
    plain,
)
from pyrlab.model.upgrade.report_html import html
from pyrlab.model.upgrade.report_markdown import MOST, markdown

DAY = date(2026, 11, 28)
NOTHING = Report(day=DAY, suite="trixie")
UP = Change("up", "numpy", "1.0", "2.0")
HOSTILE = [
    "<script>alert(1)</script>",
    "</code></td></tr></table><img src=x onerror=alert(1)>",
    "a|b\\|c\\",
    "``` `x` ``",
    "line\none\r\n\n| two |",
    "</details><!-- \u2028 -->",
    "@everyone #1 https://example.org ![x](y) [link](javascript:x) *b* :tada:",
    "\x1b[31mred\x00\u202egnp.exe",
    "`",
    "\\`",
    '" onload="x',
    "&lt;b&gt; $x$ {{ x }}",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=30))


class Parsed(HTMLParser):
    """A document as a browser sees it: its tags with their attributes' names, and the text of each element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag, and where its picture is."""
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_endtag(self, tag: str) -> None:
        """Keep a tag."""
        self.tags.append(("/" + tag,))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """Keep a comment, which there should not be."""
        self.tags.append(("comment", data))


def filled(text: str) -> Report:
    """Return a report whose every foreign text is ``text``."""
    difference = Difference(3, text, "number", text, text, text, 0.5)
    kinds = ("number", "table", "error", "plot", "text")
    picture = Picture("image/png", text.encode("utf-8", "replace"))
    differences = [replace(difference, kind=kind, old=picture, new=picture) for kind in kinds]
    changes = tuple(Change(kind, text, text, text) for kind in KINDS)
    return Report(
        day=DAY,
        suite=text,
        updates=(Updates("Python", changes, changes),),
        held=(HeldBack(Held("R", text, text, text, text, DAY), text),),
        advisories=(Advisory("Python", text, (text,), text),),
        unreachable=(text,),
        images=(ImageFigures(text, 1, 2, 3.0, 4.0),),
        notebooks=(NotebookRun(text, tuple(differences)),),
        flaky=(text,),
        red_before=(text,),
        trials=1,
        seconds=2.0,
    )


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield what GitHub's Markdown makes of a text: the tokens; HTML with its text, as it is ours."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token.type, token.content if token.type == "html_block" else ""
        for child in token.children or []:
            if child.type not in {"text", "code_inline"}:
                yield child.type, ""


def cells(text: str) -> list[list[str]]:
    """Return the rows of all tables, as they are read: the text of each cell."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level >= 4 and rows:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


@cache
def harmless_tags() -> list[tuple[str, ...]]:
    return Parsed(html(filled("x"))).tags


@cache
def harmless_markdown() -> tuple[list[tuple[str, str]], list[int]]:
    said = markdown(filled("x"))
    return list(blocks(said)), [len(row) for row in cells(said)]


def number(change: float, name: str = "x") -> Difference:
    return Difference(1, "fit()", "number", name, "1", "2", change)


def test_the_headline_says_it_all() -> None:
    """In one sentence, as one would say it to a colleague."""
    assert plain(headline(sample())) == (
        "46 packages newer, 1 added, 1 removed, 1 held back: numpy; 2 numbers changed in analysis.ipynb; "
        "2 known vulnerabilities repaired."
    )


@pytest.mark.parametrize(
    ("report", "said"),
    [
        pytest.param(NOTHING, "Every package was at its newest.", id="nothing"),
        pytest.param(replace(NOTHING, updates=(Updates("R", (UP,)),)), "1 package newer.", id="one"),
        pytest.param(replace(NOTHING, updates=(Updates("R", (), (UP,) * 1200),)), "1,200 packages newer.", id="many"),
        pytest.param(
            replace(NOTHING, updates=(Updates("R", (Change("added", "a", "", "1"),) * 2),)),
            "2 packages added.",
            id="added",
        ),
        pytest.param(
            replace(NOTHING, held=(HeldBack(Held("R", "zoo", "2"), "1"),) * 5),
            "5 held back: zoo, zoo, zoo and 2 more.",
            id="held",
        ),
        pytest.param(
            replace(NOTHING, notebooks=(NotebookRun("a", (number(0.1),)), NotebookRun("b", (number(0.2),)))),
            "Every package was at its newest; 2 numbers changed in b, a.",
            id="numbers",
        ),
        pytest.param(
            replace(NOTHING, notebooks=(NotebookRun("a", (Difference(1, "", "error", "", "", "E"),)),)),
            "Every package was at its newest; 1 new error in a.",
            id="error",
        ),
        pytest.param(
            replace(
                NOTHING,
                advisories=(
                    Advisory("Debian", "libzstd1", (SECURITY_UPDATE,), "suite"),
                    Advisory("Debian", "passwd", (SECURITY_UPDATE,), "suite"),
                    Advisory("Python", "requests", ("CVE-2026-1",), "index"),
                ),
            ),
            "Every package was at its newest; 1 known vulnerability repaired; 2 packages with a security update.",
            id="security updates",
        ),
    ],
)
def test_the_headline_of_small_reports(report: Report, said: str) -> None:
    """Nothing is counted that is not there."""
    assert plain(headline(report)) == said


def test_the_page_counts_security_updates_apart() -> None:
    """Debian's suite gives no ids, so nobody knows how many vulnerabilities these are."""
    updates = tuple(Advisory("Debian", name, (SECURITY_UPDATE,), "suite") for name in ("libzstd1", "passwd"))
    assert figures(replace(NOTHING, advisories=updates)) == [
        ("calm", "0", "packages newer"),
        ("calm", "0", "held back"),
        ("calm", "2", "with a security update"),
    ]


def test_the_page_has_the_figures_first_and_those_to_look_at_stand_out() -> None:
    """Nothing that is 0 is an alarm."""
    assert figures(NOTHING) == [
        ("calm", "0", "packages newer"),
        ("calm", "0", "held back"),
        ("calm", "0", "known vulnerabilities repaired"),
    ]
    quiet = replace(NOTHING, updates=(Updates("R", (UP,)),), notebooks=(NotebookRun("a"), NotebookRun("b")))
    assert figures(quiet) == [
        ("calm", "1", "package newer"),
        ("calm", "0", "held back"),
        ("calm", "0", "numbers changed in 2 notebooks"),
        ("calm", "0", "known vulnerabilities repaired"),
    ]
    assert figures(filled("x")) == [
        ("calm", "2", "packages newer"),
        ("alarm", "1", "held back"),
        ("alarm", "1", "number changed in 1 notebook"),
        ("calm", "1", "known vulnerability repaired"),
    ]


def figures(report: Report) -> list[tuple[str, ...]]:
    """Return the large numbers of a page: how they look, and what they count."""
    return re.findall(r'<div class="(\w+)"><b>(.*?)</b><span>(.*?)</span></div>', html(report))


def test_the_terminal_shows_what_the_lists_name_and_counts_the_rest() -> None:
    """A hundred names that nobody asked for hide the three that somebody did."""
    console = Console(width=100, record=True, file=io.StringIO())
    changes = {"requirements.lock": [Change("up", "numpy", "1", "2")]}
    done = Upgrade(changes, promoted=True, report=sample(), page=Path("report.html"))
    console.print(*upgraded(done, dry_run=False), sep="\n")
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert [line for line in lines if "no list names" in line] == [
        f"and {len(sample().updates[0].indirect)} that no list names",
        "and 1 that no list names",
        "Debian: 1 up; no list names them",
    ]
    assert any(line.split() == ["up", "dplyr", "1.1.4", "1.2.0"] for line in lines)
    assert not any("narwhals" in line or "libssl3t64" in line for line in lines)
    assert lines[-1] == "report: report.html"


def test_what_needs_a_look_comes_first() -> None:
    """Silent changes of numbers before all else; in Markdown, in HTML, and on the terminal."""
    report = filled("x")
    titles = [
        "Numbers that changed",
        "Errors in notebooks",
        "Held back",
        "Security",
        "Python: 2 newer, 2 older, 2 added, 2 removed, 2 with other files",
        "Plots that changed",
        "Other differences in notebooks",
        "Images",
        "Tests",
    ]
    assert re.findall("### (.*)", markdown(report)) == titles
    assert re.findall("<h2>(.*)</h2>", html(report)) == titles
    assert essence(report)[1].startswith("  x, cell 3: x x → x (+50 %)")


def told(report: Report) -> list[tuple[str, bool, list[object]]]:
    """Return a report's sections as they are read: a table's headings, rows, and what it is called when folded."""
    found: list[tuple[str, bool, list[object]]] = []
    for section in sections(report):
        parts: list[object] = []
        for part in section.parts:
            if isinstance(part, Grid):
                rows = [[plain(cell) for cell in row] for row in part.rows]
                parts.append((list(part.headings), part.right, *rows, part.fold, part.minor))
            else:
                parts.append((plain(part.caption), part.old, part.new) if isinstance(part, Plots) else plain(part))
        found.append((section.title, section.alarm, parts))
    return found


def test_each_section_says_what_is_in_its_columns() -> None:
    """All of them, in a report that has one thing of each kind."""
    new = Picture("image/png", b"new")
    differences = (
        Difference(1, "fit()", "number", "slope", "2.1", "2.2", 0.05),
        Difference(2, "show()", "table", "north", "a", "b"),
        Difference(3, "call()", "error", "", "no error", "TypeError: x"),
        Difference(4, "plot()", "plot", "", "no plot", "image/png", None, None, new),
        Difference(5, "print()", "text", "stderr", "", "warned"),
    )
    changes = [Change(kind, kind[:2], "1.0", "2.0") for kind in KINDS]
    report = Report(
        day=DAY,
        suite="trixie",
        updates=(Updates("Python", tuple(changes[:1]), tuple(changes[1:])),),
        held=(HeldBack(Held("R", "zoo", "2.0", "Error", "test_zoo", DAY), "1.8"), HeldBack(Held("R", "ape", "6"), "5")),
        advisories=(Advisory("Python", "up", ("CVE-1", "CVE-2"), "index"), Advisory("R", "do", ("CVE-3",), "cran")),
        unreachable=("the index", "the suite"),
        images=(
            ImageFigures("pylab", 1_000_000_000, 900_000_000, 3.0, 4.0),
            ImageFigures("base", None, 2_000_000),
            ImageFigures("rlab", 1_000_000, None),
        ),
        notebooks=(NotebookRun("a.ipynb", differences),),
        tolerance=1e-6,
        flaky=("test_a",),
        red_before=("test_b",),
    )
    others = [["do", "1.0", "2.0", "older"], ["ad", "1.0", "2.0", "new"], ["re", "1.0", "2.0", "removed"]]
    said = "These results are not what they were, and no error says so. "
    said += "Differences of up to 1e-06 of a value are left out."
    assert told(report) == [
        (
            "Numbers that changed",
            True,
            [
                said,
                (
                    ["where", "source", "number", "was", "is", "change"],
                    (3, 4, 5),
                    ["a.ipynb, cell 1", "fit()", "slope", "2.1", "2.2", "+5 %"],
                    "",
                    False,
                ),
            ],
        ),
        (
            "Errors in notebooks",
            True,
            [
                (
                    ["where", "source", "what", "was", "is"],
                    (),
                    ["a.ipynb, cell 3", "call()", "", "no error", "TypeError: x"],
                    "",
                    False,
                )
            ],
        ),
        (
            "Held back",
            True,
            [
                "With these at their newest version something failed. The next upgrade tries them again.",
                (
                    ["package", "stays at", "held below", "what failed", "why", "since"],
                    (5,),
                    ["zoo (R)", "1.8", "2.0", "test_zoo", "Error", "2026-11-28"],
                    ["ape (R)", "5", "6", "", "", ""],
                    "",
                    False,
                ),
            ],
        ),
        (
            "Security",
            False,
            [
                (
                    ["package", "repairs", "source"],
                    (),
                    ["up (Python)", "CVE-1, CVE-2", "index"],
                    ["do (R)", "CVE-3", "cran"],
                    "",
                    False,
                ),
                "the index, the suite could not be reached: there may be more.",
            ],
        ),
        (
            "Python: 1 newer, 1 older, 1 added, 1 removed, 1 with other files",
            False,
            [
                (["package", "was", "is", ""], (), ["up", "1.0", "2.0", "security"], "", False),
                (
                    ["package", "was", "is", ""],
                    (),
                    *others,
                    ["ot", "1.0", "2.0", "other files"],
                    "4 packages that no list names",
                    True,
                ),
            ],
        ),
        ("Plots that changed", False, [("a.ipynb, cell 4 plot()", None, new)]),
        (
            "Other differences in notebooks",
            False,
            [
                (
                    ["where", "source", "what", "was", "is"],
                    (),
                    ["a.ipynb, cell 2", "show()", "north", "a", "b"],
                    ["a.ipynb, cell 5", "print()", "stderr", "", "warned"],
                    "",
                    False,
                )
            ],
        ),
        (
            "Images",
            False,
            [
                (
                    ["image", "size was", "is", "change", "start took", "takes"],
                    (1, 2, 3, 4, 5),
                    ["pylab", "1.00 GB", "900 MB", "-100 MB", "3.0 s", "4.0 s"],
                    ["base", "", "2 MB", "", "", ""],
                    ["rlab", "1 MB", "", "", "", ""],
                    "",
                    False,
                )
            ],
        ),
        (
            "Tests",
            False,
            [
                (
                    ["test", "what it did"],
                    (),
                    ["test_a", "flaky: passed when it ran again"],
                    ["test_b", "failed before the upgrade, too: no regression"],
                    "",
                    False,
                )
            ],
        ),
    ]


@pytest.mark.parametrize(
    ("rows", "fold"),
    [pytest.param(15, "", id="short"), pytest.param(1200, "1,200 packages that the lists name", id="long")],
)
def test_a_long_table_is_folded_and_says_what_is_in_it(rows: int, fold: str) -> None:
    report = replace(
        NOTHING,
        updates=(Updates("R", (UP,) * rows),),
        advisories=(Advisory("R", "numpy", ("X",), "y"),) * rows,
        flaky=("test",) * rows,
    )
    folds = [part.fold for section in sections(report) for part in section.parts if isinstance(part, Grid)]
    assert folds == [fold and "1,200 packages", fold, fold and "1,200 rows"]


def test_the_line_below_the_headline_says_when_on_what_and_how_much() -> None:
    """Of notebooks and trials, where there are any."""
    runs = (NotebookRun("a", (number(0.1),)), NotebookRun("b"))
    busy = replace(NOTHING, notebooks=runs, trials=1, seconds=61)
    assert plain(facts(NOTHING)) == "28 November 2026 · Debian trixie"
    assert plain(facts(busy)) == "28 November 2026 · Debian trixie · 1 of 2 notebooks as before · 1 trial in 1 min 1 s"


def test_numbers_are_sorted_over_all_notebooks() -> None:
    """The largest relative change is what one reads first, up or down, and one from 0 before it."""
    runs = (
        NotebookRun("a.ipynb", (number(0.1, "small"),)),
        NotebookRun("b.ipynb", (number(-0.9, "large"), number(float("inf"), "zero"))),
    )
    rows = cells(markdown(replace(NOTHING, notebooks=runs)))
    assert [(row[2], row[5]) for row in rows[1:]] == [("zero", ""), ("large", "-90 %"), ("small", "+10 %")]


def test_direct_changes_are_shown_and_indirect_ones_folded() -> None:
    """An update that repairs something is marked, one that goes back, too."""
    down = Change("down", "scipy", "2", "1")
    report = replace(
        NOTHING,
        updates=(Updates("Python", (UP, down), (Change("added", "six", "", "1"), Change("removed", "toml", "3", ""))),),
        advisories=(Advisory("Python", "numpy", ("CVE-2026-1",), "the index"), Advisory("R", "scipy", ("X",), "y")),
    )
    shown, folded = markdown(report).split("<details>")
    assert ["numpy", "1.0", "2.0", "security"] in cells(shown)
    assert ["scipy", "2", "1", "older"] in cells(shown)
    assert folded.startswith("\n<summary>2 packages that no list names</summary>\n\n| package |")
    assert cells(folded)[1:] == [["six", "", "1", "new"], ["toml", "3", "", "removed"]]
    assert "<details>\n<summary>2 packages that no list names</summary>" in html(report)


def test_what_is_held_says_why_and_since_when() -> None:
    """With the test or cell that failed, and where it stays."""
    held = "AttributeError: module 'numpy' has no attribute 'in1d'"
    [row] = [row for row in cells(markdown(sample())) if row[0] == "numpy (Python)"]
    assert row == ["numpy (Python)", "2.4.2", "2.5.0", "clean/load.ipynb, cell 3", held, "2026-11-28"]
    assert (
        f"held back: numpy stays at 2.4.2, below 2.5.0 since 2026-11-28: clean/load.ipynb, cell 3: {held}"
        in essence(sample())
    )


def test_sources_images_and_tests_are_told() -> None:
    """Also what could not be asked, or was not measured."""
    for text in (markdown(sample()), " ".join(Parsed(html(sample())).texts)):
        assert "could not be reached" in text
        assert "2 of 3 notebooks as before" in text
        assert "7 trials in 4 min 12 s" in text
        assert "flaky: passed when it ran again" in text
        assert "failed before the upgrade, too: no regression" in text
    assert ["pylab", "1.84 GB", "1.87 GB", "+29 MB", "3.1 s", "3.0 s"] in cells(markdown(sample()))
    assert ["pyrlab-base", "610 MB", "611 MB", "+1 MB", "", ""] in cells(markdown(sample()))
    assert essence(sample())[4:] == [
        "pylab: 1.84 GB → 1.87 GB, ready in 3.1 s → 3.0 s",
        "rlab: 2.41 GB → 2.40 GB, ready in 3.3 s → 3.4 s",
        "pyrlab-base: 610 MB → 611 MB",
        "could not be asked for known vulnerabilities: the Python index",
        "flaky, passed when run again: maps.ipynb, cell 2",
        "failed before the upgrade, too: test_gpu",
    ]


def test_plots_stand_side_by_side_inside_the_file() -> None:
    """As data in an img, where no script of an SVG runs; and one that is missing is said to be."""
    svg = Picture("image/svg+xml", b"<svg onload='x()'><script>x()</script></svg>")
    plots = (
        Difference(1, "plot()", "plot", "", "", "", None, Picture("image/png", curve(0)), svg),
        Difference(2, "plot()", "plot", "", "", "", None, None, Picture("text/html", b"<script>")),
    )
    document = html(replace(NOTHING, notebooks=(NotebookRun("a.ipynb", plots),)))
    assert Parsed(document).sources == [
        "data:image/png;base64," + base64.b64encode(curve(0)).decode(),
        "data:image/svg+xml;base64," + base64.b64encode(svg.data).decode(),
    ]
    assert document.count("no plot") == 2
    assert "- `a.ipynb`, cell 1 `plot()`" in markdown(replace(NOTHING, notebooks=(NotebookRun("a.ipynb", plots),)))


def test_the_file_needs_and_runs_nothing_else() -> None:
    """A policy forbids what escaping should have kept out already; colours follow the reader's system."""
    document = html(sample())
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in document
    assert "prefers-color-scheme: dark" in document
    assert not {"script", "link", "iframe", "object"} & {tag[0] for tag in Parsed(document).tags}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    """Its printable characters stand in the reports, and are nothing but text."""
    visible = re.sub("[\x00\x1b\u202e]", "", " ".join(text.split()))
    assert visible in Parsed(html(filled(text))).texts
    assert any(visible in row for row in cells(markdown(filled(text))))


@given(text=TEXTS)
def test_foreign_text_never_leaves_its_place_in_html(text: str) -> None:
    """The document has the elements and attributes that it has with a harmless text."""
    assert Parsed(html(filled(text))).tags == harmless_tags()


@given(text=TEXTS)
def test_foreign_text_never_leaves_its_place_in_markdown(text: str) -> None:
    """No row has another number of cells, and there is no markup but ours."""
    said = markdown(filled(text))
    assert (list(blocks(said)), [len(row) for row in cells(said)]) == harmless_markdown()


@given(text=TEXTS)
def test_the_terminal_gets_lines_without_control_characters(text: str) -> None:
    """So nothing colours it, moves the cursor or turns text around."""
    lines = essence(filled(text))
    assert len(lines) == len(essence(filled("x")))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]", "".join(lines))


def test_markdown_is_short_enough_for_a_pull_request() -> None:
    """Indirect changes are the first to go, and a line says how many; a short report lacks nothing."""
    indirect = tuple(Change("up", f"library-{n}", "1.0.0", "2.0.0") for n in range(3000))
    direct = tuple(Change("up", f"direct-{n}", "1.0.0", "2.0.0") for n in range(900))
    text = markdown(replace(NOTHING, updates=(Updates("Python", direct, indirect),)))
    assert len(text) <= MOST
    assert "| `direct-899` | `1.0.0` | `2.0.0` |" in text
    [left] = re.findall(r"and ([\d,]+) more rows, which are left out here", text)
    assert int(left.replace(",", "")) + text.count("library-") == 3000
    assert "left out here" not in markdown(sample())
    assert "library-2999" not in text
    assert "<code>library-2999</code>" in html(replace(NOTHING, updates=(Updates("Python", direct, indirect),)))


def test_a_long_text_is_cut_in_markdown() -> None:
    """A table is to be read; HTML has the rest."""
    report = replace(NOTHING, flaky=("x" * 200,))
    assert f"`{'x' * 119}…`" in markdown(report)
    assert "x" * 200 in html(report)


@pytest.mark.parametrize("text", ["`|" * 200, "x" * 200])
def test_markdown_of_anything_is_short_enough(text: str) -> None:
    """Also where all is long: hundreds of held packages, notebooks, tests."""
    one = filled(text)
    many = replace(
        one,
        held=one.held * 500,
        notebooks=one.notebooks * 500,
        advisories=one.advisories * 500,
        flaky=one.flaky * 500,
        images=one.images * 500,
        unreachable=one.unreachable * 20,
    )
    assert len(markdown(many)) <= MOST


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(0.019, "+1.9 %", id="up"),
        pytest.param(-0.5, "-50 %", id="down"),
        pytest.param(1e-8, "+1e-06 %", id="tiny"),
        pytest.param(123.4, "+12,340 %", id="many-times"),
        pytest.param(1e9, "+1.0e+11 %", id="huge"),
        pytest.param(float("inf"), "", id="from-zero"),
        pytest.param(None, "", id="no-number"),
    ],
)
def test_a_change_is_a_percentage(change: float | None, said: str) -> None:
    """With its sign, and no more digits than mean something."""
    assert percent(change) == said
