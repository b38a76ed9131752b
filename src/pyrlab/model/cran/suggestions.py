"""What packages suggest: as much of it as can be had beside the list, and why the rest is left out."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pyrlab.errors import ListError
from pyrlab.model.cran.universe import Candidate, Requirement, Universe

# Returns a candidate for each package that the list and these suggestions need. Raises ListError.
Solve = Callable[[Sequence[Requirement], Universe], dict[str, Candidate]]


def add_suggestions(
    names: Collection[str],
    packages: dict[str, Candidate],
    roots: Collection[str],
    universe: Universe,
    solve: Solve,
) -> tuple[dict[str, Candidate], dict[str, str]]:
    """Return ``packages``, the solution of the list, with what ``names`` suggest; and what is left out, and why.

    A suggestion is no need: it is left out when no repository has it, when what it needs itself cannot be had, or when
    one of the ``roots`` would have to be another version for it. Other packages move as far as it takes.
    """
    wishes, left_out = _wishes((packages[name] for name in sorted(names)), universe)
    grants = _Grants(packages, {name: packages[name] for name in roots}, universe, solve)
    grants.add(wishes)
    left_out.update({wish.wanted.name: reason for wish, reason in grants.refused.items()})
    return grants.packages, dict(sorted(left_out.items()))


def _wishes(parents: Iterable[Candidate], universe: Universe) -> tuple[list[Requirement], dict[str, str]]:
    """Return what packages suggest, and what can be left out at once, with the reason."""
    wishes: list[Requirement] = []
    left_out: dict[str, str] = {}
    for parent in parents:
        for entry in parent.record.unread_suggests:
            left_out[entry] = f"it cannot be read in the Suggests of {parent}"
        for wanted in parent.record.suggests:
            if universe.knows(wanted.name):
                wishes.append(Requirement(wanted, parent=parent, suggested=True))
            else:
                left_out[wanted.name] = "no repository has it"
    return wishes, left_out


@dataclass(slots=True)
class _Grants:
    """Which suggestions were granted and refused.

    ``packages`` is the best solution so far, ``roots`` are the candidates that must stay.
    """

    packages: dict[str, Candidate]
    roots: Mapping[str, Candidate]
    universe: Universe
    solve: Solve
    granted: list[Requirement] = field(default_factory=list)
    refused: dict[Requirement, str] = field(default_factory=dict)

    def add(self, wishes: Sequence[Requirement]) -> None:
        """Grant as many as possible: all at once, or else half of them after the other half, down to single ones."""
        if not wishes:
            return
        try:
            self.packages = self._solved([*self.granted, *wishes])
        except ListError as error:
            if len(wishes) == 1:
                self.refused[wishes[0]] = str(error)
                return
            middle = len(wishes) // 2
            self.add(wishes[:middle])
            self.add(wishes[middle:])
        else:
            self.granted.extend(wishes)

    def _solved(self, wishes: Sequence[Requirement]) -> dict[str, Candidate]:
        """Return a solution in which what was found so far moves only if it must. Raises ListError."""
        found = self.solve(wishes, replace(self.universe, locked={**self.universe.locked, **self.packages}))
        for name, root in self.roots.items():
            if found[name] != root:
                other = found[name].record.version
                raise ListError(
                    f"with it, {name} would have to be {other} and not {root.record.version}",
                    remedy="ask for that version in r_packages.txt",
                )
        return found
