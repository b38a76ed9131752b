"""Whole runs of `lock` and `build` on a base image of a registry."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from machine import Answer, Machine, Project
from registry_play import IMAGE, INSTALLED, NAMED, RELEASE, PlayedRegistry, stand_on_image

from pyrlab.adapters.debian import base_system
from pyrlab.adapters.debian.archive import default_sources
from pyrlab.adapters.docker import buildkit
from pyrlab.adapters.http import RefusedError
from pyrlab.commands.outdated import outdated as outdated_rows
from pyrlab.commands.why import why
from pyrlab.errors import PyrlabError, StaleLockError, UsageError
from pyrlab.model import doctor
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import python_of
from pyrlab.model.upgrade import compose
from pyrlab.model.upgrade.bounds import Files, bounds_of, sources_of
from pyrlab.model.upgrade.bumps import Package, bumps_of
from pyrlab.model.wants import Line
from pyrlab.steps import reaching
from pyrlab.steps.images import Plan
from pyrlab.steps.root import ensure_root

CommandLine = Callable[..., tuple[int, str, str]]
REGISTRIES: dict[int, PlayedRegistry] = {}


@pytest.fixture
def based(own: Project) -> Project:
    """Return a project that names a base image, which is there."""
    REGISTRIES[id(own)] = stand_on_image(own)
    return own


def registry_of(project: Project) -> PlayedRegistry:
    """Return the registry of a project."""
    return REGISTRIES[id(project)]


def move(project: Project, **files: str) -> str:
    """Let the tag name another image, which has these files; return its digest."""
    project.machine.base |= files
    return registry_of(project).add("amd64", tag="1", content=str(files))


def test_the_lock_holds_the_image_and_what_it_has(based: Project) -> None:
    based.lock()
    debs = based.locks.debs
    digest = registry_of(based).add("amd64")
    assert debs.base is not None
    assert (debs.base.image, debs.base.digest, debs.base.python) == (IMAGE, digest, "3.14.0")
    assert [str(pin) for pin in debs.sections["root"]] == [
        "apt 2.9 amd64 installed",
        "base-files 13 all installed",
        "libc6 2.41-12 amd64 installed",
    ]
    assert python_of(debs) == "3.14"
    assert DebsLock.parse(debs.render()) == debs
    assert f"\n# image: {IMAGE}\n# digest: {digest}\n# python: 3.14.0\n" in based.read("debs.lock")
    # One of before shall say that it is too old, and not that a line is broken.
    assert "\n# format: 3\n" in based.read("debs.lock")


def test_the_time_of_the_archive_stands_beside_the_image(based: Project) -> None:
    """What the image has installed is of no archive: the time stays when it alone moves."""
    based.machine.date = "Sat, 28 Nov 2026 04:36:12 UTC"
    based.lock()
    snapshot = based.locks.debs.snapshot
    assert snapshot
    assert f"# snapshot: {snapshot}\n# image: {IMAGE}\n" in based.read("debs.lock")
    based.machine.date = "Sun, 29 Nov 2026 04:36:12 UTC"
    move(based, installed=INSTALLED.replace("2.9", "2.10"))
    based.lock(packages=IMAGE)
    assert based.locks.debs.version_of("apt") == "2.10"
    assert based.locks.debs.snapshot == snapshot


def test_a_registry_that_refuses_is_named_as_one(based: Project) -> None:
    registry_of(based).scheme = "Basic"
    with pytest.raises(RefusedError, match=r"registry of images: https://registry.test/v2/team/base/manifests/1"):
        based.lock()


def of_registry(project: Project) -> list[doctor.Check]:
    """Return the doctor's lines of registries."""
    return [check for check in reaching.from_here(project.settings) if "registry" in check.found]


def test_the_doctor_asks_the_registry(based: Project) -> None:
    """As lock would: for the lock's architecture, and down to the image's configuration."""
    based.lock()
    registry = registry_of(based)
    registry.asked.clear()
    assert of_registry(based) == [
        doctor.well("network", f"registry of images at registry.test answers, and has {IMAGE}")
    ]
    assert [path.split("/")[4] for path in registry.asked] == ["manifests", "manifests", "blobs"]
    # Once, and not again and again.
    registry.said, registry.asked = [Answer(status=503)], []
    [busy] = of_registry(based)
    assert (busy.name, busy.state) == ("network", doctor.State.ILL)
    assert "answered 503" in busy.found
    assert "base.image in pyrlab.toml" in busy.remedy
    assert len(registry.asked) == 1
    registry.scheme = "Basic"
    [refused] = of_registry(based)
    assert refused.state is doctor.State.ILL
    assert refused.remedy.startswith("docker login registry.test")


def test_a_project_without_a_base_image_asks_no_registry(own: Project) -> None:
    assert [check.name for check in reaching.from_here(own.settings)] == ["network", "clock"]


@pytest.fixture
def outdated(based: Project, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> CommandLine:
    """Return a runner of `outdated` in a project on a base image, whose archive and index have nothing new."""
    based.lock()
    assert based.settings.base_image
    monkeypatch.chdir(based.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(based.cache.parent))
    return lambda *options: command_line("outdated", *options)


def test_outdated_tells_that_the_name_has_moved(based: Project, outdated: CommandLine) -> None:
    """Both digests, shortened where people read them; and no lock is touched."""
    base = based.locks.debs.base
    assert base is not None
    text = based.read("debs.lock")
    status, said, _ = outdated()
    assert (status, said.splitlines()[0]) == (0, "Base image: 0 of 1 behind")
    new = move(based)
    _, said, _ = outdated()
    lines = said.splitlines()
    assert lines[0] == "Base image: 1 of 1 behind"
    assert lines[2].split() == [IMAGE, base.digest[:19], new[:19]]
    assert lines[-1].startswith("nox -s lock -- --upgrade takes")
    _, said, _ = outdated("--json")
    assert json.loads(said)[0] == {
        "ecosystem": "Base image",
        "name": IMAGE,
        "listed": IMAGE,
        "locked": base.digest,
        "newest": new,
        "behind": True,
        "held": [],
    }
    assert based.read("debs.lock") == text


def test_outdated_tells_what_is_not_locked_and_what_is_gone(based: Project, outdated: CommandLine) -> None:
    based.toml = based.toml.replace("team/base:1", "team/base:2")
    assert based.settings.base_image.endswith(":2")
    [row] = [row for row in json.loads(outdated("--json", "--all")[1]) if row["ecosystem"] == "Base image"]
    assert (row["locked"], row["newest"], row["behind"]) == ("", "", False)
    assert row["held"] == ["the registry has it no longer", "not locked yet: nox -s lock"]


def test_outdated_without_a_registry_is_an_error(based: Project, outdated: CommandLine) -> None:
    """Half of a table would look like a whole one."""
    registry_of(based).scheme = "Basic"
    status, said, error = outdated()
    assert (status, said) == (6, "")
    assert "docker login registry.test" in error


def test_outdated_of_a_bootstrapped_root_knows_no_image(own: Project) -> None:
    own.lock()
    assert "Base image" not in {row.ecosystem for row in outdated_rows(own.settings, say=own.said.append)}


def test_the_proxies_stand_on_the_image_too(based: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And their packages come from Debian, whatever sources the image names."""
    based.lock()
    based.toml = based.toml.replace("apt_sources = [", "apt_sources = []  # [")
    below = ensure_root(based.settings, based.locks.debs, say=based.said.append)
    calls: list[buildkit.Bake] = []
    monkeypatch.setattr(buildkit, "bake", lambda call, **_: calls.append(call))
    below.make_proxies("proxies:1", say=based.said.append)
    [call] = calls
    assert f"team/base@{registry_of(based).add('amd64')} AS root\n" in (call.work / "lock.Dockerfile").read_text()
    assert call.secrets["sources"].splitlines() == [str(source) for source in default_sources("trixie")]


def test_builds_take_the_image_by_its_digest_alone(based: Project) -> None:
    based.lock()
    dockerfile = Plan(based.settings, based.locks).dockerfile
    digest = registry_of(based).add("amd64")
    assert f"FROM registry.test/team/base@{digest} AS root\n" in dockerfile
    assert "ADD " not in dockerfile
    assert all(f"registry.test/team/base@{digest}" in one.dockerfile for one in based.machine.questions)


def test_a_clone_is_built_from_its_locks_alone(based: Project) -> None:
    """Nothing is there but what git has: the folder that builds send is made, though an image needs nothing in it."""
    based.lock()
    shutil.rmtree(based.folder / ".pyrlab")
    Plan(based.settings, based.locks).build(["pylab"], say=based.said.append)
    assert based.machine.tags() == ["pylab"]


def test_a_moved_tag_is_taken_when_it_is_asked_for(based: Project) -> None:
    based.lock()
    keys = Plan(based.settings, based.locks).keys
    digest = move(based, python="3.14.1\n", installed=INSTALLED.replace("2.9", "2.10"))
    asked = len(registry_of(based).asked)
    assert based.moved() == []
    assert len(registry_of(based).asked) == asked
    assert based.moved(upgrade=True) == ["up apt (root) 2.9 2.10", f"up {IMAGE} (root) 3.14.0 3.14.1"]
    assert based.locks.debs.base == dataclasses.replace(based.locks.debs.base, digest=digest)  # type: ignore[type-var]
    after = Plan(based.settings, based.locks).keys
    assert all(after[name] != keys[name] for name in ("root", "pylab", "rlab"))


def test_other_bytes_under_the_same_versions_are_a_change(based: Project) -> None:
    based.lock()
    move(based)
    assert based.moved(packages=IMAGE) == [f"other files {IMAGE} (root) 3.14.0 3.14.0"]


def test_a_list_may_name_what_the_image_has(based: Project) -> None:
    based.write("base_debs.txt", "apt")
    based.lock()
    assert "apt" not in {pin.name for pin in based.locks.debs.sections["pyrlab-base"]}


def test_apt_is_asked_for_no_version_that_the_image_has(based: Project) -> None:
    """Its packages may be behind the archive's, and what needs the newer ones brings them."""
    based.lock()
    based.lock()
    preferences = based.machine.questions[0].request["preferences"]
    assert "Package: libc6\n" not in preferences
    assert "Package: tini\n" in preferences


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param(
            {"release": 'ID=alpine\nPRETTY_NAME="Alpine Linux v3.22"\n', "installed": "", "lacks": "apt-get\n"},
            f"the image {IMAGE} is Alpine Linux v3.22, and not Debian",
            id="alpine",
        ),
        pytest.param(
            {"release": ""}, f"the image {IMAGE} is of no system that says its name, and not Debian", id="none"
        ),
        pytest.param({"release": RELEASE.replace("=debian", "=ubuntu")}, "and not Debian", id="ubuntu"),
        pytest.param({"lacks": "apt-get\nuseradd\n"}, "is Debian without apt-get, useradd", id="distroless"),
        pytest.param({"python": ""}, f"the image {IMAGE} has no Python of its own", id="no-python"),
        pytest.param(
            {"release": RELEASE.replace("trixie", "bookworm")},
            f"the image {IMAGE} is Debian's bookworm, and base.suite is 'trixie'",
            id="other-suite",
        ),
        pytest.param({"python": "hello\n3.14.0\n"}, "has no Python of its own", id="talkative-python"),
    ],
)
def test_an_image_that_cannot_carry_labs_is_refused(based: Project, files: dict[str, str], says: str) -> None:
    based.machine.base |= files
    with pytest.raises(UsageError, match=says) as caught:
        based.lock()
    assert caught.value.remedy
    assert not (based.folder / "debs.lock").exists()


def test_the_settings_and_the_lock_must_name_one_root(based: Project) -> None:
    based.lock()
    locks = based.locks
    based.toml = based.toml.replace("team/base:1", "team/base:2")
    with pytest.raises(StaleLockError, match=r"debs.lock stands on the image .*base:1, and the settings want .*base:2"):
        assert based.locks
    based.toml = based.toml.replace(NAMED.replace("base:1", "base:2"), "[base]\n")
    with pytest.raises(StaleLockError, match="and the settings want a bootstrapped root"):
        assert based.locks
    based.machine.base = {}
    based.lock()
    assert based.locks.debs.base is None
    assert locks.debs.base


def test_the_image_moves_as_one_and_python_with_it(based: Project) -> None:
    based.lock()
    old = based.locks
    move(based, python="3.15.0\n", installed=INSTALLED.replace("2.9", "2.10"))
    based.lock(upgrade=True)
    new = based.locks
    members = compose.members(old, new)
    files = Files({}, {})
    sources = sources_of(old, files) | sources_of(new, files)
    bumps = bumps_of(members, bounds_of(old, files), bounds_of(new, files), sources=sources)
    image = Package(compose.DEBS, IMAGE)
    [bump] = [one for one in bumps if image in {member.package for member in one.members}]
    assert {member.package.name for member in bump.members} >= {IMAGE, "apt"}
    # A wheel's file is for one Python, which the image brings.
    pins = {Package(compose.PYTHON, pin.name) for lock in old.python.values() for pin in lock.pins}
    bounds = bounds_of(old, files)
    assert {(bounds[pin][image]("3.14.2"), bounds[pin][image]("3.15.0")) for pin in pins} == {(True, False)}
    held = {member.package for member in members}
    assert compose.compose(old, new, held).debs == old.debs
    assert compose.compose(old, new, ()).debs == new.debs


@pytest.mark.parametrize(
    ("base", "says"),
    [
        pytest.param('source = "registry"\n', "no image is named", id="no-image"),
        pytest.param('image = "python"\n', 'base.source is "bootstrap", which uses none', id="no-source"),
        pytest.param('source = "registry"\nimage = "Python"\n', "which is no name of an image", id="no-name"),
    ],
)
def test_settings_that_name_no_root_are_refused(own: Project, base: str, says: str) -> None:
    own.toml = own.toml.replace("[base]\n", f"[base]\n{base}")
    with pytest.raises(PyrlabError, match=says):
        assert own.settings


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        pytest.param("sha256:", "md5:", id="digest"),
        pytest.param("python: 3.14.0", "python: 3", id="python"),
        pytest.param("image: registry", "image: RE GISTRY", id="image"),
    ],
)
def test_a_lock_that_names_no_image_is_refused(based: Project, machine: Machine, written: str, edited: str) -> None:
    based.lock()
    assert machine is based.machine
    text = based.read("debs.lock")
    start = text.index("# image:")
    based.write("debs.lock", text[:start] + text[start:].replace(written, edited, 1))
    with pytest.raises(StaleLockError, match="is no pin"):
        assert based.locks


@pytest.mark.parametrize("there", ["link", "folder", "nothing"])
def test_what_an_image_has_in_the_way_is_not_read(tmp_path: Path, there: str) -> None:
    """A link of the image's would lead to a file of this machine."""
    for name, text in {"release": RELEASE, "lacks": "", "installed": INSTALLED, "python": "3.14.0\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert base_system.read(tmp_path, image=IMAGE, architecture="amd64").python == "3.14.0"
    (tmp_path / "lacks").rename(tmp_path / "mine")
    if there == "link":
        (tmp_path / "lacks").symlink_to("mine")
    if there == "folder":
        (tmp_path / "lacks").mkdir()
    with pytest.raises(UsageError, match="has an /out of its own"):
        base_system.read(tmp_path, image=IMAGE, architecture="amd64")


def test_only_the_images_packages_have_no_file(based: Project) -> None:
    """Of what has no hash any file would do, whoever wrote the lock."""
    based.lock()
    lock = based.locks.debs
    assert lock.base
    [[name, filed], *_] = [(name, pin) for name, pins in lock.sections.items() for pin in pins if pin.has_file]
    free = dataclasses.replace(filed, sha256="", size=0, path="", requested=False)
    forged = {
        f"{filed.name} in [{name}] has no file": dataclasses.replace(lock, sections={**lock.sections, name: (free,)}),
        f"{filed.name} in [root] has a file": dataclasses.replace(lock, sections={**lock.sections, "root": (filed,)}),
        "in [root] has no file": dataclasses.replace(lock, base=None),
    }
    for says, made in forged.items():
        with pytest.raises(StaleLockError, match=re.escape(says)):
            DebsLock.parse(made.render())


def test_why_names_the_image(based: Project) -> None:
    """And asks for no file of what it has installed."""
    based.lock()
    [told] = why(based.settings, "libc6", say=based.said.append).reasons
    assert [chain.line for chain in told.answer.chains] == [Line("the base image", IMAGE)]
    assert "3 pinned debs" not in "".join(told.answer.notes)
