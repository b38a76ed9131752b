"""A run of the proof: which of pytest's ends say something of a lab, and which do not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.errors import LabError
from pyrlab.model.settings import Settings
from pyrlab.steps import proof


def ends_with(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pytest end so, after a line of evidence."""

    def run(command: list[str], **_: object) -> str:
        if status:
            raise process.CommandError(command, f"ended with status {status}", "its last words", status)
        return ""

    monkeypatch.setattr(process, "run", run)


@pytest.mark.parametrize("status", [0, 1, 5])
def test_what_pytest_ran_is_a_proof(
    load_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    ends_with(status, monkeypatch)
    assert proof.prove(load_settings(), [], tmp_path / "outputs").red == {}


@pytest.mark.parametrize("status", [2, 3, 4], ids=["interrupted", "lost-a-worker", "usage"])
def test_what_pytest_did_not_run_to_its_end_is_none(
    load_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """An upgrade would hold a package back for tests that a killed worker had."""
    ends_with(status, monkeypatch)
    with pytest.raises(LabError, match=r"^the proof could not be run$") as caught:
        proof.prove(load_settings(), [], tmp_path / "outputs")
    assert caught.value.detail == "its last words"
