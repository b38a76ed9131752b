"""Whole builds without an engine: what BuildKit is given, what images are called, and when there is nothing to do."""

import dataclasses
import hashlib
import json
import shutil
import stat
import tarfile
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

import pytest
from machine import WHEELS, Machine, Project, settings_text

from pyrlab import __version__
from pyrlab.adapters.cran import repository
from pyrlab.adapters.debian import archive, rootfs
from pyrlab.commands.build import build
from pyrlab.errors import GoneError, StaleLockError
from pyrlab.model.changes import Change
from pyrlab.model.settings import Settings
from pyrlab.steps.images import INPUTS, Plan
from pyrlab.steps.materials import Materials, cache_id, seal

Warn = Callable[[dict[str, list[Change]]], None]
IMAGES = ["pylab", "pyrlab-base", "rlab", "rlab-base"]


@pytest.fixture
def locked(own: Project) -> Project:
    """Return a project that is locked, with a wheel and an R package of its own."""
    own.machine.add_wheel("numpy")
    own.write("requirements.in", "numpy")
    own.lock()
    own.machine.bakes.clear()
    return own


def unwarned(changes: dict[str, list[Change]]) -> None:
    """Take a warning where there must be none."""
    raise AssertionError(changes)


def run(own: Project, *names: str, locked: bool = True, warn: Warn = unwarned) -> list[str]:
    """Build, and return what was said."""
    said: list[str] = []
    build(own.settings, names, locked=locked, say=said.append, warn=warn)
    return said


def built(machine: Machine) -> list[str]:
    """Return the targets of the last build."""
    return sorted(machine.bakes[-1][0]) if machine.bakes else []


def test_all_images_are_built_in_one_call(locked: Project) -> None:
    assert run(locked)[0] == "building pyrlab-base, pylab, rlab-base, rlab"
    assert built(locked.machine) == IMAGES
    assert sorted(locked.machine.images) == sorted(locked.settings.tag(name) for name in IMAGES)


def test_what_the_locks_say_is_not_built_again(locked: Project) -> None:
    run(locked)
    locked.machine.bakes.clear()
    assert run(locked) == ["nothing to do: pyrlab-base, pylab, rlab-base, rlab are what the locks say"]
    assert run(locked, "rlab") == ["nothing to do: rlab is what the locks say"]
    assert locked.machine.bakes == []


def test_only_what_changed_is_built_again(locked: Project) -> None:
    run(locked)
    locked.machine.add_wheel("numpy", "2.0")
    locked.lock(packages="numpy")
    assert run(locked)[0] == "building pylab"
    assert built(locked.machine) == ["pylab"]
    del locked.machine.images[locked.settings.tag("rlab")]
    assert run(locked)[0] == "building rlab"


def test_an_image_that_somebody_else_made_under_the_name_is_not_taken_for_it(locked: Project) -> None:
    run(locked)
    locked.machine.images[locked.settings.tag("pylab")] = {"some": "label"}
    assert run(locked)[0] == "building pylab"


def test_a_target_is_what_bake_needs(locked: Project) -> None:
    """Into the engine, whatever builder is in use; contexts relative to the work folder."""
    run(locked, "pylab")
    target = dict(locked.machine.bakes[0][0]["pylab"])
    contexts = target.pop("contexts")
    target.pop("labels")
    target.pop("secret")
    arguments = target.pop("args")
    # Docker's own configuration may name proxies, with passwords: an argument that is set is not added.
    assert {"HTTP_PROXY", "https_proxy", "ALL_PROXY", "no_proxy"} < set(arguments)
    assert set(arguments.values()) == {""}
    assert target == {
        "context": "root",
        "dockerfile": "../Dockerfile",
        "target": "pylab",
        "tags": [locked.settings.tag("pylab")],
        "output": ["type=docker"],
    }
    given = [path.name for path in (locked.settings.workspace.work / "sections").iterdir()]
    assert contexts == {"recipe": "recipe", **{f"section.{name}": f"sections/{name}" for name in given}}


def test_labels_tell_what_an_image_is_and_what_it_was_made_from(locked: Project) -> None:
    locked.machine.origin = "https://me:secret@git.example/lab.git\n"
    run(locked)
    assert ["git", "-C", str(locked.folder), "remote", "get-url", "origin"] in locked.machine.commands
    labels = dict(locked.machine.images[locked.settings.tag("rlab")])
    locks = locked.locks
    assert labels.pop(INPUTS).startswith("sha256:")
    assert labels == {
        "org.opencontainers.image.title": "rlab",
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.source": "https://git.example/lab.git",
        "io.pyrlab.debs.lock": locks.debs.body,
        "io.pyrlab.r_packages.lock": locks.r.body if locks.r else "",
        **locked.settings.workspace.labels,
    }


def test_a_project_without_a_remote_has_no_source_label(locked: Project) -> None:
    """And its images are the same ones."""
    run(locked)
    labels = locked.machine.images[locked.settings.tag("pylab")]
    assert "org.opencontainers.image.source" not in labels
    locked.machine.origin = "https://git.example/lab.git"
    assert run(locked)[0].startswith("nothing to do")


@pytest.mark.parametrize(
    ("jobs", "limits"),
    [
        pytest.param("", "--timeout=3600", id="as-many-as-there-are-cores"),
        pytest.param("[build]\njobs = 3\ntimeout = 60", "--jobs=3 --timeout=60", id="bounded"),
    ],
)
def test_compilers_are_given_their_limits_and_the_users_seal(locked: Project, jobs: str, limits: str) -> None:
    """As secrets, which are in no layer and no key."""
    run(locked)
    locked.toml += jobs
    assert run(locked)[0].startswith("nothing to do")
    locked.machine.images.clear()
    run(locked)
    _, secrets = locked.machine.bakes[-1]
    assert secrets == {"limits": limits, "seal": seal(locked.settings)}


def test_a_build_is_given_just_the_sections_of_its_images(locked: Project) -> None:
    run(locked, "rlab-base")
    work = locked.settings.workspace.work
    given = sorted(path.name for path in (work / "sections").iterdir())
    assert given == ["pyrlab-base.debs", "rlab-base.debs", "root", "shared", "tools"]
    run(locked, "pylab")
    given = sorted(path.name for path in (work / "sections").iterdir())
    assert any(name.startswith("pylab.light-") for name in given)
    assert not any(name.startswith("rlab.") for name in given)


def test_a_section_is_its_files_and_what_the_lock_says_of_them(locked: Project) -> None:
    run(locked, "rlab-base")
    work = locked.settings.workspace.work
    folder = work / "sections/rlab-base.debs"
    (pin,) = locked.locks.debs.sections["rlab-base"]
    assert sorted(path.name for path in folder.iterdir()) == ["pins", "r-base-core_4.5.0-3_all.deb"]
    assert (folder / "pins").read_text(encoding="utf-8") == (
        f"{pin.sha256} r-base-core_4.5.0-3_all.deb r-base-core 4.5.0-3 requested\n"
    )
    assert (work / "recipe/debs/install-debs").read_bytes().startswith(b"#!")


def test_each_pinned_file_is_hashed_once(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are gigabytes. In a new work folder, too: what was fetched is then linked."""
    shutil.rmtree(locked.settings.workspace.work)
    hashed: list[str] = []

    def count(file: BufferedReader, algorithm: str) -> object:
        hashed.append(Path(file.name).name)
        return real(file, algorithm)

    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", count)
    run(locked)
    pinned = {path.name for path in (locked.cache / "files").iterdir()}
    found = [name for name in hashed if name in pinned]
    assert sorted(found) == sorted(set(found))
    assert len(found) > len(WHEELS)


def test_the_roots_tar_is_made_once(locked: Project) -> None:
    """It is large; another one is made where it is not whole, or of other packages."""
    run(locked)
    (tar,) = (locked.settings.workspace.work / "root").glob("*.tar")
    whole, made = tar.read_bytes(), tar.stat().st_ino
    locked.machine.images.clear()
    run(locked)
    assert tar.stat().st_ino == made
    tar.write_bytes(whole[:-1])
    locked.machine.images.clear()
    run(locked)
    assert tar.read_bytes() == whole
    locked.machine.add_deb("apt", "99")
    locked.lock(packages="apt")
    run(locked)
    (other,) = (locked.settings.workspace.work / "root").glob("*.tar")
    assert other.name != tar.name
    assert other.read_bytes() != whole


def test_a_variant_gets_the_root_that_the_project_has(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write it anew takes seconds, and as much room again."""
    run(locked)
    monkeypatch.setattr(rootfs, "tar_chunks", None)
    variant = locked.settings.of_variant("candidate")
    materials = Materials(variant)
    materials.provide([materials.root(locked.locks.debs.sections["root"])], r="", architecture="amd64", say=pytest.fail)
    (own,), (other,) = ((given.workspace.work / "root").glob("*.tar") for given in (locked.settings, variant))
    assert own != other
    assert own.samefile(other)


def test_what_apt_finds_in_the_root_is_in_the_roots_key(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's own sources are in it, those of the user are not: colleagues behind two mirrors have the same root."""
    own = Materials(locked.settings).origin
    locked.toml = locked.toml.replace("apt_sources", "# apt_sources")
    debian = Materials(locked.settings).origin
    assert own == debian
    assert debian.split()[0] == "trixie"
    moved = dataclasses.replace(archive.unstable_source(), uri="http://archive.example/debian")
    monkeypatch.setattr(rootfs, "unstable_source", lambda: moved)
    assert Materials(locked.settings).origin != debian


def test_the_recipe_of_r_packages_is_in_the_plan_of_rlab(locked: Project) -> None:
    """Another way to compile makes another library, and nothing else."""
    run(locked)
    script = locked.folder / "docker/install/r/install_packages.py"
    script.write_text(script.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert run(locked)[0] == "building rlab"


def test_locks_that_do_not_fit_the_lists_build_nothing(locked: Project) -> None:
    locked.write("base_debs.txt", "curl")
    with pytest.raises(StaleLockError):
        run(locked)
    assert locked.machine.bakes == []


def test_locks_of_another_machine_build_nothing(locked: Project) -> None:
    locked.machine.architecture = "arm64"
    with pytest.raises(StaleLockError, match="arm64"):
        run(locked)
    assert locked.machine.bakes == []


def test_a_package_that_the_archive_dropped_is_locked_anew(locked: Project) -> None:
    """That package alone, and the user is told."""
    locked.machine.add_deb("r-base-core", "4.5.0-4")
    locked.machine.add_deb("locales", "99")
    locked.machine.drop_deb("r-base-core", "4.5.0-3")
    told: list[dict[str, list[Change]]] = []
    with pytest.raises(GoneError, match=r"^the archive no longer has r-base-core 4\.5\.0-3$"):
        run(locked)
    run(locked, locked=False, warn=told.append)
    assert [str(change.name) for change in told[0]["debs.lock"]] == ["r-base-core (rlab-base)"]
    assert built(locked.machine) == IMAGES


def test_what_stays_of_a_build_is_enough_to_do_it_by_hand(locked: Project) -> None:
    run(locked)
    work = locked.settings.workspace.work
    assert json.loads((work / "bake.json").read_text(encoding="utf-8"))["group"]["default"]["targets"] == IMAGES
    assert (work / "Dockerfile").read_text(encoding="utf-8") == Plan(locked.settings, locked.locks).dockerfile


def test_a_cache_is_of_one_user_suite_and_machine(locked: Project) -> None:
    """The seal itself is a secret: it is not what the mount is called."""
    name = cache_id(locked.settings, "amd64")
    assert name == cache_id(locked.settings, "amd64")
    assert name.endswith("-trixie-amd64")
    assert cache_id(locked.settings, "arm64") == name.replace("amd64", "arm64")
    assert seal(locked.settings)[:16] not in name
    assert f"id={name}-r,target=/var/cache/pyrlab-r" in Plan(locked.settings, locked.locks).dockerfile
    (locked.cache / "seal").unlink()
    assert cache_id(locked.settings, "amd64") != name


def test_a_file_system_without_hard_links_keeps_a_seal_too(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (locked.cache / "seal").unlink(missing_ok=True)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    found = seal(locked.settings)
    assert (found, len(found)) == (seal(locked.settings), 64)
    assert stat.S_IMODE((locked.cache / "seal").stat().st_mode) == 0o600


def test_steps_that_ran_are_told(locked: Project) -> None:
    locked.machine.output = ["#7 [rlab rlab-system 2/2] RUN install", "#7 DONE 1.5s"]
    assert run(locked, "rlab")[-1] == "rlab-system: 1.5 s"


def test_r_packages_are_brought_for_the_r_and_the_machine_of_the_lock(
    own: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that did not lock them."""
    own.toml = settings_text(own.machine, repositories=("debian", "mine"))
    own.machine.add_r("plain", "1.0")
    own.write("r_packages.txt", "plain")
    own.lock()
    shutil.rmtree(own.cache)
    asked = []

    def connect(given: Settings, *, r: str, architecture: str) -> dict[str, repository.Repository]:
        asked.append((r, architecture))
        return real(given, r=r, architecture=architecture)

    real = repository.connect
    monkeypatch.setattr(repository, "connect", connect)
    assert "downloading 1 R package" in run(own)
    assert asked == [("4.5.0", "amd64")]


def test_a_project_without_r_packages_is_built(own: Project) -> None:
    """Its graph has no image for them."""
    graph = own.folder / "docker/images.toml"
    text = graph.read_text(encoding="utf-8")
    text = text.replace('r = "r_packages.txt"\nr_needed = ["IRkernel"]\n', "").replace('ir = "R"', "")
    graph.write_text(text.replace('"python",  }', '"python" }'), encoding="utf-8")
    assert "IRkernel" not in graph.read_text(encoding="utf-8")
    assert list(own.lock()) == ["debs.lock", "requirements.lock"]
    assert own.machine.questions[0].request.keys() >= {"images", "names"}
    assert "r" not in own.machine.questions[0].request
    assert run(own)[0] == "building pyrlab-base, pylab, rlab-base, rlab"
    assert run(own)[0].startswith("nothing to do")


def test_debians_own_sources_are_in_a_root_of_debians(locked: Project) -> None:
    pins = locked.locks.debs.sections["root"]
    locked.toml = locked.toml.replace("apt_sources", "# apt_sources")
    materials = Materials(locked.settings)
    materials.provide([materials.root(pins)], r="", architecture="amd64", say=pytest.fail)
    (root,) = (materials.work / "root").glob("*.tar")
    with tarfile.open(root) as tar:
        listed = tar.extractfile("etc/apt/sources.list")
        assert listed
        suites = [line.split()[2] for line in listed.read().decode().splitlines()]
        assert tar.getmember("usr/share/doc/apt/copyright").isfile()
    assert suites == ["trixie", "trixie-updates", "trixie-security"]
