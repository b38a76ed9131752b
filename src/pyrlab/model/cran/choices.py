"""What may be chosen of each R package, best first: current versions at once, old ones when nothing else is left."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pyrlab.model.cran.archives import Archives, Old
from pyrlab.model.cran.record import Dependency, Unread
from pyrlab.model.cran.search import NOT_NEEDED, Incompatibility, Variable
from pyrlab.model.cran.universe import Candidate, Requirement, Unfit, Universe
from pyrlab.model.cran.version import RVersion

UPPER_BOUNDS = {"==", "<", "<=", "!="}
# So many old versions of a package are looked at: each costs a download.
OLDER = 20


@dataclass(slots=True, eq=False)
class Package:
    """A package that is to be decided, and what may be chosen: value 1 << n of ``variable`` is ``values[n - 1]``.

    ``rules`` say what somebody wants of it; ``needs`` say what its values want, by that.
    ``ready`` are the values whose needs are told. ``unfit`` is what is of no use at all; ``unread`` says the same of
    old versions without a record, by repository and version. ``cut`` tells whether some were not even looked at.
    """

    variable: Variable
    values: list[Candidate | Old]
    repositories: Collection[str]
    unfit: list[tuple[Candidate, Unfit]]
    unread: dict[tuple[str, RVersion], str] = field(default_factory=dict)
    currently: int = 0
    opened: bool = False
    looked_at: int = 0
    cut: bool = False
    ready: int = 0
    rules: list[tuple[Incompatibility, Requirement]] = field(default_factory=list)
    needs: dict[Dependency, Incompatibility] = field(default_factory=dict)
    _refused: dict[tuple[str, str, str], int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """R's name of the package."""
        return self.variable.name

    @property
    def above(self) -> int:
        """All values that are not known, as bits: some for an archive that was not opened, none that exist else."""
        return -1 << (len(self.values) + 1)

    def best(self) -> int:
        """Return the best value that is left, one bit; one of ``above`` when only an archive can help."""
        domain = self.variable.domain & ~NOT_NEEDED
        return domain & -domain

    def refused(self, wanted: Requirement) -> int:
        """Return the values that will not do for a requirement, "not needed" among them."""
        key = (wanted.wanted.operator, wanted.wanted.version, wanted.repository)
        if key not in self._refused:
            self._refused[key] = self._refusing(wanted)
        return self._refused[key]

    def add(self, values: Iterable[Old]) -> None:
        """Add old versions, worse than all there was. What was said of requirements before is to be widened."""
        self.values += values
        self._refused.clear()
        self.opened = True

    def at(self, value: int) -> Candidate | Old:
        """Return what a value, one bit, stands for."""
        return self.values[value.bit_length() - 2]

    def chosen(self) -> Candidate:
        """Return what was decided. Raises TypeError when that is an old version that nobody described."""
        found = self.at(self.variable.domain)
        if not isinstance(found, Candidate):
            raise TypeError(f"{self.name} {found.version} is not described")
        return found

    def _refusing(self, wanted: Requirement) -> int:
        refused = NOT_NEEDED
        for number, value in enumerate(self.values, start=1):
            version = value.record.version if isinstance(value, Candidate) else value.version
            if wanted.repository not in {"", value.repository} or not wanted.wanted.allows(version):
                refused |= 1 << number
        return refused


class Choices:
    """All packages that were met. ``roots`` are the requirements of the list, and suggestions, by name."""

    def __init__(self, universe: Universe, archives: Archives, roots: Mapping[str, Sequence[Requirement]]) -> None:
        self.universe = universe
        self.archives = archives
        self.packages: dict[str, Package] = {}
        self._roots = roots
        self._known: dict[str, bool] = dict.fromkeys(roots, True)
        self._names = [source.names for source in universe.sources]
        self._closure: dict[str, Package] = {}
        self._bounded: set[str] | None = None
        self._lacking: set[str] = set()

    def package(self, name: str) -> Package:
        """Return a package, the same one each time."""
        if name not in self.packages:
            self.packages[name] = self._look_up(name)
        return self.packages[name]

    def open(self, package: Package) -> list[Old]:
        """Return the old versions of a package, best first: none where they are not worth looking at."""
        if self._is_lacking(package):
            return []
        current = {(value.repository, value.record.version) for value in package.values if isinstance(value, Candidate)}
        current |= {(candidate.repository, candidate.record.version) for candidate, _ in package.unfit}
        found = self.archives.versions(package.name, package.repositories)
        return [one for one in found if (one.repository, one.version) not in current]

    def describe(self, package: Package, old: Old) -> Candidate | None:
        """Return an old version as a candidate, or None where it is of no use or nobody has it."""
        key = (old.repository, old.version)
        record = self.archives.describe(old.source, package.name, old.version.text)
        if isinstance(record, Unread):
            package.unread[key] = record.reason
            return None
        if not record:
            if old.version.text in self.archives.listing(old.source, package.name):
                package.unread[key] = "it is listed, and not served"
            return None
        candidate = Candidate(old.repository, record)
        unfit = self._unfit(candidate)
        if unfit:
            package.unfit.append((candidate, unfit))
        return None if unfit else candidate

    def restricting(self, name: str) -> list[Requirement]:
        """Return the lines of the list for which archives of a package were not looked at: they name a repository."""
        package = self.packages[name]
        if not package.opened or len(package.repositories) == len(self.universe.sources):
            return []
        return [line for line in self._roots.get(name, ()) if line.where and line.repository]

    def knows(self, name: str) -> bool:
        """Tell whether any version of a package can be had; where no index has it, in an archive."""
        if name not in self._known:
            universe = self.universe
            self._known[name] = (
                any(name in names for names in self._names)
                or name in universe.installed
                or name in universe.locked
                or self.archives.left(name) is not None
            )
        return self._known[name]

    def _look_up(self, name: str) -> Package:
        """Return a package with all that there is of it outside archives, best first."""
        universe = self.universe
        installed = universe.installed.get(name)
        lines = [wish for wish in self._roots.get(name, ()) if wish.where]
        found = [universe.locked.get(name), installed if not lines else None]
        for source, names in zip(universe.sources, self._names, strict=True):
            if name in names:
                found += [Candidate(source.name, record) for record in source.records(name)]
        found.append(installed)
        package = Package(Variable(name), [], self._repositories(lines), [])
        for candidate in found:
            if candidate and candidate not in package.values:
                unfit = self._unfit(candidate)
                if unfit:
                    package.unfit.append((candidate, unfit))
                else:
                    package.values.append(candidate)
        package.currently = len(package.values)
        return package

    def _repositories(self, lines: Sequence[Requirement]) -> list[str]:
        """Return the repositories that all lines of the list allow, in the user's order."""
        names = [source.name for source in self.universe.sources]
        return [name for name in names if all(line.repository in {"", name} for line in lines)]

    def _unfit(self, candidate: Candidate) -> Unfit | None:
        """Return why a candidate cannot be used with this R and these repositories."""
        named = f"{candidate} of {candidate.repository} needs"
        for gate in candidate.record.gates:
            if not gate.allows(self.universe.r):
                return Unfit(f"{named} {gate}, and the image has R {self.universe.r}", gate=gate)
        lacking = sorted({one.name for one in candidate.record.dependencies if not self.knows(one.name)})
        if lacking:
            refused = [reason for name in lacking for reason in self.universe.refused(name)]
            why = f"; {'; '.join(refused)}" if refused else ", which no repository has"
            return Unfit(f"{named} {' and '.join(lacking)}{why}", lacking=tuple(lacking))
        return None

    def _is_lacking(self, package: Package) -> bool:
        """Tell whether all current versions of a package lack another one, directly or not.

        No older version of it is a likely cure then, only many downloads; unless somebody, the list or a current
        version, bounds it from above.
        """
        if self._bounded is None:
            roots = [self.package(name) for name in self._roots]
            reached = self._reach(roots)
            bounds = [line.wanted for lines in self._roots.values() for line in lines]
            bounds += [one for each in reached for value in _current(each) for one in value.record.dependencies]
            self._bounded = {one.name for one in bounds if one.operator in UPPER_BOUNDS}
            self._settle(reached)
        if package.name not in self._closure:
            self._settle(self._reach([package]))
        return package.name in self._lacking

    def _reach(self, packages: Iterable[Package]) -> list[Package]:
        """Return what current versions of some packages may need, what was reached before left out."""
        reached = []
        waiting = list(packages)
        while waiting:
            package = waiting.pop()
            if package.name not in self._closure:
                self._closure[package.name] = package
                reached.append(package)
                waiting += [self.package(one.name) for each in _current(package) for one in each.record.dependencies]
        return reached

    def _settle(self, reached: Sequence[Package]) -> None:
        """Note which of these lack something."""
        bounded = self._bounded or set()
        open_to_doubt = [
            one
            for one in reached
            if one.name not in bounded and (_current(one) or one.unfit) and all(unfit.lacking for _, unfit in one.unfit)
        ]
        settled = False
        while not settled:
            lacking = {
                one.name
                for one in open_to_doubt
                if one.name not in self._lacking
                and all(self._lacking & {wish.name for wish in each.record.dependencies} for each in _current(one))
            }
            self._lacking |= lacking
            settled = not lacking


def _current(package: Package) -> list[Candidate]:
    """Return the current versions that are of use; those of archives, which come after them, are left out."""
    return [one for one in package.values[: package.currently] if isinstance(one, Candidate)]
