"""Run random upgrades of the whole command on a played machine, and print what came of them as a table.

`nox -s bench -- upgrade [COUNT] [SEED]`. Below the table stands what was not green, or held too much, by its seed.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent / "unit"))

from upgrade_machines import a_random_upgrade
from upgrade_play import Ended, play

COUNT, SEED = 100, "20261128"
# Most of the time goes into small files; what is in memory is quick.
MEMORY = Path("/dev/shm")  # noqa: S108 - each upgrade has a temporary folder of its own in it


def main(count: int, seed: str) -> int:
    """Print the table; return how many upgrades did not end green."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        ended = []
        for end in pool.map(one, [f"{seed}-{number}" for number in range(count)]):
            ended.append(end)
            Console(stderr=True).print(line(end), markup=False, highlight=False)
    print_table(ended, seed)
    return sum(not end.green for end in ended)


def one(seed: str) -> Ended:
    """Run one upgrade in a folder of its own, with nothing that waits for a disk."""
    with mock.patch.object(os, "fsync"), tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        return play(a_random_upgrade(seed), Path(folder))


def print_table(ended: Sequence[Ended], seed: str) -> None:
    """Print a row for each kind of upgrade, and what was not as it should be."""
    kinds: dict[str, Callable[[Ended], bool]] = {
        "one culprit, named by its failure": lambda end: end.world.named,
        "one culprit, not named": lambda end: len(end.world.culprits) == 1 and not end.world.named,
        "two culprits": lambda end: len(end.world.culprits) == 2,
        "three culprits": lambda end: len(end.world.culprits) == 3,
        "all": lambda _: True,
        "of these, with a flaky test": lambda end: end.world.flaky,
    }
    table = Table(title=f"{len(ended)} random upgrades of 60 packages, seed {seed}")
    for heading in ("upgrades", "count", "green", "minimal", "trials: median", "90 %", "max", "seconds: median"):
        table.add_column(heading, justify="left" if heading == "upgrades" else "right")
    for kind, belongs in kinds.items():
        own = [end for end in ended if belongs(end)]
        if own:
            table.add_row(kind, *figures(own))
    console = Console(width=120)
    console.print(table)
    for end in ended:
        if not (end.green and end.minimal):
            console.print(line(end), markup=False)


def line(end: Ended) -> str:
    """Return one upgrade as a line, by its seed."""
    faults = "; ".join(end.faults) or "green"
    return f"{end.world.seed}: {end.trials} trials, {end.held} held of {end.fewest} that must be, {faults}"


def figures(ended: Sequence[Ended]) -> list[str]:
    """Return the cells of a row."""
    trials = sorted(end.trials for end in ended)
    return [
        str(len(ended)),
        str(sum(end.green for end in ended)),
        str(sum(end.minimal for end in ended)),
        f"{statistics.median(trials):g}",
        str(trials[int(0.9 * len(trials))]),
        str(trials[-1]),
        f"{statistics.median(end.took for end in ended):.1f}",
    ]


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(bool(main(int(given[0]) if given else COUNT, given[1] if len(given) > 1 else SEED)))
