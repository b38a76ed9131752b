"""Pins docker/install/python/tools.lock: what locks and installs Python packages, for each architecture.

The pins come from ``uv pip compile docker/install/python/tools.in --universal --generate-hashes``, on standard input;
the lock goes to standard output. ``nox -s relock`` does both.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.locks.python import parse_pins
from pyrlab.model.python_tags import MACHINES
from pyrlab.steps.fetch import python_index

# The oldest that any suite has: all of these tools are made for every Python 3.
PYTHON, GLIBC = "3.13", "2.36"
HEADER = "# What builds and locks Python packages inside the images. Made by `nox -s relock` from tools.in.\n\n"


def main() -> None:
    """Read pins, choose their files, and write the lock."""
    pins = parse_pins(sys.stdin.read())
    index = python_index(read_settings(Path.cwd(), os.environ))
    chosen = [
        index.choose_files(pins, python=PYTHON, glibc=GLIBC, architecture=architecture) for architecture in MACHINES
    ]
    locked = [replace(pin, files=tuple(files[pin.name] for files in chosen)) for pin in pins]
    sys.stdout.write(HEADER + "".join(str(pin) for pin in locked))


if __name__ == "__main__":
    main()
