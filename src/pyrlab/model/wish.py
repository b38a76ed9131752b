"""What a lock run is asked for: which locks, and which of their pins may move."""

from dataclasses import dataclass

from packaging.utils import canonicalize_name

from pyrlab.model.cran import debian

KINDS = ("debs", "r", "python")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which locks to make, and which of their pins may move: all, those of some packages, or (by default) none."""

    kinds: frozenset[str] = frozenset(KINDS)
    upgrade: bool = False
    upgrade_packages: frozenset[str] = frozenset()

    def keeps(self, kind: str, name: str) -> bool:
        """Tell whether a pin stays. R's packages also go by the names of their debs."""
        upgraded = {canonicalize_name(package) for package in self.upgrade_packages}
        names = {canonicalize_name(name), canonicalize_name(debian.bare(name))}
        return not (self.upgrade and kind in self.kinds) and not upgraded & names
