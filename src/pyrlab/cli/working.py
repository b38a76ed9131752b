"""A run that has the project for itself."""

import contextlib
from collections.abc import Iterator

from pyrlab.cli.display import say
from pyrlab.model.settings import Settings
from pyrlab.steps import generations
from pyrlab.steps.workspace import busy


@contextlib.contextmanager
def working(current: Settings, what: str) -> Iterator[None]:
    """Be the only run in the project, which is whole: what a killed upgrade began to replace is replaced first."""
    with busy(current.workspace, what, say=say):
        if generations.finish(current):
            say("finished what an earlier run, which was killed, had begun to replace")
        yield
