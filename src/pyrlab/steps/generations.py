"""Generations: what a project had before each upgrade, locks and images, and the one way to change both together.

Each generation is a folder in the work folder, whose images are kept by a tag of its own. A change of locks and tags is
noted as a whole before it begins: a run that is killed in between is finished by the next one.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pyrlab.adapters import files, temporary
from pyrlab.adapters.docker import tags
from pyrlab.errors import UsageError
from pyrlab.model.graph import DEBS_LOCK, lock_of
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.held import FILE as HELD

FOLDER, NOTE, CHANGE = "generations", "generation.json", "change.json"
_NAME = re.compile(r"g(?P<number>\d{1,6})")


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of before: its number, when an upgrade replaced it, what it was, and the ids of its images by name."""

    number: int
    replaced: float
    summary: str
    images: Mapping[str, str]
    folder: Path

    @property
    def variant(self) -> str:
        """The name of the variant whose tags its images have."""
        return f"g{self.number}"

    def table(self) -> dict[str, Any]:
        """Return it for JSON; ``replaced`` is in ISO 8601, UTC."""
        replaced = datetime.fromtimestamp(self.replaced, tz=UTC).isoformat(timespec="seconds")
        return {
            "number": self.number,
            "replaced": replaced,
            "summary": self.summary,
            "images": dict(self.images),
            "folder": str(self.folder),
        }


@dataclass(frozen=True, slots=True)
class Change:
    """Files to write, or to remove where the text is None, by name; and image ids by tag.

    ``before`` are the same files as they were: whoever has changed one since is not overwritten. ``forget`` is the
    number of a generation that is gone afterwards, as it is the present again. ``locks_of`` is noted when it is
    applied: whichever run finishes it, on whichever engine, the locks are those of the run that was killed.
    """

    files: Mapping[str, str | None]
    before: Mapping[str, str | None]
    tags: Mapping[str, str] = field(default_factory=dict)
    forget: int | None = None
    locks_of: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what is noted of a change. Raises ValueError or TypeError."""
        return cls(**json.loads(text))


def all_of(settings: Settings) -> list[Generation]:
    """Return the generations of a project, the latest first. What cannot be read is none."""
    found = []
    parent = _parent(settings)
    for folder in parent.iterdir() if parent.is_dir() else ():
        match = _NAME.fullmatch(folder.name)
        try:
            said: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8")) if match else {}
            generation = Generation(int(match["number"]) if match else 0, **said, folder=folder)
        except (OSError, ValueError, TypeError):
            continue
        found.append(generation)
    return sorted(found, key=lambda one: one.number, reverse=True)


def keep(settings: Settings, *, summary: str) -> Generation:
    """Keep the present locks and images as the latest generation."""
    temporary.sweep(_parent(settings))
    earlier = all_of(settings)
    number = earlier[0].number + 1 if earlier else 1
    images = {name: found for name in settings.graph.images if (found := tags.image_of(settings.tag(name)))}
    generation = Generation(number, time.time(), summary, images, _parent(settings) / f"g{number}")
    own = settings.of_variant(generation.variant)
    for name, image in images.items():
        tags.give(image, own.tag(name))
    with temporary.folder(_parent(settings)) as folder:
        whole = folder / "whole"
        whole.mkdir()
        for name, text in present(settings).items():
            if text is not None:
                (whole / name).write_text(text, encoding="utf-8", newline="\n")
        said = {key: value for key, value in asdict(generation).items() if key not in {"number", "folder"}}
        (whole / NOTE).write_text(json.dumps(said), encoding="utf-8")
        whole.rename(generation.folder)
    return generation


def prune(settings: Settings) -> None:
    """Remove the oldest generations beyond ``upgrade.keep``."""
    for old in all_of(settings)[settings.upgrade.keep :]:
        forget(settings, old)


def restoring(settings: Settings, generation: Generation) -> Change:
    """Return the change that brings a generation back."""
    texts = {name: _text(generation.folder / name) for name in _file_names(settings)}
    # Nothing may have been held then; but a project without a lock was never upgraded.
    texts = {name: text for name, text in texts.items() if text is not None or name == HELD}
    images = {settings.tag(name): image for name, image in generation.images.items()}
    return Change(texts, present(settings), images, forget=generation.number)


def apply(settings: Settings, change: Change) -> list[str]:
    """Make a change as a whole, and return the tags whose images the engine no longer has.

    Raises UsageError when somebody has changed one of the files meanwhile.
    """
    change = replace(change, locks_of=settings.locks_of)
    _check(settings, change, remedy="run the same again: it starts from what is there now")
    settings.workspace.work.mkdir(parents=True, exist_ok=True)
    files.write({_note(settings): json.dumps(asdict(change))})
    return _finish(settings, change)


def finish(settings: Settings) -> bool:
    """Finish a change that a killed run began. Returns whether there was one. Raises UsageError for one unreadable."""
    note = _note(settings)
    text = _text(note)
    if text is None:
        return False
    try:
        change = Change.parse(text)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{note} cannot be read: {error}", remedy=f"remove it, and look what git says of the locks: rm {note}"
        ) from error
    settings = replace(settings, locks_of=change.locks_of)
    _check(settings, change, remedy=f"to keep what is there now: rm {note}; then nox -s build")
    _finish(settings, change)
    return True


def _check(settings: Settings, change: Change, *, remedy: str) -> None:
    """Raise UsageError for a file that is neither as it was nor as it is to be."""
    now = present(settings)
    for name, text in change.files.items():
        if now.get(name) not in {text, change.before.get(name)}:
            raise UsageError(f"{name} was changed while an upgrade replaced it", remedy=remedy)


def _finish(settings: Settings, change: Change) -> list[str]:
    """Do all of a change, whatever of it is done: each part gives the same when it is done again."""
    gone = [tag for tag, image in change.tags.items() if not tags.give(image, tag)]
    files.write({_path(settings, name): text for name, text in change.files.items() if text is not None})
    for name in (name for name, text in change.files.items() if text is None):
        _path(settings, name).unlink(missing_ok=True)
    for generation in all_of(settings):
        if generation.number == change.forget:
            forget(settings, generation)
    _note(settings).unlink()
    return gone


def forget(settings: Settings, generation: Generation) -> None:
    """Remove a generation: its tags, and its folder, which is none any more from the first moment on."""
    own = settings.of_variant(generation.variant)
    for name in generation.images:
        tags.take(own.tag(name))
    with temporary.folder(_parent(settings)) as folder:
        generation.folder.rename(folder / "gone")


def present(settings: Settings) -> dict[str, str | None]:
    """Return the files that belong together as they are, by name; None for one that is not there."""
    return {name: _text(_path(settings, name)) for name in _file_names(settings)}


def _path(settings: Settings, name: str) -> Path:
    """Return where a file is: locks lie where those of their architecture are, and what is held concerns all."""
    return (settings.project if name == HELD else settings.workspace.locks) / name


def _file_names(settings: Settings) -> list[str]:
    """Return the names of the files that belong together: the locks, and what is held."""
    graph = settings.graph
    lists: Iterable[str] = (name for image in graph.images.values() for name in (image.python, image.r) if name)
    return [DEBS_LOCK, *sorted({lock_of(name) for name in lists}), HELD]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _parent(settings: Settings) -> Path:
    return settings.workspace.work / FOLDER


def _note(settings: Settings) -> Path:
    return settings.workspace.work / CHANGE
