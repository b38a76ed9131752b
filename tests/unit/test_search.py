"""The search that learns from conflicts, apart from R."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.cran.search import NOT_NEEDED, RefutedError, Search, Variable

FIRST, SECOND, THIRD = 2, 4, 8
ANY = FIRST | SECOND | THIRD


def variables(search: Search, names: str) -> list[Variable]:
    """Return variables with three values each."""
    made = [Variable(name) for name in names]
    for variable in made:
        search.forbid(variable, ~(NOT_NEEDED | ANY))
    assert search.follow()
    return made


def test_what_one_value_excludes_is_struck_out() -> None:
    search = Search()
    one, other = variables(search, "ab")
    search.tell({one: FIRST, other: NOT_NEEDED | FIRST})
    search.decide(one, FIRST)
    assert search.follow()
    assert other.domain == SECOND | THIRD


def test_a_conflict_teaches_what_it_follows_from_and_nothing_else() -> None:
    """The decision between has no part in it, and is given up with the one that had."""
    search = Search()
    one, between, last = variables(search, "abc")
    search.tell({one: FIRST, last: FIRST | NOT_NEEDED})
    search.tell({one: FIRST, last: SECOND | THIRD})
    search.decide(between, SECOND)
    search.decide(one, FIRST)
    assert not search.follow()
    assert search.learn() == 0
    assert search.follow()
    assert one.domain == NOT_NEEDED | SECOND | THIRD
    assert between.domain == NOT_NEEDED | ANY


def test_what_is_told_late_holds_after_going_back() -> None:
    """It was told after a second decision, and says something about the first."""
    search = Search()
    one, other, third = variables(search, "abc")
    search.decide(one, FIRST)
    search.decide(other, FIRST)
    assert search.follow()
    search.tell({one: FIRST, third: THIRD})
    search.tell({one: FIRST, other: FIRST})
    assert not search.follow()
    assert search.learn() == 1
    assert search.follow()
    assert third.domain == NOT_NEEDED | FIRST | SECOND


def test_a_value_that_is_forbidden_late_is_forbidden_for_good() -> None:
    search = Search()
    one, other = variables(search, "ab")
    search.decide(one, FIRST)
    search.forbid(other, FIRST)
    search.tell({one: FIRST})
    assert not search.follow()
    assert search.learn() == 0
    assert search.follow()
    assert other.domain == NOT_NEEDED | SECOND | THIRD


def test_a_proof_names_all_that_it_stands_on() -> None:
    search = Search()
    one, other, third = variables(search, "abc")
    search.tell({one: NOT_NEEDED}, "one is needed")
    search.tell({one: FIRST, other: NOT_NEEDED | FIRST}, "one 1 wants other 2")
    search.tell({one: SECOND | THIRD}, "one is 1")
    search.tell({other: SECOND | THIRD}, "other is 1")
    search.tell({third: FIRST}, "third is something else")
    assert not search.follow()
    with pytest.raises(RefutedError) as caught:
        search.learn()
    told = {reason for rule in caught.value.proof.told() for reason in rule.why}
    assert told == {"one is needed", "one 1 wants other 2", "one is 1", "other is 1"}


def test_without_a_conflict_there_is_nothing_to_learn() -> None:
    with pytest.raises(ValueError, match=r"^there is nothing to learn from$"):
        Search().learn()


# Two terms of three, mostly: with more rules than some forty, there is hardly a solution.
TERMS = st.dictionaries(st.integers(0, 5), st.integers(1, 14), min_size=2, max_size=3)


@given(told=st.lists(TERMS, min_size=10, max_size=40))
def test_the_first_solution_is_found_or_it_is_proved_that_there_is_none(told: Sequence[dict[int, int]]) -> None:
    """Compared with all combinations, in the order in which the search decides."""
    solutions = (
        values
        for values in itertools.product((NOT_NEEDED, FIRST, SECOND, THIRD), repeat=6)
        if not any(all(values[number] & excluded for number, excluded in terms.items()) for terms in told)
    )
    assert first_solution(told) == next(solutions, None)


def first_solution(told: Sequence[dict[int, int]]) -> tuple[int, ...] | None:
    """Return the values of six variables, of each the lowest bit that can be, or None."""
    search = Search()
    made = variables(search, "abcdef")
    try:
        for terms in told:
            search.tell({made[number]: values for number, values in terms.items()})
        while True:
            if not search.follow():
                search.learn()
                continue
            open_ones = [variable for variable in made if variable.domain & (variable.domain - 1)]
            if not open_ones:
                return tuple(variable.domain for variable in made)
            search.decide(open_ones[0], open_ones[0].domain & -open_ones[0].domain)
    except RefutedError:
        return None
