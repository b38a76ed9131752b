"""Plays the labs of a run of the smoke tests, which loads this as a plugin of pytest: there need be no engine.

What runs in a lab runs in the project's folder, with the Python of ``lab/``; ``lab.log`` is what each lab has logged.
"""

import importlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# Does not load: who is not asked for it sees nothing of that.
BROKEN = "torch"


class Container:
    """A lab's container."""

    ports = {"8888/tcp": [{"HostPort": "1"}]}  # noqa: RUF012 - as Docker's SDK has it

    def reload(self) -> None:
        """Ask the engine anew."""

    def logs(self) -> bytes:
        """Return its log."""
        return Path("lab.log").read_bytes()

    def exec_run(self, command: Sequence[str], **_: object) -> SimpleNamespace:
        """Run a command with a time limit in it."""
        program, *arguments = command[3:]
        if program == "Rscript" and "-e" in arguments:
            said = ""  # no package beside the debs
        elif program == "Rscript":
            said = "".join(f"{name} {'failed' if name == BROKEN else '1.0'}\n" for name in arguments[2:])
        elif arguments[:3] == ["-m", "pip", "check"]:
            said = "No broken requirements found.\n"
        else:
            python = [str(Path("lab/bin/python").absolute()), *arguments]
            said = subprocess.run(python, capture_output=True, text=True, timeout=30, check=True).stdout
        return SimpleNamespace(exit_code=0, output=(said.encode(), b""))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Take the place of the engine and of what a lab answers, before the smoke tests import either."""
    containers: Any = importlib.import_module("containers")
    labs: Any = importlib.import_module("labs")
    nothing = SimpleNamespace(list=lambda **_: [], get=lambda _: None)
    api = SimpleNamespace(images=lambda **_: [])
    client = SimpleNamespace(containers=nothing, volumes=nothing, images=nothing, api=api, close=lambda: None)
    containers.docker_client = lambda: client
    labs.Fleet._start = lambda *_, **__: Container()  # noqa: SLF001 - what stands on it is the real one
    labs._answers = lambda _: True  # noqa: SLF001
