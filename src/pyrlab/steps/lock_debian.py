"""The Debian side of locking: the root, the closures of all images by apt, and the choice of R packages."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from debian.debian_support import Version

from pyrlab.adapters.debian.apt import Answer, below
from pyrlab.adapters.debian.debs import description
from pyrlab.errors import ListError
from pyrlab.model.cran import debian
from pyrlab.model.lists import Lists
from pyrlab.model.locks import debs, r
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Earlier, names_of, r_of, r_version
from pyrlab.model.locks.r import RLock
from pyrlab.model.sections import deb_section
from pyrlab.model.settings import Settings
from pyrlab.model.wish import Wish
from pyrlab.steps import fetch
from pyrlab.steps.choose_r import Asked, Choice, Chooser
from pyrlab.steps.lookups import find_files, r_sources
from pyrlab.steps.question import Below
from pyrlab.steps.root import root_for, same_bytes

Say = Callable[[str], None]
# So often apt and the choice of R packages may move each other; in practice two or three times are enough.
ROUNDS = 6


@dataclass(frozen=True)
class Job:
    """One run over Debian's and R's packages: for whom, what for, and whom to tell of each step."""

    settings: Settings
    lists: Lists
    wish: Wish
    earlier: Earlier
    root: Below
    say: Say

    @property
    def r_names(self) -> set[str]:
        """The R packages that the list asks for."""
        return {request.name for request in self.lists.r}

    @property
    def kept(self) -> set[DebPin]:
        """The earlier pins of debs that need not move."""
        old = self.earlier
        kept = {pin for pin in (old.debs.pins() if old.debs else ()) if self.wish.keeps("debs", pin.name)}
        of_r = old.r.all_debs if old.r else ()
        kept |= {pin for pin in of_r if self.wish.keeps("r", pin.name)}
        return {pin for pin in kept if pin.has_file}

    @property
    def preferred(self) -> set[DebPin]:
        """The pins that apt shall take before all others.

        A base image stays as it is, unless something needs a newer version of what it has: apt changes nothing for
        nothing. An earlier pin of such a package counts where it is newer, or apt would put the old one into its place.
        """
        if self.root.base is None:
            return {*self.kept, *self.root.pins}
        installed = {pin.name: Version(pin.version) for pin in self.root.pins}
        return {pin for pin in self.kept if pin.name not in installed or Version(pin.version) > installed[pin.name]}

    def snapshot(self, pins: Iterable[DebPin]) -> str:
        """Return the earlier lock's time where that had all of these pins: a lock that pins the same stays the same."""
        old = self.earlier
        known = {pin.sha256 for pin in (*(old.debs.pins() if old.debs else ()), *(old.r.all_debs if old.r else ()))}
        return old.debs.snapshot if old.debs and known.issuperset(pin.sha256 for pin in pins) else ""


def lock_debian(  # noqa: PLR0913 - what one run of lock knows
    settings: Settings, lists: Lists, wish: Wish, earlier: Earlier, *, architecture: str, say: Say
) -> tuple[DebsLock, RLock | None]:
    """Return new locks of Debian's and R's packages: one solution of apt.

    Raises ListError, NetworkError, EngineError, BuildError, HashMismatchError.
    """
    old = earlier.debs if earlier.debs and earlier.debs.suite == settings.suite else None
    root = root_for(settings, wish, old, architecture=architecture, say=say)
    job = Job(settings, lists, wish, earlier, root, say)
    answer, asked, choice = _in_turns(job)
    for name, reason in choice.left_out.items():
        say(f"left out: {name}, which is only suggested: {reason}")
    for warning in choice.warnings:
        say(f"warning: {warning}")
    for missed in choice.missed:
        say(f"{missed}: sources are compiled instead")
    return _locks(job, answer, asked, choice)


def _locks(job: Job, answer: Answer, asked: Asked, choice: Choice) -> tuple[DebsLock, RLock | None]:
    graph, lists = job.settings.graph, job.lists
    sections = {debs.ROOT: job.root.pins}
    for image in graph.with_debs:
        held = _held(sections, [ancestor.name for ancestor in graph.lineage(image.name)])
        sections[image.name] = answer.section(image.name, held, {request.name for request in lists.debs[image.name]})
    of_r: tuple[DebPin, ...] = ()
    build: tuple[DebPin, ...] = ()
    if graph.with_r:
        held = _held(sections, [ancestor.name for ancestor in graph.lineage(graph.with_r.name)])
        of_r = answer.section(f"{graph.with_r.name}-system", held, {*answer.r_debs(), *asked.run})
        build = answer.section(f"{graph.with_r.name}-build", [*held, *of_r], asked.build)
    everything = [pin for pins in (*sections.values(), of_r, build) for pin in pins]
    same_bytes(job.kept, everything)
    new_debs = DebsLock(
        input=debs.input_of(lists, job.settings.suite),
        suite=job.settings.suite,
        architecture=job.root.architecture,
        sections=sections,
        snapshot=job.snapshot(everything) or answer.snapshot,
        base=job.root.base,
    )
    if graph.with_r is None:
        return new_debs, None
    new_r = RLock(
        input=r.input_of(lists, job.settings.suite, names_of(job.settings)),
        debs_body=new_debs.body,
        r=r_of(new_debs),
        repositories=names_of(job.settings),
        packages=choice.pins(job.r_names, [*held, *of_r], answer.system({pin.name for pin in (*held, *of_r)})),
        debs=of_r,
        build_debs=build,
    )
    return new_debs, new_r


def _held(sections: Mapping[str, Iterable[DebPin]], images: Iterable[str]) -> list[DebPin]:
    """Return the pins of the root and of these images."""
    return [pin for name in (debs.ROOT, *images) for pin in sections.get(name, ())]


def _in_turns(job: Job) -> tuple[Answer, Asked, Choice]:
    """Ask apt for the closures and choose R packages among what it has, in turns, until neither moves the other."""
    chooser = _chooser(job)
    wanted = _first_guess(job)
    sources = _sources(job)
    told: set[str] = set()
    for _ in range(ROUNDS):
        asked = wanted
        answer = _ask_apt(job, asked, sources)
        answer.check()
        if job.settings.graph.with_r is None:
            return answer, asked, Choice.nothing()
        answer = replace(answer, descriptions=_descriptions(job, answer, told))
        choice = chooser.choose(answer, r=r_version(answer.version("r-base-core")))
        wanted = choice.asked(asked, job.r_names, answer.closure(answer.r_system), answer.closure(answer.r_below))
        if wanted == asked:
            answer.check_r()
            return answer, asked, choice
    moving = ", ".join(sorted(asked.rlab ^ wanted.rlab))
    raise ListError(
        f"Debian's packages and those of other repositories keep moving each other: {moving}",
        remedy="say for these where they shall come from: NAME @ debian in r_packages.txt, or another repository",
    )


def _sources(job: Job) -> str:
    """Return what compiles R packages by Debian's word: of interest where some come from elsewhere."""
    if names_of(job.settings) == (debian.NAME,) and not job.lists.r_commits:
        return ""
    return r_sources(job.settings, architecture=job.root.architecture, say=job.say)


def _descriptions(job: Job, answer: Answer, told: set[str]) -> Mapping[str, Mapping[str, str]]:
    """Return the DESCRIPTION of each R package in the closure, by deb: out of the debs, which builds need anyway.

    A few such debs hold no R package, and have none. What cannot be read is said, and noted in ``told``: the next turn
    does not say it again.
    """
    pins = answer.r_pins()
    store = fetch.fetch(job.settings, [deb_section("r", pins)], r="", architecture=job.root.architecture, say=job.say)
    found, unread = {}, {}
    for pin in pins:
        try:
            found[pin.name] = description(store, pin.sha256, job.settings.cache / "descriptions")
        except ValueError as error:
            unread[pin.name] = str(error)
    described = debian.readable(found)
    for deb, reason in sorted({**unread, **described.unread}.items()):
        message = f"{deb}: its DESCRIPTION cannot be read, so Debian's own words on it count: {reason}"
        if message not in told:
            told.add(message)
            job.say(message)
    return described.descriptions


def _first_guess(job: Job) -> Asked:
    """Return what apt will probably be asked for in the end: a guess that is right spares a whole turn."""
    old = job.earlier.r
    from_debian = debian.NAME in names_of(job.settings)
    named = {request.name.lower() for request in job.lists.r if from_debian and request.repository in {"", debian.NAME}}
    pins = old.packages if old else ()
    others = [pin for pin in pins if not pin.deb]
    if others:
        placed = {pin.name.lower() for pin in others}
        named = (named - placed) | {debian.bare(pin.deb.name) for pin in pins if pin.deb and pin.deb.requested}
    return Asked(
        rlab=frozenset(named),
        run=frozenset(name for pin in others for name in pin.system),
        build=frozenset(name for pin in others for name in pin.build),
    )


def _chooser(job: Job) -> Chooser:
    """Return what chooses R packages among what apt has and the repositories of the settings."""
    old, old_debs = job.earlier.r, job.earlier.debs
    old_pins = {pin.name: pin for pin in (old.packages if old else ()) if job.wish.keeps("r", pin.name)}
    same_machine = bool(old_debs and old_debs.architecture == job.root.architecture)
    return Chooser(
        job.settings,
        job.lists,
        job.root.architecture,
        old_pins,
        lambda files: find_files(job.settings, files, architecture=job.root.architecture, say=job.say),
        lambda version: old is not None and same_machine and minor(old.r) == minor(version),
        job.say,
    )


def minor(version: str) -> str:
    """Return the part of R's version that binary packages are made for: ``4.5`` of 4.5.0."""
    return ".".join(version.split(".")[:2])


def preferences(pins: Iterable[DebPin]) -> str:
    """Return apt preferences that choose each pin's version wherever the archive still has it.

    Source: apt_preferences(5): a priority over 1000 wins even against newer versions.
    """
    return "".join(f"Package: {pin.name}\nPin: version {pin.version}\nPin-Priority: 1001\n\n" for pin in sorted(pins))


def _ask_apt(job: Job, asked: Asked, sources: str) -> Answer:
    """Ask apt, in the root, for the closures of all Debian layers, keeping earlier pins where it can.

    ``sources`` goes with its answer: what Debian's source packages of R packages say.
    """
    job.say("asking apt for the closures")
    graph, lists = job.settings.graph, job.lists
    of_r = {image.name for image in graph.of_r}
    images = [
        f"{image.name} {below(graph, image.name) or '-'} {'r' if image.name in of_r else '-'}"
        for image in graph.with_debs
    ]
    request = {
        "preferences": preferences(job.preferred),
        "images": _lines(images),
        **{f"debs.{name}": _lines(requests) for name, requests in lists.debs.items()},
        "names": _lines(sorted(asked.rlab)),
        "run": _lines(sorted(asked.run)),
        "build": _lines(sorted(asked.build)),
    }
    if graph.with_r:
        request["r"] = f"{graph.with_r.name} {below(graph, graph.with_r.name)}\n"
    folder = job.root.ask("debs", request, say=job.say)
    (folder / "sources").write_text(sources, encoding="utf-8")
    return Answer(folder, lists, graph)


def _lines(items: Iterable[object]) -> str:
    return "".join(f"{item}\n" for item in items)
