"""Random upgrades from end to end: a few of those of `nox -s bench -- upgrade`."""

import os
from pathlib import Path

import pytest
from upgrade_machines import a_random_upgrade
from upgrade_play import play


@pytest.mark.parametrize("seed", ["20261128-0"])
def test_the_end_is_green_and_no_more_is_held_than_must_be(
    seed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    end = play(a_random_upgrade(seed), tmp_path)
    assert not end.faults
    assert end.held == end.fewest
