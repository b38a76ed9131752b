"""The resolver beside a SAT solver, on made-up repositories with rings, archives, gates, locks and images."""

import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import pytest
from oracle import best, shelves
from shelf import Shelf

from pyrlab.errors import ListError
from pyrlab.model.cran import resolver
from pyrlab.model.cran.record import Dependency, Record
from pyrlab.model.cran.resolver import Candidate, Universe, resolve
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

R = RVersion.parse("4.5.0")
VERSIONS = ["1.0", "1.5-1", "2.0", "2.10", "3.0", "3.1.4"]
BOUNDS = [("", ""), ("", ""), (">=", "1.0"), (">=", "1.5.1"), (">=", "2.1"), (">", "1.0"), ("<", "2.0"), ("<", "3.0")]
BOUNDS += [("<=", "1.5-1"), ("==", "2.0"), ("==", "1.0")]
GATES = [(Dependency("R", ">=", "4.0"),), (Dependency("methods", ">=", "4.6"),)]
UNIVERSES = 5_000 if os.environ.get("EXAMPLES") == "random" else 400


# Found among 160,000. In the first four a search goes round for ever unless it knows, after decisions were taken back,
# which old versions turned out to be of no use (``Search.forbid``, ``_late``). In the last two a contradiction is found
# by describing an old version, and its latest part was decided seven, and five, decisions before.
REMEMBERED = (2293, 127902, 130699, 136582, 1289, 7749)


def test_the_best_solution_is_found_whenever_there_is_one() -> None:
    """No solution is missed, none is wrong, and none is less than the best by the order of preference."""
    for seed in (*range(UNIVERSES), *REMEMBERED):
        requests, universe = question(seed)
        assert found(requests, universe) == best(requests, universe), f"universe {seed}"


def test_of_what_was_looked_at_the_best_solution_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where more old versions are kept than are looked at, and where archives list nothing, or not all."""
    monkeypatch.setattr(resolver, "OLDER", 2)
    for seed in range(UNIVERSES):
        requests, universe = question(seed)
        hidden = random.Random(seed)  # noqa: S311 - the same universes each time
        sources = [
            replace(one, lists_archive=hidden.random() < 0.5, unlisted=unlisted(hidden, one))
            for one in shelves(universe)
        ]
        universe = replace(universe, sources=sources)
        answer = found(requests, universe)
        seen = replace(universe, sources=[looked_at(source) for source in sources])
        assert answer == best(requests, seen), f"universe {seed}"


def test_the_lines_that_an_error_names_have_no_solution_themselves() -> None:
    """Whoever drops all the other lines has gained nothing: these are the ones to change."""
    for seed in range(UNIVERSES):
        requests, universe = question(seed)
        message = refusal(requests, universe)
        named = set(re.findall(r"r_packages\.txt:[0-9]+", message))
        blamed = [request for request in requests if request.where in named]
        assert not message or found(blamed, universe) is None, f"universe {seed}: {message}"


def test_nothing_is_asked_for_twice() -> None:
    """Neither a listing nor a description, however the search goes to and fro."""
    for seed in range(UNIVERSES // 4):
        requests, universe = question(seed)
        found(requests, universe)
        for source in shelves(universe):
            assert max(Counter(source.asked).values(), default=1) == 1, f"universe {seed}"


def test_universes_are_the_same_in_each_python() -> None:
    """Sets of names have another order in each run: a universe that once found a fault must stay that universe."""
    code = "import test_resolver_oracle; print(test_resolver_oracle.digest(20))"
    digests = {run_python(code, hash_seed) for hash_seed in ("0", "1")}
    assert digests == {digest(20)}


def unlisted(chance: random.Random, source: Shelf) -> set[str]:
    """Return some archived files that the list is to lack; of each package it has the newest."""
    older = [record for records in source.old.values() for record in records[1:]]
    return {f"{one.name} {one.version}" for one in older if chance.random() < 0.3}


def run_python(code: str, hash_seed: str) -> str:
    """Return what code prints in a Python of its own, whose strings have the hashes of a seed."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def digest(count: int) -> str:
    """Return the SHA-256 of all that the first universes and their lists hold."""
    questions = "".join(repr(question(seed)) for seed in range(count))
    return hashlib.sha256(questions.encode()).hexdigest()


def looked_at(source: Shelf) -> Shelf:
    """Return a repository whose archive has just what was asked of it, and lists the names that it listed."""
    old = {
        name: [one for one in records if f"{name} {one.version}" in source.asked]
        for name, records in source.old.items()
    }
    return replace(source, old=old)


def found(requests: Sequence[RRequest], universe: Universe) -> dict[str, Candidate] | None:
    """Return what the resolver finds, or None."""
    try:
        return dict(resolve(requests, universe).packages)
    except ListError:
        return None


def refusal(requests: Sequence[RRequest], universe: Universe) -> str:
    """Return the error where nothing can be had, or nothing."""
    try:
        resolve(requests, universe)
    except ListError as error:
        return str(error)
    return ""


def question(seed: int) -> tuple[list[RRequest], Universe]:
    """Return a list and the one to three repositories that it is asked of."""
    chance = random.Random(seed)  # noqa: S311 - the same universes each time
    names = [f"p{letter}" for letter in "abcdefghijkl"[: chance.randint(2, 12)]]
    density = chance.choice([0.5, 1.0, 1.5, 2.5])
    sources = [shelf(chance, name, names, density) for name in ("first", "second", "third")[: chance.randint(1, 3)]]
    every = [
        Candidate(source.name, record)
        for source in sources
        for record in chain(*source.current.values(), *source.old.values())
    ]
    roots = [chance.choice(names) for _ in range(chance.randint(1, 4))]
    requests = [
        RRequest(
            name,
            *chance.choice(BOUNDS),
            f"r_packages.txt:{line}",
            chance.choice([one.name for one in sources]) if chance.random() < 0.1 else "",
        )
        for line, name in enumerate(roots, start=1)
    ]
    locked = {one.name: one for one in some(chance, every)}
    installed = {one.name: one for one in some(chance, every)}
    return requests, Universe(R, sources, installed, locked)


def some(chance: random.Random, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return none, mostly, or a few."""
    if not candidates or chance.random() < 0.7:
        return []
    return chance.sample(candidates, min(len(candidates), chance.randint(1, 4)))


def shelf(chance: random.Random, repository: str, names: Sequence[str], density: float) -> Shelf:
    """Return a repository that has most packages: one version or two now, and older ones in its archive."""
    current, old = {}, {}
    for name in names:
        if chance.random() < 0.15:
            continue
        versions = sorted(chance.sample(VERSIONS, chance.randint(1, len(VERSIONS))), key=RVersion.parse, reverse=True)
        records = [record(chance, name, version, names, density) for version in versions]
        now = chance.choice([0, 1, 1, 1, 1, 1, 1, 2])
        if now:
            current[name] = records[:now]
        if records[now:]:
            old[name] = records[now:]
    return Shelf(repository, current, old)


def record(chance: random.Random, name: str, version: str, names: Sequence[str], density: float) -> Record:
    """Return one version of a package; now and then it wants what nobody has, itself, or another R."""
    chosen = {chance.choice(names) for _ in range(int(chance.expovariate(1 / density)))}
    wanted = {one for one in chosen if one != name or chance.random() < 0.05}
    if chance.random() < 0.03:
        wanted.add("nobodyhasit")
    dependencies = tuple(sorted(Dependency(one, *chance.choice(BOUNDS)) for one in sorted(wanted)))
    gates = chance.choice(GATES) if chance.random() < 0.15 else ()
    return Record(name, RVersion.parse(version), f"{name}_{version}.tar.gz", dependencies, gates=gates)
