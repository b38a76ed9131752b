"""R's version order: golden values from R itself, and the laws of an order."""

import re
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.cran.version import RVersion

# Few different components, so that equal and nearly equal versions are common.
TEXTS = st.from_regex(r"[0-3]{1,2}([.-][0-3]{1,2}){0,4}", fullmatch=True)
VERSIONS = TEXTS.map(RVersion.parse)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("1.0", "1.0.0", id="missing-is-zero"),
        pytest.param("1.2-3", "1.2.3", id="dash-is-dot"),
        pytest.param("1.01", "1.1", id="leading-zero"),
        pytest.param("0", "0.0-0", id="nothing-but-zeros"),
    ],
)
def test_versions_that_r_calls_equal(one: str, other: str) -> None:
    """Equal versions have equal hashes, whatever their spelling."""
    assert RVersion.parse(one) == RVersion.parse(other)
    assert hash(RVersion.parse(one)) == hash(RVersion.parse(other))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("1.9", "1.10", id="numeric-not-text"),
        pytest.param("1.2-3", "1.2.3.1", id="longer-is-newer"),
        pytest.param("1.3.2", "1.3.2.9000", id="development-version"),
        pytest.param("7.3-60", "7.3-65", id="after-the-dash"),
        pytest.param("2147483646", "2147483647", id="largest-component"),
    ],
)
def test_versions_that_r_calls_older(older: str, newer: str) -> None:
    """Components compare as integers."""
    assert RVersion.parse(older) < RVersion.parse(newer)
    assert RVersion.parse(newer) > RVersion.parse(older)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("1.0rc1", "'1.0rc1' is not an R version", id="letters"),
        pytest.param("1..2", "'1..2' is not an R version", id="empty-component"),
        pytest.param("1.", "'1.' is not an R version", id="trailing-dot"),
        pytest.param("-1", "'-1' is not an R version", id="leading-dash"),
        pytest.param("", "'' is not an R version", id="empty"),
        pytest.param("1.2\n", "'1.2\\n' is not an R version", id="newline"),
        pytest.param("\u0661.\u0662", "'\u0661.\u0662' is not an R version", id="digits-of-another-script"),
        pytest.param(
            "1.2147483648",
            "'1.2147483648' has a component over 2147483647, which R refuses",
            id="component-over-32-bits",
        ),
    ],
)
def test_what_r_refuses_is_a_value_error(text: str, message: str) -> None:
    """The message holds the text as it was written."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RVersion.parse(text)


@pytest.mark.parametrize(
    ("version", "sign", "other", "expected"),
    [
        pytest.param("1.2", ">=", "1.2.0", True, id="ge-equal"),
        pytest.param("1.2", ">", "1.2.0", False, id="gt-equal"),
        pytest.param("1.10", ">", "1.9", True, id="gt-newer"),
        pytest.param("1.2-3", "==", "1.2.3", True, id="eq-spelling"),
        pytest.param("1.2-3", "!=", "1.2.3", False, id="ne-spelling"),
        pytest.param("1.2", "!=", "1.2.1", True, id="ne-older"),
        pytest.param("1.2.1", "!=", "1.2", True, id="ne-newer"),
        pytest.param("1.2", "<=", "1.1", False, id="le-newer"),
        pytest.param("1.2", "<", "1.2.1", True, id="lt-older"),
    ],
)
def test_satisfies_reads_the_signs_of_dependency_fields(version: str, sign: str, other: str, *, expected: bool) -> None:
    """All six signs, near equality."""
    assert RVersion.parse(version).satisfies(sign, RVersion.parse(other)) is expected


@given(text=TEXTS)
def test_a_version_keeps_its_spelling(text: str) -> None:
    """File names need the hyphen."""
    assert str(RVersion.parse(text)) == text


@given(one=VERSIONS, other=VERSIONS)
def test_exactly_one_of_older_equal_newer_holds(one: RVersion, other: RVersion) -> None:
    """The order is total, and antisymmetric."""
    assert [one < other, one == other, one > other].count(True) == 1
    assert (one.satisfies("<=", other) and other.satisfies("<=", one)) == (one == other)
    assert (one == other) <= (hash(one) == hash(other))


@given(versions=st.tuples(VERSIONS, VERSIONS, VERSIONS))
def test_order_is_transitive(versions: tuple[RVersion, RVersion, RVersion]) -> None:
    """What is sorted by neighbours is sorted from end to end."""
    first, second, third = sorted(versions)
    assert first.satisfies("<=", second)
    assert second.satisfies("<=", third)
    assert first.satisfies("<=", third)


@given(one=TEXTS, other=TEXTS)
def test_order_is_that_of_integers_padded_with_zeros(one: str, other: str) -> None:
    """An oracle that shares no code: compare component by component, a missing one as 0."""
    pairs = zip_longest(*(map(int, re.findall("[0-9]+", text)) for text in (one, other)), fillvalue=0)
    different = next(((left, right) for left, right in pairs if left != right), (0, 0))
    assert (RVersion.parse(one) < RVersion.parse(other)) == (different[0] < different[1])
    assert (RVersion.parse(one) == RVersion.parse(other)) == (different[0] == different[1])


@given(text=TEXTS, zeros=st.lists(st.sampled_from([".0", "-0", ".00"]), max_size=3))
def test_zeros_at_the_end_change_nothing(text: str, zeros: list[str]) -> None:
    """Padding with zeros gives an equal version."""
    assert RVersion.parse(text + "".join(zeros)) == RVersion.parse(text)
