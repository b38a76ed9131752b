"""`why`: which line of which list brings a package, by which chain, into which image, and since which commit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pyrlab.adapters import git
from pyrlab.adapters.debian import debs
from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.lock_files import read_locks
from pyrlab.model import why as model
from pyrlab.model.debian import Index
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.settings import Settings
from pyrlab.model.wants import wants
from pyrlab.model.why import Answer
from pyrlab.steps import fetch

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reason:
    """One pin's answer, and the commit since which its lock has it at this version; empty where git knows nothing."""

    answer: Answer
    since: str

    def table(self) -> dict[str, object]:
        """Return it for JSON."""
        return {**self.answer.table(), "since": self.since}


@dataclass(frozen=True, slots=True)
class Outcome:
    """All reasons, one a pin of the name, and R packages that are called so but for upper and lower case."""

    reasons: tuple[Reason, ...]
    other_cases: Sequence[str]


def why(settings: Settings, name: str, *, say: Say) -> Outcome:
    """Tell why a package is there. Needs neither network nor engine.

    Raises UsageError for a name that no lock has, StaleLockError and ListError.
    """
    lists = read_lists(settings.project, settings.graph)
    locks = read_locks(settings)
    found = wants(settings.graph, lists, locks, _index(settings, locks, name, say=say))
    answers = model.answers(name, found, settings.graph, lists)
    folder = settings.workspace.locks
    reasons = [Reason(answer, git.since(folder / answer.pinned.lock, answer.pinned.mark)) for answer in answers]
    return Outcome(tuple(reasons), model.other_cases(name, found))


def _index(settings: Settings, locks: Locks, name: str, *, say: Say) -> Index:
    """Return what the pinned debs say of themselves, as an archive's index says it; their files are not fetched.

    Only debs are wanted by debs: where no deb is called ``name``, none is read.
    """
    index = Index()
    pins = locks.all_debs
    if any(pin.name == name for pin in pins):
        say("reading what the pinned debs need")
        index.add("\n\n".join(_stanzas(settings, pins)))
    return index


def _stanzas(settings: Settings, pins: Sequence[DebPin]) -> Iterator[str]:
    store = fetch.store_of(settings)
    for pin in (pin for pin in pins if pin.has_file):
        stanza = debs.control(store, pin.sha256).strip("\n")
        if stanza:
            yield f"{stanza}\nFilename: {pin.path}\nSize: {pin.size}\nSHA256: {pin.sha256}"
