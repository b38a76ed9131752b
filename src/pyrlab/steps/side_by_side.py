"""Several looks at once, each with an end, and whatever goes wrong is one line among the others."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
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


@dataclass(frozen=True)
class Look:
    """One thing to look at: what its line is called, what finds it out, and how many seconds that may take."""

    name: str
    find: Callable[[], Iterable[Check]]
    limit: float = LIMIT


def side_by_side(looks: Sequence[Look]) -> tuple[list[Check], bool]:
    """Look at several things at once; return the lines in the order of ``looks``, and whether one is still at it."""
    results: dict[str, list[Check]] = {}

    def run(look: Look) -> None:
        results[look.name] = _guarded(look)

    threads = {look: threading.Thread(target=run, args=(look,), daemon=True) for look in looks}
    start = time.monotonic()
    for thread in threads.values():
        thread.start()
    try:
        for look, thread in threads.items():
            thread.join(max(0.0, start + look.limit - time.monotonic()))
    except BaseException:
        process.end_all()
        # Those that had a program running now clean up after it.
        for thread in threads.values():
            thread.join(REST / len(threads))
        raise
    lines, overdue = [], False
    for look in looks:
        found = results.get(look.name)
        if found is None:
            overdue = True
            found = [
                doctor.ill(
                    look.name,
                    f"it did not end within {look.limit:g} s",
                    remedy="find out what hangs: run the same with --debug",
                )
            ]
        lines += found
    return lines, overdue


def _guarded(look: Look) -> list[Check]:
    """Return a look's lines. Whatever goes wrong is one of them: the others are worth seeing all the same."""
    try:
        return list(look.find())
    except PyrlabError as error:
        return [doctor.failed(look.name, error)]
    except (OSError, DockerException, RequestException) as error:
        return [doctor.untold(look.name, " ".join(str(error).split()))]
    except Exception as error:  # noqa: BLE001 - as in cli.main, the last net
        return [doctor.untold(look.name, f"a fault of pyrlab's own: {type(error).__name__}: {error}")]
