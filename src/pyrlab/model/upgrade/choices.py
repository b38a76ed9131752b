"""Choices among bumps, as the bits of an integer: bit n is the bump at place n of their order."""

from collections.abc import Iterable, Sequence

from pyrlab.model.upgrade.bumps import Bump


class Choices:
    """All choices among ``bumps``, of which each stands behind those that it needs."""

    def __init__(self, bumps: Sequence[Bump]) -> None:
        self._bits = {bump.name: 1 << place for place, bump in enumerate(bumps)}
        self._needs = {bump.name: self.of(bump.needs) for bump in bumps}
        self._dependants = dict(self._bits)
        for bump in bumps:
            for needed in bump.needs:
                self._dependants[needed] |= self._bits[bump.name]
        self.everything = self.of(self._bits)

    def of(self, names: Iterable[str]) -> int:
        """Return the choice of these bumps. Names that are no bump's are left out."""
        choice = 0
        for name in names:
            choice |= self._bits.get(name, 0)
        return choice

    def names(self, choice: int) -> list[str]:
        """Return the names of a choice, in order."""
        return [name for name, bit in self._bits.items() if choice & bit]

    def held_with(self, name: str) -> int:
        """Return what cannot be taken when a bump is held: it, and all that need it."""
        return self._dependants[name]

    def weight(self, name: str) -> int:
        """Return how many bumps cannot be taken when this one is held."""
        return self._dependants[name].bit_count()

    def missing(self, name: str, choice: int) -> int:
        """Return what a bump needs, and a choice does not have."""
        return self._needs[name] & ~choice

    def next_to(self, choice: int) -> list[str]:
        """Return the bumps that could be taken in addition to a choice, each alone."""
        return [name for name in self.names(self.everything & ~choice) if not self.missing(name, choice)]
