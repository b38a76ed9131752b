"""Pins docker/install/python/tools.lock: what locks and installs Python packages, for each architecture."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

from pyrlab.adapters import files
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.locks.python import parse_pins
from pyrlab.model.python_tags import MACHINES
from pyrlab.steps.fetch import python_index

FOLDER = Path("docker/install/python")
# The oldest that any suite may have: all of these tools are made for every Python 3.
PYTHON, GLIBC = "3.13", "2.36"
HEADER = "# What builds and locks Python packages inside the images. Made by `nox -s relock` from tools.in.\n\n"
OPTIONS = ("--python-platform", "linux", "--python-version", "3.11", "--generate-hashes", "--no-header", "--upgrade")


def main() -> None:
    """Let uv choose the versions, choose the files, and write the lock."""
    command = ["uv", "pip", "compile", "--quiet", *OPTIONS, str(FOLDER / "tools.in")]
    compiled = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    pins = parse_pins(compiled.replace("# via -r tools.in", "# via list"))
    index = python_index(read_settings(Path.cwd(), os.environ))
    chosen = [
        index.choose_files(pins, python=PYTHON, glibc=GLIBC, architecture=architecture) for architecture in MACHINES
    ]
    locked = [replace(pin, files=tuple(found[pin.name] for found in chosen)) for pin in pins]
    files.write({FOLDER / "tools.lock": HEADER + "".join(str(pin) for pin in locked)})


if __name__ == "__main__":
    main()
