"""The search for what to hold back: few trials, as little held as can be, and always something that was seen green."""

import os
import random
import tracemalloc
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upgrade_worlds import Culprit, World, a_world, bounded, dice_for, figures, flat, one_culprit, several, solve

from pyrlab.model.upgrade.bumps import Bump
from pyrlab.model.upgrade.search import Outcome, Search
from pyrlab.model.upgrade.verdicts import INSTALLS, Trial, Verdict

# All that was promised of the search is tried at night; python tests/unit/upgrade_worlds.py 10000 prints it.
WORLDS = 10_000 if os.environ.get("EXAMPLES") == "random" else 1_000
SEEDS = st.integers(0, 10**9)


def bumps(text: str) -> tuple[Bump, ...]:
    """Return bumps by their names; as in ``a b<a c<a,b`` with what they need."""
    words = [word.partition("<") for word in text.split()]
    return tuple(Bump(name, (), frozenset(needs.split(",")) - {""}) for name, _, needs in words)


def world(text: str, *culprits: tuple[str, str, str]) -> World:
    """Return bumps, and culprits: the test, the bumps, and what the failure names."""
    found = [Culprit(test, frozenset(members.split()), tuple(named.split())) for test, members, named in culprits]
    return World(bumps(text), found)


def held(world: World) -> dict[str, set[str]]:
    """Return what is held at the end, and why."""
    return {name: set(tests) for name, tests in solve(world).outcome.held.items()}


def tried(world: World) -> list[str]:
    """Return what each trial held back."""
    return [" ".join(sorted(world.everything - trial.take)) for trial in world.tried]


def test_a_culprit_that_the_failure_names_takes_one_trial() -> None:
    upgrade = world("a b c d", ("plots", "b", "b d"))
    assert held(upgrade) == {"b": {"plots"}}
    assert tried(upgrade) == ["b"]


def test_the_second_name_takes_three_trials() -> None:
    upgrade = world("a b c d e f", ("plots", "b", "d b"))
    assert held(upgrade) == {"b": {"plots"}}
    assert tried(upgrade) == ["d", "b d", "b"]


def test_without_a_name_half_of_the_bumps_are_ruled_out_by_each_trial() -> None:
    upgrade = world("a b c d e f g h", ("plots", "f", ""))
    assert held(upgrade) == {"f": {"plots"}}
    assert tried(upgrade) == ["e f g h", "g h", "f g h", "f"]


def test_a_name_that_is_no_bump_is_ignored() -> None:
    upgrade = world("a b", ("plots", "a", "os a"))
    assert held(upgrade) == {"a": {"plots"}}


def test_what_needs_the_culprit_is_held_with_it_for_the_same_reason() -> None:
    upgrade = world("a b<a c<a,b d", ("plots", "a", "a"))
    assert held(upgrade) == {"a": {"plots"}, "b": {"plots"}, "c": {"plots"}}
    assert tried(upgrade) == ["a b c", "b c d"]


def test_a_named_bump_goes_through_where_only_what_needs_it_is_broken() -> None:
    upgrade = world("a b<a c d", ("plots", "b", "a"))
    assert held(upgrade) == {"b": {"plots"}}


def test_of_two_that_fail_only_together_one_is_held() -> None:
    upgrade = world("a b c d", ("plots", "b d", ""))
    assert held(upgrade) == {"d": {"plots"}}


def test_of_two_that_fail_only_together_the_one_that_less_depends_on_is_held() -> None:
    upgrade = world("a b<a c<a d e", ("plots", "a d", "a"))
    assert held(upgrade) == {"d": {"plots"}}


def test_each_culprit_has_its_own_reason() -> None:
    upgrade = world("a b c d e f", ("plots", "b", "b"), ("models", "e", "e"))
    assert held(upgrade) == {"b": {"plots"}, "e": {"models"}}
    assert tried(upgrade)[0] == "b e"


def test_a_second_culprit_is_named_when_the_first_is_held() -> None:
    upgrade = world("a b c d e f", ("plots", "b", "b"), ("plots", "e", "e"))
    assert held(upgrade) == {"b": {"plots"}, "e": {"plots"}}
    assert tried(upgrade)[:2] == ["b", "b e"]
    assert len(upgrade.tried) == 3


def test_one_culprit_of_two_tests_is_held_once() -> None:
    upgrade = world("a b c d", ("plots", "b", "b"), ("models", "b", ""))
    assert held(upgrade) == {"b": {"plots", "models"}}
    assert tried(upgrade) == ["b"]


def test_what_cannot_be_installed_is_held_and_then_the_tests_have_their_turn() -> None:
    upgrade = world("a b c d", (INSTALLS, "b", "b"), ("plots", "d", "d"))
    assert held(upgrade) == {"b": {INSTALLS}, "d": {"plots"}}
    assert upgrade.tried[0] == Trial(frozenset("acd"), frozenset())
    assert all(trial.tests == {"plots"} for trial in upgrade.tried if "b" not in trial.take and "d" not in trial.take)


def test_what_the_full_proof_shows_is_searched_for_too_and_nothing_is_held_in_vain() -> None:
    search = Search(bumps("a b c d"), {"plots": ["b"]}, max_trials=20)
    search.tell(Verdict())
    assert search.outcome == Outcome(frozenset("acd"), {"b": frozenset({"plots"})}, 1, complete=True)
    upgrade = world("a b c d", ("plots", "b", "b"), ("late", "d", "d"))
    search.extend({"late": ["d"]})
    assert not search.outcome.complete
    while search.trial:
        assert search.trial.tests <= {"plots", "late"}
        search.tell(upgrade.run(search.trial))
    assert search.outcome.complete
    assert search.outcome.held == {"b": {"plots"}, "d": {"late"}}


def test_a_choice_that_cannot_be_installed_blames_nobody_for_good() -> None:
    upgrade = world("a b c d e f g h", ("plots", "h", ""))
    upgrade.unknown_needs = [("b", "e"), ("e", "b")]
    assert held(upgrade) == {"h": {"plots"}}


def test_when_nothing_helps_nothing_is_taken() -> None:
    search = Search(bumps("a b c"), {"plots": []}, max_trials=50)
    while search.trial:
        search.tell(Verdict({"plots": ()}))
    assert search.outcome.take == frozenset()
    assert search.outcome.complete
    assert search.outcome.held == dict.fromkeys("abc", frozenset({"plots"}))


def test_without_trials_nothing_is_taken_and_the_search_is_not_complete() -> None:
    search = Search(bumps("a b"), {"plots": ["a"]}, max_trials=0)
    assert search.trial is None
    assert search.outcome == Outcome(frozenset(), dict.fromkeys("ab", frozenset()), 0, complete=False)


def test_the_best_answer_so_far_can_be_had_at_any_time() -> None:
    upgrade = world("a b c d e f g h", ("plots", "f", ""))
    search = Search(upgrade.bumps, upgrade.red(upgrade.everything), max_trials=20)
    sizes = []
    while search.trial:
        sizes.append(len(search.outcome.take))
        assert not search.outcome.complete
        search.tell(upgrade.run(search.trial))
    assert sizes == [0, 4, 4, 5]
    assert len(search.outcome.take) == 7


def test_the_figures_that_are_promised() -> None:
    found = figures(map(a_world, range(WORLDS)))
    assert found.green == 1
    assert found.minimal >= 0.98
    assert found.median <= 7


@pytest.mark.parametrize(
    ("culprits", "members", "named", "most"),
    [
        pytest.param(1, 1, True, 2, id="one-named"),
        pytest.param(1, 1, False, 7, id="one"),
        pytest.param(1, 2, False, 8, id="two-that-fail-only-together"),
        pytest.param(2, 1, False, 14, id="two"),
        pytest.param(3, 1, False, 21, id="three"),
    ],
)
def test_the_trials_of_each_kind(culprits: int, members: int, named: bool, most: int) -> None:  # noqa: FBT001
    dice = dice_for("kinds")

    def make() -> World:
        return several(dice, culprits) if culprits > 1 else one_culprit(dice, members, named=named)

    found = figures(make() for _ in range(100))
    assert max(found.trials) <= most
    assert found.minimal == 1


@given(seed=SEEDS)
def test_a_named_culprit_takes_two_trials_at_most_whatever_needs_it(seed: int) -> None:
    dice = dice_for(f"{seed}")
    found = bounded(dice, 60)
    name = dice.choice(found).name
    upgrade = World(found, [Culprit("plots", frozenset({name}), (name,))])
    assert solve(upgrade).outcome.held.keys() == upgrade.held_with({name})
    assert len(upgrade.tried) <= 2


def test_without_bumps_or_a_green_start_nothing_is_tried() -> None:
    assert Search([], {"plots": []}, max_trials=9).trial is None
    search = Search(bumps("a b"), {"plots": ["a"]}, max_trials=1)
    search.tell(Verdict({"plots": ["b"]}))
    search.extend({"plots": []})
    assert search.trial is None
    assert not search.outcome.take


def test_what_one_search_saw_spares_the_next_one_trials() -> None:
    dice = dice_for("kinds")
    found = figures(several(dice, 3) for _ in range(60))
    assert sum(found.trials) <= 18 * 60


def test_what_could_not_be_installed_is_not_tried_again_for_another_test() -> None:
    search = Search(bumps("a b c"), {"plots": ["b"]}, max_trials=9, findings={(frozenset("ac"), INSTALLS): ()})
    assert search.trial
    assert search.trial.take != frozenset("ac")


def test_what_cannot_be_installed_after_all_makes_all_of_it_be_tried_anew() -> None:
    """Trials before that may have been of less than all: that they were installed shows nothing then."""

    def plots(take: frozenset[str]) -> dict[str, list[str]]:
        return {"plots": []} if take >= frozenset("c") else {}

    search = Search(bumps("a b c"), {"plots": []}, max_trials=99)
    while search.trial:
        search.tell(Verdict(plots(search.trial.take)))
    assert search.outcome.take == frozenset("ab")
    assert (frozenset("a"), "plots") in search.findings
    search.extend({INSTALLS: []})
    while search.trial:
        take = search.trial.take
        search.tell(Verdict({INSTALLS: []} if take & frozenset("a") else plots(take)))
    assert search.outcome.complete
    assert search.outcome.take == frozenset("b")


def test_nothing_can_be_told_when_nothing_was_asked() -> None:
    search = Search(bumps("a b"), {"plots": ["a"]}, max_trials=0)
    with pytest.raises(ValueError, match="no trial"):
        search.tell(Verdict())
    assert not search.outcome.complete


def joining(world: World, take: frozenset[str]) -> Iterable[frozenset[str]]:
    """Return the choices that take one bump more."""
    return [take | {bump.name} for bump in world.bumps if bump.name not in take and bump.needs <= take]


@given(seed=SEEDS)
def test_the_end_is_green_consistent_and_nothing_held_could_be_taken_alone(seed: int) -> None:
    upgrade = a_world(seed)
    outcome = solve(upgrade).outcome
    assert outcome.complete
    assert outcome.take | outcome.held.keys() == upgrade.everything
    assert not upgrade.red(outcome.take)
    assert upgrade.is_consistent(outcome.take)
    tests = {culprit.test for culprit in upgrade.culprits} - {INSTALLS}
    seen = [trial.tests for trial in upgrade.tried if trial.take == outcome.take]
    assert seen
    assert INSTALLS in {culprit.test for culprit in upgrade.culprits} or tests == frozenset().union(*seen)
    for larger in joining(upgrade, outcome.take):
        (name,) = larger - outcome.take
        assert outcome.held[name] & upgrade.red(larger).keys()


@given(seed=SEEDS)
def test_no_trial_is_run_twice_and_the_same_world_has_the_same_answer(seed: int) -> None:
    first, second = a_world(seed), a_world(seed)
    assert solve(first).outcome == solve(second).outcome
    assert first.tried == second.tried
    assert len(set(first.tried)) == len(first.tried)


@given(seed=SEEDS)
def test_more_trials_never_hold_more(seed: int) -> None:
    counts = []
    for most in range(12):
        upgrade = a_world(seed)
        outcome = solve(upgrade, max_trials=most).outcome
        assert len(upgrade.tried) <= most
        assert not upgrade.red(outcome.take)
        counts.append(len(outcome.held))
    assert counts == sorted(counts, reverse=True)


@given(seed=SEEDS, stop=st.integers(0, 20))
def test_an_interrupted_search_goes_on_where_it_was(seed: int, stop: int) -> None:
    whole, before, after = a_world(seed), a_world(seed), a_world(seed)
    answer = solve(whole).outcome
    interrupted = solve(before, max_trials=stop)
    assert solve(after, findings=interrupted.findings).outcome == answer
    assert before.tried + after.tried == whole.tried


class Moody(World):
    """An upgrade in which no rule holds: each choice is red or green for itself."""

    def red(self, take: frozenset[str]) -> dict[str, tuple[str, ...]]:
        """Return what is red: everything with all bumps, nothing without any."""
        dice = random.Random(f"{self.culprits[0].test}{sorted(take)}")  # noqa: S311 - for tests
        kind = dice.random() if take else 1
        if take == self.everything:
            kind = 0
        return {"first": (), "second": ()} if kind < 0.5 else {INSTALLS: ()} if kind < 0.6 else {}


@given(seed=SEEDS)
def test_where_no_rule_holds_the_end_was_seen_green_all_the_same(seed: int) -> None:
    upgrade = Moody(flat(20), [Culprit(f"{seed}", frozenset())])
    search = solve(upgrade)
    assert not upgrade.red(search.outcome.take)
    assert search.outcome.complete
    assert not search.outcome.take or search.outcome.take in {trial.take for trial in upgrade.tried}
    counts = [len(solve(upgrade, max_trials=most).outcome.held) for most in range(len(upgrade.tried))]
    assert counts == sorted(counts, reverse=True)


@given(seed=SEEDS, needs=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=4))
def test_needs_that_nobody_knew_of_do_no_harm(seed: int, needs: Sequence[tuple[int, int]]) -> None:
    upgrade = one_culprit(dice_for(f"{seed}"))
    names = [bump.name for bump in upgrade.bumps]
    upgrade.unknown_needs = [(names[first], names[second]) for first, second in needs]
    outcome = solve(upgrade).outcome
    assert not upgrade.red(outcome.take)
    assert all(upgrade.red(larger) for larger in joining(upgrade, outcome.take))


def test_a_thousand_bumps_need_little_memory() -> None:
    upgrade = several(dice_for("large"), 3, 1000)
    tracemalloc.start()
    try:
        solve(upgrade)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(upgrade.tried) <= 33
    assert peak < 20e6
