"""`clean` on an engine that is played: what goes, what that frees, and what never goes."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from machine import Project

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.cleaning import StoredImage, stale_images
from pyrlab.model.settings import Settings

CommandLine = Callable[..., tuple[int, str, str]]


@dataclass
class Stored:
    """What an engine stores. ``images`` are tags, labels and own bytes by id; ``used`` are those of containers."""

    images: dict[str, tuple[list[str], dict[str, str], int]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    cache: int = 0

    def df(self) -> dict[str, Any]:
        """Return what `docker system df` asks for: each image shares 1000 bytes with others."""
        return {
            "Images": [
                {"Id": id_, "RepoTags": tags or None, "Labels": labels, "Size": size + 1000, "SharedSize": 1000}
                for id_, (tags, labels, size) in self.images.items()
            ],
            "Containers": [{"ImageID": id_} for id_ in self.used],
            "BuildCache": [{"Size": self.cache, "Shared": False}, {"Size": 10**12, "Shared": True}],
            "LayersSize": sum(size for _, _, size in self.images.values()),
        }

    def remove(self, name: str, *, noprune: bool) -> None:
        """Remove a tag with the image that has no other, or an image without one, as Docker does."""
        assert not noprune
        for id_, (tags, _, _) in self.images.items():
            if name == id_ or name in tags:
                if len(tags) > 1 and name == id_:
                    raise APIError("conflict", response=SimpleNamespace(status_code=409))  # type: ignore[arg-type]
                if id_ in self.used and tags in ([], [name]):
                    raise APIError("conflict", response=SimpleNamespace(status_code=409))  # type: ignore[arg-type]
                if name in tags:
                    tags.remove(name)
                if not tags:
                    del self.images[id_]
                return
        raise ImageNotFound(name)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Play an engine that only stores."""
    return play(monkeypatch)


def play(monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Play an engine that only stores."""
    stored = Stored()
    for name in ("find", "find_server"):
        monkeypatch.setattr(engine, name, lambda: engine.Engine("26", "amd64"))
    monkeypatch.setattr(engine, "client", lambda: SimpleNamespace(df=stored.df, images=stored))
    return stored


@pytest.fixture
def settings(
    project: Path, tmp_path: Path, stored: Stored, no_programs: None, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Return the settings of a project in which this test stands."""
    del stored, no_programs
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return read_settings(project, dict(os.environ))


@pytest.fixture
def run(settings: Settings, command_line: CommandLine) -> Callable[..., str]:
    """Return a runner of `clean`, which must succeed."""
    del settings

    def call(*arguments: str) -> str:
        status, said, told = command_line("clean", *arguments)
        assert status == 0, told
        return said

    return call


def keep_generation(settings: Settings, number: int, images: dict[str, str], lock: str = "") -> Path:
    """Make a generation as an upgrade keeps it."""
    folder = settings.workspace.work / f"generations/g{number}"
    folder.mkdir(parents=True)
    said = {"replaced": 1.0, "summary": "all", "images": images}
    (folder / "generation.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "requirements.lock").write_text(lock, encoding="utf-8")
    return folder


def test_candidates_and_replaced_images_go_and_nothing_else(
    stored: Stored, settings: Settings, run: Callable[..., str]
) -> None:
    own = settings.workspace.labels
    tag = settings.tag("pylab")
    stored.images = {
        "present": ([tag], own, 10),
        "replaced": ([], own, 3_000_000),
        "candidate": ([f"{tag}-candidate"], own, 2_000_000_000),
        "used-candidate": ([f"{settings.tag('rlab')}-candidate"], own, 10),
        "previous": ([f"{tag}-g1"], own, 10),
        "forgotten": ([f"{tag}-g7"], own, 5_000_000),
        "running": ([], own, 10),
        "pushed": (["registry.example/team/pylab:v1", f"{tag}-newest"], own, 10),
        "other-project": ([], {**own, "io.pyrlab.project": "00000000"}, 10),
        "other-user": ([], {**own, "io.pyrlab.user": "4321"}, 10),
        "stranger": ([], {}, 10),
    }
    stored.used = {"running", "used-candidate"}
    keep_generation(settings, 1, {"pylab": "previous"})

    shown = run()
    rows = [line.split("  ")[0] for line in shown.splitlines()[1:-1]]
    assert sorted(rows) == [
        "1 image that later builds replaced",
        f"image {tag}-candidate",
        f"image {tag}-g7",
        f"image {tag}-newest",
    ]
    assert shown.splitlines()[-1] == "In all 2.0 GB or more: nox -s clean -- --yes removes it."
    assert len(stored.images) == 11, "nothing goes before --yes"

    assert run("--yes").splitlines()[-1] == "Removed: 2.0 GB are free again."
    gone = {"replaced", "candidate", "forgotten"}
    assert not gone & stored.images.keys()
    assert len(stored.images) == 8
    assert stored.images["pushed"][0] == ["registry.example/team/pylab:v1"]
    assert run() == "Nothing to remove.\n"


@pytest.mark.parametrize("tag", ["latest-slim", "latest-candidate2", "latest-g1x", "latest"])
def test_a_tag_that_pyrlab_did_not_give_keeps_its_image(load_settings: Callable[..., Settings], tag: str) -> None:
    settings = load_settings('[images]\ntag = "latest"\n')
    image = StoredImage("x", (f"pylab:{tag}",), settings.workspace.labels, 5)
    assert stale_images(settings, [image], kept_tags=(), kept_ids=()) == []


def put(folder: Path, name: str, *, size: int = 100, days: float = 2) -> Path:
    """Make a file that was last used some days ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - days * 86400, time.time()))
    return path


def test_what_the_store_has_for_nobody_goes(settings: Settings, run: Callable[..., str], tmp_path: Path) -> None:
    """Not what was used today, what a work folder links to, or what the locks or a generation's name."""
    files = settings.cache / "files"
    names = {
        name: f"{number:064x}"
        for number, name in enumerate(("old", "today", "linked", "pinned", "other", "before", "left"))
    }
    for name, sha256 in names.items():
        put(files, sha256, days=0 if name == "today" else 2)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/linked.whl").hardlink_to(files / names["linked"])
    variant = settings.workspace.work / "variants/candidate/sections/x"
    variant.mkdir(parents=True)
    (variant / "left.whl").hardlink_to(files / names["left"])
    (settings.project / "requirements.lock").write_text(f"x==1 --hash=sha256:{names['pinned']}\n", encoding="utf-8")
    (settings.project / "arm64").mkdir()
    (settings.project / "arm64/debs.lock").write_text(f"x 1 arm64 sha256:{names['other']}\n", encoding="utf-8")
    keep_generation(settings, 1, {}, f"x==0 --hash=sha256:{names['before']}\n")

    shown = run()
    assert "2 files of the store that nobody used for a day  200 B" in shown
    assert "folder .pyrlab/variants" in shown
    assert run("--yes").endswith("Removed: 200 B are free again.\n")
    left = {name for name, sha256 in names.items() if (files / sha256).exists()}
    assert left == {"today", "linked", "pinned", "other", "before"}


def test_what_builds_and_questions_left_goes_from_the_work_folder(settings: Settings, run: Callable[..., str]) -> None:
    """Reports, generations and what git shall not see stay."""
    work = settings.workspace.work
    put(work / "root", "root.tar", size=3_000_000)
    put(work / "lock-python/answer", "requirements.lock")
    put(work / "upgrade", "report.html")
    put(work / "sections/pylab.numpy", "numpy.whl")
    generation = keep_generation(settings, 1, {})
    assert "folder .pyrlab/root" in run()
    assert (work / "root").is_dir()
    assert "Removed: 3.0 MB are free again." in run("--yes")
    left = {path.name for path in work.iterdir()}
    assert left >= {"upgrade", "generations", "sections"}, "of which lock the sections are cannot be told"
    assert not left & {"root", "lock-python"}
    assert generation.is_dir()


def test_the_build_cache_of_all_projects_is_told_and_left(stored: Stored, run: Callable[..., str]) -> None:
    stored.cache = 12_300_000_000
    assert run().splitlines() == [
        "Nothing to remove.",
        "The engine's build cache, 12.3 GB, is of all projects together, and stays: docker builder prune empties it.",
    ]


def test_sections_of_earlier_locks_go_and_those_of_the_locks_stay(
    own: Project, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.lock()
    play(monkeypatch)
    sections = own.settings.workspace.work / "sections"
    present = {path.name for path in sections.iterdir()}
    put(sections / "pylab.gone", "gone.whl")
    monkeypatch.chdir(own.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(own.cache.parent))
    status, said, _ = command_line("clean", "--yes")
    assert status == 0
    assert "folder .pyrlab/sections/pylab.gone" in said
    assert {path.name for path in sections.iterdir()} == present != set()
