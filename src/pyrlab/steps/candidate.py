"""The candidate of an upgrade: newer locks, images and proofs in variants of the project, which touch nothing of it."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from pyrlab.adapters import files
from pyrlab.adapters.docker import tags
from pyrlab.adapters.lock_files import read_locks
from pyrlab.errors import BuildError, GoneError, HashMismatchError, ListError, NoRoomError, StaleLockError
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.settings import Settings
from pyrlab.model.wish import Wish
from pyrlab.steps import locking, overlays, proof, workspace
from pyrlab.steps.images import Plan
from pyrlab.steps.overlays import BuiltImages
from pyrlab.steps.proof import Outcome

Say = Callable[[str], None]
CANDIDATE, NEWEST = "candidate", "newest"
# What says that these very pins do not make an image. A network that is down, or a full disk, says nothing about them.
_VERDICTS = (BuildError, GoneError, StaleLockError, ListError, HashMismatchError)
# Seconds for which the newest locks of a killed run are still the newest.
_FRESH = 6 * 3600.0


@dataclass(frozen=True)
class Candidate:
    """The variants in which an upgrade of a project works: ``settings`` are the project's own."""

    settings: Settings
    say: Say

    @cached_property
    def own(self) -> Settings:
        """The settings of the candidate."""
        return self.settings.of_variant(CANDIDATE)

    @property
    def folder(self) -> Path:
        """The candidate's work folder."""
        return self.own.workspace.work

    def relock(self, current: Locks, wish: Wish) -> Locks:
        """Return the newest locks that the lists allow, starting from the current ones.

        Those of a run that was killed are taken up, where it started from the same. Raises what locking raises.
        """
        newest = self.settings.of_variant(NEWEST)
        workspace.prepare(newest.workspace)
        # Only their hash is kept: a URL may hold a password.
        urls = [repository.url for repository in self.settings.r_repositories]
        sources = repr((self.settings.apt_sources, self.settings.r_apt_sources, self.settings.python_index, urls))
        key = _digest([*current.bodies(self.settings.graph).values(), wish.words, sources])
        note = newest.workspace.work / "made.json"
        made = files.read_json(note)
        if made.get("key") == key and time.time() - made["at"] < _FRESH:
            self.say("taking up the newest locks of the run before")
            return read_locks(newest)
        note.unlink(missing_ok=True)
        write(newest, current)
        locking.lock(newest, wish, say=self.say)
        files.write({note: json.dumps({"key": key, "at": time.time()})})
        return read_locks(newest)

    def build(self, locks: Locks, images: Collection[str]) -> str:
        """Build images from these locks under the candidate's tags; return why they cannot be, or nothing.

        Raises what has nothing to do with the pins: NetworkError, EngineError, OSError.
        """
        workspace.prepare(self.own.workspace)
        write(self.own, locks)
        plan = Plan(self.own, locks)
        old = [name for name in images if not plan.is_current(name)]
        self._take_tags(old)
        try:
            if old:
                plan.build(old, say=self.say)
        except NoRoomError:
            raise
        except _VERDICTS as error:
            return "\n".join(filter(None, (error.detail, str(error))))
        return ""

    def put_over(self, locks: Locks, images: Collection[str], there: Iterable[BuiltImages]) -> bool:
        """Put what these locks have otherwise over images that are ``there``, under the candidate's tags.

        Returns whether it could be done; where it could not, only a build tells why. Raises what ``build`` raises.
        """
        workspace.prepare(self.own.workspace)
        write(self.own, locks)
        plan = overlays.plan(self.own, locks, there, images)
        if plan is None:
            return False
        what = "1 package" if plan.count == 1 else f"{plan.count} packages"
        self.say(f"  putting {what} over {', '.join(images)}")
        self._take_tags(images)
        try:
            plan.build(list(images), say=self.say)
        except NoRoomError:
            raise
        except _VERDICTS:
            self.say("  that failed: the labs are built instead")
            return False
        return True

    def keep_newest(self, locks: Locks) -> BuiltImages:
        """Let the images of the newest locks keep tags of their own, as those of trials take the candidate's."""
        newest = self.settings.of_variant(NEWEST)
        for name in self.settings.graph.images:
            image = tags.image_of(self.own.tag(name))
            if image:
                tags.give(image, newest.tag(name))
        return BuiltImages(newest, locks)

    def prove(self, tests: Collection[str], outputs: str, *, reruns: int = 0) -> proof.Proof:
        """Run tests, or all, against the candidate's images; ``outputs`` names the folder of executed notebooks."""
        return proof.prove(self.own, tests, self.folder / outputs, reruns=reruns)

    def remove_tags(self) -> None:
        """Remove the candidate's tags; what is built stays in the builder's cache."""
        self._take_tags(self.settings.graph.images)
        for name in self.settings.graph.images:
            tags.take(self.settings.of_variant(NEWEST).tag(name))

    def _take_tags(self, images: Iterable[str]) -> None:
        """Take the candidate's tags from images: what a trial was made of does not stay as an image without a name."""
        for name in images:
            tags.take(self.own.tag(name))

    def forget(self) -> None:
        """Remove what a run that came to its end need not take up again."""
        for path in (self.folder / "verdicts", self.settings.of_variant(NEWEST).workspace.work / "made.json"):
            path.unlink(missing_ok=True)

    @cached_property
    def verdicts(self) -> "Verdicts":
        """What trials showed, also those of a run that was killed."""
        return Verdicts(self.folder / "verdicts")


class Verdicts:
    """How tests ended, by the content of the locks: kept in a file, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Outcome] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                key, said = json.loads(line)
                self._known[key] = Outcome(**said)
            except (ValueError, TypeError):
                continue  # the line in which a run was killed

    def get(self, content: str, test: str) -> Outcome | None:
        """Return how a test ended on locks of this content, if it ran."""
        return self._known.get(f"{content} {test}")

    def note(self, content: str, outcome: Outcome) -> None:
        """Remember how a test ended."""
        key = f"{content} {outcome.test}"
        self._known[key] = outcome
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, asdict(outcome)]) + "\n")


def write(settings: Settings, locks: Locks) -> None:
    """Write the locks of a variant."""
    files.write({settings.workspace.locks / name: text for name, text in texts(settings, locks).items()})


def texts(settings: Settings, locks: Locks) -> dict[str, str]:
    """Return the texts of locks by file name."""
    return {name: lock.render() for name, lock in locks.by_file(settings.graph).items()}


def content(settings: Settings, locks: Locks) -> str:
    """Return one hash of all that these locks say."""
    return _digest(locks.bodies(settings.graph).values())


def _digest(texts: Collection[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
