"""The search of last resort, where resolvelib gives up: slower on long lists, but it overlooks no solution."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pyrlab.model.cran.universe import Candidate, Requirement

Choices = Callable[[str], Sequence[Candidate]]
Needs = Callable[[Candidate], Sequence[Requirement]]
_STEPS = 5_000


@dataclass(slots=True)
class _Decision:
    """A package that is being decided. ``blamed`` are earlier ones that left less to choose from."""

    name: str
    asking: Sequence[Requirement]
    left: Iterator[Candidate]
    blamed: set[str]
    chosen: Candidate | None = None
    needs: Sequence[Requirement] = field(default_factory=list)


def search(roots: Sequence[Requirement], choices: Choices, needs: Needs) -> dict[str, Candidate] | None:
    """Return a candidate for each package that is needed, the first of ``choices`` where that is possible, or None.

    One package after the other is decided; a dead end goes back to the last decision that has a part in it, which is
    known as conflict-directed backjumping. After some thousand steps, None as well.
    """
    made: list[_Decision] = []
    for _ in range(_STEPS):
        if not made or made[-1].chosen:
            following = _next(roots, made, choices)
            if not following:
                return {one.name: one.chosen for one in made if one.chosen}
            made.append(following)
        if _decide(made, needs):
            continue
        dead = made.pop()
        while made and made[-1].name not in dead.blamed:
            made.pop()
        if not made:
            return None
        made[-1].blamed |= dead.blamed - {made[-1].name}
        made[-1].chosen = None
    return None


def _next(roots: Sequence[Requirement], made: Sequence[_Decision], choices: Choices) -> _Decision | None:
    """Return the first package by name that is wanted and not decided, or None."""
    decided = {one.name for one in made}
    wishes = [
        wish for wish in (*roots, *(wish for one in made for wish in one.needs)) if wish.wanted.name not in decided
    ]
    if not wishes:
        return None
    name = min(wish.wanted.name for wish in wishes)
    asking = [wish for wish in wishes if wish.wanted.name == name]
    return _Decision(name, asking, iter(choices(name)), {wish.parent.name for wish in asking if wish.parent})


def _decide(made: Sequence[_Decision], needs: Needs) -> bool:
    """Give the last decision its next candidate that fits all earlier ones; tell whether there is one."""
    decision = made[-1]
    earlier = {one.name: one.chosen for one in made[:-1] if one.chosen}
    for candidate in decision.left:
        if all(wish.allows(candidate) for wish in decision.asking):
            wanted = needs(candidate)
            clashing = {
                wish.wanted.name
                for wish in wanted
                if wish.wanted.name in earlier and not wish.allows(earlier[wish.wanted.name])
            }
            if not clashing:
                decision.chosen, decision.needs = candidate, wanted
                return True
            decision.blamed |= clashing
    return False
