"""`unbundle`: verifies what `bundle` wrote, loads its images, and writes its project into a folder of its own.

It runs where only Python and Docker are: all that it imports is Python's own, or pyrlab's.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyrlab.adapters import files, temporary
from pyrlab.adapters.bundle_file import BundleFile
from pyrlab.adapters.docker import archives, engine
from pyrlab.adapters.store import Store
from pyrlab.errors import EngineError, UsageError
from pyrlab.model import graph
from pyrlab.model.base_image import local_name
from pyrlab.model.bundle import PROJECT, ROOT, SOURCES, TOOLKIT, Manifest
from pyrlab.model.graph import Graph
from pyrlab.model.workspace import WORK, Workspace, check_prefix, check_tag

Say = Callable[[str], None]
SETTINGS = "pyrlab.toml"
# Where the session finds the packages that pyrlab itself runs with.
TOOLKIT_FOLDER = f"{WORK}/{TOOLKIT}"
# Of debs.lock: to read it whole takes packages that are not here.
_ARCHITECTURE = re.compile(r"^# architecture: (\S+)$", re.MULTILINE)
_DIGEST = re.compile(r"^# digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)
_REMEDY = "mend it where it comes from, and bundle it again"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The project's folder, the tag of each image, and what the bundle had beside: its labs with their ports."""

    folder: Path
    tags: Mapping[str, str]
    labs: Mapping[str, int]
    python: str
    has_sources: bool


def unbundle(archive: Path, folder: Path | None, *, cache: Path, say: Say) -> Outcome:
    """Verify ``archive``, then load its images, and write its project into ``folder``, or one of the project's name.

    The files that the locks pin go into the store in ``cache``. Nothing is loaded or written before every byte was
    read; the folder is there when all of it is in it.
    Raises UsageError for a folder with files in it, HashMismatchError for an archive that is not whole, EngineError.
    """
    found = engine.find()
    try:
        file = archive.open("rb")
    except OSError as error:
        raise UsageError(f"{archive} cannot be read: {error.strerror}", remedy="name the file of bundle") from error
    with file:
        bundle = BundleFile(file, archive.name)
        if folder is not None:
            _need_new(folder)
        say(f"verifying {archive.name}")
        manifest = bundle.verify()
        target = (folder or Path(manifest.project)).absolute()
        _need_new(target)
        if manifest.architecture != found.architecture:
            raise EngineError(
                f"the images are for {manifest.architecture}, and the engine is {found.architecture}",
                remedy=f"use an engine on {manifest.architecture}",
            )
        with temporary.folder(target.parent) as half, files.filling(half):
            say(f"writing {len(manifest.within(PROJECT))} files")
            _write(bundle, manifest, half / "project")
            _keep_sources(bundle, manifest, Store(cache / "files"))
            workspace, own = _workspace(half / "project", target)
            tags = {image.name: workspace.tag(image.name) for image in manifest.images}
            if ROOT in tags:
                tags[ROOT] = _base_name(half / "project", manifest.architecture)
            say("loading the images")
            with bundle.layout(manifest) as layout:
                ids = archives.load(layout, manifest.images)
            for image in manifest.images:
                archives.rename(image, tags[image.name])
            # An empty folder may be there. One that somebody has just put a file into stays.
            _need_new(target)
            (half / "project").replace(target)
    labs = {name: lab.port for name, lab in own.labs.items() if name in ids}
    return Outcome(
        target,
        {name: tag for name, tag in tags.items() if name != ROOT},
        labs,
        python=manifest.python,
        has_sources=bool(manifest.within(SOURCES)),
    )


def _need_new(folder: Path) -> None:
    """Raise UsageError unless nothing is there that could be written over."""
    is_empty = not folder.is_symlink() and folder.is_dir() and not any(folder.iterdir())
    if (folder.exists() or folder.is_symlink()) and not is_empty:
        raise UsageError(f"{folder} is there already", remedy="name a new folder behind the file, or an empty one")
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {folder.absolute().parent}", remedy="make it, or name another one")


def _write(bundle: BundleFile, manifest: Manifest, folder: Path) -> None:
    groups = {PROJECT: folder, TOOLKIT: folder / TOOLKIT_FOLDER}
    for group, place in groups.items():
        for name, member in manifest.within(group).items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                for chunk in bundle.chunks(member):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            with path.open("rb") as file:
                path.chmod(0o755 if file.read(2) == b"#!" else 0o644)
    (folder / WORK).mkdir(exist_ok=True)
    (folder / WORK / ".gitignore").write_text("*\n", encoding="utf-8")
    for made in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        made.chmod(0o755)


def _keep_sources(bundle: BundleFile, manifest: Manifest, store: Store) -> None:
    for sha256, member in manifest.within(SOURCES).items():
        if store.get(sha256) is None:
            store.add(bundle.chunks(member), sha256=sha256, size=member.size, name=sha256)


def _base_name(project: Path, architecture: str) -> str:
    """Return what build looks for where the registry of the base image cannot be asked. Raises UsageError."""
    lock, apart = graph.DEBS_LOCK, f"{architecture}/{graph.DEBS_LOCK}"
    own = _ARCHITECTURE.search(_text(project, lock)) if (project / lock).exists() else None
    if (own is None or own[1] != architecture) and (project / apart).exists():
        lock = apart
    found = _DIGEST.search(_text(project, lock))
    if found is None:
        raise UsageError(f"the bundle has a base image, and its {lock} pins none", remedy=_REMEDY)
    return local_name(found[1])


def _workspace(project: Path, target: Path) -> tuple[Workspace, Graph]:
    """Return the workspace that the project will be in ``target``, and its image graph.

    Of the settings only what images are called is read: others may name variables that this machine does not have.
    """
    images = _images(_text(project, SETTINGS)) if (project / SETTINGS).exists() else {}
    prefix, tag = (str(images.get(key, "")) for key in ("prefix", "tag"))
    resolved = target.parent.resolve() / target.name
    workspace = Workspace(
        project=resolved,
        work=resolved / WORK,
        cache=Path(),
        owner=os.getuid(),
        prefix=check_prefix(prefix, f"{SETTINGS}: images.prefix"),
        fixed_tag=check_tag(tag, f"{SETTINGS}: images.tag"),
    )
    return workspace, Graph.parse(_text(project, graph.FILE))


def _images(settings: str) -> Mapping[str, object]:
    """Return what settings say of images. Raises UsageError."""
    try:
        images = tomllib.loads(settings).get("images", {})
    except ValueError as error:
        raise _unreadable(SETTINGS, error) from error
    if not isinstance(images, dict):
        raise UsageError(f"{SETTINGS}: images is no table", remedy=_REMEDY)
    return images


def _text(project: Path, name: str) -> str:
    try:
        return (project / name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(name, error) from error
    except OSError as error:
        # Its own words name a folder that goes with this error.
        raise _unreadable(name, error.strerror) from error


def _unreadable(name: str, reason: object) -> UsageError:
    return UsageError(f"{name} cannot be read: {reason}", remedy=_REMEDY)
