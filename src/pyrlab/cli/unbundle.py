"""`unbundle` by itself: `python3 -m pyrlab.cli.unbundle FILE [FOLDER]`, where Python has no packages installed."""

import argparse
import os
import signal
import sys
from pathlib import Path

from pyrlab.adapters.process import INTERRUPTS
from pyrlab.commands.unbundle import TOOLKIT_FOLDER, Outcome, unbundle
from pyrlab.errors import PyrlabError

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="unbundle", description="Verify what bundle wrote, load its images, and write its project into a folder."
    )
    made.add_argument("file", type=Path, help="what bundle wrote")
    made.add_argument("folder", type=Path, nargs="?", help="a new folder; else one of the project's name")
    return made


def main() -> int:
    """Run it, and return the exit status: 0, an error's own one, or 130 after an interrupt."""
    arguments = parser().parse_args()
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        done = unbundle(arguments.file, arguments.folder, cache=_cache(), say=_say)
    except KeyboardInterrupt:
        _say("interrupted: the project's folder is not written")
        return INTERRUPTED
    except PyrlabError as error:
        return _fail(error)
    except OSError as error:
        return _fail(PyrlabError(str(error), remedy="mend that, and run the same again"))
    sys.stdout.write(_shown(done))
    return 0


def _cache() -> Path:
    """Return this user's cache folder, as the settings have it."""
    said = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (said if said.is_absolute() else Path("~/.cache").expanduser()) / "pyrlab"


def _interrupt(*_: object) -> None:
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(step: str) -> None:
    sys.stderr.write(f"· {step}\n")


def _fail(error: PyrlabError) -> int:
    detail = f"{error.detail}\n" if error.detail else ""
    sys.stderr.write(f"{detail}error: {error}\n  try: {error.remedy}\n")
    return error.exit_code


def _shown(done: Outcome) -> str:
    """Return what is there now, and how to go on."""
    lines = [f"{done.folder} is the project, and the engine has {', '.join(done.tags.values())}."]
    lines += [f"To open a lab, in {done.folder}:"]
    if done.python:
        lines += [
            f"  python{done.python} -m venv .venv",
            f"  .venv/bin/pip install --no-index --find-links {TOOLKIT_FOLDER} nox",
            *(f"  .venv/bin/nox -s serve -- {name}" for name in done.labs),
        ]
        lines.append(f"or, where there is no Python {done.python} that can make a venv:")
    lines += [
        f"  docker run --rm -it -p 127.0.0.1:{port}:{port} -e PORT={port} -v ~/notebooks:/home/notebook/notebooks "
        f"--user $(id -u):$(id -g) {done.tags[name]}"
        for name, port in done.labs.items()
    ]
    if done.has_sources:
        lines.append("What the locks pin is in the store: nox -s build needs no network.")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
