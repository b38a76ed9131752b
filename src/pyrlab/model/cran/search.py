"""A search that learns from conflicts: variables with a few values each, and sets of values that exclude each other.

A variable's domain is the set of values that it may still have, as the bits of an integer: bit 0 is "not needed", the
others are its values, best first. All bits from some place on may be set (then the integer is negative): values that
nobody has looked up yet. ``forbid`` takes them back when it turns out that they do not exist.

What is known are incompatibilities: terms, a set of values for each of some variables, that cannot all be true. When
all terms but one are true, the values of that one are struck out. When all are true, the incompatibilities that led
there are combined into a new one, which is kept, and the search goes back to where that one says something new. It
ends, because it never makes a mistake twice, and is complete, because what it learns follows from what it was told.

Source: the way of PubGrub (https://github.com/dart-lang/pub/blob/master/doc/solver.md), which is that of SAT solvers.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

NOT_NEEDED = 1


@dataclass(slots=True, eq=False)
class Variable:
    """Something to be decided. ``domains`` is its domain after each change, ``positions`` where on the trail that was.

    The first entry is what was known before anything was decided; its position is -1. ``rules`` are all
    incompatibilities about it that were told, and ``learnt`` those of the learnt ones that watch it.
    """

    name: str
    domain: int = -1
    domains: list[int] = field(default_factory=lambda: [-1])
    positions: list[int] = field(default_factory=lambda: [-1])
    rules: list["Incompatibility"] = field(default_factory=list, repr=False)
    learnt: list["Incompatibility"] = field(default_factory=list, repr=False)

    def since(self, values: int) -> int:
        """Return the position on the trail from which on the variable is certain to be one of ``values``."""
        index = len(self.domains) - 1
        while index and not self.domains[index - 1] & ~values:
            index -= 1
        return self.positions[index]


@dataclass(slots=True, eq=False)
class Incompatibility:
    """Values that cannot be had together. ``why`` says why of one that was told; ``causes`` led to one learnt.

    One that was learnt may have many terms. It watches two that are not true yet: before both are, it says nothing.
    """

    terms: dict[Variable, int]
    why: list[object] = field(default_factory=list)
    causes: tuple["Incompatibility", ...] = ()
    watched: tuple[Variable, ...] = ()

    def told(self) -> Iterator["Incompatibility"]:
        """Yield what this one follows from and was told, not learnt, each once, the latest used first."""
        waiting, seen = deque([self]), {self}
        while waiting:
            rule = waiting.popleft()
            if not rule.causes:
                yield rule
            for cause in rule.causes:
                if cause not in seen:
                    seen.add(cause)
                    waiting.append(cause)


class RefutedError(Exception):
    """There is no solution. ``proof`` is an incompatibility without terms."""

    def __init__(self, proof: Incompatibility) -> None:
        super().__init__("there is no solution")
        self.proof = proof


class Search:
    """The state of a search: what is known, what was decided, and what follows.

    Decisions are numbered from 1: ``level`` is the number of the last one. ``changed`` are variables whose domain
    shrank since somebody emptied it.
    """

    def __init__(self) -> None:
        self.level = 0
        self.learnt = 0
        self.changed: dict[Variable, None] = {}
        self._trail: list[tuple[Variable, Incompatibility | None]] = []
        self._levels: list[int] = []
        self._queue: deque[Variable] = deque()
        self._new: list[Incompatibility] = []
        # What became known after a decision, by its number: to be looked at again when that is taken back.
        self._late: list[tuple[int, Incompatibility | Variable]] = []
        self._conflict: Incompatibility | None = None

    def tell(self, terms: Mapping[Variable, int], *why: object) -> Incompatibility:
        """Take note that these values cannot be had together."""
        rule = Incompatibility(dict(terms), list(why))
        for variable in terms:
            variable.rules.append(rule)
        self._look_at(rule)
        return rule

    def widen(self, rule: Incompatibility, variable: Variable, values: int, *why: object) -> None:
        """Take note that what ``rule`` says holds for more values of one of its variables."""
        rule.terms[variable] |= values
        rule.why += why
        self._look_at(rule)

    def forbid(self, variable: Variable, values: int) -> None:
        """Take note that a variable cannot have some values, whatever the others have. A proof does not mention it."""
        variable.domains = [domain & ~values for domain in variable.domains]
        variable.domain = variable.domains[-1]
        self._queue.append(variable)
        self.changed[variable] = None
        if self.level:
            self._late.append((self.level, variable))

    def decide(self, variable: Variable, value: int) -> None:
        """Give a variable one of the values that its domain has."""
        self.level += 1
        self._narrow(variable, value, None)

    def follow(self) -> bool:
        """Draw all conclusions. Return False when they contradict each other: then ``learn`` goes on."""
        while not self._conflict and (self._new or self._queue):
            if self._new:
                self._apply(self._new.pop())
            else:
                self._follow(self._queue.popleft())
        return not self._conflict

    def learn(self) -> int:
        """Learn from the contradiction, take decisions back, and return how many stay. Raises RefutedError."""
        if not self._conflict:
            raise ValueError("there is nothing to learn from")
        rule, level = self._explain(self._conflict)
        self.learnt += 1
        self._take_back(level)
        for variable in rule.watched:
            variable.learnt.append(rule)
        self._new.append(rule)
        return level

    def _explain(self, conflict: Incompatibility) -> tuple[Incompatibility, int]:
        """Return what the contradiction teaches, and the level from which on that would have helped.

        The conclusion that came last is replaced by what it was drawn from, until only one term is of the last level.
        """
        terms = dict(conflict.terms)
        since = {variable: variable.since(values) for variable, values in terms.items()}
        causes = [conflict]
        while True:
            # What was never otherwise needs no mention.
            for variable in [one for one, position in since.items() if position < 0]:
                del terms[variable], since[variable]
            if not terms:
                raise RefutedError(Incompatibility({}, causes=tuple(causes)))
            last, *others = sorted(since, key=since.__getitem__, reverse=True)[:2]
            level = self._levels[since[last]]
            before = self._levels[since[others[0]]] if others else 0
            if before < level:
                return Incompatibility(terms, causes=tuple(causes), watched=(last, *others)), before
            self._combine(terms, since, last, causes)

    def _combine(
        self, terms: dict[Variable, int], since: dict[Variable, int], last: Variable, causes: list[Incompatibility]
    ) -> None:
        """Replace the term that came true last by the terms of the incompatibility that made it true."""
        reason = self._trail[since[last]][1]
        if reason is None:
            raise AssertionError(f"{last.name} was decided, and is not the only one of its level")
        causes.append(reason)
        for variable, values in reason.terms.items():
            if variable is last:
                terms[variable] |= values
            else:
                terms[variable] = terms.get(variable, -1) & values
            since[variable] = variable.since(terms[variable])

    def _take_back(self, level: int) -> None:
        while self._levels and self._levels[-1] > level:
            self._levels.pop()
            variable, _ = self._trail.pop()
            variable.domains.pop()
            variable.positions.pop()
            variable.domain = variable.domains[-1]
            self.changed[variable] = None
        self.level = level
        self._conflict = None
        self._queue.clear()
        self._new.clear()
        again: dict[Incompatibility | Variable, None] = {}
        while self._late and self._late[-1][0] > level:
            again[self._late.pop()[1]] = None
        for known in again:
            if level:
                self._late.append((level, known))
            if isinstance(known, Variable):
                self._queue.append(known)
            else:
                self._new.append(known)

    def _look_at(self, rule: Incompatibility) -> None:
        self._new.append(rule)
        if self.level:
            self._late.append((self.level, rule))

    def _follow(self, variable: Variable) -> None:
        """Draw the conclusions from a variable's domain, until they contradict each other."""
        for rule in variable.rules:
            if not variable.domain & ~rule.terms[variable]:
                self._apply(rule)
                if self._conflict:
                    return
        learnt, variable.learnt = variable.learnt, []
        for rule in learnt:
            if self._conflict or variable.domain & ~rule.terms[variable] or not self._watch_another(rule, variable):
                variable.learnt.append(rule)

    def _watch_another(self, rule: Incompatibility, variable: Variable) -> bool:
        """Let a rule watch another term than that of ``variable``, which is true now; if there is none, apply it."""
        others = [one for one in rule.watched if one is not variable]
        for one, values in rule.terms.items():
            if one.domain & ~values and one not in others:
                rule.watched = (one, *others)
                one.learnt.append(rule)
                return True
        self._apply(rule)
        return False

    def _apply(self, rule: Incompatibility) -> None:
        """Strike out what an incompatibility leaves no room for."""
        left: Variable | None = None
        for variable, values in rule.terms.items():
            domain = variable.domain
            if domain & ~values:
                if left is not None or not domain & values:
                    return
                left = variable
        if left is None:
            self._conflict = rule
        else:
            self._narrow(left, left.domain & ~rule.terms[left], rule)

    def _narrow(self, variable: Variable, domain: int, reason: Incompatibility | None) -> None:
        variable.domain = domain
        variable.domains.append(domain)
        variable.positions.append(len(self._trail))
        self._trail.append((variable, reason))
        self._levels.append(self.level)
        self._queue.append(variable)
        self.changed[variable] = None
