"""The R half of `lock`: which version of each package from which repository, its files, and the debs it goes with."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

from pyrlab.adapters.cran import github, repository
from pyrlab.adapters.cran.github import AtCommit, GitHub
from pyrlab.adapters.cran.headers import included_headers
from pyrlab.adapters.cran.repository import Repository
from pyrlab.adapters.debian.apt import Answer
from pyrlab.adapters.http import THREADS
from pyrlab.model import commits
from pyrlab.model.cran import debian
from pyrlab.model.cran.debian import Debian
from pyrlab.model.cran.record import Record, Unread, is_r
from pyrlab.model.cran.resolver import Candidate, Source, Universe, resolve
from pyrlab.model.cran.system import TOOLCHAIN, Needs, SystemDebs
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import Lists, RRequest
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.settings import Settings

FindFiles = Callable[[Sequence[str]], Mapping[str, Collection[str]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What apt is to put into rlab: R packages by their bare names, and debs that other R packages run on.

    ``build`` are the debs that compile packages; they come on top, in no image.
    """

    rlab: frozenset[str]
    run: frozenset[str] = frozenset()
    build: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen: a candidate a package, the files of those that are not Debian's, and what these need of it.

    ``left_out`` are suggested packages that cannot be had, and why; ``warnings`` what else a user should hear of;
    ``missed`` says where binaries are lacking.
    """

    packages: Mapping[str, Candidate]
    files: Mapping[str, tuple[RFile, ...]]
    needs: Mapping[str, Needs]
    left_out: Mapping[str, str]
    warnings: Sequence[str] = ()
    missed: tuple[str, ...] = ()

    @classmethod
    def nothing(cls) -> Self:
        """Return the choice of a project without R packages."""
        return cls({}, {}, {}, {})

    def asked(
        self, before: Asked, roots: Collection[str], carried: Collection[str], below: Collection[str] = ()
    ) -> Asked:
        """Return what apt must be asked for so that all of it is there.

        Of Debian's packages just those that apt does not bring anyway: it knows what they depend on. ``carried`` are
        the debs of its last answer, ``below`` those of them that rlab-base has.
        """
        own = {name: one for name, one in self.packages.items() if one.repository == debian.NAME}
        others = [one for name, one in self.packages.items() if name not in own]
        wanted = {*roots, *(one.name for other in others for one in other.record.dependencies)}
        debs = {
            debian.bare(one.record.file)
            for name, one in own.items()
            if (name in wanted and one.record.file not in below)
            or one.record.file not in carried
            or debian.bare(one.record.file) in before.rlab
        }
        build = {name for need in self.needs.values() for name in need.build}
        return Asked(
            rlab=frozenset(debs),
            run=frozenset(name for need in self.needs.values() for name in need.run),
            build=frozenset(build),
        )

    def pins(
        self, roots: Collection[str], debs: Iterable[DebPin], system: Mapping[str, Sequence[str]]
    ) -> tuple[RPin, ...]:
        """Return the lock's packages. ``system`` is what each deb of an R package depends on, of ``debs``."""
        carried = {deb.name: deb for deb in debs}
        return tuple(
            # What comes from GitHub is what the list names.
            _pin(one, self.files[name], self.needs[name], requested=name in roots or one.repository == commits.NAME)
            if name in self.files
            else _deb_pin(one, carried[one.record.file], system[one.record.file], requested=name in roots)
            for name, one in sorted(self.packages.items())
        )


def _pin(chosen: Candidate, files: tuple[RFile, ...], needs: Needs, *, requested: bool) -> RPin:
    record = chosen.record
    return RPin(
        name=record.name,
        version=str(record.version),
        repository=chosen.repository,
        requested=requested,
        files=files,
        dependencies=(*record.gates, *record.dependencies),
        linking=record.linking,
        system=needs.run,
        build=needs.build,
        system_requirements=record.system_requirements,
    )


def _deb_pin(chosen: Candidate, deb: DebPin, system: Sequence[str], *, requested: bool) -> RPin:
    return replace(_pin(chosen, (), Needs(run=tuple(system)), requested=requested), deb=deb, linking=())


@dataclass
class Chooser:
    """Chooses for one lock run. ``old`` are the pins that need not move; ``find_files`` asks the archive's Contents.

    ``warn`` is told of what a package wants that is not taken from where its authors take it.

    ``same_r`` tells whether the old pins were chosen for the R and the machine that this run is for: their files then
    stay, binaries among them. What was downloaded, looked up and read stays for the next round.
    """

    settings: Settings
    lists: Lists
    architecture: str
    old: Mapping[str, RPin]
    find_files: FindFiles
    same_r: Callable[[str], bool]
    warn: Callable[[str], None]
    repositories: dict[str, Repository | GitHub] = field(default_factory=dict)
    _files: dict[Candidate, tuple[RFile, ...]] = field(default_factory=dict)
    _headers: dict[str, Collection[str]] = field(default_factory=dict)
    _descriptions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _commits: list[AtCommit] = field(default_factory=list)
    _stays: bool = False

    def choose(self, answer: Answer, *, r: str) -> Choice:
        """Return what rlab is to hold, for the R and the packages that ``answer`` has.

        Raises ListError, NetworkError, HashMismatchError.
        """
        self.repositories = self.repositories or self._connect(r)
        # What a deb says of itself counts also when it was rejected for that, and is no longer in apt's closure.
        self._descriptions.update(answer.descriptions)
        self._stays = self.same_r(r)
        own = Debian(answer.stanzas, self._descriptions, self._known_names())
        installed = {
            record.name: Candidate(debian.NAME, record)
            for deb, record in answer.r_records.items()
            if deb in answer.closure(answer.r_below)
        }
        locked = {name: one for name, pin in self.old.items() if (one := self._locked(pin, own))}
        bioconductor = debian.of_bioconductor(answer.stanzas)
        universe = Universe(RVersion.parse(r), self._sources(own), installed, locked, bioconductor)
        solution = resolve([*self.lists.r, *map(_at_commit, self._commits)], universe)
        others = [one for one in solution.packages.values() if one.repository != debian.NAME]
        with ThreadPoolExecutor(THREADS) as pool:
            files = {one.name: found for one, found in zip(others, pool.map(self._files_of, others), strict=True)}
        needs = self._needs(answer, others, files)
        missed = self._missed(others, files)
        return Choice(solution.packages, files, needs, solution.left_out, solution.warnings, missed)

    def _connect(self, r: str) -> dict[str, Repository | GitHub]:
        """Return the repositories by name; what the list wants of GitHub is fetched, and there before the others."""
        found: dict[str, Repository | GitHub] = {}
        if self.lists.r_commits:
            source = found[commits.NAME] = github.connect(self.settings)
            locked = {
                file.path: file
                for pin in self.old.values()
                for file in pin.files
                if file.kind == "commit" and file.sha256
            }
            self._commits = source.load(self.lists.r_commits, locked)
            self._warn_of_remotes()
        return found | dict(repository.connect(self.settings, r=r, architecture=self.architecture))

    def _warn_of_remotes(self) -> None:
        places = [package.commit.place for package in self._commits]
        names = {request.name for request in self.lists.r} | {package.record.name for package in self._commits}
        for package in self._commits:
            for remote in github.unlisted(package, places, names):
                self.warn(
                    f"warning: {package.commit} ({package.commit.where}) has {remote.text} in its Remotes; what it "
                    "needs of that comes from r.repositories here: for the authors' own, list it as owner/repo@sha"
                )

    def _sources(self, own: Debian) -> list[Source]:
        """Return GitHub, where the list wants anything of it, and the repositories in the user's order."""
        first = [source for name, source in self.repositories.items() if name == commits.NAME]
        return [*first, *(self.repositories.get(one.name, own) for one in self.settings.r_repositories)]

    def _known_names(self) -> set[str]:
        """Return all R names that the indexes of other repositories have."""
        return {name for repository in self.repositories.values() for name in repository.names}

    def _locked(self, pin: RPin, own: Debian) -> Candidate | None:
        """Return an earlier pin as a candidate: of Debian the version that apt keeps, elsewhere the locked one."""
        if pin.repository == debian.NAME:
            records = own.records(pin.name) if any(not one.url for one in self.settings.r_repositories) else ()
            return Candidate(debian.NAME, records[0]) if records else None
        # Of GitHub's, the list itself names the one version.
        if pin.repository not in self.repositories or pin.repository == commits.NAME:
            return None
        if any(one.name == pin.name and one.suggests for one in self.lists.r):
            record = self._suggesting(pin)
            return Candidate(pin.repository, record) if record else None
        return Candidate(pin.repository, _record(pin))

    def _suggesting(self, pin: RPin) -> Record | None:
        """Return the record of a locked version with what it suggests, which the lock does not have; None if nobody."""
        source, version = self.repositories[pin.repository], RVersion.parse(pin.version)
        current = next((one for one in source.records(pin.name) if one.version == version), None)
        described = current or source.describe(pin.name, pin.version)
        return None if isinstance(described, Unread) else described

    def _files_of(self, chosen: Candidate) -> tuple[RFile, ...]:
        if self._is_kept(chosen):
            return self.old[chosen.name].files
        if chosen not in self._files:
            self._files[chosen] = self.repositories[chosen.repository].files(chosen.record)
        return self._files[chosen]

    def _missed(self, others: Sequence[Candidate], files: Mapping[str, tuple[RFile, ...]]) -> tuple[str, ...]:
        """Say of each repository which new packages have no binary; of the others it was said before."""
        new = [one for one in others if not self._is_kept(one)]
        said = [
            source.missed({one.name: files[one.name] for one in new if one.repository == name})
            for name, source in self.repositories.items()
            if isinstance(source, Repository)
        ]
        return tuple(filter(None, said))

    def _needs(
        self, answer: Answer, others: Sequence[Candidate], files: Mapping[str, Sequence[RFile]]
    ) -> dict[str, Needs]:
        """Return what each package from elsewhere needs of Debian: as Debian says, or as it was, or by its headers."""
        sources = {one.name: (one.repository, file) for one in others for file in files[one.name] if file.is_source}
        system = SystemDebs(answer.stanzas, answer.sources, answer.names, self._headers)
        needs = {}
        for one in others:
            pin = self.old.get(one.name)
            held = {*pin.build, *pin.system} if pin and self._is_kept(one) else {""}
            if pin and held <= answer.names and not system.knows(one.name):
                needs[one.name] = Needs(pin.build, pin.system)
            else:
                compiles = one.record.needs_compilation and one.name in sources
                headers = self._included(one, sources) if compiles and not system.knows_build(one.name) else []
                found = system.needs(one.name, headers=headers)
                needs[one.name] = replace(found, build=(*found.build, *TOOLCHAIN) if compiles else ())
        return needs

    def _is_kept(self, chosen: Candidate) -> bool:
        """Tell whether a candidate is the very version that was locked, for this R and machine."""
        pin = self.old.get(chosen.name)
        same = pin is not None and (pin.repository, pin.version) == (chosen.repository, str(chosen.record.version))
        if pin and chosen.repository == commits.NAME:
            # Many commits have the same version.
            same = same and chosen.record.file in {file.path for file in pin.files}
        # Of an edited lock the files have no hashes.
        return same and self._stays and pin is not None and all(file.sha256 for file in pin.files)

    def _included(self, chosen: Candidate, sources: Mapping[str, tuple[str, RFile]]) -> Collection[str]:
        """Return the headers that a package takes from Debian, and look up those that are new."""
        own, *linked = [
            self.repositories[sources[name][0]].fetch(name, sources[name][1])
            for name in (chosen.name, *chosen.record.linking)
            if name in sources
        ]
        headers = included_headers(own, linked)
        unknown = sorted(set(headers) - self._headers.keys())
        if unknown:
            found = self.find_files(unknown)
            self._headers.update({header: found.get(header, ()) for header in unknown})
        return headers


def _at_commit(package: AtCommit) -> RRequest:
    """Return what the list wants of GitHub, as a line that names the package."""
    return RRequest(package.record.name, "==", str(package.record.version), package.commit.where, commits.NAME)


def _record(pin: RPin) -> Record:
    """Return what the lock says of a package. The index may say something else of the same version by now."""
    return Record(
        name=pin.name,
        version=RVersion.parse(pin.version),
        file=pin.files[0].path,
        dependencies=tuple(one for one in pin.dependencies if not is_r(one.name)),
        linking=pin.linking,
        gates=tuple(one for one in pin.dependencies if is_r(one.name)),
        needs_compilation=bool(pin.build),
        system_requirements=pin.system_requirements,
    )
