"""Several looks at once, each with an end, and whatever goes wrong is one line among the others."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from docker.errors import DockerException
from requests import RequestException

from pyrlab.adapters import process
from pyrlab.errors import PyrlabError
from pyrlab.model import doctor
from pyrlab.model.doctor import Check

# Seconds that a look may take.
LIMIT = 40.0
# Seconds that all together get to clean up when they are interrupted.
REST = 5.0
_GLANCE = 0.1


@dataclass(frozen=True)
class Look:
    """One thing to look at: what its line is called, what finds it out, and how many seconds that may take."""

    name: str
    find: Callable[[], Iterable[Check]]
    limit: float = LIMIT


def side_by_side(looks: Sequence[Look]) -> tuple[list[Check], bool]:
    """Look at several things at once; return the lines in the order of ``looks``, and whether one is still at it."""
    results: dict[Look, list[Check]] = {look: [] for look in looks}
    # Not the threads' own end: after an interrupted join, Python before 3.13 takes a thread for ended.
    ended = {look: threading.Event() for look in looks}

    def run(look: Look) -> None:
        for check in _guarded(look):
            results[look].append(check)
        ended[look].set()

    start = time.monotonic()
    for look in looks:
        threading.Thread(target=run, args=(look,), daemon=True).start()
    try:
        for look in looks:
            ended[look].wait(max(0.0, start + look.limit - time.monotonic()))
    except BaseException:
        _end(ended.values())
        raise
    late = [look for look in looks if not ended[look].is_set()]
    # What it has found by now counts; what it says when its program is ended under it does not.
    lines = [line for look in looks for line in [*results[look], *([_overdue(look)] if look in late else [])]]
    if late:
        _end([ended[look] for look in late])
    return lines, bool(late)


def _end(ended: Collection[threading.Event]) -> None:
    """End all programs, and wait until those who had one running have cleaned up after it."""
    deadline = time.monotonic() + REST
    while waiting := [event for event in ended if not event.is_set()]:
        # Once more each time: one of them may have been about to start its program.
        process.end_all()
        if time.monotonic() > deadline:
            return
        waiting[0].wait(_GLANCE)


def _overdue(look: Look) -> Check:
    return doctor.ill(
        look.name, f"it did not end within {look.limit:g} s", remedy="find out what hangs: run the same with --debug"
    )


def _guarded(look: Look) -> Iterator[Check]:
    """Yield a look's lines. Whatever goes wrong is one of them: the others are worth seeing all the same."""
    try:
        yield from look.find()
    except PyrlabError as error:
        yield doctor.failed(look.name, error)
    except (OSError, DockerException, RequestException) as error:
        yield doctor.untold(look.name, " ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - as in cli.main, the last net
        yield doctor.untold(look.name, f"a fault of pyrlab's own: {type(error).__name__}: {error}")
