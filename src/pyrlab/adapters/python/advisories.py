"""The Python index's own advisories: which known vulnerabilities a release has."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urljoin

from packaging.version import InvalidVersion, Version

from pyrlab.adapters.http import THREADS, NotThereError, Web
from pyrlab.adapters.python.index import AGENT, root_of


@dataclass(frozen=True, slots=True)
class Move:
    """A package on its way from one version to another."""

    name: str
    old: str
    new: str


def repaired(web: Web, index: str, moves: Iterable[Move]) -> dict[Move, tuple[str, ...]]:
    """Return the ids of the vulnerabilities that the old version has and the new one has not, by move.

    ``index`` is its URL, or empty for the default. A release that the index no longer has is passed over. Raises
    NotThereError for an index that has no advisories at all, and NetworkError.
    Source: the JSON API of Warehouse, "vulnerabilities" of a release.
    """
    moves = list(moves)
    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(moves, pool.map(lambda move: _ids(web, index, move), moves), strict=True))
    if moves and all(ids is None for ids in found.values()):
        raise NotThereError("the index has no advisories", remedy="use an index that has")
    return {move: ids for move, ids in found.items() if ids}


def _ids(web: Web, index: str, move: Move) -> tuple[str, ...] | None:
    url = urljoin(root_of(index), f"../pypi/{move.name}/{move.old}/json")
    try:
        document = json.loads(web.get(url, agent=AGENT).path.read_bytes())
        entries = document["vulnerabilities"]
        return tuple(sorted({_name(entry) for entry in entries if _is_repaired(entry, move)}))
    except (NotThereError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _name(entry: dict[str, list[str]]) -> str:
    """Return the name by which most know it."""
    return next((alias for alias in entry.get("aliases", []) if alias.startswith("CVE-")), str(entry["id"]))


def _is_repaired(entry: dict[str, object], move: Move) -> bool:
    fixed = entry.get("fixed_in")
    if entry.get("withdrawn") or not isinstance(fixed, list):
        return False
    try:
        return any(Version(move.old) < Version(str(version)) <= Version(move.new) for version in fixed)
    except InvalidVersion:
        return False
