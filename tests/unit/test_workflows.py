"""The workflows of GitHub and GitLab: read, checked, and run step by step on clones of a repository on this machine."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import click
import nox.registry
import pytest
import yaml
from graphs import SOURCE

from pyrlab.cli.verbs import cli
from pyrlab.commands.propose import BRANCH

FOLDER = SOURCE / ".github/workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))
# They take minutes, an engine and a network: here they only leave what they would leave.
HEAVY = {"engine", "build", "smoke", "upgrade"}
# Before a command that is run as root, by the Python and with the variables of the step.
AS_ROOT = ["sudo", "-E", "env", "PATH=$PATH"]
Yaml = dict[str, Any]


def read(name: str) -> Yaml:
    """Return a workflow. YAML takes the key ``on`` for a truth value."""
    document: dict[Any, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    document["on"] = document.pop(True)
    return document


def jobs() -> Iterator[tuple[str, str, Yaml]]:
    for name in WORKFLOWS:
        for job, content in read(name)["jobs"].items():
            yield name, job, content


def commands(script: str) -> list[list[str]]:
    """Return the commands of a step, line by line, whoever runs them."""
    lines = script.replace("\\\n", " ").splitlines()
    found = [shlex.split(line) for line in lines if line.strip()]
    return [command[len(AS_ROOT) :] if command[: len(AS_ROOT)] == AS_ROOT else command for command in found]


def gitlab() -> Yaml:
    found: Yaml = yaml.safe_load((SOURCE / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    return found


def all_commands() -> list[list[str]]:
    scripts = [step["run"] for _, _, job in jobs() for step in job["steps"] if "run" in step]
    scripts += [line for key, job in gitlab().items() if key != "default" for line in job["script"]]
    return [command for script in scripts for command in commands(script)]


# ---- What is asked for


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit(name: str) -> None:
    """With the version beside it, for those who read."""
    uses = re.findall(r"uses: (.*)", (FOLDER / name).read_text(encoding="utf-8"))
    assert uses
    for action in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v[0-9.]+( # zizmor: ignore\[[a-z]+])?", action)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_is_started_by_nobody_else(name: str) -> None:
    document = read(name)
    assert document["permissions"] == {"contents": "read"}
    assert set(document["on"]) <= {"push", "pull_request", "schedule", "workflow_dispatch"}


def test_two_jobs_may_write_and_they_run_no_code_of_others() -> None:
    """What a fork changes reaches no token that writes, nor do new releases of packages."""
    writing = {(name, job): content["permissions"] for name, job, content in jobs() if "permissions" in content}
    assert writing == {
        ("labs.yml", "comment"): {"pull-requests": "write"},
        ("upgrade.yml", "propose"): {"contents": "write", "pull-requests": "write"},
    }
    comment = read("labs.yml")["jobs"]["comment"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in comment["if"]
    assert [command[0] for step in comment["steps"] if "run" in step for command in commands(step["run"])] == ["gh"]
    assert not any("checkout" in step.get("uses", "") for step in comment["steps"])
    assert "pull_request" not in read("upgrade.yml")["on"]
    sessions = [session for command in _of_job("upgrade.yml", "propose") for session in sessions_of(command)[0]]
    assert sessions == ["propose"]


def _of_job(name: str, job: str) -> list[list[str]]:
    steps = read(name)["jobs"][job]["steps"]
    return [command for step in steps if "run" in step for command in commands(step["run"])]


def test_no_other_job_keeps_a_token_and_no_text_of_others_gets_into_a_script() -> None:
    for name, job, content in jobs():
        for step in content["steps"]:
            if "actions/checkout" in step.get("uses", "") and (name, job) != ("upgrade.yml", "propose"):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", "")


# ---- What is called


def sessions_of(command: list[str]) -> tuple[list[str], list[str]]:
    """Return the sessions that a command calls, and the arguments that all of them get."""
    if command[1:3] != ["-m", "nox"]:
        return [], []
    assert command[3] == "-s"
    names, _, rest = " ".join(command[4:]).partition(" -- ")
    return names.split(), rest.split()


@cache
def known_sessions() -> set[str]:
    spec = importlib.util.spec_from_file_location("noxfile", SOURCE / "noxfile.py")
    assert spec
    assert spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return set(nox.registry.get())


CALLS = [sessions_of(command) for command in all_commands()]


@pytest.mark.parametrize(
    ("session", "arguments"),
    sorted({(session, tuple(arguments)) for sessions, arguments in CALLS for session in sessions}),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_each_call_is_one_that_pyrlab_knows(session: str, arguments: tuple[str, ...]) -> None:
    assert session in known_sessions()
    verb = cli.commands.get(session)
    # `engine` hands only --debug on, and takes whatever the session behind it is given.
    if verb and session != "engine":
        with click.Context(cli) as parent:
            verb.make_context(session, list(arguments), parent=parent)


def test_all_that_is_proved_is_done_by_sessions() -> None:
    """What remains is the forge's own: its summary, its outputs, its pull requests."""
    programs = {command[0] for command in all_commands() if not sessions_of(command)[0]}
    shell = {"number=$(gh", "if", "gh", "else", "fi", "--jq", "cat", "echo", "test", "rm"}
    assert programs - shell == {"python", "bash"}
    others = {tuple(command) for command in all_commands() if command[0] in {"python", "bash"}}
    assert {command for command in others if not sessions_of(list(command))[0]} == {
        ("python", "-m", "pip", "install", "nox[uv]"),
        ("bash", ".ci/run"),
    }


def test_what_tries_more_as_root_is_run_as_root() -> None:
    """For another user tests are skipped, and those that take the network away fail."""
    for name in ("ci.yml", "nightly.yml"):
        for job in read(name)["jobs"].values():
            for line in (step["run"] for step in job["steps"] if "run" in step):
                (command,) = commands(line)
                if command == ["bash", ".ci/run"] or {"unit", "integration"} & {*sessions_of(command)[0]}:
                    assert shlex.split(line)[: len(AS_ROOT)] == AS_ROOT, line


def test_a_pull_request_is_checked_built_and_proved_in_this_order() -> None:
    expected = [["lock"], ["changes"], ["engine", "build"], ["smoke"]]
    assert [names for command in _of_job("labs.yml", "labs") if (names := sessions_of(command)[0])] == expected
    script = [command for line in gitlab()["labs"]["script"] for command in commands(line)]
    assert [sessions_of(command)[0] for command in script] == expected


# ---- The run itself

# What the forge puts in the place of an expression.
EVENT = {"${{ github.token }}": "token", "${{ github.event.pull_request.number }}": "7"}
PYTHON = """#!/bin/sh
# Stands for the Python that a workflow calls. Sessions that take minutes leave what they would leave.
exec {python} {script} "$@"
"""
STAND_IN = """
import os, pathlib, subprocess, sys
arguments = sys.argv[1:]
log = pathlib.Path(os.environ["LOG"])
with log.open("a") as file:
    file.write(" ".join(arguments) + "\\n")
if arguments[:2] != ["-m", "nox"]:
    sys.exit(0)
names, _, rest = " ".join(arguments[3:]).partition(" -- ")
for name in names.split():
    if name not in {heavy}:
        subprocess.run([sys.executable, "-m", "pyrlab", name, *rest.split()], check=True)
    elif name == "upgrade":
        exec(os.environ["UPGRADE"])
"""
GH = """#!/bin/sh
echo "gh $*" >> "$LOG"
[ "$2" != list ] || printf '%s' "$OPEN"
"""


@dataclass
class Forge:
    """A forge on this machine: a bare repository, a runner with stand-ins, and artifacts.

    ``upgrade`` is what an upgrade does in a clone, ``open`` the number of the pull request that is there already.
    """

    folder: Path
    upgrade: str = ""
    open: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def remote(self) -> Path:
        """The bare repository."""
        return self.folder / "remote.git"

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git, in the bare repository where no other place is named."""
        command = ["git", "-C", str(at or self.remote), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def run(self, name: str) -> list[str]:
        """Run a workflow of GitHub's, and return what was called."""
        self.log.clear()
        needs: dict[str, Mapping[str, str]] = {}
        for job, content in read(name)["jobs"].items():
            if self._holds(content.get("if", ""), needs, {}):
                needs[job] = self._job(job, content, needs)
        return self.log

    def _job(self, job: str, content: Yaml, needs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        place = self.folder / job
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        outputs: dict[str, str] = {}
        for step in content["steps"]:
            if not self._holds(step.get("if", ""), needs, outputs, place):
                continue
            if "run" in step:
                outputs |= self.shell(step["run"], place, step.get("env", {}))
            else:
                self._use(step["uses"], step.get("with", {}), place)
        return outputs

    def _holds(
        self, condition: str, needs: Mapping[str, Mapping[str, str]], outputs: Mapping[str, str], place: Path = SOURCE
    ) -> bool:
        """Tell whether a condition holds, as far as these workflows have any."""
        for part in filter(None, map(str.strip, condition.split("&&"))):
            if part.startswith("needs."):
                value = needs.get(part.split(".")[1], {}).get("changed", "")
            elif part.startswith("steps."):
                value = outputs.get("changed", "")
            elif part.startswith("hashFiles("):
                value = "true" if (place / part.split("'")[1]).exists() else ""
            else:
                assert part in {"!cancelled()", "github.event.pull_request.head.repo.full_name == github.repository"}
                value = "true"
            if value != "true":
                return False
        return True

    def _use(self, action: str, options: Yaml, place: Path) -> None:
        artifact = self.folder / "artifacts" / options.get("name", "")
        if "/checkout@" in action:
            shutil.rmtree(place)
            self.git("clone", "--quiet", str(self.remote), str(place))
        elif "/upload-artifact@" in action:
            paths = [path for pattern in options["path"].split() for path in place.glob(pattern)]
            # GitHub packs from the folder that all have in common; of a single file it is its own.
            top = place if len(paths) > 1 else paths[0].parent
            shutil.rmtree(artifact, ignore_errors=True)
            for path in paths:
                hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
                assert options.get("include-hidden-files") or not hidden
                target = artifact / path.relative_to(top)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        elif "/download-artifact@" in action:
            shutil.copytree(artifact, place, dirs_exist_ok=True)

    def shell(self, script: str, place: Path, env: Mapping[str, str] = {}) -> dict[str, str]:
        """Run a step as GitHub does, and return its outputs."""
        output, log = self.folder / "output", self.folder / "log"
        output.write_text("", encoding="utf-8")
        log.write_text("", encoding="utf-8")
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(SOURCE / "src"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_REPOSITORY": "team/lab",
            "GITHUB_REF_NAME": "main",
            "LOG": str(log),
            "UPGRADE": self.upgrade,
            "OPEN": self.open,
            **{key: EVENT[value] for key, value in env.items()},
        }
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(bash, cwd=place, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self.log += log.read_text(encoding="utf-8").splitlines()
        lines = output.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def forge(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Return a forge whose repository has this project's own lists and locks."""
    forge = Forge(tmp_path_factory.mktemp("forge"))
    monkeypatch.setenv("HOME", str(forge.folder / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(forge.folder / "cache"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (forge.folder / "bin").mkdir()
    (forge.folder / "stand_in.py").write_text(STAND_IN.replace("{heavy}", repr(HEAVY)), encoding="utf-8")
    stand_in = PYTHON.format(python=sys.executable, script=forge.folder / "stand_in.py")
    for name, text in {"python": stand_in, "python3": stand_in, "gh": GH}.items():
        (forge.folder / "bin" / name).write_text(text, encoding="utf-8")
        (forge.folder / "bin" / name).chmod(0o755)
    work = forge.folder / "seed"
    (work / "docker").mkdir(parents=True)
    for name in (".gitignore", "docker/images.toml", "pyrlab.toml"):
        shutil.copy(SOURCE / name, work / name)
    for path in (*SOURCE.glob("*.lock"), *SOURCE.glob("*.txt"), *SOURCE.glob("*.in")):
        shutil.copy(path, work / path.name)
    forge.remote.mkdir()
    forge.git("init", "--quiet", "--bare", "--initial-branch", "main")
    forge.git("init", "--quiet", "--initial-branch", "main", at=work)
    commit(forge, work, "First")
    return forge


def commit(forge: Forge, work: Path, subject: str) -> None:
    forge.git("add", ".", at=work)
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    forge.git(*name, "commit", "--quiet", "--message", subject, at=work)
    forge.git("push", "--quiet", str(forge.remote), "HEAD:main", at=work)


# An upgrade that moves curl in debs.lock, and holds something back.
MOVE = """
lock = pathlib.Path("debs.lock")
lock.write_text(lock.read_text().replace("# suite: ", "# moved: yes\\n# suite: ", 1))
pathlib.Path("held.toml").write_text("held")
pathlib.Path(".pyrlab/upgrade").mkdir(parents=True)
pathlib.Path(".pyrlab/upgrade/report.md").write_text("# The report")
"""


DESCRIPTION = ".pyrlab/upgrade/description.md"
LIST = (
    "gh pr list --head pyrlab/upgrade --state open --json number,isCrossRepository"
    " --jq .[] | select(.isCrossRepository | not) | .number"
)


def test_the_weekly_upgrade_opens_a_pull_request(forge: Forge) -> None:
    forge.upgrade = MOVE
    assert forge.run("upgrade.yml") == [
        "-m pip install nox[uv]",
        "-m nox -s engine build upgrade",
        "-m pip install nox[uv]",
        "-m nox -s propose",
        LIST,
        f"gh pr create --base main --head pyrlab/upgrade --title Upgrade the locks --body-file {DESCRIPTION}",
    ]
    assert (forge.folder / "propose" / DESCRIPTION).read_text(encoding="utf-8") == "# The report"
    assert forge.git("diff", "--name-only", "main", BRANCH).split() == ["debs.lock", "held.toml"]
    assert forge.git("show", f"{BRANCH}:held.toml") == "held"
    assert forge.git("rev-parse", f"{BRANCH}^") == forge.git("rev-parse", "main")


def test_the_next_week_updates_it(forge: Forge) -> None:
    forge.upgrade, forge.open = MOVE, "7"
    forge.run("upgrade.yml")
    forge.upgrade = MOVE.replace("moved: yes", "moved: again")
    assert forge.run("upgrade.yml")[-1] == f"gh pr edit 7 --body-file {DESCRIPTION}"
    assert "# moved: again" in forge.git("show", f"{BRANCH}:debs.lock")
    assert forge.git("rev-list", "--count", f"main..{BRANCH}") == "1"


def test_what_is_held_no_longer_is_gone_in_the_pull_request(forge: Forge) -> None:
    (forge.folder / "seed/held.toml").write_text("held", encoding="utf-8")
    commit(forge, forge.folder / "seed", "Held")
    forge.upgrade = MOVE.replace('.write_text("held")', ".unlink()")
    forge.run("upgrade.yml")
    assert "held.toml" not in forge.git("ls-tree", "--name-only", BRANCH).split()


def test_a_week_without_news_proposes_nothing(forge: Forge) -> None:
    assert forge.run("upgrade.yml") == ["-m pip install nox[uv]", "-m nox -s engine build upgrade"]
    assert forge.git("branch", "--list", BRANCH) == ""


def test_gitlab_upgrades_and_proposes_in_one_job(forge: Forge) -> None:
    forge.git("config", "receive.advertisePushOptions", "true")
    forge.upgrade = MOVE
    place = forge.folder / "gitlab"
    forge.git("clone", "--quiet", str(forge.remote), str(place))
    (place / ".venv").mkdir()
    (place / ".venv/bin").symlink_to(forge.folder / "bin")
    script = ["CI_COMMIT_BRANCH=main", *gitlab()["upgrade"]["script"]]
    forge.shell("\n".join(script), place)
    assert forge.log == ["-m nox -s engine build upgrade", "-m nox -s propose -- --merge-request main"]
    assert forge.git("diff", "--name-only", "main", BRANCH).split() == ["debs.lock", "held.toml"]


def test_a_pull_request_that_changes_locks_is_told_what_changed(forge: Forge) -> None:
    work = forge.folder / "seed"
    lock = (work / "requirements.lock").read_text(encoding="utf-8")
    version = re.search(r"^numpy==(\S+) ", lock, re.MULTILINE)
    assert version
    # Only the version of before is another one: the lock of now is whole.
    old = re.sub(r"^numpy==\S+ ", "numpy==1.0 ", lock, flags=re.MULTILINE)
    (work / "requirements.lock").write_text(old, encoding="utf-8")
    commit(forge, work, "Before")
    (work / "requirements.lock").write_text(lock, encoding="utf-8")
    commit(forge, work, "After")
    assert forge.run("labs.yml") == [
        "-m pip install nox[uv]",
        "-m nox -s lock -- --check",
        "-m nox -s changes -- HEAD^",
        "-m nox -s engine build -- --locked",
        "-m nox -s smoke",
        "gh pr comment 7 --repo team/lab --edit-last --create-if-none --body-file changes.md",
    ]
    heading = "### requirements.lock: 1 changed\n\n| | package | old | new |\n|---|---|---|---|\n"
    table = f"{heading}| up | numpy | 1.0 | {version[1]} |\n"
    assert (forge.folder / "comment/changes.md").read_text(encoding="utf-8") == table
    assert (forge.folder / "summary").read_text(encoding="utf-8") == table


def test_a_pull_request_without_changed_locks_is_not_commented(forge: Forge) -> None:
    (forge.folder / "seed/README.md").write_text("x", encoding="utf-8")
    commit(forge, forge.folder / "seed", "Words")
    assert forge.run("labs.yml")[-1] == "-m nox -s smoke"
