"""Runs inside a lab, with its Python: tells which distributions are installed, and which of them do not import.

Those whose normalised names stand on the command line are not imported.
Prints JSON: {"versions": {name: version}, "environment": {marker variable: value}, "failures": {name: last line}}.
"""

import importlib.machinery
import json
import os
import re
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distributions
from pathlib import PurePosixPath

from packaging.markers import default_environment

AT_ONCE = 2
TIMEOUT = 90
# Folders that wheels put beside their package by mistake: nobody imports them, and several wheels fight for them.
STRAY_FOLDERS = re.compile(r"(tests?|docs?|examples?|benchmarks?|scripts?|tools?)", re.IGNORECASE)
SUFFIXES = sorted(importlib.machinery.all_suffixes(), key=len, reverse=True)
IMPORT = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"


def modules_of(distribution: Distribution) -> list[str]:
    """Return what one imports of a distribution, from the list of its files.

    These are its modules and regular packages outside all others; below a namespace package, the next level's.
    """
    files = [PurePosixPath(str(file)) for file in distribution.files or () if file.name and file.parts[0] != ".."]
    packages = {file.parent for file in files if _stem(file) == "__init__"}
    names = set()
    for file in files:
        outermost = next((folder for folder in reversed(file.parents) if folder in packages), None)
        stem = _stem(file)
        if outermost:
            names.add(outermost.parts)
        elif stem and stem != "__init__":
            names.add((*file.parent.parts, stem))
    return sorted(".".join(name) for name in names if _is_importable(name))


def failure_of(distribution: Distribution) -> str:
    """Import all modules of a distribution in a fresh interpreter. Return the last line of its error, or nothing."""
    modules = modules_of(distribution)
    command = [sys.executable, "-P", "-c", IMPORT, *modules]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return f"importing {', '.join(modules)} took more than {TIMEOUT} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]


def installed() -> dict[str, Distribution]:
    """Return the distributions of this Python's own environment, by normalised name."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    found = distributions(path=[folder for folder in folders if folder])
    return {re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one for one in found}


def main() -> None:
    """Import everything and print what came of it."""
    held = installed()
    tried = {name: one for name, one in held.items() if name not in sys.argv[1:]}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = dict(zip(tried, pool.map(failure_of, tried.values()), strict=True))
    report = {
        "versions": {name: one.version for name, one in held.items()},
        "environment": default_environment(),
        "failures": {name: why for name, why in outcomes.items() if why},
    }
    sys.stdout.write(json.dumps(report) + os.linesep)


def _stem(file: PurePosixPath) -> str:
    suffix = next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), None)
    return file.name.removesuffix(suffix) if suffix else ""


def _is_importable(name: tuple[str, ...]) -> bool:
    public = all(part.isidentifier() and not part.startswith("_") for part in name)
    return public and not STRAY_FOLDERS.fullmatch(name[0])


if __name__ == "__main__":
    main()
