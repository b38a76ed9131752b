"""A lab's day at the command line, on an engine that is played."""

import contextlib
import json
import os
import random
import re
import socket
import stat
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.errors import APIError
from played_labs import Container, Engine, play

from pyrlab.adapters import ports, process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.cli import labs as verbs
from pyrlab.model.settings import Settings

CommandLine = Callable[..., tuple[int, str, str]]
TOKEN = re.compile(r"[0-9a-f]{48}")


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Play an engine on this machine, whose labs answer at once."""
    return play(monkeypatch)


@pytest.fixture
def port() -> int:
    """Return a port that nobody has, nor the next one. The system gives neither to others by itself."""
    for number in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", number))
            next_one.bind(("127.0.0.1", number + 1))
            return number
    pytest.fail("no port is free")


@pytest.fixture
def settings(
    project: Path, tmp_path: Path, played: Engine, port: int, no_programs: None, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Return the settings of a project in which this test stands, without ssh and without a display."""
    del no_programs
    monkeypatch.chdir(project)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks").chmod(0o777)
    for name in ("SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"STATE_HOME": "state", "CACHE_HOME": "cache"}.items():
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / value))
    monkeypatch.setenv("FILES", str(tmp_path / "notebooks"))
    monkeypatch.setenv("PORT", str(port))

    def build(current: Settings, names: list[str], **_: object) -> None:
        for name in names:
            played.images_by_tag.setdefault(current.tag(name), f"sha256:{name}")

    monkeypatch.setattr(verbs, "build_images", build)
    return read_settings(project, dict(os.environ))


@pytest.fixture
def browser(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let there be a display, and return what the browser was told to open."""
    del settings
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", opened.append)
    return opened


def link_in(printed: str) -> str:
    """Return the one link that a command printed."""
    [link] = re.findall(r"http://\S+", printed)
    return str(link)


def test_a_token_is_the_same_after_a_stop_and_a_restart(played: Engine, run: Callable[..., str], port: int) -> None:
    first = link_in(run("serve", "pylab"))
    assert TOKEN.fullmatch(first.removeprefix(f"http://127.0.0.1:{port}/lab?token="))
    run("stop", "pylab")
    assert played.made == []
    assert link_in(run("serve", "pylab")) == first
    assert link_in(run("restart", "pylab")) == first
    assert link_in(run("open", "pylab")) == first
    assert first.endswith(played.made[0].token())


def test_a_token_is_for_its_user_and_lab_alone(
    played: Engine, run: Callable[..., str], settings: Settings, port: int
) -> None:
    """In a file of this user's, in one of the lab's user in the lab, and in nothing that the engine shows."""
    umask = os.umask(0)
    try:
        token = link_in(run("serve", "pylab")).partition("token=")[2]
    finally:
        os.umask(umask)
    kept = list(settings.tokens.iterdir())
    assert [(path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in kept] == [(token, 0o600)]
    [lab] = played.made
    uid = int(lab.given["user"].partition(":")[0])
    assert lab.files == {"/home/notebook/.lab-token": (token, 0o400, uid)}
    assert token not in repr(lab.given)
    own = {"PORT": str(port), "JUPYTER_TOKEN_FILE": "/home/notebook/.lab-token"}
    assert lab.given["environment"] == {**own, "R_HISTFILE": "/home/notebook/.Rhistory"}
    other = link_in(run("serve", "pylab", "--name", "other", "--port", str(port + 1)))
    assert token not in other


def test_a_browsers_arguments_have_no_token(run: Callable[..., str], browser: list[str]) -> None:
    """They lead to a page that only this user can read, and that goes with the lab."""
    link = link_in(run("serve", "pylab"))
    [page] = browser
    assert page.startswith("file:///")
    path = Path(page.removeprefix("file://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f'content="0; url={link}"' in path.read_text(encoding="utf-8")
    run("serve", "pylab", "--no-browser")
    assert browser == [page]
    run("open", "pylab")
    assert browser == [page, page]
    run("stop", "pylab")
    assert not path.exists()


def test_over_ssh_the_line_is_printed_and_no_browser_opened(
    run: Callable[..., str], browser: list[str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 198.51.100.2 22")
    monkeypatch.setenv("LOGNAME", "me")
    printed = run("serve", "pylab")
    assert f"\n  ssh -N -L {port}:127.0.0.1:{port} me@198.51.100.2\n" in printed
    assert f"\n  ssh -N -L {port}:127.0.0.1:{port} you@host\n" in run("serve", "pylab", "--remote", "you@host")
    assert browser == []


def test_a_lab_has_no_more_rights_than_it_needs(played: Engine, run: Callable[..., str], port: int) -> None:
    printed = run("serve", "pylab")
    given = played.made[0].given
    assert given["ports"] == {f"{port}/tcp": ("127.0.0.1", port)}
    assert (given["cap_drop"], given["security_opt"]) == (["ALL"], ["no-new-privileges"])
    assert 0 < given["pids_limit"] < 10**5
    assert not given["read_only"]
    assert "WARNING" not in printed


def test_another_address_must_be_asked_for_and_warns(played: Engine, run: Callable[..., str], port: int) -> None:
    printed = run("serve", "pylab", "--address", "0.0.0.0")  # noqa: S104 - the case
    assert played.made[0].given["ports"] == {f"{port}/tcp": ("0.0.0.0", port)}  # noqa: S104 - as above
    assert "WARNING: pylab answers on 0.0.0.0: whoever reaches that address may try to get in" in printed
    assert link_in(printed).startswith(f"http://127.0.0.1:{port}/")


def test_every_limit_reaches_the_engine(played: Engine, run: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("KEY=secret\n", encoding="utf-8")
    options = ["--memory", "2g", "--cpus", "1.5", "--gpus", "device=0,1", "--env-file", str(tmp_path / "x.env")]
    run("serve", "pylab", *options, "--mount", "src=/data,dst=/data,readonly", "--read-only")
    given = played.made[0].given
    assert (given["mem_limit"], given["nano_cpus"]) == (2 * 2**30, 1_500_000_000)
    assert given["device_requests"][0]["DeviceIDs"] == ["0", "1"]
    assert given["environment"]["KEY"] == "secret"
    assert "secret" not in repr(given["labels"])
    mount = given["mounts"][2]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == ("/data", "/data", True)
    assert (given["read_only"], list(given["tmpfs"])) == (True, ["/tmp"])  # noqa: S108 - in the lab

    run("restart", "pylab")
    again = dict(played.made[0].given)
    assert {**again, "labels": None} == {**given, "labels": None}


@pytest.mark.parametrize("lost", ["environment", "image", "folder"])
def test_a_restart_that_cannot_be_leaves_the_lab_running(
    played: Engine, run: Callable[..., str], command_line: CommandLine, settings: Settings, tmp_path: Path, lost: str
) -> None:
    env_file = tmp_path / "x.env"
    env_file.touch()
    run("serve", "pylab", "--env-file", str(env_file))
    if lost == "environment":
        env_file.unlink()
    elif lost == "image":
        played.images_by_tag.clear()
    else:
        settings.notebooks.rmdir()
        settings.notebooks.touch()
    status, _, told = command_line("restart", "pylab")
    assert status in {2, 9}
    assert told.splitlines()[-1].startswith("  try: ")
    assert [lab.status for lab in played.made] == ["running"]


@pytest.mark.parametrize(("said", "count"), [("all", -1), ("2", 2)])
def test_gpus_are_asked_for_as_docker_run_does(played: Engine, run: Callable[..., str], said: str, count: int) -> None:
    run("serve", "pylab", "--gpus", said)
    [device] = played.made[0].given["device_requests"]
    assert (device["Count"], device["Capabilities"]) == (count, [["gpu"]])


def test_gpus_that_the_engine_cannot_give_are_told_with_what_to_do(
    played: Engine, settings: Settings, command_line: CommandLine
) -> None:
    del settings
    played.refuses = 'could not select device driver "" with capabilities: [[gpu]]'
    status, _, told = command_line("serve", "pylab", "--gpus", "all")
    assert (status, played.made) == (9, [])
    assert told.endswith("try: install NVIDIA's container toolkit on the engine's machine, or leave out --gpus\n")


def test_settings_last_in_a_volume_of_project_user_and_lab(
    played: Engine, run: Callable[..., str], settings: Settings, port: int
) -> None:
    run("serve", "pylab")
    run("serve", "pylab", "--name", "two", "--port", str(port + 1))

    def home(lab: Container) -> str:
        mount = lab.given["mounts"][0]
        assert (mount["Type"], mount["Target"]) == ("volume", "/home/notebook")
        return str(mount["Source"])

    first, second = map(home, played.made)
    assert first.startswith(settings.workspace.container("pylab"))
    assert first != second
    run("restart", "pylab")
    assert home(next(lab for lab in played.made if lab.labels["io.pyrlab.name"] == "pylab")) == first


def test_labs_of_one_image_under_names_are_found_again(played: Engine, run: Callable[..., str], port: int) -> None:
    first = link_in(run("serve", "pylab"))
    second = link_in(run("serve", "pylab", "--name", "thesis", "--port", str(port + 1)))
    again = run("serve", "pylab", "--name", "thesis")
    assert again.startswith("· thesis runs already")
    assert link_in(again) == second
    assert len(played.made) == 2
    assert run("stop", "thesis") == "thesis is stopped.\n"
    assert run("stop", "pylab") == "pylab is stopped.\n"
    assert first != second


def test_a_name_of_another_images_lab_is_not_taken_from_it(
    run: Callable[..., str], command_line: CommandLine, port: int
) -> None:
    run("serve", "pylab", "--name", "thesis")
    status, _, told = command_line("serve", "rlab", "--name", "thesis", "--port", str(port + 1))
    assert status == 2
    assert "error: thesis is a pylab, and runs already" in told


def test_a_lab_from_older_images_is_pointed_out_until_it_is_restarted(
    played: Engine, run: Callable[..., str], settings: Settings
) -> None:
    run("serve", "pylab")
    assert "older" not in run("serve", "pylab")
    played.images_by_tag[settings.tag("pylab")] = "sha256:newer"
    hint = "pylab runs from an older image than the present one: nox -s restart -- pylab"
    assert hint in run("serve", "pylab")
    assert hint in run("list")
    assert [row["current"] for row in json.loads(run("list", "--json"))] == [False]
    run("restart", "pylab")
    assert "older" not in run("list")


@pytest.mark.parametrize("verb", ["serve", "restart"])
def test_a_lost_token_file_is_made_anew_by_a_restart(
    run: Callable[..., str], settings: Settings, command_line: CommandLine, verb: str
) -> None:
    before = link_in(run("serve", "pylab"))
    next(settings.tokens.iterdir()).unlink()
    status, _, told = command_line("serve", "pylab")
    assert status == 9
    assert "the token of pylab is gone" in told
    assert "try: nox -s restart -- pylab makes a new one" in told
    if verb == "serve":
        run("stop", "pylab")
    assert link_in(run(verb, "pylab")) != before


def test_a_lab_that_ends_at_once_is_told_by_its_log_without_its_token(
    played: Engine, settings: Settings, command_line: CommandLine
) -> None:
    played.dies = True
    status, _, told = command_line("serve", "pylab")
    assert (status, played.made) == (9, [])
    assert "the end of 30 lines, token=…" in told
    assert next(settings.tokens.iterdir()).read_text(encoding="utf-8") not in told


def test_a_lab_that_has_another_token_is_told_at_once(
    run: Callable[..., str], settings: Settings, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("serve", "pylab")
    next(settings.tokens.iterdir()).write_text("another", encoding="utf-8")
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits for what cannot come"))
    status, _, told = command_line("open", "pylab")
    assert status == 9
    assert "error: pylab did not answer on http://127.0.0.1:" in told


def test_a_port_of_another_lab_or_container_is_told_with_the_next_free_one(
    played: Engine, settings: Settings, command_line: CommandLine, port: int
) -> None:
    del settings
    labels = {"io.pyrlab.name": "thesis", "io.pyrlab.project": "0a", "io.pyrlab.user": "7"}
    played.stranger("theirs", port, **labels)
    played.stranger("next", port + 1)
    status, _, told = command_line("serve", "pylab")
    assert status == 2
    assert f"error: port {port} has the thesis of project 0a, user 7: container theirs" in told
    [free] = re.findall(r"try: --port (\d+) is free; or choose another by --port or PORT", told)
    assert int(free) > port + 1

    played.made.clear()
    played.stranger("postgres", port)
    _, _, told = command_line("serve", "pylab")
    assert f"error: port {port} has the container postgres" in told


def test_a_port_of_a_process_is_told_by_its_name(settings: Settings, command_line: CommandLine, port: int) -> None:
    del settings
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        status, _, told = command_line("serve", "pylab")
        assert status == 2
        name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        assert f"error: port {port} has process {name} ({os.getpid()})" in told
        assert ports.holder(port) == f"process {name} ({os.getpid()})"
    assert ports.holder(port) == ""


def test_tensorboards_port_is_never_offered(
    played: Engine, settings: Settings, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    del settings
    monkeypatch.setattr(ports, "why_not", lambda *_: "")
    played.stranger("other", 6005)
    _, _, told = command_line("serve", "pylab", "--port", "6005")
    assert "try: --port 6007 is free" in told


def test_list_shows_what_runs(run: Callable[..., str], port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert run("list") == "No lab of this project runs: nox -s serve lists what can be served.\n"
    run("serve", "pylab", "--name", "thesis")
    heading, row = run("list").splitlines()
    assert heading.split() == ["name", "lab", "status", "since", "port", "image", "memory", "kernels"]
    assert row.split()[:3] == ["thesis", "pylab", "running"]
    assert row.split()[5:] == [str(port), "current", "250.0", "MB", "2"]
    [found] = json.loads(run("list", "--json"))
    assert found["since"] == "2026-11-29T08:00:00.123456789Z"
    assert (found["port"], found["memory"], found["kernels"]) == (port, 250_000_000, 2)
    assert "token" not in json.dumps(found)


def test_a_lab_that_has_ended_is_listed_with_what_to_do(played: Engine, run: Callable[..., str]) -> None:
    link = link_in(run("serve", "pylab"))
    played.made[0].status = "exited"
    printed = run("list")
    assert "pylab does not run: nox -s restart -- pylab" in printed
    assert link_in(run("restart", "pylab")) == link


def test_labs_of_others_are_neither_listed_nor_stopped(
    played: Engine, run: Callable[..., str], command_line: CommandLine, port: int
) -> None:
    played.stranger(
        "theirs", port + 1, **{"io.pyrlab.name": "theirs", "io.pyrlab.project": "0a", "io.pyrlab.user": "7"}
    )
    assert "No lab of this project runs" in run("list")
    for verb in ("stop", "restart", "logs", "open", "shell"):
        status, _, told = command_line(verb, "theirs")
        assert (status, "there is no lab called 'theirs'" in told) == (2, True)
    assert [lab.status for lab in played.made] == ["running"]


@pytest.mark.parametrize("verb", ["restart", "logs", "open", "shell"])
def test_a_lab_that_does_not_run_is_told_with_how_to_start_it(
    settings: Settings, command_line: CommandLine, verb: str
) -> None:
    del settings
    status, _, told = command_line(verb, "pylab")
    assert status == 9
    assert told.startswith("error: pylab does not run")
    assert told.endswith("try: nox -s serve -- pylab\n")


def test_logs_shows_whole_lines(run: Callable[..., str]) -> None:
    run("serve", "pylab")
    assert run("logs", "pylab") == "one\ntwo\nthree\n"


def test_in_the_foreground_a_log_that_ends_is_an_error(
    played: Engine, settings: Settings, command_line: CommandLine
) -> None:
    """The lab has ended by itself."""
    del settings
    status, said, told = command_line("serve", "pylab", "--foreground")
    assert status == 9
    assert said.splitlines()[1:] == ["one", "two", "three"]
    assert "error: pylab has ended" in told
    assert len(played.made) == 1


@pytest.mark.parametrize("before", [0, 1], ids=["started-here", "there-before"])
def test_ctrl_c_in_the_foreground_stops_what_this_run_has_started(
    played: Engine, run: Callable[..., str], command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    if before:
        run("serve", "pylab")

    def interrupted(_: Container, *, follow: bool, **__: object) -> Iterator[bytes]:
        if follow:
            raise KeyboardInterrupt
        return iter(())

    monkeypatch.setattr(Container, "logs", interrupted)
    status, _, told = command_line("serve", "pylab", "--foreground")
    assert status == 130
    said = "pylab goes on: it was there before" if before else "pylab is stopped"
    assert told.splitlines()[-1] == f"interrupted; {said}"
    assert len(played.made) == before


def test_a_shell_is_dockers_own_in_the_lab(
    run: Callable[..., str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(process, "hand_over", became.append)
    run("serve", "pylab")
    run("shell", "pylab")
    command = ["docker", "exec", "--interactive", "--workdir", "/home/notebook/notebooks"]
    assert became == [[*command, settings.workspace.container("pylab"), "bash"]]


@pytest.mark.parametrize("verb", ["serve", "restart"])
def test_programs_at_the_start_that_failed_are_told(played: Engine, run: Callable[..., str], verb: str) -> None:
    hooks = "start-lab: {0}/10-ok\nstart-lab: {0}/20-broken failed with status 3\nstart-lab: {0}/30 is {1}\nlast"
    text = hooks.format("/home/notebook/notebooks/.pyrlab/start.d", "no executable file, and was not run")
    if verb == "restart":
        run("serve", "pylab")
    played.log = [text.encode()]
    said = [line for line in run(verb, "pylab").splitlines() if "start.d" in line]
    assert said == [
        "· pylab: /home/notebook/notebooks/.pyrlab/start.d/20-broken failed with status 3",
        "· pylab: /home/notebook/notebooks/.pyrlab/start.d/30 is no executable file, and was not run",
    ]


def test_serve_without_a_lab_lists_those_that_there_are(run: Callable[..., str], port: int) -> None:
    lines = run("serve").splitlines()
    assert lines[1].split() == ["pylab", "python", str(port), "not", "built", "yet"]
    assert lines[2].split()[:4] == ["rlab", "R,", "python", "9999"]
    assert lines[3].startswith("nox -s serve -- pylab starts one")
    run("serve", "pylab")
    assert run("serve").splitlines()[1].split()[3:] == ["built"]


def test_with_selinux_the_notebooks_get_containers_label_and_else_they_keep_theirs(
    played: Engine, run: Callable[..., str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of this machine is in the lab once, by the one way or by the other."""

    def notebooks() -> tuple[list[str], dict[str, dict[str, str]]]:
        given = played.made[0].given
        inside = "/home/notebook/notebooks"
        mounted = [mount["Source"] for mount in given["mounts"] if mount["Target"] == inside]
        return mounted, given["volumes"]

    run("serve", "pylab")
    assert notebooks() == ([str(settings.notebooks)], {})
    monkeypatch.setattr(engine, "kind", lambda: engine.Kind(selinux=True))
    run("restart", "pylab")
    assert notebooks() == ([], {str(settings.notebooks): {"bind": "/home/notebook/notebooks", "mode": "z"}})


def test_a_folder_that_docker_desktop_does_not_share_is_told_with_what_to_do(
    played: Engine, settings: Settings, command_line: CommandLine
) -> None:
    del settings
    played.refuses = "Mounts denied: The path /data is not shared from the host and is not known to Docker."
    status, _, told = command_line("serve", "pylab")
    assert status == 9
    assert "try: share the folder in Docker Desktop: Settings, Resources, File sharing; or" in told


def test_what_the_engine_refuses_leaves_no_lab(played: Engine, settings: Settings, command_line: CommandLine) -> None:
    del settings
    played.refuses = "no such thing"
    status, _, told = command_line("serve", "pylab")
    assert (status, played.made) == (9, [])
    assert told.splitlines()[-3:] == [
        "no such thing",
        "error: pylab could not be started",
        "  try: the engine's words say why",
    ]


def test_ready_tells_how_long_it_took(run: Callable[..., str]) -> None:
    assert re.search(
        r"^· ready after \d+\.\d s: build \d+\.\d s, start \d+\.\d s$", run("serve", "pylab"), re.MULTILINE
    )
    assert "ready after" not in run("serve", "pylab")


def test_a_container_that_an_earlier_pyrlab_made_is_still_ones_own(
    played: Engine, run: Callable[..., str], settings: Settings, port: int
) -> None:
    """It has its token in its environment, and no note of what was asked."""
    workspace = settings.workspace
    labels = {"io.pyrlab.lab": "pylab", **workspace.labels}
    environment = {"PORT": str(port), "JUPYTER_TOKEN": "old"}
    ports_ = {f"{port}/tcp": ("127.0.0.1", port)}
    played.create("x", name=workspace.container("pylab"), labels=labels, environment=environment, ports=ports_).start()
    assert link_in(run("serve", "pylab")) == f"http://127.0.0.1:{port}/lab?token=old"
    assert run("stop", "pylab") == "pylab is stopped.\n"
    assert played.made == []


def test_the_played_engine_refuses_as_docker_does(played: Engine) -> None:
    played.stranger("one", 1)
    with pytest.raises(APIError):
        played.stranger("one", 2)
