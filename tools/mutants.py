"""Breaks model/ and steps/ in some hundred places by way of mutmut, and tells what no unit test notices."""

import argparse
import random
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name

# What a test noticed: a loop without an end is noticed too.
NOTICED = ("killed", "timeout")


def main() -> int:
    """Try a sample of all mutants, print each one that lives, and the share that was noticed."""
    options = arguments()
    sources = list(walk_mutatable_files())
    every = [name for source in sources for name in mutants_of(source)]
    wanted = [name for name in every if any(fnmatchcase(name, pattern) for pattern in options.names)]
    if not wanted:
        print("no mutant is called so", file=sys.stderr)
        return 2
    chosen = sample(wanted, options.sample, options.seed)
    # What mutmut noted of earlier runs, as which test calls what, is of earlier tests.
    shutil.rmtree("mutants", ignore_errors=True)
    print(f"{len(chosen)} of {len(wanted)} mutants, --seed {options.seed}", flush=True)
    try_out(chosen, options.max_children)
    late = [name for name, status in read_statuses(sources, chosen).items() if status == "timeout"]
    if late:
        # A busy machine is late too: the second time each of them has it for itself.
        print(f"once more, one at a time: {len(late)} that took too long", flush=True)
        try_out(late, 1)
    return report(read_statuses(sources, chosen), options.at_least)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["*"], help="of which mutants, as in 'pyrlab.steps.fetch.*'")
    parser.add_argument("--sample", type=int, default=1000, help="how many to try; 0 for all, which takes hours")
    # Each day another one, which the output names: run by run all of the code is looked at.
    parser.add_argument("--seed", type=int, default=datetime.now(UTC).date().toordinal(), help="which to try")
    parser.add_argument("--max-children", type=int, default=None, help="how many at once; else one for each core")
    parser.add_argument("--at-least", type=float, default=0, help="fail if fewer are noticed, in per cent")
    return parser.parse_args()


def mutants_of(source: Path) -> list[str]:
    """Return the names of all mutants of a file."""
    mutated = mutate_file_contents(str(source), source.read_text(encoding="utf-8"))
    return [get_mutant_name(source, name) for name in mutated.mutant_names]


def sample(names: list[str], size: int, seed: int) -> list[str]:
    """Choose names at random, from each module in proportion to its own."""
    if not 0 < size < len(names):
        return names
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    by_module = sorted(names, key=lambda name: (name.rpartition(".")[0], chance.random()))
    # Every so many-th of a list that is in order of modules gives each module its share.
    step = len(by_module) / size
    start = chance.random() * step
    return [by_module[int(start + step * number)] for number in range(size)]


def try_out(names: list[str], children: int | None) -> None:
    """Let mutmut run the unit tests on each mutant; what it finds out it keeps in mutants/."""
    command = [sys.executable, "-m", "mutmut", "run"]
    if children:
        command += ["--max-children", str(children)]
    subprocess.run([*command, *names], check=True)


def read_statuses(sources: list[Path], names: list[str]) -> dict[str, str]:
    """Return what became of each mutant, in mutmut's words."""
    exit_codes: dict[str, int | None] = {}
    for source in sources:
        data = SourceFileMutationData(path=source)
        data.load()
        exit_codes |= data.exit_code_by_key
    return {name: status_by_exit_code[exit_codes[name]] for name in names}


def report(statuses: dict[str, str], at_least: float) -> int:
    """Print what was not noticed and how much was; return the exit status."""
    for name, status in sorted(statuses.items()):
        if status not in NOTICED:
            print(f"\n{status}: {name}\n{get_diff_for_mutant(name)}")
    for name, status in sorted(statuses.items()):
        if status == "timeout":
            print(f"\ntook too long: {name}")
    counts = Counter(statuses.values())
    score = 100 * sum(counts[status] for status in NOTICED) / len(statuses)
    print("\n" + ", ".join(f"{count} {status}" for status, count in counts.most_common()), f"= {score:.1f} %")
    if score < at_least:
        print(f"That is less than {at_least:g} %.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
