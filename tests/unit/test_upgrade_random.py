"""Random upgrades from end to end: a few of those of `nox -s bench -- upgrade`."""

from pathlib import Path

import pytest
from upgrade_machines import FLAKY, a_random_upgrade
from upgrade_play import play

SEEDS = {
    "R by a failure's name, and two only together": "20261128-1",
    "a deb that cannot be installed": "20261128-3",
    "two wheels only together": "20261128-5",
    "a flaky test": "20261128-54",
    "a wheel that two others need": "20261128-37",
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_the_end_is_green_and_no_more_is_held_than_must_be(seed: str, tmp_path: Path) -> None:
    end = play(a_random_upgrade(seed), tmp_path)
    assert not end.faults
    assert end.held == end.fewest
    assert end.trials <= 2 or not end.world.named
    assert set(end.flaky) == ({FLAKY} if end.world.flaky else set())
    assert FLAKY not in end.blamed
