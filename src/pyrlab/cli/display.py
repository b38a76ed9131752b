"""What is happening: a line for each step, and on a terminal, below them, what is worked on and for how long."""

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pyrlab.cli.terminal import err


def say(step: str) -> None:
    """Print a step."""
    err.print(f"· {step}", style="dim", markup=False)


class Display:
    """The steps of one command with their times. Where no terminal is, nothing moves."""

    def __init__(self, title: str) -> None:
        self._began = time.monotonic()
        self._phases: dict[str, float] = {}
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._live = Progress(*columns, console=err, transient=True)
        self._moves = err.is_terminal and not err.is_dumb_terminal
        self._task = self._live.add_task(title, total=None)

    def __enter__(self) -> Self:
        if self._moves:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Elsewhere it would print an empty line.
        if self._moves:
            self._live.stop()

    def say(self, step: str) -> None:
        """Print a step, and show it as what is worked on."""
        say(step)
        self._live.update(self._task, description=step)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Take the time of a part of the work."""
        began = time.monotonic()
        yield
        self._phases[name] = time.monotonic() - began

    def ready(self) -> None:
        """Print how long it took to here, and of that each phase."""
        total = time.monotonic() - self._began
        rest = total - sum(self._phases.values())
        parts = [f"{name} {seconds:.1f} s" for name, seconds in self._phases.items()]
        say(f"ready after {total:.1f} s" + (f": {', '.join([*parts, f'start {rest:.1f} s'])}" if parts else ""))
