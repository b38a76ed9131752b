"""`propose`: a branch of the remote has what an upgrade changed, and whoever works in the clone notices nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pyrlab.cli import main as cli
from pyrlab.commands.propose import BRANCH

Run = Callable[..., tuple[int, str, str]]
LOCKS = {"debs.lock": "debs 1\n", "requirements.lock": "python 1\n", "r_packages.lock": "r 1\n"}
SOURCE = str(Path(cli.__file__).parents[2])
NOTHING = "Nothing to propose: the locks and held.toml are as in the last commit.\n"


class Clone:
    """A clone of a bare repository on this machine, with a project that has locks."""

    def __init__(self, folder: Path, remote: Path) -> None:
        self.folder = folder
        self.remote = remote

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git in the clone, or elsewhere."""
        command = ["git", "-C", str(at or self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, texts: Mapping[str, str]) -> None:
        """Write files of the working tree."""
        for name, text in texts.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def proposed(self) -> dict[str, str]:
        """Return what the remote's branch has, by file; nothing where there is none."""
        if not self.git("branch", "--list", BRANCH, at=self.remote):
            return {}
        names = self.git("ls-tree", "-r", "--name-only", BRANCH, at=self.remote).splitlines()
        return {name: self.git("show", f"{BRANCH}:{name}", at=self.remote) for name in names}

    def state(self) -> list[object]:
        """Return all that a user sees of his clone: branches, index, and files with their times."""
        files = {
            path.relative_to(self.folder): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not {".git", ".pyrlab"}.intersection(path.relative_to(self.folder).parts)
        }
        index = (self.folder / ".git/index").read_bytes()
        heads = self.git("for-each-ref", "refs/heads", "refs/tags"), self.git("symbolic-ref", "HEAD")
        return [files, index, heads, self.git("stash", "list"), (self.folder / ".git/config").read_bytes()]


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let git know nobody, as on a new machine in CI."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("EMAIL", raising=False)


@pytest.fixture
def clone(project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """Return a clone whose locks are committed and pushed, in which this process works."""
    place = tmp_path_factory.mktemp("clone")
    folder, remote = place / "work", place / "remote.git"
    remote.mkdir()
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("home"))
    made = Clone(folder, remote)
    made.git("init", "--quiet", "--bare", at=remote)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.write({**LOCKS, ".gitignore": ".pyrlab/\n"})
    made.git("add", ".")
    made.git("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "First")
    made.git("remote", "add", "origin", str(remote))
    made.git("push", "--quiet", "origin", "main")
    monkeypatch.chdir(folder)
    return made


def test_what_changed_is_a_commit_upon_what_is_checked_out(clone: Clone, command_line: Run) -> None:
    clone.write({"debs.lock": "debs 2\n", "held.toml": "held\n"})
    status, said, error = command_line("propose")
    assert (status, said, error) == (0, "pyrlab/upgrade has debs.lock, held.toml now.\n", "")
    assert clone.proposed()["debs.lock"] == "debs 2"
    assert clone.proposed()["held.toml"] == "held"
    assert clone.proposed()["r_packages.lock"] == "r 1"
    assert clone.git("rev-parse", f"{BRANCH}^", at=clone.remote) == clone.git("rev-parse", "main")
    log = clone.git("log", "-1", "--format=%s|%an <%ae>", BRANCH, at=clone.remote)
    assert log == "Upgrade the locks|pyrlab <pyrlab@localhost>"


def test_whoever_has_told_git_his_name_is_the_author(clone: Clone, command_line: Run) -> None:
    clone.git("config", "user.name", "Ada")
    clone.git("config", "user.email", "ada@example.org")
    clone.write({"debs.lock": "debs 2\n"})
    assert command_line("propose")[0] == 0
    assert clone.git("log", "-1", "--format=%an <%ae>", BRANCH, at=clone.remote) == "Ada <ada@example.org>"


def test_the_clone_stays_as_it_is(clone: Clone, command_line: Run) -> None:
    """However dirty it is, nothing else of it is proposed."""
    clone.write({"staged.txt": "staged", "r_packages.lock": "half an edit\n"})
    clone.git("add", "staged.txt", "r_packages.lock")
    clone.write({"debs.lock": "debs 2\n", "r_packages.lock": "r 2\n", "requirements.in": "numpy\n", "new.txt": "new"})
    before = clone.state()
    assert command_line("propose")[0] == 0
    assert clone.state() == before
    proposed = clone.proposed()
    assert (proposed["debs.lock"], proposed["r_packages.lock"]) == ("debs 2", "r 2")
    assert (proposed["requirements.in"], proposed.keys() & {"staged.txt", "new.txt"}) == ("", set())


def test_nothing_changed(clone: Clone, command_line: Run) -> None:
    """Other files are none of its business."""
    clone.write({"requirements.in": "numpy\n"})
    before = clone.state()
    assert command_line("propose") == (0, NOTHING, "")
    assert clone.proposed() == {}
    assert clone.state() == before


def test_a_second_upgrade_replaces_the_first(clone: Clone, command_line: Run) -> None:
    """Upon what is checked out by then; what was held and is no longer is gone."""
    clone.write({"debs.lock": "debs 2\n", "held.toml": "held\n"})
    command_line("propose")
    first = clone.git("rev-parse", BRANCH, at=clone.remote)
    assert command_line("propose")[1] == "pyrlab/upgrade has debs.lock, held.toml already.\n"
    assert clone.git("rev-parse", BRANCH, at=clone.remote) == first

    clone.write({"debs.lock": "debs 3\n"})
    (clone.folder / "held.toml").unlink()
    assert command_line("propose")[1] == "pyrlab/upgrade has debs.lock now.\n"
    assert clone.proposed()["debs.lock"] == "debs 3"
    assert "held.toml" not in clone.proposed()
    assert clone.git("rev-list", "--count", f"main..{BRANCH}", at=clone.remote) == "1"

    clone.git("-c", "user.name=A", "-c", "user.email=a@b.example", "commit", "--allow-empty", "--quiet", "-m", "Next")
    clone.git("push", "--quiet", "origin", "main")
    command_line("propose")
    assert clone.git("rev-parse", f"{BRANCH}^", at=clone.remote) == clone.git("rev-parse", "main")


def test_what_is_held_no_longer_is_proposed_as_gone(clone: Clone, command_line: Run) -> None:
    clone.write({"held.toml": "held\n"})
    clone.git("add", "held.toml")
    clone.git("-c", "user.name=A", "-c", "user.email=a@b.example", "commit", "--quiet", "--message", "Held")
    (clone.folder / "held.toml").unlink()
    assert command_line("propose")[1] == "pyrlab/upgrade has held.toml now.\n"
    assert "held.toml" not in clone.proposed()


def test_somebody_who_pushes_at_the_same_moment_is_not_overrun(
    clone: Clone, command_line: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question what is there, and the push."""
    clone.write({"debs.lock": "debs 2\n"})
    real = shutil.which("git")
    script = f'#!/bin/sh\n[ "$3" != push ] || {real} -C {clone.remote} branch {BRANCH} main\nexec {real} "$@"\n'
    (tmp_path / "git").write_text(script, encoding="utf-8")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    status, _, error = command_line("propose")
    assert status == 6
    assert "error: origin did not take the branch pyrlab/upgrade\n" in error
    assert clone.git("rev-parse", BRANCH, at=clone.remote) == clone.git("rev-parse", "main")


def test_a_project_below_the_top_of_its_repository(clone: Clone, command_line: Run, tmp_path: Path) -> None:
    top = tmp_path / "top"
    shutil.copytree(clone.folder, top / "lab", ignore=shutil.ignore_patterns(".git"))
    clone.git("init", "--quiet", at=top)
    clone.git("add", ".", at=top)
    clone.git("-c", "user.name=A", "-c", "user.email=a@b.example", "commit", "--quiet", "--message", "First", at=top)
    clone.git("remote", "add", "origin", str(clone.remote), at=top)
    (top / "lab/debs.lock").write_text("debs 2\n", encoding="utf-8")
    os.chdir(top / "lab")
    assert command_line("propose")[:2] == (0, "pyrlab/upgrade has lab/debs.lock now.\n")
    assert clone.proposed()["lab/debs.lock"] == "debs 2"


def test_gitlab_is_asked_for_a_merge_request_with_the_report(clone: Clone, command_line: Run, tmp_path: Path) -> None:
    clone.git("config", "receive.advertisePushOptions", "true", at=clone.remote)
    hook = clone.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_ | sort > {tmp_path}/options\n", encoding="utf-8")
    hook.chmod(0o755)
    clone.write({"debs.lock": "debs 2\n"})
    (clone.folder / ".pyrlab/upgrade").mkdir(parents=True)
    clone.write({".pyrlab/upgrade/report.md": "# Upgrade\n\n| old | new |\n"})
    assert command_line("propose", "--merge-request", "main")[0] == 0
    assert (tmp_path / "options").read_text(encoding="utf-8").splitlines() == [
        "GIT_PUSH_OPTION_0=merge_request.create",
        "GIT_PUSH_OPTION_1=merge_request.target=main",
        "GIT_PUSH_OPTION_2=merge_request.title=Upgrade the locks",
        r"GIT_PUSH_OPTION_3=merge_request.description=# Upgrade\n\n| old | new |\n",
        "GIT_PUSH_OPTION_COUNT=4",
    ]
    clone.write({"debs.lock": "debs 3\n", ".pyrlab/upgrade/report.md": "ä" * 99_999})
    assert command_line("propose", "--merge-request", "main")[0] == 0
    description = (tmp_path / "options").read_text(encoding="utf-8").splitlines()[3]
    assert description.endswith(
        r"ä\n\n(This is longer than a description may be. All of it is in the run's artifacts.)\n"
    )


def test_errors_say_what_to_do(clone: Clone, command_line: Run) -> None:
    """In git's own words, and without a password that stands in them."""
    clone.write({"debs.lock": "debs 2\n"})
    hook = clone.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho https://me:secret@git.example/lab.git is read-only\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    status, _, error = command_line("propose")
    assert (status, "secret" in error) == (6, False)
    assert "https://git.example/lab.git is read-only" in error
    assert "error: origin did not take the branch pyrlab/upgrade\n" in error
    clone.git("remote", "set-url", "origin", "https://me:secret@127.0.0.1:9/lab.git")
    status, _, error = command_line("propose")
    assert (status, "secret" in error) == (6, False)
    assert "error: origin could not be asked for the branch pyrlab/upgrade\n" in error
    clone.git("remote", "remove", "origin")
    assert command_line("propose")[::2] == (
        2,
        "error: the repository has no remote called origin\n  try: git remote add origin URL\n",
    )
    shutil.rmtree(clone.folder / ".git")
    assert command_line("propose")[::2] == (
        2,
        f"error: {clone.folder} is no git repository with a commit\n  try: git init, and commit the project\n",
    )


GIT = """#!/bin/sh
# Kills whoever calls it, before or after it did what it is for.
if [ "$3" = "$KILL_AT" ] && [ "$KILL_WHEN" = before ]; then kill -KILL "$PPID"; exit 1; fi
"$REAL_GIT" "$@"
status=$?
if [ "$3" = "$KILL_AT" ]; then kill -KILL "$PPID"; fi
exit $status
"""


@pytest.mark.parametrize(
    ("verb", "when"),
    [("update-index", "before"), ("commit-tree", "before"), ("push", "before"), ("push", "after")],
)
def test_killed_anywhere_it_is_all_or_nothing(
    clone: Clone, command_line: Run, tmp_path: Path, verb: str, when: str
) -> None:
    (tmp_path / "git").write_text(GIT, encoding="utf-8")
    (tmp_path / "git").chmod(0o755)
    clone.write({"debs.lock": "debs 2\n", "held.toml": "held\n"})
    before = clone.state()
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": SOURCE,
        "REAL_GIT": str(shutil.which("git")),
        "KILL_AT": verb,
        "KILL_WHEN": when,
    }
    done = subprocess.run([sys.executable, "-m", "pyrlab", "propose"], env=environment, check=False)
    assert done.returncode == -9
    assert clone.state() == before
    pushed = {"debs.lock": "debs 2", "held.toml": "held"} if when == "after" else {}
    assert {name: text for name, text in clone.proposed().items() if name in {"debs.lock", "held.toml"}} == pushed
    assert command_line("propose")[0] == 0
    assert clone.proposed()["held.toml"] == "held"
    assert clone.state() == before
    # Nothing of the killed run is left.
    assert [path.name for path in (clone.folder / ".pyrlab").glob(".tmp-*")] == []
