"""Every session tells what it does when it is asked to, and does nothing else."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import nox.registry
import pytest
from graphs import SOURCE

from pyrlab.cli.verbs import cli

CommandLine = Callable[..., tuple[int, str, str]]
# Sessions that call tools, and not a verb of pyrlab.
TOOLS = {"lint", "types", "unit", "integration", "browser", "tests", "mutants", "relock", "bench"}
# Its program needs no package, as nothing is installed where it is called.
BY_ITSELF = {"unbundle"}


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[SimpleNamespace], None]]:
    """Return the project's sessions by name."""
    monkeypatch.setattr(nox.registry, "_REGISTRY", {})
    spec = importlib.util.spec_from_file_location("sessions", SOURCE / "noxfile.py")
    assert spec
    assert spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return dict(nox.registry.get())


def call(session: Callable[[SimpleNamespace], None], *posargs: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """Run a session with what follows `--`; return the commands that it ran and what it printed."""
    ran: list[tuple[str, ...]] = []
    said: list[str] = []
    session(
        SimpleNamespace(
            posargs=list(posargs),
            env={},
            virtualenv=SimpleNamespace(location=".nox/session"),
            install=lambda *_, **__: None,
            run=lambda *command, **_: ran.append(command),
            log=said.append,
            notify=lambda *_, **__: ran.append(("notify",)),
        )
    )
    return ran, said


def test_each_verb_has_its_session_and_each_session_its_verb(
    sessions: dict[str, Callable[[SimpleNamespace], None]],
) -> None:
    assert set(cli.commands) == set(sessions) - TOOLS - BY_ITSELF


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_reaches_the_verb_or_shows_what_the_session_does(
    sessions: dict[str, Callable[[SimpleNamespace], None]], option: str
) -> None:
    for name, session in sessions.items():
        ran, said = call(session, option)
        if name in TOOLS:
            assert (ran, len(said)) == ([], 1), name
            assert said[0], name
        elif name in BY_ITSELF:
            assert ran == [(sys.executable, "-m", f"pyrlab.cli.{name}", option)], name
        else:
            assert ran == [("python", "-m", "pyrlab", name, option)], name


def test_what_engine_is_not_meant_to_hear_does_not_reach_it(
    sessions: dict[str, Callable[[SimpleNamespace], None]],
) -> None:
    """`nox -s engine serve -- pylab` gives both the same."""
    ran, _ = call(sessions["engine"], "pylab", "--port", "8889", "--debug")
    assert ran == [("python", "-m", "pyrlab", "engine", "--debug")]


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_a_verbs_help_is_of_the_session_that_people_call(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """It needs no project and no engine, and tells every option."""
    monkeypatch.chdir(tmp_path)
    status, said, told = command_line(verb, "--help")
    assert (status, told) == (0, "")
    assert said.startswith(f"Usage: nox -s {verb} --")
    assert all(line == line.rstrip() and len(line) <= 100 for line in said.splitlines())
    for parameter in cli.commands[verb].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[-1] in said
    examples = said.partition("Examples:\n")[2].splitlines()
    assert examples or not cli.commands[verb].params
    assert all(line.startswith(f"  nox -s {verb}") for line in examples)
