"""What the build step of R packages is told: which files, in which order, and what decides a compiled one's bytes."""

import json
import re
from collections.abc import Collection, Mapping

from pyrlab.model.locks import digest
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.r import RLock, RPin

_COMPILER = re.compile(r"(?:gcc|g\+\+|gfortran)-\d+")


def plan(debs: DebsLock, lock: RLock, *, recipe: str) -> str:
    """Return, as JSON, the packages that docker/install/r/install_packages.py puts into rlab's library.

    Each has a key for the cache of compiled packages: equal keys mean equal inputs, whatever else the lock holds.
    ``recipe`` is a digest of the scripts that compile.
    """
    versions = {pin.name: pin.version for pin in (*debs.pins(), *lock.all_debs)}
    pins = {pin.name: pin for pin in lock.packages}
    ours = [pin for pin in lock.packages if not pin.deb]
    machine = f"{debs.suite} {debs.architecture}"
    headers = {pin.name for pin in debs.pins() if pin.name.endswith("-dev")}
    packages = [
        {
            "name": pin.name,
            "version": pin.version,
            "key": key(pin, pins, versions, machine=machine, headers=headers, recipe=recipe),
            "files": [{"kind": file.kind, "sha256": file.sha256} for file in sorted(pin.files)],
            "after": sorted({one.name for one in pin.dependencies} & {one.name for one in ours}),
            "system_requirements": pin.system_requirements,
        }
        for pin in ours
    ]
    return json.dumps({"packages": packages}, indent=1, sort_keys=True) + "\n"


def key(  # noqa: PLR0913 - all that decides
    pin: RPin, pins: Mapping[str, RPin], debs: Mapping[str, str], *, machine: str, headers: Collection[str], recipe: str
) -> str:
    """Return a hash of what decides the bytes of a compiled package.

    That is its source; R, the compilers, and the machine as suite and architecture; the scripts, by their digest
    ``recipe``; the debs that Debian compiles it with; the ``headers`` that the image below has, as a configure script
    takes what it finds; and all packages that it needs: their headers are compiled in,
    and their code is loaded while it is installed, when it may leave anything in what comes out. ``debs`` are versions
    by name.
    """
    source = pin.source
    # A package without code to compile is the same whatever compilers other packages bring.
    found = {*headers, *(name for name in debs if _COMPILER.fullmatch(name))} if pin.build else set()
    lines = [
        f"recipe {recipe}",
        f"package {pin.name} {pin.version} {source.sha256 if source else ''}",
        f"r {debs.get('r-base-core', '')} {machine}",
        *(f"deb {name} {debs[name]}" for name in sorted({*found, *pin.build}) if name in debs),
        *(f"needs {name} {_identity(pins[name])}" for name in sorted(_needed(pin, pins))),
    ]
    return digest(lines).removeprefix("sha256:")


def listed(lock: RLock) -> str:
    """Return what the gate proves: a line for each R package of rlab, its name and version."""
    return "".join(f"{pin.name} {pin.version}\n" for pin in lock.packages)


def _needed(pin: RPin, pins: Mapping[str, RPin]) -> set[str]:
    """Return the names of all packages that one needs, directly or not, of those that are pinned."""
    found: set[str] = set()
    ahead = [pin]
    while ahead:
        current = ahead.pop()
        names = {*current.linking, *(dependency.name for dependency in current.dependencies)}
        new = {name for name in names if name in pins} - found
        found |= new
        ahead += [pins[name] for name in new]
    return found - {pin.name}


def _identity(pin: RPin) -> str:
    carried = [pin.deb] if pin.deb else []
    return " ".join([*(f"{deb.name} {deb.version}" for deb in carried), *(file.sha256 for file in sorted(pin.files))])
