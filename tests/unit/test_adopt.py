"""Packages that are added in a lab, at the command line: told wherever labs are, and adopted as a whole."""

import errno
import json
import os
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from played_labs import Engine, Volume, play

from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.cli import labs as verbs
from pyrlab.commands import doctor as examining
from pyrlab.model import adoption
from pyrlab.model.doctor import State
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import LOOK_LABEL

CommandLine = Callable[..., tuple[int, str, str]]
COMMIT = "tidyverse/glue@0123456789abcdef0123456789abcdef01234567"


def package(kind: str, name: str, version: str = "1.0", **more: object) -> dict[str, object]:
    """Return what list-added says of a package."""
    plain = {"wanted": True, "image": "", "fits": True, "whole": True, "source": "", "note": ""}
    return {"kind": kind, "name": name, "version": version, **plain, **more}


def answer(*packages: dict[str, object], says: tuple[str, ...] = ()) -> str:
    """Return what list-added prints."""
    return json.dumps({"packages": packages, "says": says})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Play an engine on this machine, whose labs answer at once."""
    return play(monkeypatch)


@pytest.fixture
def settings(
    project: Path, tmp_path: Path, played: Engine, no_programs: None, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Return the settings of a project in which this test stands, whose images are built."""
    del no_programs
    monkeypatch.chdir(project)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks").chmod(0o777)
    environment = {"FILES": "notebooks", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}
    for name, folder in environment.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name in ("SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY", "PORT", "RPORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(verbs, "build_images", lambda *_, **__: None)
    monkeypatch.setattr("pyrlab.adapters.ports.why_not", lambda *_: "")
    current = read_settings(project, dict(os.environ))
    played.images_by_tag.update({current.tag(name): f"sha256:{name}" for name in current.graph.images})
    return current


@pytest.fixture
def add(played: Engine, run: Callable[..., str]) -> Callable[..., None]:
    """Return what adds packages to a lab, which is started and stopped for it."""

    def call(lab: str, *packages: dict[str, object], says: tuple[str, ...] = ()) -> None:
        run("serve", lab)
        [container] = [one for one in played.made if one.status == "running"]
        played.added[container.volume("/opt/lab/added")] = answer(*packages, says=says)
        run("stop", lab)

    return call


def today() -> str:
    """Return this day as lists have it."""
    return f"{datetime.now().astimezone():%Y-%m-%d}"


def volumes(played: Engine) -> list[str]:
    """Return the names of the volumes of added packages."""
    return [volume.name for volume in played.stored if re.search(r"-added-\d+$", volume.name)]


def test_packages_last_in_a_volume_of_project_user_lab_and_user_id(
    played: Engine, run: Callable[..., str], settings: Settings
) -> None:
    run("serve", "pylab")
    [lab] = played.made
    uid = lab.given["user"].partition(":")[0]
    name = f"{settings.workspace.container('pylab')}-added-{uid}"
    assert (lab.volume("/opt/lab/added"), volumes(played)) == (name, [name])
    run("restart", "pylab")
    assert played.made[0].volume("/opt/lab/added") == name
    run("serve", "pylab", "--name", "two", "--port", "8899")
    assert len(volumes(played)) == 2
    mount = next(mount for mount in lab.given["mounts"] if mount["Target"] == "/opt/lab/added")
    assert not mount["ReadOnly"]


def test_a_lab_that_is_read_only_has_what_was_added_and_gets_no_more(played: Engine, run: Callable[..., str]) -> None:
    run("serve", "pylab", "--read-only")
    mount = next(mount for mount in played.made[0].given["mounts"] if mount["Target"] == "/opt/lab/added")
    assert mount["ReadOnly"]


def test_nobody_mounts_something_else_there(command_line: CommandLine, settings: Settings) -> None:
    del settings
    status, _, told = command_line("serve", "pylab", "--mount", "src=/x,dst=/opt/lab/added")
    assert (status, "/opt/lab/added is the lab's own" in told) == (2, True)


def test_what_was_added_is_told_at_start_in_list_and_by_the_doctor(
    played: Engine, run: Callable[..., str], add: Callable[..., None], settings: Settings
) -> None:
    says = ("dplyr 1.2 was added to the image", "dplyr 1.2 covers the image's 1.1")
    add("rlab", package("r", "dplyr", "1.2", image="1.1", note="covers the image's 1.1"), says=says)
    said = [f"rlab: {sentence}" for sentence in says]

    def doctor() -> tuple[State, str]:
        [check] = examining._added(settings)  # noqa: SLF001 - the other looks ask the machine
        return check.state, check.found

    assert doctor() == (State.WELL, "rlab: " + "; ".join(says))
    printed = run("serve", "rlab")
    assert [line.removeprefix("· ") for line in printed.splitlines() if "dplyr" in line] == said
    assert run("list").splitlines()[-2:] == said
    [row] = json.loads(run("list", "--json"))
    assert [(one["name"], one["version"], one["image"]) for one in row["added"]] == [("dplyr", "1.2", "1.1")]
    assert doctor() == (State.WELL, "rlab: " + "; ".join(says))
    assert said[1] in run("restart", "rlab")
    played.made[0].status = "exited"
    assert run("list").splitlines()[-3:-1] == said
    assert [one.status for one in played.made] == ["exited"], "what looks into a volume goes at once"


def test_what_does_not_fit_is_not_well(add: Callable[..., None], settings: Settings) -> None:
    add("rlab", package("r", "rgdal", fits=False), says=("rgdal 1.0 does not load",))
    [check] = examining._added(settings)  # noqa: SLF001 - as above
    assert (check.state, check.found) == (State.ILL, "rlab: rgdal 1.0 does not load")
    assert "nox -s stop adopt -- rlab" in check.remedy


def test_an_image_that_does_not_tell_is_said_to(
    played: Engine, run: Callable[..., str], command_line: CommandLine, add: Callable[..., None], settings: Settings
) -> None:
    """One of an earlier pyrlab, or one that is gone."""
    add("pylab", package("python", "tabulate"))
    played.tells_added = False
    [check] = examining._added(settings)  # noqa: SLF001 - as above
    assert check.state is State.UNTOLD
    run("serve", "pylab")
    assert json.loads(run("list", "--json"))[0]["added"] is None
    run("stop", "pylab")
    played.tells_added = True
    played.images_by_tag.clear()
    status, _, told = command_line("adopt", "pylab")
    assert (status, len(volumes(played))) == (9, 1)
    assert told.endswith("try: nox -s build -- pylab; then adopt again\n")


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        answer({"kind": "python"}),
        answer(package("python", "x\x1b[2J")),
        answer(package("python", "x @ https://elsewhere.test/x.whl")),
        answer(package("r", "--index-url")),
        answer(package("else", "x")),
        answer(says=("two\nlines",)),
    ],
)
def test_what_comes_out_of_a_lab_is_not_believed_unseen(
    played: Engine, run: Callable[..., str], settings: Settings, text: str
) -> None:
    del settings
    run("serve", "pylab")
    played.added[played.made[0].volume("/opt/lab/added")] = text
    assert json.loads(run("list", "--json"))[0]["added"] is None


def test_clean_starts_without_what_was_added_which_stays(
    played: Engine, run: Callable[..., str], add: Callable[..., None]
) -> None:
    assert "without" not in run("serve", "pylab", "--clean")
    run("stop", "pylab")
    assert volumes(played) == []
    add("pylab", package("python", "tabulate"))
    printed = run("serve", "pylab", "--clean")
    assert "· pylab is without the packages that were added to it; they stay in their volume\n" in printed
    assert played.made[0].volume("/opt/lab/added") == ""
    run("restart", "pylab")
    assert played.made[0].volume("/opt/lab/added") == ""
    assert len(volumes(played)) == 1
    played.made[0].status = "exited"
    assert json.loads(run("list", "--json"))[0]["added"] == []


def test_what_was_added_goes_into_the_list_and_out_of_the_volume(
    played: Engine, run: Callable[..., str], add: Callable[..., None], project: Path
) -> None:
    before = "# mine\nzipp  # first\n\nattrs"
    (project / "requirements.in").write_text(before, encoding="utf-8")
    add(
        "pylab",
        package("python", "Tabulate"),
        package("python", "numpy-financial"),
        package("python", "needed", wanted=False),
        package("python", "torn", wanted=False, whole=False, fits=False),
    )
    said = run("adopt", "pylab").splitlines()
    added = [f"{name}  # added in pylab on {today()}" for name in ("numpy-financial", "Tabulate")]
    assert (project / "requirements.in").read_text(encoding="utf-8").splitlines() == [*before.splitlines(), "", *added]
    assert said == [
        "requirements.in: numpy-financial, Tabulate, added in pylab",
        "not written, as they came with others: needed",
        "not written, as half installed: torn",
        "The volume of pylab is empty again.",
        "Now pin it, and start the lab on the new image: nox -s lock, nox -s serve -- pylab",
    ]
    assert (volumes(played), played.made) == ([], [])
    assert run("adopt", "pylab") == "Nothing was added to pylab.\n"
    add("pylab", package("python", "later"))
    run("adopt", "pylab")
    text = (project / "requirements.in").read_text(encoding="utf-8")
    assert text.splitlines()[-3:] == [*added, f"later  # added in pylab on {today()}"]


def test_what_a_list_names_is_not_written_twice(
    run: Callable[..., str], add: Callable[..., None], project: Path
) -> None:
    lists = {"r_packages.txt": f"\ufeffdplyr >= 1.0\n{COMMIT}\ntidyr\n", "requirements.in": ""}
    for name, text in lists.items():
        (project / name).write_text(text, encoding="utf-8")
    add(
        "rlab",
        package("r", "dplyr", "1.2", image="1.1"),
        package("r", "tidyr", image="1.0"),
        package("r", "glue"),
        package("r", "zoo", image="1.0"),
    )
    assert run("adopt", "rlab").splitlines()[:4] == [
        "r_packages.txt: zoo, added in rlab",
        "dplyr is in r_packages.txt already, and the lab had 1.2: nox -s lock -- --upgrade-package dplyr",
        "glue is in r_packages.txt already, and not in the image yet: nox -s lock, nox -s build",
        "tidyr is in r_packages.txt already",
    ]
    after = f"{lists['r_packages.txt']}\nzoo  # added in rlab on {today()}\n"
    assert (project / "r_packages.txt").read_text(encoding="utf-8") == after
    assert (project / "requirements.in").read_text(encoding="utf-8") == ""


def test_a_list_may_spell_a_name_in_its_own_way(
    run: Callable[..., str], add: Callable[..., None], project: Path
) -> None:
    (project / "requirements.in").write_text("numpy_financial>=1\n", encoding="utf-8")
    add("pylab", package("python", "Numpy-Financial"))
    assert "Numpy-Financial is in requirements.in already" in run("adopt", "pylab")
    assert (project / "requirements.in").read_text() == "numpy_financial>=1\n"


@pytest.mark.parametrize(("lab", "kind", "name"), [("pylab", "python", "jupyterlab"), ("rlab", "r", "IRkernel")])
def test_what_only_the_image_itself_wants_is_written(
    run: Callable[..., str], add: Callable[..., None], lab: str, kind: str, name: str
) -> None:
    add(lab, package(kind, name, image="0.9"))
    assert f": {name}, added in {lab}\n" in run("adopt", lab)


def test_a_list_that_is_a_link_stays_one(run: Callable[..., str], add: Callable[..., None], project: Path) -> None:
    (project / "shared.in").touch()
    (project / "requirements.in").unlink()
    (project / "requirements.in").symlink_to("shared.in")
    add("pylab", package("python", "tabulate"))
    run("adopt", "pylab")
    assert (project / "requirements.in").is_symlink()
    assert "tabulate  # added in pylab" in (project / "shared.in").read_text()


def test_an_r_package_of_github_is_adopted_at_its_commit(
    run: Callable[..., str], add: Callable[..., None], project: Path
) -> None:
    add("rlab", package("r", "glue", source=COMMIT))
    run("adopt", "rlab")
    assert (project / "r_packages.txt").read_text(encoding="utf-8") == f"{COMMIT}  # added in rlab on {today()}\n"


@pytest.mark.parametrize(
    ("lab", "bad", "says"),
    [
        ("rlab", package("python", "bad"), "the image rlab has no list of Python packages, so bad 1.0 cannot"),
        ("rlab", package("r", "bad", source="a file or folder"), "bad 1.0 was added from a file or folder, which no"),
        ("pylab", package("python", "bad", source="file:///x"), "bad 1.0 was added from file:///x, which no list"),
        ("pylab", package("file", "bin/mine", wanted=True), "bin/mine among what was added belongs to no package"),
        ("pylab", package("jupyter", "kernels/a", wanted=True), "share/jupyter/kernels/a among what was added belongs"),
        ("rlab", package("r", "R_bad"), "adopting would break a list: r_packages.txt:"),
    ],
)
def test_what_no_list_can_take_is_told_before_anything_is_written(
    played: Engine,
    run: Callable[..., str],
    add: Callable[..., None],
    command_line: CommandLine,
    project: Path,
    lab: str,
    bad: dict[str, object],
    says: str,
) -> None:
    del run
    add(lab, bad, package("r" if lab == "rlab" else "python", "good"))
    status, _, told = command_line("adopt", lab)
    assert (status in {2, 3}, len(volumes(played))) == (True, 1)
    assert f"error: {says}" in told
    assert "  try: " in told
    if " was added from " in says:
        assert f"write bad into {'r_packages.txt' if lab == 'rlab' else 'requirements.in'} yourself" in told
    assert [path.read_text() for path in project.glob("r*_*.txt")] == ["", ""]
    assert (project / "requirements.in").read_text() == ""


@pytest.mark.parametrize("status", ["running", "exited"])
def test_a_lab_that_is_there_has_to_be_stopped_first(
    played: Engine,
    run: Callable[..., str],
    add: Callable[..., None],
    command_line: CommandLine,
    project: Path,
    status: str,
) -> None:
    add("pylab", package("python", "tabulate"))
    run("serve", "pylab")
    played.made[0].status = status
    ended, _, told = command_line("adopt", "pylab")
    assert (ended, told.splitlines()[-1]) == (9, "  try: nox -s stop -- pylab; then adopt again")
    assert ((project / "requirements.in").read_text(), len(volumes(played))) == ("", 1)
    run("stop", "pylab")
    run("adopt", "pylab")
    assert volumes(played) == []


def test_a_lab_that_runs_without_them_need_not_stop(
    played: Engine, run: Callable[..., str], add: Callable[..., None]
) -> None:
    add("pylab", package("python", "tabulate"))
    run("serve", "pylab", "--clean")
    assert "requirements.in: tabulate" in run("adopt", "pylab")
    assert ([lab.status for lab in played.made], volumes(played)) == (["running"], [])


def test_a_lab_under_a_name_is_adopted_by_it_and_others_are_left_alone(
    played: Engine, run: Callable[..., str], add: Callable[..., None], command_line: CommandLine, project: Path
) -> None:
    add("pylab", package("python", "other"))
    run("serve", "pylab", "--name", "thesis")
    played.added[played.made[0].volume("/opt/lab/added")] = answer(package("python", "tabulate"))
    run("stop", "thesis")
    foreign = Volume(
        played, "x-added-1", {"io.pyrlab.added": "1", "io.pyrlab.name": "thesis", "io.pyrlab.project": "0"}
    )
    played.stored.append(foreign)
    run("adopt", "thesis")
    assert (project / "requirements.in").read_text() == f"tabulate  # added in thesis on {today()}\n"
    assert [name.partition("-added-")[0].rpartition("-")[2] for name in volumes(played)] == ["pylab", "x"]
    status, _, told = command_line("adopt", "nobody")
    assert (status, "choose from: pylab, rlab" in told) == (2, True)


class Killed(BaseException):
    """Nothing handles it, as nothing handles SIGKILL."""


def die_in(patch: pytest.MonkeyPatch, moment: str) -> None:
    """Let a run be killed right before it replaces the list, writes its note, removes the volume, or takes it away."""
    kind, name, at = {
        "list": (Path, "replace", "requirements.in"),
        "note": (Path, "replace", "adopted.json"),
        "volume": (Volume, "remove", ""),
        "end": (Path, "unlink", "adopted.json"),
    }[moment]
    method = getattr(kind, name)

    def call(self: Path, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it is given
        if at in {"", self.name, *(path.name for path in arguments)}:
            raise Killed
        return method(self, *arguments, **options)

    patch.setattr(kind, name, call)


@pytest.mark.parametrize("moment", ["list", "note", "volume", "end"])
@pytest.mark.parametrize("then", ["adopt", "serve"])
def test_a_run_that_is_killed_leaves_all_or_nothing(
    played: Engine,
    run: Callable[..., str],
    add: Callable[..., None],
    command_line: CommandLine,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    then: str,
) -> None:
    """What it has written stays and is not written again, and no lab starts with what is done with."""
    add("pylab", package("python", "tabulate"))
    with monkeypatch.context() as patch:
        die_in(patch, moment)
        with pytest.raises(Killed):
            command_line("adopt", "pylab")
    line = f"tabulate  # added in pylab on {today()}\n"
    assert (project / "requirements.in").read_text() == ("" if moment == "list" else line)
    assert bool(played.added) is (moment != "end")
    if moment == "volume":
        # The engine had begun, and was killed as well: what is left looks as if somebody had wanted it.
        played.added = dict.fromkeys(played.added, answer(package("python", "half")))
    run(then, "pylab")
    if then == "adopt":
        assert (project / "requirements.in").read_text() == line
        assert volumes(played) == []
    else:
        assert bool(played.added) is (moment in {"list", "note"})


def test_a_full_disk_changes_nothing(
    played: Engine,
    add: Callable[..., None],
    command_line: CommandLine,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add("pylab", package("python", "tabulate"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, _, told = command_line("adopt", "pylab")
    assert (status != 0, "No space left on device" in told) == (True, True)
    assert ((project / "requirements.in").read_text(), len(volumes(played))) == ("", 1)


def test_a_volume_that_somebody_else_uses_is_told_and_no_lab_starts_with_it(
    played: Engine, run: Callable[..., str], add: Callable[..., None], command_line: CommandLine, project: Path
) -> None:
    add("pylab", package("python", "tabulate"))
    [name] = volumes(played)
    mounts = [{"Type": "volume", "Source": name, "Target": "/x"}]
    stranger = played.create("x", name="theirs", labels={}, mounts=mounts)
    for verb in ("adopt", "serve"):
        status, _, told = command_line(verb, "pylab")
        assert (status, f"error: the volume {name} cannot be removed" in told) == (9, True)
    stranger.remove(force=True)
    run("serve", "pylab")
    assert (project / "requirements.in").read_text().count("tabulate") == 1


def test_a_look_that_was_killed_keeps_no_volume(
    played: Engine, run: Callable[..., str], add: Callable[..., None], settings: Settings
) -> None:
    add("pylab", package("python", "tabulate"))
    mounts = [{"Type": "volume", "Source": volumes(played)[0], "Target": "/opt/lab/added"}]
    labels = {**settings.workspace.labels, LOOK_LABEL: ""}
    played.create("x", name="left", labels=labels, mounts=mounts)
    run("adopt", "pylab")
    assert (played.made, volumes(played)) == ([], [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "{0}\n", id="empty"),
        pytest.param("one", "one\n\n{0}\n", id="no-end-of-line"),
        pytest.param("one\r\n", "one\r\n\r\n{0}\r\n", id="windows"),
        pytest.param("\ufeff", "\ufeff{0}\n", id="byte-order-mark"),
        pytest.param("one\n\n\n", "one\n\n\n{0}\n", id="blank-lines"),
        pytest.param("x  # added in rlab on 2026-01-01\n", "x  # added in rlab on 2026-01-01\n{0}\n", id="again"),
    ],
)
def test_a_list_keeps_its_own_bytes(before: str, after: str) -> None:
    line = "zoo  # added in rlab on 2026-11-29"
    assert adoption.write_into(before, ["zoo"], lab="rlab", day=date(2026, 11, 29)) == after.format(line)
