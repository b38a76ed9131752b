"""The use case `lock`: from the lists to the three locks, and whether they still agree."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from packaging.utils import canonicalize_name

from pyrlab.adapters import files
from pyrlab.adapters.debian.apt import Answer
from pyrlab.adapters.docker import engine
from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.lock_files import read_debs, read_python, read_r
from pyrlab.adapters.python.pip_compile import explain
from pyrlab.errors import GoneError, ListError, StaleLockError, UsageError
from pyrlab.model import locks
from pyrlab.model.cran import debian
from pyrlab.model.lists import PYTHON, Lists
from pyrlab.model.locks import debs, python, r
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import KINDS, names_of, python_of, r_of, r_version
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock
from pyrlab.model.settings import Settings
from pyrlab.steps import root
from pyrlab.steps.choose_r import Asked, Choice, Chooser
from pyrlab.steps.question import ask, find_files

# So often apt and the choice of R packages may move each other; in practice two or three times are enough.
ROUNDS = 6
Say = Callable[[str], None]
Lock = TypeVar("Lock")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which locks to make, and which of their pins may move: all, those of some packages, or (by default) none."""

    kinds: frozenset[str] = frozenset(KINDS)
    upgrade: bool = False
    upgrade_packages: frozenset[str] = frozenset()

    def keeps(self, kind: str, name: str) -> bool:
        """Tell whether a pin stays. R's packages also go by the names of their debs."""
        upgraded = {canonicalize_name(package) for package in self.upgrade_packages}
        names = {name, debian.bare(name)}
        return not (self.upgrade and kind in self.kinds) and not upgraded.intersection(map(canonicalize_name, names))


@dataclass(frozen=True, slots=True)
class Job:
    """One run of `lock`: for whom, what for, and whom to tell of each step."""

    settings: Settings
    lists: Lists
    wish: Wish
    say: Say

    @property
    def r_names(self) -> set[str]:
        """The R packages that the list asks for."""
        return {one.name for one in self.lists.r}


def lock(settings: Settings, wish: Wish, *, say: Say) -> dict[str, list[locks.Change]]:
    """Make the locks that ``wish`` names, and return what changed by file. All are replaced at the end, or none.

    Debian's and R's packages are one solution of apt, so that naming either makes both.
    Raises ListError, StaleLockError, NetworkError, EngineError, BuildError or UsageError.
    """
    project = settings.project
    job = Job(settings, read_lists(project), wish, say)
    architecture = engine.find().architecture
    old_debs, old_r, old_python = _old(read_debs, project), _old(read_r, project), _old(read_python, project)
    _check_known(wish, (old_debs, old_r, old_python))
    new_debs, new_r, new_python = old_debs, old_r, old_python
    if wish.kinds & {"debs", "r"}:
        below = _new_root(job, old_debs)
        new_debs, new_r = _lock_debian(job, below, old_debs, old_r, architecture)
    elif new_debs is None or new_debs.suite != settings.suite:
        raise StaleLockError(f"there is no debs.lock for {settings.suite}", remedy="nox -s lock")
    else:
        below = ensure_root(settings, new_debs, say)
    if "python" in wish.kinds:
        new_python = _lock_python(job, below, old_python, python_of(new_debs))
    made = [(debs, old_debs, new_debs), (r, old_r, new_r), (python, old_python, new_python)]
    changed = [(module, old, new) for module, old, new in made if new is not None and new is not old]
    files.write({project / module.FILE: new.render() for module, _, new in changed})
    return {
        module.FILE: locks.diff(old.versions() if old else {}, new.versions(), module.order)
        for module, old, new in changed
    }


def ensure_root(settings: Settings, lock: DebsLock, say: Say) -> root.Root:
    """Return the root that ``lock`` pins, from the cache or made anew. Raises GoneError when it cannot be had."""
    pins = lock.sections[debs.ROOT]
    found = root.find(pins, settings) or root.make(pins, settings, say=say)
    gone = sorted({f"{pin.name} {pin.version}" for pin in set(pins) - set(found.pins)})
    if gone:
        raise GoneError(gone)
    return found


def _old(read: Callable[[Path], Lock], project: Path) -> Lock | None:
    """Return the lock that is there, if it can be read: a broken one is made anew, without its pins."""
    try:
        return read(project)
    except StaleLockError:
        return None


def _check_known(wish: Wish, old: Sequence[DebsLock | RLock | PythonLock | None]) -> None:
    """Raise UsageError when a package to upgrade is in no lock: a typing error would upgrade nothing, silently."""
    known = {canonicalize_name(name.split(" ")[0]) for lock in old if lock for name in lock.versions()}
    unknown = sorted(name for name in wish.upgrade_packages if canonicalize_name(name) not in known)
    if unknown:
        raise UsageError(f"no lock has a package {', '.join(unknown)}", remedy="check the name in the lock")


def _new_root(job: Job, old: DebsLock | None) -> root.Root:
    """Return a root for locking: the locked one as far as its pins are kept and still to be had."""
    pins = old.sections[debs.ROOT] if old and old.suite == job.settings.suite else ()
    kept = [pin for pin in pins if job.wish.keeps("debs", pin.name)]
    found = root.find(pins, job.settings) if pins and len(kept) == len(pins) else None
    return found or root.make(kept, job.settings, say=job.say)


def _lock_debian(
    job: Job, below: root.Root, old_debs: DebsLock | None, old_r: RLock | None, architecture: str
) -> tuple[DebsLock, RLock]:
    kept = {pin for pin in (old_debs.pins() if old_debs else ()) if job.wish.keeps("debs", pin.name)}
    if old_r:
        kept |= {pin for pin in (*old_r.debs, *old_r.build_debs) if job.wish.keeps("r", pin.name)}
    chooser = _chooser(
        job, below, old_r, architecture, same_machine=bool(old_debs and old_debs.architecture == architecture)
    )
    answer, asked, choice = _in_turns(job, below, kept, _first_guess(job, old_r), chooser)
    for name in choice.left_out:
        job.say(f"left out: {name}, which is suggested and in no repository")
    sections = {debs.ROOT: below.pins}
    for image, requests in (("pyrlab-base", job.lists.base_debs), ("rlab-base", job.lists.r_debs)):
        held = [pin for pins in sections.values() for pin in pins]
        sections[image] = answer.section(image, held, {one.name for one in requests})
    held = [pin for pins in sections.values() for pin in pins]
    on_top = answer.section("rlab", held, {*answer.r_debs(), *asked.run})
    held += on_top
    build = answer.section("rlab-build", held, asked.build)
    root.same_bytes(kept, [*held, *build])
    new_debs = DebsLock(
        input=debs.input_of(job.lists, job.settings.suite, job.settings.apt_sources),
        suite=job.settings.suite,
        architecture=architecture,
        sections=sections,
    )
    new_r = RLock(
        input=r.input_of(job.lists, job.settings.suite, names_of(job.settings)),
        r=r_of(new_debs),
        repositories=names_of(job.settings),
        packages=choice.pins(job.r_names, held, answer.system({deb.name for deb in held})),
        debs=on_top,
        build_debs=build,
    )
    return new_debs, new_r


def _in_turns(
    job: Job, below: root.Root, kept: Iterable[DebPin], guess: Asked, chooser: Chooser
) -> tuple[Answer, Asked, Choice]:
    """Ask apt for the closures and choose R packages among what it has, in turns, until neither moves the other."""
    wanted = guess
    for _ in range(ROUNDS):
        asked = wanted
        answer = _ask_apt(job, below, [*kept, *below.pins], asked)
        answer.check()
        version = r_version(answer.version("r-base-core"))
        choice = chooser.choose(answer, r=version)
        wanted = choice.asked(asked, job.r_names, answer.closure("rlab"), answer.closure("rlab-base"))
        if wanted == asked:
            answer.check_r()
            return answer, asked, choice
    moving = ", ".join(sorted(asked.rlab ^ wanted.rlab))
    raise ListError(
        f"Debian's packages and those of other repositories keep moving each other: {moving}",
        remedy="say for these where they shall come from: NAME @ debian in r_packages.txt, or another repository",
    )


def _first_guess(job: Job, old: RLock | None) -> Asked:
    """Return what apt will probably be asked for in the end: a guess that is right spares a whole turn."""
    from_debian = debian.NAME in names_of(job.settings)
    named = {one.name.lower() for one in job.lists.r if from_debian and one.repository in {"", debian.NAME}}
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


def _chooser(job: Job, below: root.Root, old: RLock | None, architecture: str, *, same_machine: bool) -> Chooser:
    """Return what chooses R packages among what apt has and the repositories of the settings."""
    old_pins = {pin.name: pin for pin in (old.packages if old else ()) if job.wish.keeps("r", pin.name)}
    return Chooser(
        job.settings,
        job.lists,
        architecture,
        old_pins,
        lambda files: find_files(job.settings, files, below=below, say=job.say),
        lambda version: old is not None and same_machine and minor(old.r) == minor(version),
    )


def minor(version: str) -> str:
    """Return the part of R's version that binary packages are made for: ``4.5`` of 4.5.0."""
    return ".".join(version.split(".")[:2])


def _ask_apt(job: Job, below: root.Root, kept: Iterable[DebPin], asked: Asked) -> Answer:
    """Ask apt, in the root, for the closures of all Debian layers. ``kept`` are pins that stay where they can."""
    job.say("asking apt for the closures")
    lists = job.lists
    request = {
        "preferences": root.preferences(list(kept)),
        "pyrlab-base": "".join(f"{one}\n" for one in lists.base_debs),
        "rlab-base": "".join(f"{one}\n" for one in lists.r_debs),
        "rlab": "".join(f"{one}\n" for one in sorted(asked.rlab)),
        "run": "".join(f"{one}\n" for one in sorted(asked.run)),
        "build": "".join(f"{one}\n" for one in sorted(asked.build)),
    }
    if names_of(job.settings) != (debian.NAME,):
        request["elsewhere"] = ""
    return Answer(ask(job.settings, "debs", request, below=below, say=job.say), lists)


def _lock_python(job: Job, below: root.Root, old: PythonLock | None, version: str) -> PythonLock:
    job.say("asking pip-compile for the closure (some minutes when its cache is empty)")
    lists, wish = job.lists, job.wish
    request = {PYTHON: "".join(f"{one}\n" for one in lists.python)}
    if old:
        request[python.FILE] = old.render()
    own = sorted({canonicalize_name(name) for name in wish.upgrade_packages} & set(old.versions() if old else ()))
    options = ["--upgrade"] if wish.upgrade else [f"--upgrade-package={name}" for name in own]
    folder = ask(job.settings, "python", request, *options, below=below, say=job.say)
    if (folder / "status").read_text().strip() != "0":
        raise explain((folder / "log").read_text(encoding="utf-8", errors="replace"), lists)
    pins = python.parse_pins((folder / python.FILE).read_text(encoding="utf-8"))
    return PythonLock(input=python.input_of(lists, job.settings.suite), python=version, pins=pins)
