"""The folder of R files that a build is given: just what the lock names, from a repository that is a folder."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrlab.errors import HashMismatchError
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.settings import Settings
from pyrlab.steps.fetch import provide

BYTES = {"source": b"source of cli", "binary": b"binary of cli"}
SHA256 = {kind: hashlib.sha256(data).hexdigest() for kind, data in BYTES.items()}
PATHS = {"source": "src/contrib/cli_3.6.5.tar.gz", "binary": "bin/contrib/cli_3.6.5.tar.gz"}


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Return a repository with both files of cli."""
    for kind, path in PATHS.items():
        file = tmp_path / "shelf" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(BYTES[kind])
    return tmp_path / "shelf"


@pytest.fixture
def settings(load_settings: Callable[..., Settings], shelf: Path, tmp_path: Path) -> Settings:
    """Return the settings of a project with that repository."""
    toml = f'[r]\nrepositories = ["debian", "mine={shelf.as_uri()}"]'
    return load_settings(toml, XDG_CACHE_HOME=str(tmp_path / "cache"))


def bring(settings: Settings, *kinds: str) -> tuple[dict[str, bytes], list[str]]:
    """Bring the files of cli that a lock has of these kinds; return what is in the folder, and what was told."""
    files = tuple(RFile(kind, PATHS[kind], SHA256[kind]) for kind in kinds)
    pins = (RPin("cli", "3.6.5", "mine", requested=True, files=files),) if kinds else ()
    told: list[str] = []
    lock = RLock("sha256:0", "4.5.0", ("debian", "mine"), pins, ())
    provide(settings, lock, r="4.5.0", architecture="amd64", say=told.append)
    folder = settings.project / ".pyrlab" / "r-files"
    return {path.name: path.read_bytes() for path in folder.iterdir()}, told


@pytest.mark.parametrize(
    ("kinds", "brought"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(["source"], ["source"], id="source"),
        pytest.param(["source", "binary"], ["binary"], id="binary-before-source"),
    ],
)
def test_each_package_brings_one_file_under_its_hash(settings: Settings, kinds: list[str], brought: list[str]) -> None:
    """A binary spares compiling."""
    assert bring(settings, *kinds)[0] == {SHA256[kind]: BYTES[kind] for kind in brought}


def test_where_the_binary_is_gone_the_source_is_brought(settings: Settings, shelf: Path) -> None:
    """Repositories keep binaries for less long."""
    (shelf / PATHS["binary"]).unlink()
    assert bring(settings, "source", "binary")[0] == {SHA256["source"]: BYTES["source"]}


def test_where_the_binary_has_other_bytes_the_source_is_brought(settings: Settings, shelf: Path) -> None:
    """They are not what was locked."""
    (shelf / PATHS["binary"]).write_bytes(b"rebuilt")
    assert bring(settings, "source", "binary")[0] == {SHA256["source"]: BYTES["source"]}


def test_a_source_with_other_bytes_is_refused(settings: Settings, shelf: Path) -> None:
    """There is nothing left to take in its place."""
    (shelf / PATHS["source"]).write_bytes(b"changed")
    with pytest.raises(HashMismatchError, match=r"^cli: cli_3\.6\.5\.tar\.gz in mine is not the file that was locked$"):
        bring(settings, "source")


@pytest.mark.parametrize(
    "kinds", [pytest.param(["source"], id="source"), pytest.param(["source", "binary"], id="binary-and-source")]
)
def test_what_is_there_needs_no_repository(settings: Settings, shelf: Path, kinds: list[str]) -> None:
    """A second build downloads nothing, and says nothing of it."""
    first, told = bring(settings, *kinds)
    assert told == ["downloading R packages"]
    for kind in kinds:
        (shelf / PATHS[kind]).unlink()
    assert bring(settings, *kinds) == (first, [])


def test_what_no_lock_names_any_more_leaves_the_folder(settings: Settings) -> None:
    """Or the build's context would grow for ever."""
    bring(settings, "source")
    assert bring(settings)[0] == {}
