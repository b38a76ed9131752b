"""`changes`: what is different between the locks of a commit and those of now, on the terminal and as Markdown."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lock_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.changes import LONGEST, shortened

Run = Callable[..., tuple[int, str, str]]
NEWER = replace(samples.PYTHON, pins=(samples.wheel("cachetools", "2"), samples.wheel("tqdm")))

MARKDOWN = """### r_packages.lock: 3 changed

| | package | old | new |
|---|---|---|---|
| added | repr |  | 1.0 |
| added | uuid |  | 1.0 |
| added | zoo |  | 1.0 |

### requirements.lock: 6 changed

| | package | old | new |
|---|---|---|---|
| up | cachetools | 1 | 2 |
| removed | certifi | 1 |  |
| removed | cffi | 1 |  |
| removed | numpy | 2.3.1 |  |
| removed | requests | 1 |  |
| added | tqdm |  | 1 |
"""


def git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *name, *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def lab(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose first commit has a lock of debs and one of Python packages."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    (project / "debs.lock").write_text(samples.DEBS.render(), encoding="utf-8")
    (project / "requirements.lock").write_text(samples.PYTHON.render(), encoding="utf-8")
    git(project, "init", "--quiet")
    git(project, "add", "*.lock")
    git(project, "commit", "--quiet", "--message", "First")
    return project


def test_what_changed_is_shown_and_written_down(lab: Path, command_line: Run) -> None:
    """A lock that is new since then is all new."""
    (lab / "requirements.lock").write_text(NEWER.render(), encoding="utf-8")
    (lab / "r_packages.lock").write_text(replace(samples.R, debs=(), build_debs=()).render(), encoding="utf-8")
    status, said, _ = command_line("changes", "HEAD")
    assert status == 0
    assert "debs.lock: nothing changed" in said
    assert "requirements.lock: 1 added, 4 removed, 1 up" in said
    assert (lab / ".pyrlab/changes.md").read_text(encoding="utf-8") == MARKDOWN


def test_a_program_reads_what_changed(lab: Path, command_line: Run) -> None:
    (lab / "requirements.lock").write_text(NEWER.render(), encoding="utf-8")
    status, said, _ = command_line("changes", "HEAD", "--json")
    rows = json.loads(said)
    assert status == 0
    assert {row["lock"] for row in rows} == {"requirements.lock"}
    assert sorted(row["kind"] for row in rows) == ["added", *["removed"] * 4, "up"]
    assert all(row["old"] or row["new"] for row in rows)
    assert "requirements.lock: 1 added, 4 removed, 1 up" in command_line("changes", "HEAD")[1]


def test_where_nothing_changed_there_is_nothing_to_read(lab: Path, command_line: Run) -> None:
    """Not even what was there from before."""
    (lab / "requirements.lock").write_text(NEWER.render(), encoding="utf-8")
    command_line("changes", "HEAD")
    git(lab, "commit", "--all", "--quiet", "--message", "Newer")
    assert command_line("changes", "HEAD")[0] == 0
    assert not (lab / ".pyrlab/changes.md").exists()


@pytest.mark.parametrize("name", ["nowhere", "--help-me", "HEAD:debs.lock"])
def test_what_is_no_commit(lab: Path, command_line: Run, name: str) -> None:
    assert command_line("changes", "--", name) == (
        2,
        "",
        f"error: {name!r} is no commit of {lab}\n  try: name one, as in: HEAD^ or main\n",
    )


@given(st.text(), st.sampled_from([1, LONGEST]))
def test_a_text_that_is_too_long_is_cut_and_says_so(text: str, times: int) -> None:
    text *= times
    short = shortened(text)
    assert len(short.encode()) <= LONGEST + 100
    if short != text:
        assert len(text.encode()) > LONGEST
        assert text.startswith(short.partition("\n\n(This is longer")[0][:100])
        assert short.endswith("All of it is in the run's artifacts.)\n")
