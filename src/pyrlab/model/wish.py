"""What a lock run is asked for: which locks, which of their pins may move, and how far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from packaging.utils import canonicalize_name

from pyrlab.model.cran import debian

KINDS = ("debs", "r", "python")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which locks to make, and which of their pins may move: all, those of some packages, or (by default) none.

    ``held`` gives, by kind and name, the version that an upgrade of all is to stay below: a package that is named
    itself is not bound by it. Releases younger than ``min_age`` are not taken, where their index says when they came.
    """

    kinds: frozenset[str] = frozenset(KINDS)
    upgrade: bool = False
    upgrade_packages: frozenset[str] = frozenset()
    held: Mapping[tuple[str, str], str] = field(default_factory=dict)
    min_age: timedelta = timedelta()

    @property
    def words(self) -> str:
        """The wish as one line, the same for the same wish."""
        held = (f"{kind} {name} < {version}" for (kind, name), version in sorted(self.held.items()))
        return " ".join(
            [*sorted(self.kinds), str(self.upgrade), *sorted(self.upgrade_packages), *held, f"{self.min_age}"]
        )

    def keeps(self, kind: str, name: str) -> bool:
        """Tell whether a pin stays. R's packages also go by the names of their debs."""
        upgraded = {canonicalize_name(package) for package in self.upgrade_packages}
        names = {canonicalize_name(name), canonicalize_name(debian.bare(name))}
        if upgraded & names:
            return False
        held = any(other == kind and canonicalize_name(one) in names for other, one in self.held)
        return held or not (self.upgrade and kind in self.kinds)

    def below(self, kind: str) -> dict[str, str]:
        """Return, by name, the version that the held packages of a kind stay below."""
        upgraded = {canonicalize_name(package) for package in self.upgrade_packages}
        return {
            name: version
            for (other, name), version in self.held.items()
            if other == kind and canonicalize_name(name) not in upgraded
        }
