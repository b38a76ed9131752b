"""What is known of choices of bumps: what was seen, and what follows from it.

A choice is the set of bumps that are taken, as the bits of an integer.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# The test that every choice is given first: can it be installed at all?
INSTALLS = "installs"
# What was seen of a test: None where it was green, else what its failure names.
Finding = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A choice of bumps to try, by their names, and the tests to run on it; none where only installing is tried."""

    take: frozenset[str]
    tests: frozenset[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial showed: the tests that failed, each with the bumps that its failure names, the likeliest first.

    Where the choice cannot be installed that failure is INSTALLS', and no other test has run.
    """

    failed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, test: str) -> Finding:
        """Return what it says of a test."""
        if INSTALLS in self.failed:
            return tuple(self.failed[INSTALLS]) if test == INSTALLS else ()
        return tuple(self.failed[test]) if test in self.failed else None


@dataclass(slots=True)
class Known:
    """Findings on choices. What is red is taken to be red in larger choices, what is green in smaller ones.

    That is a guess, if a good one: what was seen of a choice itself is believed first.
    """

    seen: dict[tuple[int, str], Finding] = field(default_factory=dict)
    _green: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _red: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, take: int, test: str, finding: Finding, *, ran: bool = True) -> None:
        """Note what was seen. That a test could not run (``ran``) says nothing of other choices."""
        self.seen[take, test] = finding
        if finding is None:
            self._green[test].append(take)
        elif ran:
            self._red[test].append(take)

    def forget_green(self, test: str) -> None:
        """Forget where a test was green."""
        self.seen = {key: one for key, one in self.seen.items() if key[1] != test or one is not None}
        self._green[test].clear()

    def is_green(self, take: int, test: str) -> bool:
        """Tell whether a test is green, as far as is known."""
        if (take, test) in self.seen:
            return self.seen[take, test] is None
        return any(take | larger == larger for larger in self._green[test])

    def is_red(self, take: int, test: str) -> bool:
        """Tell whether a test is red, as far as is known."""
        if (take, test) in self.seen:
            return self.seen[take, test] is not None
        return any(take & smaller == smaller for smaller in self._red[test])

    def is_known(self, take: int, test: str) -> bool:
        """Tell whether there is anything to be learnt by running a test."""
        return self.is_red(take, test) or self.is_green(take, test)

    def suspects(self, take: int, test: str) -> tuple[str, ...]:
        """Return what the failure names, of the smallest choice within this one that is known to be red."""
        found = [smaller for smaller in self._red[test] if take & smaller == smaller]
        return self.seen[min(found, key=int.bit_count), test] or () if found else ()
