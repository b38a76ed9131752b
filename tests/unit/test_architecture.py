"""Architectures: which one a run is about, where its locks and images are, and that none touches another's."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lock_samples as samples
import pytest
from machine import Machine, Project

from pyrlab.adapters import lock_files
from pyrlab.adapters.docker import engine
from pyrlab.adapters.docker.engine import Engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.commands import clean, doctor, unbundle, why
from pyrlab.commands.build import build
from pyrlab.commands.changes import changes
from pyrlab.commands.rollback import rollback
from pyrlab.errors import EngineError, StaleLockError, UsageError
from pyrlab.model import architectures
from pyrlab.model.base_image import local_name
from pyrlab.model.settings import Settings
from pyrlab.model.wish import KINDS, Wish
from pyrlab.steps import generations, locking
from pyrlab.steps.architecture import chosen, named
from pyrlab.steps.images import Plan

ALL = Wish(frozenset(KINDS))
AMD64, ARM64 = Engine("26.1.5", "amd64"), Engine("26.1.5", "arm64")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("arm64", "arm64"),
        ("linux/arm64", "arm64"),
        ("linux/arm64/v8", "arm64"),
        ("aarch64", "arm64"),
        ("linux/amd64", "amd64"),
        ("x86_64", "amd64"),
        ("linux/arm/v7", "armhf"),
        ("linux/arm", "armhf"),
        ("linux/386", "i386"),
        ("ppc64el", "ppc64el"),
    ],
)
def test_platforms_and_architectures_have_one_name(text: str, name: str) -> None:
    assert architectures.parse(text, "--platform") == name


@pytest.mark.parametrize("text", ["", "linux/", "windows/amd64", "linux/arm/v6", "linux/arm64/v8/x", "sparc"])
def test_what_debian_has_no_packages_for_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Debian has no such architecture"):
        architectures.parse(text, "--platform")


@pytest.mark.parametrize("name", architectures.KNOWN)
def test_law_each_architecture_is_found_again_by_its_platform(name: str) -> None:
    assert architectures.parse(architectures.platform(name), "") == name


def played(monkeypatch: pytest.MonkeyPatch, *platforms: str) -> None:
    monkeypatch.setattr(engine, "platforms", lambda: frozenset(platforms))


def test_the_engines_own_architecture_is_as_ever(own: Project) -> None:
    settings = chosen(own.settings, AMD64)
    assert settings.workspace == own.settings.workspace
    assert settings.platform == ""


def test_another_one_has_locks_images_labs_and_a_work_folder_of_its_own(
    own: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, "linux/amd64", "linux/arm64")
    own.lock()
    here, there = chosen(own.settings, AMD64), chosen(own.settings, AMD64, "arm64")
    assert there.platform == "linux/arm64"
    assert there.workspace.locks == own.folder / "arm64"
    assert there.tag("pylab") == f"{here.tag('pylab')}-arm64"
    assert there.workspace.key != here.workspace.key
    assert there.workspace.work == here.workspace.work / "arm64"
    assert there.of_variant("candidate").workspace.locks.is_relative_to(there.workspace.work)


def test_dockers_own_variable_is_heard(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "linux/amd64", "linux/arm64")
    settings = read_settings(own.folder, {"DOCKER_DEFAULT_PLATFORM": "linux/arm64/v8"})
    assert chosen(settings, AMD64).platform == "linux/arm64"
    assert chosen(settings, ARM64).platform == ""
    assert chosen(settings, AMD64, "amd64").platform == ""


def test_an_engine_that_does_not_emulate_says_so(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "linux/amd64", "linux/386")
    with pytest.raises(EngineError, match="no programs for arm64") as error:
        chosen(own.settings, AMD64, "arm64")
    assert "qemu-user-static" in error.value.remedy


@pytest.fixture
def both(own: Project) -> Project:
    """Return a project with locks for amd64, on an engine of arm64 since."""
    own.write("requirements.in", "alpha")
    own.write("base_debs.txt", "editor")
    own.machine.add_wheel("alpha", "1.0")
    own.machine.add_deb("editor", "1")
    own.lock()
    own.machine.architecture = "arm64"
    own.machine.add_deb("editor", "1")
    return own


def on_arm(project: Project) -> Settings:
    return chosen(project.settings, ARM64)


def test_a_colleague_on_another_machine_locks_beside_and_overwrites_nothing(both: Project) -> None:
    before = {path.name: path.read_bytes() for path in both.folder.glob("*.lock")}
    both.machine.add_wheel("alpha", "2.0")
    locking.lock(on_arm(both), ALL, say=both.said.append)
    assert {path.name: path.read_bytes() for path in both.folder.glob("*.lock")} == before
    assert {path.name for path in (both.folder / "arm64").iterdir()} == before.keys()
    locks = lock_files.read_locks(on_arm(both))
    assert locks.debs.architecture == "arm64"
    assert [pin.version for pin in locks.python["pylab"].pins if pin.name == "alpha"] == ["1.0"]
    assert Plan(on_arm(both), locks).materials.work == both.settings.workspace.work


def test_the_locks_of_each_architecture_are_checked(both: Project) -> None:
    locking.lock(on_arm(both), ALL, say=both.said.append)
    locking.check(both.settings, KINDS)
    both.write("requirements.in")
    both.machine.architecture = "amd64"
    both.lock()
    with pytest.raises(StaleLockError):
        locking.check(both.settings, KINDS)


def test_what_the_engine_emulates_is_asked_for_in_each_build(
    both: Project, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    played(monkeypatch, "linux/amd64", "linux/arm64")
    machine.bakes.clear()
    settings = chosen(both.settings, AMD64, "arm64")
    locking.lock(settings, ALL, say=both.said.append)
    Plan(settings, lock_files.read_locks(settings)).build(["pylab"], say=both.said.append)
    assert {target["platforms"][0] for targets, _ in machine.bakes for target in targets.values()} == {"linux/arm64"}


def test_builders_tell_what_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Name: default\nPlatforms:        linux/amd64*, linux/386, linux/arm64\nStatus: running\n"
    monkeypatch.setattr(engine, "process", SimpleNamespace(run=lambda *_, **__: said))
    assert engine.platforms() == {"linux/amd64", "linux/386", "linux/arm64"}


# ---- What one architecture leaves of another's


ARM_DEBS = replace(samples.DEBS, architecture="arm64")


@pytest.fixture
def samples_of_both(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return the settings of a project with locks for amd64 in its own folder, and for arm64 beside them."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (project / "arm64").mkdir()
    (project / "debs.lock").write_text(samples.DEBS.render(), encoding="utf-8")
    (project / "arm64/debs.lock").write_text(ARM_DEBS.render(), encoding="utf-8")
    return read_settings(project, dict(os.environ))


def texts(settings: Settings) -> tuple[str, str]:
    """Return debs.lock of the project's own folder, and that of arm64."""
    one, other = (settings.project / name / "debs.lock" for name in ("", "arm64"))
    return one.read_text(encoding="utf-8"), other.read_text(encoding="utf-8")


def test_a_killed_change_is_finished_where_it_began_whichever_run_does_it(samples_of_both: Settings) -> None:
    """Also one that asks no engine, and knows nothing of architectures."""
    settings, own = samples_of_both, chosen(samples_of_both, ARM64)
    amd64, arm64 = texts(settings)
    change = generations.Change({"debs.lock": f"{arm64}\n"}, {"debs.lock": arm64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generations, "_finish", lambda *_: [])
        generations.apply(own, change)
    assert generations.finish(settings)
    assert texts(settings) == (amd64, f"{arm64}\n")


def test_rollback_brings_nothing_back_of_another_architecture(
    samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines may work in one folder: by a context of Docker's, or DOCKER_HOST."""
    settings = samples_of_both
    monkeypatch.setattr(engine, "find", lambda: ARM64)
    before = texts(settings)
    folder = settings.workspace.work / "generations/g1"
    folder.mkdir(parents=True)
    (folder / "generation.json").write_text(json.dumps({"replaced": 1.0, "summary": "", "images": {}}))
    (folder / "debs.lock").write_text(before[0], encoding="utf-8")
    with pytest.raises(UsageError, match="no generation"):
        rollback(chosen(settings, ARM64), say=print)
    assert texts(settings) == before
    assert rollback(chosen(settings, AMD64), say=print).number == 1


def test_clean_keeps_what_generations_of_an_emulated_one_pin(samples_of_both: Settings) -> None:
    folder = samples_of_both.workspace.work / "arm64/generations/g1"
    folder.mkdir(parents=True)
    (folder / "generation.json").write_text(json.dumps({"replaced": 1.0, "summary": "", "images": {}}))
    (folder / "requirements.lock").write_text(f"x==0 --hash=sha256:{'e' * 64}\n", encoding="utf-8")
    assert "e" * 64 in clean._pinned(samples_of_both)  # noqa: SLF001 - what goes is what it does not name


def test_clean_keeps_the_base_images_of_all(samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def note(one: Settings) -> set[str]:
        asked.append(one.workspace.locks)
        return set()

    monkeypatch.setattr(clean, "_of_base", note)
    clean._pinned(samples_of_both)  # noqa: SLF001 - as above
    assert asked == [samples_of_both.project, samples_of_both.project / "arm64"]


# ---- What is told


def test_a_stale_lock_is_told_with_its_architecture_and_what_mends_it(both: Project) -> None:
    locking.lock(on_arm(both), ALL, say=both.said.append)
    both.write("requirements.in")
    both.machine.architecture = "amd64"
    both.lock()
    with pytest.raises(StaleLockError, match=r"^arm64: requirements\.lock") as error:
        locking.check(both.settings, KINDS)
    assert error.value.remedy == "nox -s lock -- --architecture arm64 python"


def test_a_build_for_an_emulated_one_says_how_to_lock_for_it(both: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "linux/amd64", "linux/arm64")
    with pytest.raises(StaleLockError, match=r"^arm64: ") as error:
        build(chosen(both.settings, AMD64, "arm64"), [], locked=False, say=print, warn=print)
    assert "nox -s lock -- --architecture arm64" in error.value.remedy


def test_each_kind_starts_from_the_versions_that_are_locked(both: Project) -> None:
    """Also where debs are locked first, by themselves."""
    both.machine.add_wheel("alpha", "2.0")
    locking.lock(on_arm(both), Wish(frozenset({"debs", "r"})), say=both.said.append)
    assert not (both.folder / "arm64/requirements.lock").exists()
    locking.lock(on_arm(both), Wish(frozenset({"python"})), say=both.said.append)
    locks = lock_files.read_locks(on_arm(both))
    assert [pin.version for pin in locks.python["pylab"].pins if pin.name == "alpha"] == ["1.0"]


def test_the_doctor_tells_of_an_emulator_that_is_missing(
    samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, "linux/amd64")
    monkeypatch.setattr(engine, "find_server", lambda: AMD64)
    asked = replace(samples_of_both, architecture="arm64")
    with pytest.raises(EngineError, match="no programs for arm64"):
        doctor._architecture(asked)  # noqa: SLF001 - one of the lines


def test_changes_are_those_of_each_architecture(samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = samples_of_both
    monkeypatch.setattr("pyrlab.adapters.git.is_commit", lambda *_: True)
    then = {settings.project / "debs.lock": samples.DEBS.render()}
    monkeypatch.setattr("pyrlab.adapters.git.text", lambda path, _: then.get(path))
    found = changes(settings, "HEAD")
    assert (found["debs.lock"], len(found["arm64/debs.lock"]) > 0) == ([], True)
    assert "### arm64/debs.lock" in (settings.workspace.work / "changes.md").read_text(encoding="utf-8")


def test_since_when_a_pin_is_there_is_asked_of_its_own_lock(
    samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    pin = SimpleNamespace(pinned=SimpleNamespace(lock="debs.lock", mark=""))
    for name in ("read_lists", "read_locks", "_index", "wants"):
        monkeypatch.setattr(why, name, lambda *_, **__: None)
    monkeypatch.setattr("pyrlab.model.why.answers", lambda *_: [pin])
    monkeypatch.setattr("pyrlab.model.why.other_cases", lambda *_: [])
    monkeypatch.setattr("pyrlab.adapters.git.since", lambda path, _: asked.append(path))
    why.why(named(replace(samples_of_both, architecture="arm64")), "apt", say=print)
    assert asked == [samples_of_both.project / "arm64/debs.lock"]


@pytest.mark.parametrize("verb", ["why", "outdated"])
def test_what_asks_no_engine_tells_of_the_architecture_that_docker_is_told(
    samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch, command_line: Callable[..., object], verb: str
) -> None:
    asked: list[Path] = []

    def look(settings: Settings, *_: object, **__: object) -> list[object]:
        asked.append(settings.workspace.locks)
        raise StaleLockError("enough", remedy="")

    monkeypatch.setattr(f"pyrlab.commands.{verb}.{verb}", look)
    arguments = ["numpy"] if verb == "why" else []
    command_line(verb, *arguments)
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    command_line(verb, *arguments)
    assert asked == [samples_of_both.project, samples_of_both.project / "arm64"]


@pytest.mark.parametrize(("verb", "key"), [("adopt", "-arm64"), ("history", "-arm64"), ("proxies", "")])
def test_each_session_is_about_the_architecture_that_docker_is_told_and_proxies_serve_all(
    samples_of_both: Settings,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[..., object],
    verb: str,
    key: str,
) -> None:
    asked: list[Settings] = []

    def note(settings: Settings, *_: object, **__: object) -> None:
        asked.append(settings)
        raise StaleLockError("enough", remedy="")

    function = {"adopt": "adopt.adopt", "history": "rollback.history", "proxies": "proxies.start"}[verb]
    monkeypatch.setattr(f"pyrlab.commands.{function}", note)
    monkeypatch.setattr(engine, "find", lambda: AMD64)
    played(monkeypatch, "linux/amd64", "linux/arm64")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    command_line(verb, *(["pylab"] if verb == "adopt" else []))
    assert [one.workspace.key.removeprefix(samples_of_both.workspace.key) for one in asked] == [key]
    assert asked[0].architecture == ("amd64" if verb == "proxies" else "arm64")


def test_proxies_stand_on_the_root_of_the_engines_own(
    samples_of_both: Settings, monkeypatch: pytest.MonkeyPatch, command_line: Callable[..., object]
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("pyrlab.commands.proxies.start", lambda one, **_: asked.append(one.workspace.locks))
    monkeypatch.setattr(engine, "find", lambda: ARM64)
    command_line("proxies")
    assert asked == [samples_of_both.project / "arm64"]


def test_a_bundles_base_image_is_that_of_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "arm64").mkdir()
    for folder, name in (("", "amd64"), ("arm64", "arm64")):
        digest = f"sha256:{'1' if folder else '0'}{'a' * 63}"
        text = f"# architecture: {name}\n# digest: {digest}\n"
        (tmp_path / folder / "debs.lock").write_text(text, encoding="utf-8")
    assert unbundle._base_name(tmp_path, "amd64") == local_name(f"sha256:0{'a' * 63}")  # noqa: SLF001 - one name
    assert unbundle._base_name(tmp_path, "arm64") == local_name(f"sha256:1{'a' * 63}")  # noqa: SLF001 - as above
