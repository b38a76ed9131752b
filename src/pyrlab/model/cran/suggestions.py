"""What packages suggest: as much of it as can be had beside the list, and why the rest is left out."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pyrlab.errors import ListError
from pyrlab.model.cran.archives import Archives
from pyrlab.model.cran.universe import Candidate, Requirement, Universe

# Returns a candidate for each package that the list and these suggestions need. Raises ListError.
Solve = Callable[[Sequence[Requirement], Universe], dict[str, Candidate]]


def add_suggestions(
    names: Collection[str],
    packages: dict[str, Candidate],
    roots: Collection[str],
    archives: Archives,
    solve: Solve,
) -> tuple[dict[str, Candidate], dict[str, str]]:
    """Return ``packages``, the solution of the list, with what ``names`` suggest; and what is left out, and why.

    A suggestion is no need: it is left out when no repository has it now, when what it needs itself cannot be had, or
    when one of the ``roots`` would have to be another version for it. Other packages move as far as it takes.
    """
    universe = archives.universe
    parents = [packages[name] for name in sorted(names)]
    wishes = [
        Requirement(wanted, parent=parent, suggested=True) for parent in parents for wanted in parent.record.suggests
    ]
    grants = _Grants(packages, {name: packages[name] for name in roots}, universe, solve)
    grants.add([wish for wish in wishes if universe.knows(wish.wanted.name)])
    archived = [wish for wish in wishes if not universe.knows(wish.wanted.name)]
    # What an archive alone has may be there by now, because another package needs it.
    grants.add([wish for wish in archived if wish.wanted.name in grants.packages])
    left_out = {entry: f"it cannot be read in the Suggests of {parent}" for parent, entry in _unread(parents)}
    for wish in wishes:
        if wish in grants.refused:
            left_out[wish.wanted.name] = grants.refused[wish]
        elif wish not in grants.granted:
            left_out[wish.wanted.name] = _why_not(wish.wanted.name, archives)
    return grants.packages, dict(sorted(left_out.items()))


def _unread(parents: Iterable[Candidate]) -> Iterator[tuple[Candidate, str]]:
    """Yield the entries of Suggests that cannot be read."""
    for parent in parents:
        for entry in parent.record.unread_suggests:
            yield parent, entry


def _why_not(name: str, archives: Archives) -> str:
    """Return why a suggestion that no repository has now was not even tried."""
    refused = archives.universe.refused(name)
    if refused:
        return "; ".join(refused)
    left = archives.left(name)
    if left:
        source, versions = left
        return f"{source.name} archived it; {name} == {versions[0]} in r_packages.txt takes the last one"
    return "no repository has it"


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
