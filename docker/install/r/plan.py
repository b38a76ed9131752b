"""The plan of an installation: which packages, and in which order they are worked on."""

import errno
import graphlib
import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Package:
    """One package of the plan. ``files`` are pairs of kind and SHA-256, the preferred one first."""

    name: str
    version: str
    key: str
    files: tuple[tuple[str, str], ...]
    after: tuple[str, ...]
    system_requirements: str

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """Parse one entry of the plan. Raises KeyError for what it lacks."""
        return cls(
            name=table["name"],
            version=table["version"],
            key=table["key"],
            files=tuple((file["kind"], file["sha256"]) for file in table["files"]),
            after=tuple(table["after"]),
            system_requirements=" ".join(table["system_requirements"].split()),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class PackageError(Exception):
    """A package cannot be installed; the arguments are the lines that say so."""


def read_plan(path: Path) -> dict[str, Package]:
    """Return the packages of a plan by name. Raises ValueError when they wait for what will never come."""
    packages = {one.name: one for one in map(Package.parse, json.loads(path.read_text(encoding="utf-8"))["packages"])}
    for package in packages.values():
        for name in package.after:
            if name not in packages:
                raise ValueError(f"{package} waits for {name}, which is not in the plan")
    try:
        _order(packages).prepare()
    except graphlib.CycleError as error:
        raise ValueError(f"{' -> '.join(error.args[1])} wait for each other") from error
    return packages


def _order(packages: Mapping[str, Package]) -> graphlib.TopologicalSorter[str]:
    return graphlib.TopologicalSorter({name: package.after for name, package in packages.items()})


def chains(packages: Mapping[str, Package]) -> dict[str, int]:
    """Return the length of the longest chain of packages that wait for each one, itself counted."""
    length = dict.fromkeys(packages, 1)
    for name in reversed(tuple(_order(packages).static_order())):
        for needed in packages[name].after:
            length[needed] = max(length[needed], length[name] + 1)
    return length


def run(packages: Mapping[str, Package], work: Callable[[Package], str], *, workers: int) -> Iterator[str]:
    """Call ``work`` for each package after those that it waits for, and yield what it says.

    Of several that could start, the one goes first that the longest chain waits for. After a failure none is started
    any more; those that run may end. Raises PackageError with the lines of all failures.
    """
    length, order = chains(packages), _order(packages)
    order.prepare()
    ready: list[tuple[int, str]] = []
    running: dict[Future[str], str] = {}
    failures: list[str] = []
    with ThreadPoolExecutor(workers) as pool:
        while order.is_active():
            for name in order.get_ready():
                heapq.heappush(ready, (-length[name], name))
            while ready and len(running) < workers and not failures:
                name = heapq.heappop(ready)[1]
                running[pool.submit(work, packages[name])] = name
            if not running:
                raise PackageError(*failures)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                try:
                    yield future.result()
                    order.done(name)
                except PackageError as error:
                    failures += error.args
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    failures.append("pyrlab-r full")
