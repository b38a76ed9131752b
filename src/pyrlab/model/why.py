"""Why a package is there: from the lines of the lists, by what wants what, to each pin of a name."""

import difflib
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from pyrlab.errors import PyrlabError, StaleLockError, UsageError
from pyrlab.model.graph import Graph
from pyrlab.model.lists import DebRequest, Lists, PythonRequest, RRequest
from pyrlab.model.locks.debs import ROOT
from pyrlab.model.outdated import DEBIAN, PYTHON, R
from pyrlab.model.wants import Line, Node, Pinned, Wants

_NUMBER = re.compile(r"(.*):([0-9]+)")
_NEAR = 5


@dataclass(frozen=True, slots=True)
class Chain:
    """The shortest way from one line of a list to a pin: what the line names first, the pin's own name last.

    ``above`` tells that the line is for an image that stands on the one which has the pin.
    """

    line: Line
    names: tuple[str, ...]
    above: bool = False

    def __str__(self) -> str:
        names = self.names[1:] if self.line.text else self.names
        return " → ".join([*filter(None, [self.line.text]), *names])


@dataclass(frozen=True, slots=True)
class Answer:
    """One pin of the name that was asked for, with a chain for each line that brings it: the shortest ones first.

    ``notes`` tell what cannot be told, and why.
    """

    ecosystem: str
    name: str
    pinned: Pinned
    chains: tuple[Chain, ...]
    notes: tuple[str, ...] = ()

    def table(self) -> dict[str, Any]:
        """Return it for JSON; of each chain, the list's line and the names from there to the pin."""
        pinned = self.pinned
        return {
            "ecosystem": self.ecosystem,
            "name": self.name,
            "version": pinned.version,
            "images": list(pinned.images),
            "lock": pinned.lock,
            "lines": [
                {"where": chain.line.where, "text": chain.line.text, "chain": list(chain.names)}
                for chain in self.chains
            ],
            "notes": [*filter(None, [pinned.note]), *self.notes],
        }


def chains(wants: Wants, node: Node) -> list[Chain]:
    """Return the shortest chain from each line of the lists to a pin, the shortest of these first.

    Lines of lists for what stands on the pin's own image come last: without them, it would be there all the same.
    """
    paths: dict[Node, tuple[Node, ...]] = {node: (node,)}
    waiting = deque([node])
    while waiting:
        child = waiting.popleft()
        for parent in sorted(wants.parents.get(child, ())):
            if parent not in paths:
                paths[parent] = (parent, *paths[child])
                waiting.append(parent)
    shortest: dict[Line, Chain] = {}
    # The search has found near pins before far ones, and what is found first stays.
    for top, path in paths.items():
        for line in wants.lines.get(top, ()):
            above = node.place != top.place and node.place in wants.below.get(top.place, ())
            shortest.setdefault(line, Chain(line, tuple(step.name for step in path), above))
    return sorted(
        shortest.values(), key=lambda chain: (chain.above, len(chain.names), _order(chain.line.where), chain.names)
    )


def _order(where: str) -> tuple[str, int]:
    """Return what a place compares by: the second line comes before the tenth."""
    match = _NUMBER.fullmatch(where)
    return (match[1], int(match[2])) if match else (where, 0)


def find(name: str, wants: Wants, lists: Lists) -> list[Node]:
    """Return the pins called ``name``, in the order of the locks. Python's names are written in any way.

    Where there are none, raises StaleLockError for a name that a list has, and UsageError with names like it.
    """
    found = [node for node in wants.pins if node.name == _spelled(name, node.ecosystem)]
    if not found:
        raise _not_locked(name, lists) or _unknown(name, wants)
    return found


def _spelled(name: str, ecosystem: str) -> str:
    return canonicalize_name(name) if ecosystem == PYTHON else name


def _not_locked(name: str, lists: Lists) -> PyrlabError | None:
    """Return the error for a name that a list has, and no lock; or None."""
    python = canonicalize_name(name)
    listing: list[DebRequest | RRequest | PythonRequest] = [
        *(request for request in lists.all_python if request.name == python),
        *(request for request in lists.r if request.name == name),
        *(request for request in lists.all_debs if request.name == name),
    ]
    if not listing:
        return None
    told = ", ".join(f"{request} ({request.where})" for request in listing)
    if all(isinstance(request, PythonRequest) and request.conditional for request in listing):
        return UsageError(f"no lock has {told}: its marker leaves it out", remedy="if it should be there, nox -s lock")
    return StaleLockError(f"no lock has {told} yet", remedy="nox -s lock")


def _unknown(name: str, wants: Wants) -> UsageError:
    near = near_names(name, (node.name for node in wants.pins))
    return UsageError(
        f"no lock has a package called {name!r}",
        remedy=f"did you mean {' or '.join(near)}?" if near else "write the name as a list or a lock has it",
    )


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that somebody may have meant, the likeliest first: those with the same letters, then others."""
    by_letters: dict[str, list[str]] = {}
    for known in sorted(set(names)):
        by_letters.setdefault(known.lower(), []).append(known)
    close = difflib.get_close_matches(name.lower(), by_letters, n=_NEAR, cutoff=0.7)
    return [known for letters in close for known in by_letters[letters]][:_NEAR]


def other_cases(name: str, wants: Wants) -> list[str]:
    """Return R packages that are called so but for upper and lower case, which R tells apart."""
    names = {node.name for node in wants.pins if node.ecosystem == R}
    return sorted(known for known in names if known.lower() == name.lower() and known != name)


def answers(name: str, wants: Wants, graph: Graph, lists: Lists) -> list[Answer]:
    """Return an answer for each pin called ``name``. Raises what ``find`` raises."""
    return [_answer(node, wants, graph, lists) for node in find(name, wants, lists)]


def _answer(node: Node, wants: Wants, graph: Graph, lists: Lists) -> Answer:
    found = tuple(chains(wants, node))
    notes = []
    # A deb that stands below cannot want what comes on top of it.
    unread = [other for other in wants.unread if node.place in wants.below[other.place]]
    if node.ecosystem == DEBIAN and unread:
        notes.append(_unread(node, len(unread), graph, told=not all(chain.above for chain in found)))
    elif not found:
        notes.append(_unexplained(node, lists))
    return Answer(node.ecosystem, node.name, wants.pins[node], found, tuple(notes))


def _unread(node: Node, count: int, graph: Graph, *, told: bool) -> str:
    """Return what is not known because debs are not on this machine."""
    lacking = (
        f"the files of {count} pinned debs, where their needs stand, are not on this machine"
        if count > 1
        else "the file of a pinned deb, where its needs stand, is not on this machine"
    )
    remedy = "nox -s build fetches what the images hold"
    if told:
        return f"there may be more lines: {lacking}; {remedy}"
    return f"{_bringer(node.place, graph)} brings it, by which line is not known: {lacking}; {remedy}"


def _bringer(place: str, graph: Graph) -> str:
    """Return the list that a part of the debs' locks was made for."""
    if place == ROOT:
        return "Debian's root below all images"
    if place in graph.images:
        return graph.images[place].debs
    return graph.with_r.r if graph.with_r else place


def _unexplained(node: Node, lists: Lists) -> str:
    suggesting: Sequence[str] = [f"{line.where} {line}" for line in lists.r if line.suggests]
    if node.ecosystem == R and suggesting:
        return f"it is, or is needed by, what one of these suggests: {', '.join(suggesting)}"
    return "no line of the lists brings it any more: nox -s lock drops it"
