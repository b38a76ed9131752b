"""A run of the proof: which of pytest's ends say something of a lab, and which do not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.errors import LabError
from pyrlab.model.settings import Settings
from pyrlab.steps import proof
from pyrlab.steps.proof import Outcome, Proof


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


def test_what_pytest_wrote_is_read(
    load_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes, and how long labs took to answer. Red is red once, whatever its fixture does then."""
    lines: list[dict[str, object]] = [
        {"lab": "pylab", "start": 2.5},
        {"test": "a", "outcome": "passed", "seconds": 1.0, "text": "", "output": "pylab-a.ipynb"},
        {"test": "b", "outcome": "failed", "text": "\x1b[31mfirst\x1b[0m\n\n"},
        {"test": "b", "outcome": "failed", "text": "second"},
        {"test": "c", "outcome": "passed"},
        {"test": "c", "outcome": "failed"},
        {"lab": "rlab", "start": 3.5},
    ]

    def run(command: list[str], **_: object) -> str:
        [results] = [word.removeprefix("--results=") for word in command if word.startswith("--results=")]
        Path(results).write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return ""

    settings, outputs = load_settings(), tmp_path / "outputs"
    monkeypatch.setattr(process, "run", run)
    red = {"b": Outcome("b", "failed", text="\x1b[31mfirst\x1b[0m\n\n"), "c": Outcome("c", "failed")}
    green = Outcome("a", "passed", 1.0, output="pylab-a.ipynb")
    shown = proof.prove(settings, [], outputs)
    assert shown == Proof({"a": green, **red}, outputs, {"pylab": 2.5, "rlab": 3.5})
    assert shown.red == red
    assert [shown.notebook(test) for test in ("a", "b", "none")] == [outputs / "pylab-a.ipynb", None, None]
    assert [red[test].last_line for test in red] == ["first", ""]


@pytest.mark.parametrize("status", [2, 3, 4], ids=["interrupted", "lost-a-worker", "usage"])
def test_what_pytest_did_not_run_to_its_end_is_none(
    load_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """An upgrade would hold a package back for tests that a killed worker had."""
    ends_with(status, monkeypatch)
    with pytest.raises(LabError, match=r"^the proof could not be run$") as caught:
        proof.prove(load_settings(), [], tmp_path / "outputs")
    assert caught.value.detail == "its last words"
