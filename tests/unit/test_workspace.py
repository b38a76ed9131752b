"""Workspaces: projects, users and variants never share a tag, a container or a work folder."""

import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.adapters import temporary
from pyrlab.errors import UsageError
from pyrlab.model.workspace import Workspace, check_prefix
from pyrlab.steps import workspace as steps
from pyrlab.steps.workspace import busy, prepare

# Source: the grammar of references, and the daemon's own check of a container's name.
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def workspace(project: Path, owner: int = 1000, **given_: str) -> Workspace:
    """Return a workspace of a project, as the settings make it."""
    return Workspace(project, project / ".pyrlab", Path("/cache"), owner, **given_)


def test_a_tag_names_the_project() -> None:
    """So that a list of images says whose they are."""
    assert workspace(Path("/home/me/analysis")).tag("pylab") == "pylab:analysis-d7188823"
    assert workspace(Path("/home/me/analysis"), prefix="team/").tag("rlab") == "team/rlab:analysis-d7188823"
    assert workspace(Path("/home/me/analysis"), fixed_tag="latest").tag("rlab") == "rlab:latest"


def test_two_projects_and_two_users_share_nothing() -> None:
    """Namesakes in other folders, and the same folder of two users."""
    mine = workspace(Path("/home/me/analysis"))
    others = [workspace(Path("/home/you/analysis")), workspace(Path("/home/me/analysis"), owner=1001)]
    for other in others:
        assert other.tag("pylab") != mine.tag("pylab")
        assert other.container("pylab") != mine.container("pylab")
        assert other.lab_labels("pylab", "a") != mine.lab_labels("pylab", "a")
        assert other.home("pylab", 1000) != mine.home("pylab", 1000)


def test_what_one_user_id_has_made_is_in_no_other_ones_home() -> None:
    """A lab runs as the owner of the notebooks, who may be another one tomorrow."""
    mine = workspace(Path("/home/me/analysis"))
    assert mine.home("pylab", 1000) == "pyrlab-analysis-d7188823-pylab-home-1000"
    assert len({mine.home("pylab", 1000), mine.home("pylab", 1001), mine.home("thesis", 1000)}) == 3


def test_a_variant_touches_nothing_of_the_project() -> None:
    """Its images, labs and files are its own; lists, locks and cache are the project's."""
    mine = workspace(Path("/home/me/analysis"))
    candidate = mine.variant("candidate")
    assert candidate.tag("pylab") == "pylab:analysis-d7188823-candidate"
    assert workspace(Path("/a"), fixed_tag="latest").variant("candidate").tag("pylab") == "pylab:latest-candidate"
    assert candidate.container("pylab") == "pyrlab-analysis-d7188823-candidate-pylab"
    assert candidate.labels == {"io.pyrlab.project": "d7188823-candidate", "io.pyrlab.user": "1000"}
    assert candidate.work == mine.work / "variants/candidate"
    assert (candidate.project, candidate.cache) == (mine.project, mine.cache)
    with pytest.raises(UsageError, match=r"^'../up' is no name of a variant$") as caught:
        mine.variant("../up")
    assert caught.value.remedy == "use lower-case letters and digits"


@pytest.mark.parametrize(
    ("folder", "slug"),
    [
        pytest.param("Analysis", "analysis", id="upper-case"),
        pytest.param("my data (2026)", "my-data-2026", id="spaces"),
        pytest.param("données", "donnees", id="accents"),
        pytest.param("анализ", "project", id="no-latin-letter"),
        pytest.param("-", "project", id="only-a-dash"),
        pytest.param("a" * 200, "a" * 30, id="long"),
    ],
)
def test_the_slug_is_the_folders_name_made_fit(folder: str, slug: str) -> None:
    assert workspace(Path("/home/me", folder)).slug == slug


@given(folder=st.text(st.characters(exclude_characters="/\0"), min_size=1), variant=st.sampled_from(["", "candidate"]))
def test_docker_takes_the_names_of_every_folder(folder: str, variant: str) -> None:
    """Whatever people call their projects; a name in bytes that are no UTF-8, too."""
    made = workspace(Path("/home/me") / folder)
    made = made.variant(variant) if variant else made
    assert TAG.fullmatch(made.tag_name)
    assert CONTAINER.fullmatch(made.container("pyrlab-base"))


def test_a_work_folder_is_made_and_git_never_sees_it(tmp_path: Path) -> None:
    """Under any umask, others may read what is not secret."""
    before = os.umask(0o077)
    try:
        prepare(workspace(tmp_path))
    finally:
        os.umask(before)
    ignore = tmp_path / ".pyrlab/.gitignore"
    assert (ignore.read_text(encoding="utf-8"), oct(ignore.stat().st_mode & 0o777)) == ("*\n", "0o644")


def test_a_variants_work_folder_is_below_the_projects(tmp_path: Path) -> None:
    prepare(workspace(tmp_path).variant("candidate"))
    assert sorted(path.name for path in (tmp_path / ".pyrlab").iterdir()) == [".gitignore", "variants"]


def test_what_killed_runs_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    """A folder of a run that is alive stays, and so does what only looks alike."""
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    work = tmp_path / ".pyrlab"
    for name in (f".tmp-{dead}-abc", f"tmp-{dead}-abc", f".tmp-{os.getpid()}-abc", ".tmp-99999999999999999999-x"):
        (work / name / "inside").mkdir(parents=True)
    (work / "tmp-folder").mkdir()
    with temporary.folder(work) as own:
        prepare(workspace(tmp_path))
        assert own.is_dir()
    left = sorted(path.name for path in work.iterdir())
    assert left == sorted([".gitignore", f".tmp-{os.getpid()}-abc", "tmp-folder"])


def hold(project: Path, line: Connection) -> None:
    """Hold a workspace, in a process of its own, until it is told that it is enough."""
    with busy(workspace(project), "build", say=lambda _: None):
        line.send("held")
        assert line.recv() == "enough"


@dataclass(frozen=True)
class Other:
    """Another run, which holds the workspace until it has been told that it is enough."""

    process: BaseProcess
    line: Connection

    def end(self) -> None:
        """Let it end, which it does well."""
        self.line.send("enough")
        self.process.join(30)
        assert self.process.exitcode == 0


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    """Start another run."""
    context = multiprocessing.get_context("spawn")
    # Not an event, which cannot be set any more when who waits for it is killed.
    ours, its = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, its))
    process.start()
    its.close()
    with ours:
        assert ours.poll(30)
        assert ours.recv() == "held"
        yield Other(process, ours)
    process.join(30)


def test_who_waits_says_once_for_whom(tmp_path: Path, other: Other) -> None:
    """What the other one does, since when, and its process."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        # So that it has to be waited for.
        threading.Timer(0.3, other.line.send, ["enough"]).start()

    with busy(workspace(tmp_path), "lock", say=say, timeout=30):
        assert json.loads((tmp_path / ".pyrlab" / steps.NOTE).read_text(encoding="utf-8"))["what"] == "lock"
    [line] = said
    assert re.fullmatch(
        rf"waiting for another run in this project: build, process {other.process.pid}, since \d\d:\d\d:\d\d", line
    )


def test_waiting_has_an_end(tmp_path: Path, other: Other) -> None:
    """And the other run goes on."""
    with (
        pytest.raises(
            UsageError, match=rf"^another run still works in {tmp_path} after 0 s: build, process "
        ) as caught,
        busy(workspace(tmp_path), "lock", say=lambda _: None, timeout=0.3),
    ):
        pytest.fail("two runs at once")
    assert caught.value.remedy == "wait for it, or end it; then run the same again"
    other.end()


def test_a_variant_waits_for_nobody(tmp_path: Path, other: Other) -> None:
    """The candidate of an upgrade is built while the project is."""
    said: list[str] = []
    with busy(workspace(tmp_path).variant("candidate"), "build", say=said.append):
        assert (other.process.exitcode, said) == (None, [])


def test_a_run_that_is_killed_holds_nothing(tmp_path: Path, other: Other) -> None:
    """Its note stays behind, and misleads nobody."""
    other.process.kill()
    other.process.join()
    said: list[str] = []
    with busy(workspace(tmp_path), "lock", say=said.append):
        assert said == []


def test_the_lock_ends_with_an_error_of_the_work(tmp_path: Path) -> None:
    with pytest.raises(LookupError), busy(workspace(tmp_path), "lock", say=lambda _: None):
        raise LookupError
    with filelock.FileLock(tmp_path / ".pyrlab" / steps.LOCK).acquire(timeout=0):
        assert not (tmp_path / ".pyrlab" / steps.NOTE).exists()


AS_NOBODY = """
import os, sys
from pathlib import Path
from pyrlab.errors import UsageError
from pyrlab.model.workspace import Workspace
from pyrlab.steps.workspace import busy
os.setgid(65534); os.setuid(65534)
project = Path(sys.argv[1])
try:
    with busy(Workspace(project, project / ".pyrlab", project, 65534), "lock", say=print):
        print("held")
except UsageError as error:
    print(error, "|", error.remedy)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of root's")
@pytest.mark.parametrize("made", ["by-root", "file-inside-by-root", "project-of-root"])
def test_a_work_folder_of_roots_is_an_error_that_says_what_to_do(made: str) -> None:
    """As after `sudo nox -s build`."""
    # Not tmp_path, which is root's alone from its very top.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    work = folder / ".pyrlab"
    if made != "project-of-root":
        os.chown(folder, 65534, 65534)
        with busy(workspace(folder), "build", say=lambda _: None):
            pass
    if made == "file-inside-by-root":
        os.chown(work, 65534, 65534)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(folder)], capture_output=True, text=True, check=False)
    shutil.rmtree(folder)
    if made == "project-of-root":
        expected = f"this user cannot write in {folder} | make {folder} a folder that you can write in"
    else:
        expected = f"this user cannot write in {work} | sudo chown -R 65534:65534 {work}\n"
    assert (done.stdout.startswith(expected), done.stderr) == (True, ""), done.stdout


@pytest.mark.parametrize(
    ("made", "remedy"),
    [
        pytest.param(True, "sudo chown -R {user} {work}", id="made-by-another"),
        pytest.param(False, "make {folder} a folder that you can write in, or work in a copy of it", id="not-made"),
    ],
)
def test_a_folder_that_is_not_ours_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: bool,  # noqa: FBT001 - a column
    remedy: str,
) -> None:
    """Also in a variant, whose own folder lies in the project's."""
    mine = workspace(tmp_path)
    if made:
        prepare(mine.variant("candidate"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "mkdir", refuse)
    folder = tmp_path / ".pyrlab" if made else tmp_path
    for place in (mine, mine.variant("candidate")):
        with pytest.raises(UsageError) as caught:
            prepare(place)
        assert str(caught.value) == f"this user cannot write in {folder}"
        user = f"{os.getuid()}:{os.getgid()}"
        assert caught.value.remedy == remedy.format(user=user, work=folder, folder=folder)


def test_files_that_are_not_ours_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of root leaves some in a folder of ours; links may lead anywhere."""
    mine = workspace(tmp_path)
    prepare(mine)
    (mine.work / "link").symlink_to("/nowhere")
    (mine.work / "file").touch()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "link")
    prepare(mine)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "file")
    with pytest.raises(UsageError, match=r"^this user cannot write in .*/\.pyrlab$"):
        prepare(mine)


def test_a_lock_file_that_is_not_ours_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with (
        pytest.raises(UsageError, match=r"^this user cannot write in .*/\.pyrlab$"),
        busy(workspace(tmp_path), "lock", say=pytest.fail),
    ):
        pass


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"what": "build", "pid": 1, "since": "noon"}'])
def test_who_holds_it_may_not_have_said_so_yet(tmp_path: Path, note: str) -> None:
    mine = workspace(tmp_path)
    said: list[str] = []
    with busy(mine, "lock", say=pytest.fail):
        (mine.work / steps.NOTE).write_text(note, encoding="utf-8")
        with pytest.raises(UsageError) as caught, busy(mine, "build", say=said.append, timeout=0.0):
            pass
        (mine.work / steps.NOTE).write_text("{}", encoding="utf-8")
    assert said == ["waiting for another run in this project: it has not yet said what it does"]
    assert str(caught.value) == (f"another run still works in {tmp_path} after 0 s: it has not yet said what it does")
    assert caught.value.remedy == "wait for it, or end it; then run the same again"


def test_the_work_folder_is_nothing_for_git(tmp_path: Path) -> None:
    """What a user wrote there stays."""
    mine = workspace(tmp_path)
    prepare(mine)
    ignore = mine.work / ".gitignore"
    assert ignore.read_text(encoding="utf-8") == "*\n"
    ignore.write_text("own", encoding="utf-8")
    prepare(mine.variant("candidate"))
    assert ignore.read_text(encoding="utf-8") == "own"
    assert not (mine.variant("candidate").work / ".gitignore").exists()


@pytest.mark.parametrize("more", [pytest.param(0, id="longest"), pytest.param(1, id="too-long")])
def test_an_images_name_is_no_longer_than_docker_takes(more: int) -> None:
    prefix = "a" * (255 - len("pyrlab-base") - 1 + more) + "/"
    if more:
        with pytest.raises(UsageError, match="which cannot start the name of an image"):
            check_prefix(prefix, "images.prefix")
    else:
        assert check_prefix(prefix, "images.prefix") == prefix
