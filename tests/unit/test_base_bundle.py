"""A project on a base image of a registry goes to a machine without a network, and is built again there."""

import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from machine import Machine, Project
from registry_play import IMAGE, LAYER, PlayedRegistry, digest, stand_on_image

from pyrlab.adapters import lock_files, process
from pyrlab.adapters.bundle_file import BundleFile
from pyrlab.adapters.docker import engine
from pyrlab.adapters.docker.engine import Engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.commands import clean
from pyrlab.commands.bundle import bundle
from pyrlab.commands.unbundle import unbundle
from pyrlab.errors import NetworkError, NoRoomError, UsageError
from pyrlab.model.bundle import Manifest
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.settings import Settings
from pyrlab.steps import brought
from pyrlab.steps.images import Plan


@dataclass
class Docker:
    """Plays the engine's own images: ``images`` are the layers' digests by tag, ``pulled`` what was brought.

    ``fails`` is what a pull prints instead of bringing anything.
    """

    machine: Machine
    registry: PlayedRegistry
    images: dict[str, list[str]] = field(default_factory=dict)
    pulled: list[str] = field(default_factory=list)
    fails: str = ""

    def get(self, tag: str) -> object:
        """Take the place of ``images.get``."""
        if tag in self.images:
            return SimpleNamespace(attrs={"RootFS": {"Layers": self.images[tag]}})
        return self.machine.get(tag)

    def run(self, command: Sequence[str], *, stdin: BinaryIO | None = None, **given: Any) -> str:  # noqa: ANN401
        """Take the place of process.run."""
        match command:
            case ["docker", "pull", "--quiet", reference]:
                if self.fails:
                    raise process.CommandError(command, "ended with status 1", self.fails)
                self.pulled.append(reference)
            case ["docker", "image", "tag", source, tag]:
                assert source in {*self.images, *self.pulled}
                self.images[tag] = self.images.get(source, [digest(LAYER)])
            case ["docker", "image", "rm", "--no-prune", tag]:
                del self.images[tag]
            case ["docker", "save", "--output", target, *tags]:
                self._save(Path(target), tags)
            case ["docker", "load"]:
                assert stdin
                self._load(stdin)
            case ["docker", "image", "inspect", "--format", what, tag]:
                return json.dumps(self.images[tag]) if "Layers" in what else "sha256:1"
            case _:
                return self.machine.run(command, **given)
        return ""

    def _save(self, target: Path, tags: Sequence[str]) -> None:
        files: dict[str, bytes] = {}

        def blob(content: bytes) -> str:
            name = f"blobs/sha256/{digest(content).removeprefix('sha256:')}"
            files[name] = content
            return name

        entries = []
        for tag in tags:
            base = tag.startswith("pyrlab-root:")
            assert not base or tag in self.images
            layers = [LAYER] if base else [LAYER, tag.encode()]
            own = {"rootfs": {"diff_ids": [digest(layer) for layer in layers]}}
            config = self._base_config() if base else json.dumps(own).encode()
            entries.append({"Config": blob(config), "RepoTags": [tag], "Layers": [blob(layer) for layer in layers]})
        files["manifest.json"] = json.dumps(entries).encode()
        with tarfile.open(target, "w") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    def _base_config(self) -> bytes:
        pinned = self.pulled[-1].partition("@")[2]
        manifest = json.loads(self.registry.manifests[pinned][1])
        return self.registry.blobs[manifest["config"]["digest"]]

    def _load(self, stdin: BinaryIO) -> None:
        with os.fdopen(os.dup(stdin.fileno()), "rb") as own, tarfile.open(fileobj=own, mode="r|") as tar:
            files = {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}
        for entry in json.loads(files["manifest.json"]):
            layers = json.loads(files[entry["Config"]])["rootfs"]["diff_ids"]
            self.images |= dict.fromkeys(entry["RepoTags"], layers)


@pytest.fixture
def based(own: Project, monkeypatch: pytest.MonkeyPatch) -> tuple[Project, Docker]:
    """Return a locked project on a base image, with all its images built, and the engine."""
    docker = Docker(own.machine, stand_on_image(own))
    own.lock()
    monkeypatch.setattr(Plan, "is_current", lambda *_: True)
    monkeypatch.setattr(process, "run", docker.run)
    monkeypatch.setattr(engine, "find", lambda: Engine("26", "amd64"))
    monkeypatch.setattr(engine, "client", lambda: SimpleNamespace(images=docker))
    return own, docker


def verify(path: Path) -> Manifest:
    """Verify an archive."""
    with path.open("rb") as file:
        return BundleFile(file, path.name).verify()


def base_of(project: Project) -> Any:  # noqa: ANN401 - mypy cannot know that there is one
    """Return what the lock pins."""
    return project.locks.debs.base


@dataclass
class There:
    """The machine without a network, where the project was taken out of the bundle."""

    settings: Settings
    debs: DebsLock
    tags: set[str]

    def dockerfile(self) -> str:
        """Build, and return what was built from."""
        plan = Plan(self.settings, lock_files.read_locks(self.settings))
        plan.build(["pyrlab-base"], say=lambda _: None)
        return (self.settings.workspace.work / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture
def carry(based: tuple[Project, Docker], tmp_path: Path) -> Callable[..., There]:
    """Return a way to carry the project over: it has no cache there, and no registry."""
    project, docker = based

    def go(*, sources: bool) -> There:
        path = bundle(project.settings, tmp_path / "a.tar", sources=sources, say=lambda _: None).path
        docker.images.clear()
        docker.fails = "dial tcp: lookup registry.test: no such host"
        project.machine.servers.clear()
        cache = tmp_path / "there"
        done = unbundle(path, tmp_path / "offline", cache=cache / "pyrlab", say=lambda _: None)
        assert set(done.tags) == set(project.settings.graph.images)
        settings = read_settings(done.folder, {"XDG_CACHE_HOME": str(cache)})
        return There(settings, lock_files.read_locks(settings).debs, set(docker.images))

    return go


def test_the_images_alone_need_nothing_of_the_registry(based: tuple[Project, Docker], tmp_path: Path) -> None:
    project, docker = based
    docker.registry.asked.clear()
    manifest = verify(bundle(project.settings, tmp_path / "a.tar", sources=False, say=lambda _: None).path)
    assert [image.name for image in manifest.images] == sorted(project.settings.graph.images)
    assert (docker.pulled, docker.registry.asked) == ([], [])


def test_with_sources_the_base_image_goes_along(based: tuple[Project, Docker], tmp_path: Path) -> None:
    project, docker = based
    before = set(docker.images)
    said: list[str] = []
    first = bundle(project.settings, tmp_path / "a.tar", sources=True, say=said.append)
    manifest = verify(first.path)
    assert {image.name for image in manifest.images} == {*project.settings.graph.images, "root"}
    assert docker.pulled == [base_of(project).reference]
    assert f"saving the images, and {IMAGE}" in said
    assert base_of(project).digest.removeprefix("sha256:") in manifest.within("sources")
    # Its name was for a while.
    assert set(docker.images) == before
    docker.images[base_of(project).here] = [digest(LAYER)]
    assert bundle(project.settings, tmp_path / "b.tar", sources=True, say=said.append).sha256 == first.sha256
    # One that came in a bundle is what build stands on where the registry cannot be asked.
    assert base_of(project).here in docker.images


def test_it_is_built_again_where_nobody_can_ask_the_registry(
    based: tuple[Project, Docker], carry: Callable[..., There]
) -> None:
    """From the image that came along, and to the same images: what decides them has no part in where it came from."""
    project, docker = based
    keys = Plan(project.settings, project.locks).keys
    there = carry(sources=True)
    assert there.debs.base
    assert f"FROM {there.debs.base.here} AS root\n" in there.dockerfile()
    assert there.debs.base.here in there.tags
    assert Plan(there.settings, lock_files.read_locks(there.settings)).keys == keys
    # Another image by that name is not taken for it.
    docker.images[there.debs.base.here] = [digest(b"another layer")]
    assert f"FROM {there.debs.base.reference} AS root\n" in there.dockerfile()
    docker.images.clear()
    assert f"FROM {there.debs.base.reference} AS root\n" in there.dockerfile()


def test_clean_leaves_what_the_image_is_known_by(carry: Callable[..., There]) -> None:
    there = carry(sources=True)
    for path in (there.settings.cache / "files").iterdir():
        os.utime(path, (1, 1))
    clean.clean(there.settings, clean.Garbage((), {}, {}, 0))
    assert there.debs.base
    assert f"FROM {there.debs.base.here} AS root\n" in there.dockerfile()


@pytest.mark.parametrize("name", ["../../precious", "{path}", 5])
def test_a_manifest_leads_to_nothing_but_the_store(carry: Callable[..., There], name: object) -> None:
    """It came in a bundle: a file that it names elsewhere is neither taken nor removed as one that is damaged."""
    there = carry(sources=True)
    precious = there.settings.cache.parent / "precious"
    precious.write_text("mine", encoding="utf-8")
    said = name.format(path=precious) if isinstance(name, str) else name
    manifest = json.dumps({"config": {"digest": said}}).encode()
    store = there.settings.cache / "files"
    for content in (manifest, b"no JSON"):
        (store / digest(content).removeprefix("sha256:")).write_bytes(content)
        assert there.debs.base
        base = replace(there.debs.base, digest=digest(content))
        assert not brought.is_here(there.settings, base)
        assert brought.pinned(there.settings, base) == {digest(content).removeprefix("sha256:")}
    assert precious.read_text("utf-8") == "mine"


def test_without_sources_the_registry_is_asked(carry: Callable[..., There]) -> None:
    there = carry(sources=False)
    assert there.debs.base
    assert there.debs.base.here not in there.tags


@pytest.mark.parametrize(
    ("said", "error", "remedy"),
    [
        pytest.param("unauthorized: authentication required", NetworkError, "docker login registry.test", id="user"),
        pytest.param("write /var: no space left on device", NoRoomError, "nox -s clean", id="full"),
    ],
)
def test_an_engine_that_cannot_bring_it_is_told(
    based: tuple[Project, Docker], tmp_path: Path, said: str, error: type[Exception], remedy: str
) -> None:
    project, docker = based
    docker.fails = said
    with pytest.raises(error) as caught:
        bundle(project.settings, tmp_path / "a.tar", sources=True, say=lambda _: None)
    assert remedy in getattr(caught.value, "remedy", "")
    assert not (tmp_path / "a.tar").exists()


def test_a_bundle_with_a_base_image_that_no_lock_pins_is_refused(
    based: tuple[Project, Docker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, docker = based
    path = bundle(project.settings, tmp_path / "a.tar", sources=True, say=lambda _: None).path
    docker.images.clear()
    monkeypatch.setattr("pyrlab.commands.unbundle.graph.DEBS_LOCK", "base_debs.txt")
    with pytest.raises(UsageError, match=r"has a base image, and its base_debs.txt pins none"):
        unbundle(path, tmp_path / "offline", cache=tmp_path / "there", say=lambda _: None)
    assert (docker.images, (tmp_path / "offline").exists()) == ({}, False)
