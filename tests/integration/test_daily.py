"""A lab's day, as somebody lives it: one lab of the small project is started, and asked for everything."""

import contextlib
import io
import json
import os
import re
import socket
import stat
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from conftest import Project, fails, forget_labs, printed_by
from docker.models.containers import Container

from pyrlab.adapters.docker import engine, tags
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.commands import doctor as examining
from pyrlab.model.settings import Settings
from pyrlab.steps import generations


@dataclass(frozen=True)
class Day:
    """A lab that runs: its project, the link that was printed, and its notebooks' folder."""

    project: Project
    link: str
    notebooks: Path
    port: int

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return read_settings(self.project.path, self.project.environment)

    @property
    def token(self) -> str:
        """The lab's token."""
        return self.link.partition("token=")[2]

    @property
    def container(self) -> Container:
        """The lab's container as it is now."""
        return engine.client().containers.get(self.settings.workspace.container("pylab"))

    def status(self) -> int:
        """Return how the lab answers to its link."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.link, timeout=30).status_code

    def shell(self, text: str, *, name: str = "pylab") -> str:
        """Run a shell's text in a lab, by `shell`, and return what it printed."""
        return printed_by(
            [sys.executable, "-m", "pyrlab", "shell", name],
            cwd=self.project.path,
            env=self.project.environment,
            input=text,
            timeout=60,
        )


def free() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def day(built_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Start the small project's pylab, which all tests here share, and remove all of it at the end."""
    with served(built_project, tmp_path_factory.mktemp("day"), "--memory", "2g") as started:
        yield started


@contextlib.contextmanager
def served(project: Project, notebooks: Path, *options: str) -> Iterator[Day]:
    """Start a project's pylab for an ordinary user's notebooks, and remove all of its labs at the end."""
    port = free()
    notebooks.chmod(0o777)
    if os.geteuid() == 0:
        os.chown(notebooks, 12345, 12345)
    with forget_labs(project):
        printed = project.succeed("serve", "pylab", *where(notebooks, port), *options)
        yield Day(project, printed.split("pylab is ready: ")[1].split()[0], notebooks, port)


def where(notebooks: Path, port: int) -> list[str]:
    """Return the options that serve a lab's notebooks on a port, and open no browser."""
    return ["--no-browser", "--port", str(port), "--notebooks", str(notebooks)]


def test_the_token_is_in_nothing_that_others_see(day: Day) -> None:
    """Not what `docker inspect` shows, not the processes' arguments; and its file is this user's alone."""
    assert day.status() == 200
    assert day.token not in json.dumps(day.container.attrs)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert day.token.encode() not in path.read_bytes()
    assert day.token not in day.project.succeed("logs", "pylab")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in day.settings.tokens.iterdir()]
    assert modes == [0o600] * len(modes)
    assert day.shell("stat -c '%a %u' ~/.lab-token; id -u").split()[::2] == ["400", day.shell("id -u").strip()]


def test_a_lab_has_few_rights(day: Day) -> None:
    """As its own processes see it."""
    said = dict(line.split(":\t") for line in day.shell("grep -E '^(Cap|NoNewPrivs)' /proc/self/status").splitlines())
    assert said.pop("NoNewPrivs") == "1"
    assert set(said.values()) == {"0000000000000000"}
    host = day.container.attrs["HostConfig"]
    assert (host["PidsLimit"] > 0, host["Memory"]) == (True, 2 * 2**30)
    assert [binding["HostIp"] for bindings in host["PortBindings"].values() for binding in bindings] == ["127.0.0.1"]


def test_list_tells_what_runs(day: Day) -> None:
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"token {day.token}"}
        url = f"http://127.0.0.1:{day.port}/api/kernels"
        kernel = session.post(url, json={"name": "python3"}, headers=headers, timeout=60).json()["id"]
        try:
            [row] = json.loads(day.project.succeed("list", "--json"))
        finally:
            session.delete(f"{url}/{kernel}", headers=headers, timeout=60)
    assert (row["name"], row["status"], row["port"], row["kernels"]) == ("pylab", "running", day.port, 1)
    assert (row["current"], row["memory_limit"], row["notebooks"]) == (True, 2 * 2**30, str(day.notebooks))
    assert 10**7 < row["memory"] < 2 * 2**30


def test_settings_and_link_outlive_a_restart(day: Day) -> None:
    """And the restart is made from the image that is there now."""
    day.shell("mkdir -p ~/.jupyter/lab/user-settings && echo dark > ~/.jupyter/lab/user-settings/theme")
    day.shell("echo 1+1 >> ~/.python_history; echo 2+2 >> $R_HISTFILE; touch /tmp/passing")
    before = day.container.id
    assert day.project.succeed("restart", "pylab").split()[-1] == day.link
    assert (day.container.id != before, day.status()) == (True, 200)
    said = day.shell("cat ~/.jupyter/lab/user-settings/theme ~/.python_history ~/.Rhistory; ls /tmp/passing 2>&1 || :")
    assert said.splitlines()[:3] == ["dark", "1+1", "2+2"]
    assert "No such file" in said
    assert day.container.attrs["HostConfig"]["Memory"] == 2 * 2**30


def test_what_was_killed_comes_back_with_the_same_link(day: Day) -> None:
    day.container.kill()
    assert day.container.wait(timeout=60)["StatusCode"] == 137
    assert "pylab does not run: nox -s restart -- pylab" in day.project.succeed("list")
    assert day.project.succeed("restart", "pylab").split()[-1] == day.link
    assert day.status() == 200


def test_older_images_are_pointed_out(day: Day) -> None:
    """Here the tag names another image for a moment, as after a build."""
    tag = day.settings.tag("pylab")
    image = tags.image_of(tag)
    assert image
    other = tags.image_of(day.settings.tag("pyrlab-base"))
    assert other
    tags.give(other, tag)
    try:
        assert "pylab runs from an older image than the present one" in day.project.succeed("list")
    finally:
        tags.give(image, tag)
    assert "older" not in day.project.succeed("list")


def test_a_second_lab_under_a_name_is_locked_down_and_goes_alone(day: Day, tmp_path: Path) -> None:
    """The busy port is told with a free one; nothing but notebooks, home and /tmp can be written in."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.csv").write_text("x", encoding="utf-8")
    (tmp_path / "x.env").write_text("GREETING=hello\n", encoding="utf-8")
    options = ["--name", "second", "--no-browser", "--notebooks", str(day.notebooks), "--read-only"]
    options += ["--env-file", str(tmp_path / "x.env"), "--mount", f"src={tmp_path / 'data'},dst=/data,readonly"]
    refused = day.project.run("serve", "pylab", *options, "--port", str(day.port))
    assert refused.status == 2
    assert f"error: port {day.port} has the pylab of project {day.settings.workspace.identity}" in refused.output
    free_port = refused.output.split("try: --port ")[1].split()[0]

    printed = day.project.succeed("serve", "pylab", *options, "--port", free_port)
    assert day.token not in printed
    said = day.shell(
        "echo $GREETING; cat /data/x.csv; echo; for folder in ~ ~/notebooks /tmp /opt /data; do"
        " touch $folder/new 2>/dev/null && echo $folder; done; rm -f ~/notebooks/new",
        name="second",
    )
    assert said.split() == ["hello", "x", "/home/notebook", "/home/notebook/notebooks", "/tmp"]  # noqa: S108 - in the lab
    assert [row["name"] for row in json.loads(day.project.succeed("list", "--json"))] == ["pylab", "second"]
    assert day.project.succeed("stop", "second") == "second is stopped.\n"
    assert day.status() == 200


def test_in_the_foreground_ctrl_c_stops_the_lab(day: Day) -> None:
    options = ("--name", "third", "--no-browser", "--notebooks", str(day.notebooks), "--port", str(free()))
    outcome = day.project.interrupt("serve", "pylab", *options, "--foreground", when="third is ready: ")
    assert (outcome.status, outcome.output.splitlines()[-1]) == (130, "interrupted; third is stopped"), outcome.output
    assert [row["name"] for row in json.loads(day.project.succeed("list", "--json"))] == ["pylab"]


def test_gpus_that_are_not_there_leave_nothing_behind(day: Day) -> None:
    if any("nvidia" in name for name in engine.client().info().get("Runtimes", {})):
        pytest.skip("this engine has GPUs")
    options = ("--name", "fourth", "--no-browser", "--notebooks", str(day.notebooks), "--port", str(free()))
    outcome = day.project.run("serve", "pylab", *options, "--gpus", "all")
    assert (outcome.status, "install NVIDIA's container toolkit" in outcome.output) == (9, True), outcome.output
    assert [row["name"] for row in json.loads(day.project.succeed("list", "--json"))] == ["pylab"]


def test_what_is_tried_in_a_lab_lasts_and_is_adopted(day: Day) -> None:
    """In a volume that is told everywhere, left out by --clean, and empty when the list has its names."""
    (day.notebooks / "wheels").mkdir()
    for name, needs in {"tiny": "tinier", "tinier": ""}.items():
        (day.notebooks / f"wheels/{name}-1.0-py3-none-any.whl").write_bytes(tiny_wheel(name, needs))
    options = ("--name", "trial", "--no-browser", "--notebooks", str(day.notebooks), "--port", str(free()))
    told = "trial: tiny 1.0 and 1 more were added to the image"
    before = day.project.read("requirements.in")
    day.project.succeed("serve", "pylab", *options)
    try:
        day.shell("pip install --quiet --no-index --find-links ~/notebooks/wheels tiny", name="trial")
        assert told in day.project.succeed("restart", "trial")
        assert day.shell("python -m tiny", name="trial") == "here\n"
        assert told in day.project.succeed("list")
        rows = {row["name"]: row["added"] for row in json.loads(day.project.succeed("list", "--json"))}
        assert {name: [one["name"] for one in found] for name, found in rows.items()} == {
            "pylab": [],
            "trial": ["tinier", "tiny"],
        }
        fails(day.project, "adopt", "trial", status=9, says="trial is there", remedy="nox -s stop -- trial")
        day.project.succeed("stop", "trial")
        checks = {check.found for check in examining._added(day.settings)}  # noqa: SLF001 - all looks take a minute
        assert {told, "pylab: none"} <= checks
        assert "trial is without the packages" in day.project.succeed("serve", "pylab", *options, "--clean")
        assert "No module named tiny" in day.shell("python -m tiny 2>&1 || :", name="trial")
        day.project.succeed("stop", "trial")

        said = day.project.succeed("adopt", "trial")
        assert "requirements.in: tiny, added in trial\nnot written, as they came with others: tinier\n" in said
        after = day.project.read("requirements.in")
        assert re.fullmatch(rf"{re.escape(before)}\ntiny  # added in trial on \d{{4}}-\d\d-\d\d\n", after)
        lacks = "requirements.lock lacks tiny"
        fails(day.project, "serve", "pylab", *options, status=4, says=lacks, remedy="nox -s lock -- python")
        assert day.project.read("requirements.in") == after
        day.project.write("requirements.in", before)
        day.project.succeed("serve", "pylab", *options)
        assert "No module named tiny" in day.shell("python -m tiny 2>&1 || :", name="trial")
    finally:
        day.project.write("requirements.in", before)
        day.project.run("stop", "trial")


def tiny_wheel(name: str, needs: str) -> bytes:
    """Return a wheel of one module, which prints a word when it is run."""
    wheel, info = io.BytesIO(), f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "print('here')\n")
        wants = f"Requires-Dist: {needs}\n" if needs else ""
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{wants}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel.getvalue()


def test_clean_takes_what_is_of_no_use_and_nothing_else(day: Day, tmp_path: Path) -> None:
    """A candidate and an image that has lost its tag go; what runs, what is present and what rollback needs stay."""
    settings, client = day.settings, engine.client()
    candidate = settings.of_variant("candidate").tag("pyrlab-base")
    name, _, tag = candidate.rpartition(":")
    empty = client.containers.create(settings.tag("pyrlab-base"), labels=settings.workspace.labels)
    try:
        replaced = str(empty.commit(message="replaced").id)
        empty.commit(name, tag, message="candidate")
    finally:
        empty.remove(force=True)
    kept = generations.keep(settings, summary="a test")
    # The store is another one: the real one is not this test's to clean.
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path)}
    try:
        shown = day.project.succeed("clean", **elsewhere)
        assert f"image {candidate}" in shown
        assert "1 image that later builds replaced" in shown
        assert (tags.image_of(candidate) is None, tags.image_of(replaced)) == (False, replaced)
        assert "are free again." in day.project.succeed("clean", "--yes", **elsewhere)
        assert (tags.image_of(candidate), tags.image_of(replaced)) == (None, None)
        previous = settings.of_variant(kept.variant)
        assert all(tags.image_of(previous.tag(image)) == id_ for image, id_ in kept.images.items())
        assert all(tags.image_of(settings.tag(image)) for image in settings.graph.images)
        assert "Nothing to remove." in day.project.succeed("clean", **elsewhere)
        assert day.status() == 200
    finally:
        generations.forget(settings, kept)
