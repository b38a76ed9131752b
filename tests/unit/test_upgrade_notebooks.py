"""Two runs of one notebook compared: what is told, in which order, and what is no difference."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notebook_samples import cell, differences, error, notebook, plot, png, printed, shown, stdout

from pyrlab.model.upgrade.notebooks import KINDS, compare

FRAME = (
    '<div><style scoped>.dataframe { color: red }</style><table border="1" class="dataframe"><thead>'
    '<tr style="text-align: right;"><th></th><th>price</th><th>name</th></tr></thead><tbody>'
    "<tr><th>0</th><td>1.5</td><td>ant</td></tr><tr><th>1</th><td>2.5</td><td>bee</td></tr>"
    "</tbody></table><p>2 rows &times; 2 columns</p></div>"
)
R_FRAME = (
    '<table class="dataframe"><caption>A data.frame: 2 &times; 2</caption><thead>'
    "<tr><th></th><th scope=col>mpg</th><th scope=col>cyl</th></tr>"
    "<tr><th></th><th scope=col>&lt;dbl&gt;</th><th scope=col>&lt;dbl&gt;</th></tr></thead><tbody>"
    "<tr><th scope=row>Mazda RX4</th><td>21.0</td><td>6</td></tr>"
    "<tr><th scope=row>Datsun 710</th><td>22.8</td><td>4</td></tr></tbody></table>"
)
PIXELS = [[(x * 16, y * 16, 128) for x in range(8)] for y in range(8)]
OTHER = [[(x * 16, y * 16, 129) for x in range(8)] for y in range(8)]
SVG = '<svg><metadata><date>{0}</date></metadata><!-- {0} --><path id="{0}"/><use href="#{0}"/><g>{1}</g></svg>'


def table(old: str, new: str, tolerance: float = 1e-6) -> list[tuple[str, str, str, str]]:
    """Compare two results in HTML: kind, where, was, now."""
    found = differences([shown({"text/html": old})], [shown({"text/html": new})], tolerance)
    return [(one.kind, one.where, one.was, one.now) for one in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("mean = 1.0", "mean = 1", id="integer"),
        pytest.param("1234.5", "1,234.5", id="thousands"),
        pytest.param("1_000", "1000", id="thousands-by-underscore"),
        pytest.param("1e3 -2.50", "1000 -2.5", id="scientific"),
        pytest.param("0.1234567890", "0.1234567891", id="in-tolerance"),
        pytest.param("[nan -inf]", "[NaN -Inf]", id="not-numbers"),
        pytest.param("[1.  2.]", "[1. 2.]", id="white-space"),
        pytest.param("a    b\n-------\n1.0  2", "a  b\n-----\n1  2", id="rule"),
        pytest.param("<A object at 0x7f12aa>", "<A object at 0x7f99bb>", id="address"),
        pytest.param("<environment: 0x55d0c8f3a1b8>", "<environment: 0x55d0c8f3ffff>", id="environment-of-R"),
        pytest.param("id 140234112233445", "id 139876112233445", id="memory-id"),
        pytest.param("CPU times: user 3 ms\nWall time: 4 ms\nok", "CPU times: user 8 s\nok", id="timing"),
        pytest.param("12.3 ms ± 9 µs per loop (mean ± std. dev.)", "4 ms ± 1 ns per loop (mean)", id="timeit"),
        pytest.param("   user  system elapsed \n  0.1   0.2    0.3 ", "", id="timing-of-R"),
        pytest.param(" 10%|#  | 1/10 [00:01\r100%|###| 10/10 [00:09, 1.1it/s]", "", id="progress"),
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colour"),
        pytest.param("step 1\rstep 2", "step 2", id="written-over"),
        pytest.param("/lib/python3.13/site-packages/a.py:12: x", "/lib/python3.14/site-packages/a.py:40: x", id="path"),
        pytest.param("/t/ipykernel_12/345.py:1: x", "/t/ipykernel_6/789.py:1: x", id="file-of-a-cell"),
        pytest.param("Date:  Sat, 28 Nov 2026 R2: 0.5", "Date:  Sun, 29 Nov 2026 R2: 0.5", id="statsmodels"),
    ],
)
def test_what_says_the_same_is_no_difference(old: str, new: str) -> None:
    """Spelling, tolerance, and what is different in each run."""
    assert printed(old, new) == ()


@pytest.mark.parametrize(
    ("old", "new", "where", "change"),
    [
        pytest.param("mean = 2.0 m", "mean = 2.1 m", "mean =", 0.05, id="up"),
        pytest.param("a\nb: -4", "a\nb: -5", "b:", -0.25, id="down-below-zero"),
        pytest.param("x 0", "x 1e-9", "x", math.inf, id="from-zero"),
        pytest.param("x nan", "x 1", "x", math.inf, id="from-nan"),
        pytest.param("x 1", "x NA", "x", math.inf, id="to-missing"),
        pytest.param("x inf", "x -inf", "x", math.inf, id="infinite"),
        pytest.param("9007199254740993", "9007199254740992", "", 0.0, id="more-digits-than-a-float"),
        pytest.param("1" + "0" * 40 + "1", "1" + "0" * 40 + "2", "", 0.0, id="more-digits-than-a-decimal"),
        pytest.param("1,234", "1,235", "", 1 / 1234, id="thousands"),
        pytest.param("1,22,333", "1,22,334", "1,22,", 1 / 333, id="separated-by-commas"),
    ],
)
def test_a_number_that_moved_is_told(old: str, new: str, where: str, change: float) -> None:
    """With what stands before it, both values as printed, and the relative change."""
    [found] = printed(old, new, tolerance=0)
    assert (found.kind, found.where) == ("number", where)
    assert found.change == pytest.approx(change)
    assert found.was in old
    assert found.now in new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("numpy 2.3.1", "numpy 2.4.0", id="version"),
        pytest.param("it is 2026-11-28", "it is 2026-11-29", id="date"),
        pytest.param("at 20:27:41", "at 20:27:42", id="time"),
        pytest.param("flags 0xff", "flags 0xfe", id="hexadecimal"),
        pytest.param("use x1", "use x2", id="name"),
        pytest.param("good", "bad", id="word"),
        pytest.param("one line", "", id="nothing-any-more"),
    ],
)
def test_words_are_compared_exactly(old: str, new: str) -> None:
    """Also those with digits, which have no relative change."""
    [found] = printed(old, new, tolerance=9)
    assert (found.kind, found.was, found.now, found.change) == ("text", old, new, None)


def test_a_number_beside_other_words_is_not_lost() -> None:
    """Lines are aligned: a new line hides nothing, nor does numpy 2's way to print a number."""
    old, new = "start\nmean 1.5\n3.14", "start\nnew here\nmean 1.6\nnp.float64(3.15)"
    assert [(one.kind, one.was, one.now) for one in printed(old, new)] == [
        ("number", "1.5", "1.6"),
        ("number", "3.14", "3.15"),
        ("text", "", "new here"),
        ("text", "3.14", "np.float64(3.15)"),
    ]


def test_either_number_is_the_measure() -> None:
    """So that it does not matter which side is the old one: 1 and 2 differ by 100 %."""
    assert len(printed("1", "2", tolerance=0.6)) == len(printed("2", "1", tolerance=0.6)) == 1
    assert printed("1", "2", tolerance=1) == printed("2", "1", tolerance=1) == ()


def test_lines_more_in_a_long_output_are_one_difference_each() -> None:
    """Also where aligning would take long."""
    lines = [f"row{number} 1" for number in range(5000)]
    new = [*lines[:4000], "one", *lines[4000:4100], "two", *lines[4100:]]
    assert [one.now for one in printed("\n".join(lines), "\n".join(new))] == ["one", "two"]


def test_pieces_of_a_stream_are_one_text() -> None:
    """Where they are cut depends on the time that it took."""
    assert differences([stdout("a 1"), stdout("2\n")], [stdout("a", " 12\n")]) == ()


def test_stderr_is_text_and_last() -> None:
    """A new warning is shown; its numbers are no results."""
    found = differences(
        [stdout("old", name="stderr"), stdout("a")], [stdout("new 5", name="stderr"), stdout("b")], tolerance=0
    )
    assert [(one.kind, one.where, one.was, one.now) for one in found] == [
        ("text", "", "a", "b"),
        ("text", "stderr", "old", "new 5"),
    ]
    both = [notebook(cell(stdout(x, name="stderr")), cell(stdout(x))) for x in "ab"]
    assert [one.cell for one in compare(both[0], both[1], tolerance=0)] == [2, 1]
    [moved] = differences([stdout("took 5", name="stderr")], [stdout("took 6", name="stderr")])
    assert (moved.kind, moved.was, moved.now) == ("text", "took 5", "took 6")


def test_a_data_frame_is_compared_cell_by_cell() -> None:
    """A difference names row and column; a number in a table is a number."""
    assert table(FRAME, FRAME.replace("2.5", "2.75").replace("ant", "ape")) == [
        ("number", "row 1, column price", "2.5", "2.75"),
        ("table", "row 0, column name", "ant", "ape"),
    ]
    assert table(R_FRAME, R_FRAME.replace("22.8", "23.8")) == [
        ("number", "row Datsun 710, column mpg / <dbl>", "22.8", "23.8")
    ]
    assert table(FRAME, FRAME.replace("1.5", "1.50").replace("color: red", "color: blue")) == []


def test_rows_and_columns_that_came_or_went_are_named() -> None:
    """What both have is still compared, by its names."""
    without_row = FRAME.replace("<tr><th>0</th><td>1.5</td><td>ant</td></tr>", "").replace("2 rows", "1 rows")
    assert table(FRAME, without_row.replace("2.5", "3.5")) == [
        ("number", "", "2", "1"),
        ("number", "row 1, column price", "2.5", "3.5"),
        ("table", "row 0", "row 0", ""),
    ]
    columns = "<table><tr><th>{}</th></tr><tr><td>{}</td></tr></table>"
    two = columns.format("a</th><th>b", "1</td><td>2")
    assert table(columns.format("b", 2), two) == [("table", "column a", "", "column a")]
    assert table(two, columns.format("b</th><th>a", "2</td><td>1")) == [("table", "order of columns", "a, b", "b, a")]
    assert table(two, columns.format("a</th><th>c", "1</td><td>2")) == [("table", "heading of column 2", "b", "c")]


def test_spans_keep_cells_in_their_columns() -> None:
    """As in a data frame with two levels of rows, and of columns."""
    frame = (
        "<table><tr><th colspan=2></th><th colspan='2'>q</th></tr><tr><th></th><th></th><th>x</th><th>y</th></tr>"
        "<tr><th rowspan=2>A</th><th>1</th><td>5</td><td>6</td></tr><tr><th>2</th><td>7</td><td>{}</td></tr></table>"
    )
    assert table(frame.format(8), frame.format(9)) == [("number", "row A / 2, column q / y", "8", "9")]


@pytest.mark.parametrize(
    ("span", "columns"),
    [
        ("10", 10),
        ("0010", 10),
        ("0", 1),
        ("", 1),
        ("-2", 1),
        ("two", 1),
        ("\u00b2", 1),
        ("\u0662", 1),
        ("9" * 5000, 1000),
    ],
)
def test_a_span_is_read_as_a_browser_does(span: str, columns: int) -> None:
    """Whole numbers, from 1 to 1000; anything else is 1."""
    names = "".join(f"<th>{number}</th>" for number in range(columns))
    frame = f"<table><tr><th colspan='{span}'>q</th><th>z</th></tr><tr>{names}<th>w</th></tr><tr>{{}}</tr></table>"
    row = "<td>5</td>" * (columns - 1) + "<td>{}</td><td>{}</td>"
    assert table(frame.format(row.format(4, 8)), frame.format(row.format(8, 9))) == [
        ("number", f"row 1, column q / {columns - 1}", "4", "8"),
        ("number", "row 1, column z / w", "8", "9"),
    ]


def test_when_a_summary_was_made_is_no_difference() -> None:
    """As statsmodels says it, in a cell of its own."""
    summary = "<table><tr><th>Date:</th><td>{}</td><th>R2:</th><td>{}</td></tr></table>"
    assert table(summary.format("Sat, 28 Nov 2026", "0.50"), summary.format("Sun, 29 Nov 2026", "0.5")) == []
    assert len(table(summary.format("Sat, 28 Nov 2026", "0.5"), summary.format("Sun, 29 Nov 2026", "0.6"))) == 1


@pytest.mark.parametrize("filters", [[kind] for kind in range(5)] + [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
def test_the_same_pixels_are_the_same_plot(filters: list[int]) -> None:
    """However they are packed, and whoever says that he drew them."""
    new = png(PIXELS, filters=filters, software="matplotlib 3.11", level=1)
    assert differences([plot(png(PIXELS, software="matplotlib 3.10"))], [plot(new)]) == ()
    [found] = differences([plot(png(PIXELS))], [plot(png(OTHER, filters=filters))])
    assert (found.kind, found.change) == ("plot", None)
    assert found.old
    assert found.new
    assert (found.old.data, found.new.data) == (png(PIXELS), png(OTHER, filters=filters))


def test_a_plot_of_another_size_or_format_is_another() -> None:
    """And one that is missing, too."""
    for other in (png(PIXELS[:4]), png([row[:4] for row in PIXELS]), b"junk", png(PIXELS)[:-30]):
        assert [one.kind for one in differences([plot(png(PIXELS))], [plot(other)])] == ["plot"]
    assert [one.kind for one in differences([shown({"image/png": "abcde"})], [plot(png(PIXELS))])] == ["plot"]
    [found] = differences([plot(png(PIXELS))], [])
    assert (found.kind, found.now, found.new) == ("plot", "no plot", None)


def test_ids_and_dates_of_an_svg_mean_nothing() -> None:
    """What it draws does."""
    old = shown({"image/svg+xml": SVG.format("m1a", "a")})
    assert differences([old], [shown({"image/svg+xml": SVG.format("m2b", "a")})]) == ()
    assert [one.kind for one in differences([old], [shown({"image/svg+xml": SVG.format("m1a", "b")})])] == ["plot"]


def test_an_error_is_told_once_and_hides_no_other() -> None:
    """Cells below it did not run, which is no difference of theirs; nor is the traceback one."""
    old = notebook(cell(stdout("a")), cell(stdout("b"), source="\n# Fit\nfit()"), cell(stdout("c")))
    new = notebook(cell(stdout("a")), cell(error("ValueError", "bad x"), source="# Fit"), cell(count=None))
    assert [(one.cell, one.line, one.kind, one.was, one.now) for one in compare(old, new, tolerance=0)] == [
        (2, "# Fit", "error", "no error", "ValueError: bad x"),
        (2, "# Fit", "text", "b", ""),
    ]
    assert differences([error("A", "at 0x7f1")], [error("A", "at 0x7f2")]) == ()
    assert [one.kind for one in differences([error("A", "x")], [error("B", "x")])] == ["error"]


def test_a_notebook_on_one_side_and_other_cells_are_told() -> None:
    """Cell 0 is the notebook."""
    [lost] = compare(notebook(cell()), None, tolerance=0)
    assert (lost.cell, lost.kind, lost.was, lost.now) == (0, "error", "ran", "did not run")
    [more] = compare(notebook(cell()), notebook(cell(), cell(stdout("x"))), tolerance=0)
    assert (more.cell, more.where, more.was, more.now) == (0, "code cells", "1", "2")


def test_counts_ids_metadata_and_markdown_are_no_difference() -> None:
    """They say nothing of what was computed."""
    new = notebook({"cell_type": "markdown", "source": "# Hello"}, cell(stdout("a"), count=7) | {"metadata": {"x": 1}})
    assert compare(notebook(cell(stdout("a"))), new, tolerance=0) == ()


def test_the_gravest_difference_is_first() -> None:
    """Numbers by the size of their change, then tables, errors, plots, text."""
    old = [stdout("a 1\nb 1\nw"), shown({"text/html": FRAME}), plot(png(PIXELS)), error("A", "")]
    new = [stdout("a 2\nb 9\nv"), shown({"text/html": FRAME.replace("ant", "ape")}), plot(png(OTHER)), error("B", "")]
    found = differences(old, new)
    assert [one.kind for one in found] == ["number", "number", "table", "error", "plot", "text"]
    assert [one.now for one in found[:2]] == ["9", "2"]


def test_the_richest_format_is_compared() -> None:
    """A figure's or a table's text is a shorter copy, and a widget's id is random."""
    plain = [{"text/html": FRAME, "text/plain": text} for text in ("cut short 1", "cut short 2")]
    assert differences([shown(plain[0])], [shown(plain[1])]) == ()
    widgets = [{"application/vnd.jupyter.widget-view+json": {"model_id": x}, "text/plain": "w"} for x in "ab"]
    assert differences([shown(widgets[0])], [shown(widgets[1])]) == ()
    charts = [{"application/vnd.plotly.v1+json": {"y": [1, y]}, "text/plain": "p"} for y in (2, 3)]
    assert [one.kind for one in differences([shown(charts[0])], [shown(charts[1])])] == ["number"]


NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, math.nan])
)
LINES = st.lists(
    st.one_of(
        NUMBERS.map(repr), st.sampled_from(["mean =", "x1", "1,234", "np.float64(2)", "a|b", "0xff", "1.2.3", "\r"])
    ),
    max_size=4,
).map(" ".join)
TEXTS = st.lists(LINES, max_size=5).map("\n".join)
HTML = st.lists(
    st.sampled_from(["<table>", "</table>", "<tr>", "<th>", "<td>", "a", "1.5", "2", "<td colspan=3>", "<![x", "<!--"]),
    max_size=14,
).map("".join)
OUTPUTS = st.one_of(
    TEXTS.map(stdout),
    TEXTS.map(lambda text: stdout(text, name="stderr")),
    TEXTS.map(lambda text: error("E", text)),
    TEXTS.map(lambda text: shown({"text/plain": text})),
    HTML.map(lambda html: shown({"text/html": "<table>" + html})),
    st.sampled_from([plot(png(PIXELS)), plot(png(OTHER)), plot(b"")]),
)
NOTEBOOKS = st.lists(st.lists(OUTPUTS, max_size=3).map(lambda outputs: cell(*outputs)), max_size=3).map(
    lambda cells: notebook(*cells)
)
TOLERANCES = st.floats(0, 2)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["cell_type", "outputs", "output_type", "data", "source", "x"]), inner),
    ),
    max_leaves=8,
)


@given(one=NOTEBOOKS, tolerance=TOLERANCES)
def test_a_notebook_does_not_differ_from_itself(one: dict[str, Any], tolerance: float) -> None:
    """Whatever it printed, also NaN."""
    assert compare(one, one, tolerance=tolerance) == ()


@given(old=NOTEBOOKS, new=NOTEBOOKS, tolerance=TOLERANCES)
@example(old=notebook(cell(stdout("t\ni\nd\ne"))), new=notebook(cell(stdout("d\ni\ne\nt"))), tolerance=0.0)
def test_either_side_may_be_the_old_one(old: dict[str, Any], new: dict[str, Any], tolerance: float) -> None:
    """There are as many differences of each kind, and those of results have the sides changed over."""
    there, back = compare(old, new, tolerance=tolerance), compare(new, old, tolerance=tolerance)
    assert Counter((one.kind, one.cell) for one in there) == Counter((one.kind, one.cell) for one in back)
    assert Counter((one.kind, one.was, one.now) for one in there if one.where != "stderr") == Counter(
        (one.kind, one.now, one.was) for one in back if one.where != "stderr"
    )


@given(old=NOTEBOOKS, new=NOTEBOOKS, tolerances=st.tuples(TOLERANCES, TOLERANCES))
def test_a_larger_tolerance_finds_no_more(
    old: dict[str, Any], new: dict[str, Any], tolerances: tuple[float, float]
) -> None:
    """What it finds is among what the smaller one finds; and the order is by kind."""
    strict, loose = (compare(old, new, tolerance=tolerance) for tolerance in sorted(tolerances))
    assert set(loose) <= set(strict)
    assert [one.kind for one in strict] == sorted((one.kind for one in strict), key=KINDS.index)


@given(before=TEXTS, after=TEXTS, old=NUMBERS, factor=st.floats(1.02, 100), tolerance=st.floats(0, 0.01))
@example(before="a 1\n", after="1,", old=10, factor=2.0, tolerance=0.0)
def test_a_number_beyond_the_tolerance_is_always_found(
    before: str, after: str, old: float, factor: float, tolerance: float
) -> None:
    """Whatever stands around it."""
    if not old or math.isnan(old) or math.isinf(old * factor) or not math.isclose(old * factor / old, factor):
        old = 3
    text = f"{before}\nmean = {{!r}}\n{after}"
    found = printed(text.format(old), text.format(old * factor), tolerance)
    assert [(one.kind, one.where) for one in found] == [("number", "mean =")]


@given(old=JSON, new=JSON, text=st.text())
def test_junk_is_no_crash(old: Any, new: Any, text: str) -> None:  # noqa: ANN401 - JSON is of any type
    """A notebook that is none has no cells; an output that is none says nothing."""
    sides = [notebook(*[cell() | {"outputs": side, "source": side}]) | {"x": side} for side in (old, new)]
    compare(*sides, tolerance=0)
    compare({"cells": old}, {"cells": new}, tolerance=0)
    junk = [
        shown({"image/png": old, "text/html": "<table" + text, "a+json": new}),
        plot(text.encode("utf-8", "replace")),
    ]
    for output in (*junk, stdout(text), error(text, text), shown({"image/svg+xml": text}), shown({"text/html": text})):
        differences([output], [stdout("x")])
        differences([output], [shown({"text/html": FRAME}), shown({"image/svg+xml": "<svg/>"}), plot(png(PIXELS))])


@given(data=st.binary(max_size=60), place=st.integers(0, 200))
def test_a_damaged_plot_is_another_one(data: bytes, place: int) -> None:
    """No file is trusted to be what it says."""
    good = png(PIXELS)
    damaged = good[:place] + data + good[place + len(data) :]
    assert len(differences([plot(good)], [plot(damaged)])) in {0, 1}
