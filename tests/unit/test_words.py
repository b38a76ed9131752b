"""What README, docs and messages tell people to enter: each session is there, and its command line takes it."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import click
import pytest
from graphs import SOURCE
from test_help import BY_ITSELF, TOOLS

from pyrlab.adapters.docker.engine import OLDEST_BUILDX, OLDEST_ENGINE
from pyrlab.cli import unbundle
from pyrlab.cli.verbs import cli
from pyrlab.commands import labs
from pyrlab.commands.why import Reason
from pyrlab.model import doctor, outdated
from pyrlab.model.changes import Change
from pyrlab.model.doctor import GB, well
from pyrlab.model.serving import Request, Tunnel
from pyrlab.model.wants import Pinned
from pyrlab.model.why import Answer
from pyrlab.steps.generations import Generation

CommandLine = Callable[..., tuple[int, str, str]]
SESSIONS = {*cli.commands, *BY_ITSELF, *TOOLS}
PAGES = sorted([*SOURCE.glob("*.md"), *SOURCE.glob("docs/*.md")])
_FENCED = re.compile(r"^ *```.*?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_ENDS = {"&&", "||", ";", "|", "&", ">", ">>", "<"}


def calls(text: str) -> Iterator[tuple[list[str], list[str] | None]]:
    """Yield the sessions and the arguments of each call of Nox in a page.

    In a sentence, a session without arguments is only a name: then they are None.
    """
    for block in _FENCED.findall(text):
        for line in block.splitlines():
            yield from _calls(line)
    for span in _SPAN.findall(_FENCED.sub("", text)):
        for sessions, arguments in _calls(span.replace("\n", " ")):
            yield sessions, arguments or None


def _calls(line: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the calls in a line of shell, which may end in a comment."""
    words: list[str] = []
    for word in [*_words(line), ";"]:
        if word not in _ENDS:
            words.append(word)
            continue
        if "nox" in {Path(one).name for one in words} and "-s" in words:
            called = [*words[words.index("-s") + 1 :], "--"]
            middle = called.index("--")
            yield called[:middle], called[middle + 1 : -1]
        words = []


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return []  # a part of a sentence, with an apostrophe


def refused(session: str, arguments: Sequence[str] | None) -> str:
    """Return why there is no such session, or why it does not take these arguments; or nothing."""
    if session not in SESSIONS:
        return "there is no such session"
    if session in TOOLS or arguments is None:
        return ""
    if session in BY_ITSELF:
        try:
            unbundle.parser().parse_args(arguments)
        except SystemExit:
            return "unbundle does not take that"
        return ""
    try:
        # `--debug` is everybody's.
        cli.commands[session].make_context(session, [one for one in arguments if one not in {"--debug", "--help"}])
    except click.ClickException as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_call_that_a_page_names_is_taken(page: Path) -> None:
    wrong = []
    for sessions, arguments in calls(page.read_text(encoding="utf-8")):
        *others, last = sessions
        # Only the last one of several is meant to hear what follows; `…` stands for any of them.
        heard = {**dict.fromkeys(others), last: arguments}
        wrong += [
            f"nox -s {session} -- {' '.join(words or [])}: {reason}"
            for session, words in heard.items()
            if session != "…" and (reason := refused(session, words))
        ]
    assert wrong == []


def test_calls_are_found_where_they_stand() -> None:
    """Else the test above would be green for a page of which it reads nothing."""
    block = "```sh\nx && python3 -m nox -s engine serve -- pylab --nme x  # y\nnox -s stop\n```"
    assert list(calls(f"Try\n`nox -s\nlock -- --chek` or `nox -s stop`\n{block}\n")) == [
        (["engine", "serve"], ["pylab", "--nme", "x"]),
        (["stop"], []),
        (["lock"], ["--chek"]),
        (["stop"], None),
    ]
    assert refused("serve", ["pylab", "--nme", "x"]).startswith("No such option")
    assert refused("lock", ["--chek"]).startswith("No such option")
    assert refused("stop", [])
    assert refused("unbundle", [])
    assert not refused("stop", None)
    assert refused("stopp", None)
    assert sum(1 for page in PAGES for _ in calls(page.read_text(encoding="utf-8"))) > 80


def test_each_session_and_option_that_a_message_names_is_there() -> None:
    """What follows in such a sentence is English: of arguments only the options are looked at."""
    wrong = []
    for path in sorted((SOURCE / "src").rglob("*.py")):
        for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            for sessions, rest in re.findall(r"nox -s ([a-z]+(?: [a-z]+(?= --(?: |$)))*)(?: --([^;,.()]*))?", text):
                *others, session = sessions.split()
                wrong += [f"{path.name}: {text}" for one in {*others, session} - {"x"} if refused(one, None)]
                options = set(re.findall(r"(?<![-\w])--?[a-z][a-z-]*", rest)) - {"--help", "--debug"}
                command = cli.commands.get(session)
                known = {option for parameter in command.params for option in parameter.opts} if command else options
                wrong += [f"{path.name}: {text}: {option}" for option in options - known]
    assert wrong == []


def _texts(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module; what is put in while it runs is ``x`` here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def options_of(verb: str) -> set[str]:
    """Return all ways to write the options of a verb."""
    return {option for parameter in cli.commands[verb].params for option in parameter.opts if option.startswith("-")}


def test_each_option_in_the_readmes_table_of_sessions_is_one_of_its_session() -> None:
    table = (SOURCE / "README.md").read_text(encoding="utf-8").partition("## Sessions")[2].partition("\n## ")[0]
    rows = [line.split(" | ", 1) for line in table.splitlines() if line.startswith("| `") and "…" not in line]
    named = {session for first, _ in rows for session in _SPAN.findall(first)}
    assert named == SESSIONS - {"mutants", "relock"}
    for first, rest in rows:
        verbs = [verb for verb in _SPAN.findall(first) if verb in cli.commands]
        known = {option for verb in verbs for option in options_of(verb)}
        found = {
            word for span in _SPAN.findall(rest) for word in span.split() if re.fullmatch(r"--?[a-z][a-z-]*", word)
        }
        if verbs:
            assert found - known == set(), first


def test_each_option_of_serve_is_told_and_no_other() -> None:
    text = (SOURCE / "docs/daily.md").read_text(encoding="utf-8")
    table = text.partition("## Options of `serve`")[2].partition("\n\nA lab")[0]
    first = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `--")]
    told = {word for cell in first for span in _SPAN.findall(cell) for word in span.split() if word.startswith("--")}
    assert told == {option for option in options_of("serve") if option.startswith("--")}


PINNED = Pinned("1", "x.lock", "mark", ("pylab",))
TABLES: Mapping[str, Collection[str]] = {
    "list": [field.name for field in fields(labs.Row)],
    "doctor": well("disk", "enough").table(),
    "history": Generation(1, 0.0, "", {}, Path()).table(),
    "outdated": outdated.Row("R", "x", "x", "1", "2", behind=True).table(),
    "changes": Change("up", "x", "1", "2").table("x.lock"),
    "why": Reason(Answer("R", "x", PINNED, ()), "").table(),
}


@pytest.mark.parametrize("verb", sorted({verb for verb in cli.commands if "--json" in options_of(verb)} | {*TABLES}))
def test_json_is_a_list_of_tables_for_each_verb_with_the_columns_that_are_told(verb: str) -> None:
    """A program that reads one of them reads all."""
    option = next(one for one in cli.commands[verb].params if "--json" in one.opts)
    assert isinstance(option, click.Option)
    assert (option.help or "").startswith("Print JSON: a list of tables, one a")
    text = (SOURCE / "docs/daily.md").read_text(encoding="utf-8").partition("## With scripts")[2].partition("\n## ")[0]
    (row,) = [line.split(" | ") for line in text.splitlines() if line.startswith(f"| `{verb}` |")]
    told = _SPAN.findall(re.sub(r" \([^)]*\)|: a list of [^|;]*", "", row[2]))
    assert told == [*TABLES[verb]]


def test_each_symptom_in_the_readme_is_what_pyrlab_says_and_has_a_command() -> None:
    """Where `…` stands, a message has names or numbers."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8").partition("## When something is wrong")[2]
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    rows = [line.strip("| ").split(" | ") for line in lines[1:]]
    sources = [*(SOURCE / "src").rglob("*.py"), *(SOURCE / "docker/install/lab").iterdir()]
    said = {text for path in sources for text in _said(path)}
    symptoms = [span for row in rows for span in _SPAN.findall(row[0])]
    patterns = {symptom: ".*".join(map(re.escape, symptom.split("…"))) for symptom in symptoms}
    unknown = [symptom for symptom, pattern in patterns.items() if not any(re.search(pattern, one) for one in said)]
    assert unknown == []
    assert len(symptoms) > 10
    assert [row[0] for row in rows if not re.search(r"`|\]\(docs/|end it", row[1])] == []


def oldest_python() -> str:
    """Return the oldest Python that pyrlab is written for."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["requires-python"]).removeprefix(">=")


def test_what_the_readme_says_it_runs_on_is_what_is_checked() -> None:
    """Nobody who has just that is refused, and nobody who has less is let go on."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8").partition("## What it runs on")[2].partition("\n## ")[0]
    supported = dict(line.strip("| ").split(" | ")[:2] for line in text.splitlines() if line.startswith("| "))
    engine, host, memory = (f"{size / GB:g} GB" for size in (doctor.ENGINE_ROOM, doctor.HOST_ROOM, doctor.MEMORY))
    checked = {
        "system": f"Linux with Python {oldest_python()} or newer",
        "Docker engine": f"{OLDEST_ENGINE} or newer, checked at each start",
        "buildx": "{}.{} or newer, checked at each start".format(*OLDEST_BUILDX),
        "disk": f"{engine} free for the engine, {host} for project and store, as `nox -s doctor` checks",
        "memory": f"{memory}, as `nox -s doctor` checks",
    }
    assert {name: supported[name] for name in checked} == checked


def test_all_pages_name_the_same_oldest_versions() -> None:
    # What was so once, the changes tell.
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md")
    named = re.findall(r"\b(Docker|Python)\s+(\d[\d.]*)\s+or\s+newer", text)
    assert {*named} == {("Docker", str(OLDEST_ENGINE)), ("Python", oldest_python())}


def _said(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    try:
        yield from _texts(ast.parse(text))
    except SyntaxError:
        yield from text.splitlines()  # a shell script


def test_who_forgot_an_argument_is_told_the_help_of_that_session(command_line: CommandLine) -> None:
    status, _, told = command_line("stop")
    assert (status, told.splitlines()[-1]) == (2, "  try: nox -s stop -- --help")
    _, _, told = command_line("serve", "--nme", "x")
    assert told.splitlines()[-1] == "  try: nox -s serve -- --help"


def test_history_is_told_to_programs_too(
    command_line: CommandLine, project: Path, monkeypatch: pytest.MonkeyPatch, no_programs: None
) -> None:
    """The latest first; what people read has the same number."""
    del no_programs
    monkeypatch.chdir(project)
    assert json.loads(command_line("history", "--json")[1]) == []
    for number in (1, 2):
        folder = project / f".pyrlab/generations/g{number}"
        folder.mkdir(parents=True)
        note = {"replaced": 60.0 * number, "summary": "3 packages", "images": {"pylab": f"sha256:{number}"}}
        (folder / "generation.json").write_text(json.dumps(note), encoding="utf-8")
    status, said, _ = command_line("history", "--json")
    latest, _ = json.loads(said)
    assert status == 0
    assert (latest["number"], latest["replaced"]) == (2, "1970-01-01T00:02:00+00:00")
    assert (latest["images"], latest["summary"]) == ({"pylab": "sha256:2"}, "3 packages")
    assert latest["folder"] == str(project / ".pyrlab/generations/g2")
    assert command_line("history")[1].startswith("generation 2, 3 packages, replaced ")


def test_the_line_for_ssh_in_the_docs_is_the_one_that_serve_prints() -> None:
    line = Tunnel("you@the-server").command(Request("pylab", "pylab", 8888, Path()))
    assert f"\n{line}\n" in (SOURCE / "docs/remote.md").read_text(encoding="utf-8")
