"""`doctor`: whether this machine, its engine and its network will do, before anybody waits for a build that fails."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyrlab.adapters import host, temporary
from pyrlab.adapters.docker import containers, engine, engine_install
from pyrlab.adapters.store import Store
from pyrlab.errors import EngineError, PyrlabError, UsageError
from pyrlab.model import doctor, reach
from pyrlab.model.doctor import Check
from pyrlab.model.serving import Request
from pyrlab.model.settings import Settings
from pyrlab.model.wish import KINDS
from pyrlab.model.workspace import LAB_LABEL, PROJECT_LABEL
from pyrlab.steps import added, fetch, lab_ports, labs, locking, notebooks, reaching
from pyrlab.steps.architecture import all_locked, chosen
from pyrlab.steps.side_by_side import Look, side_by_side

Say = Callable[[str], None]
# Seconds for what asks from inside a build: it may have to fetch and configure the root, the first time.
BUILD_LIMIT = 300.0


@dataclass(frozen=True)
class Found:
    """All lines, in order, and whether a check is still at it, though its time is over."""

    checks: tuple[Check, ...]
    overdue: bool


def examine(settings: Settings, *, say: Say) -> Found:
    """Look at everything, and return a line for each. Changes nothing but the cache: it may fetch the root's packages.

    Nothing waits for ever: what takes too long is one of the lines.
    """
    first, late = side_by_side([Look("engine", _engine)])
    blocked = doctor.not_well(first)
    looks = [] if "engine" in blocked else _on_the_engine(settings)
    if not blocked:
        say("asking from here, and from inside a build; the first time that takes a minute")
        looks.append(Look(reaching.BUILD_NETWORK, lambda: reaching.in_a_build(settings), BUILD_LIMIT))
    rest, later = side_by_side([*looks, *_on_this_machine(settings)])
    if blocked:
        rest.append(doctor.untold(reaching.BUILD_NETWORK, "no engine that builds answers"))
    return Found((*first, *rest), overdue=late or later)


def fix(settings: Settings, *, say: Say) -> None:
    """Do what is safe: start or install an engine as `engine` does, and remove what killed runs left."""
    try:
        say(engine_install.ensure())
    except (PyrlabError, OSError) as error:
        # The rest is worth doing all the same, and the engine's own line says what to do.
        say(f"no engine: {error}")
    for folder in _work_folders(settings):
        for path in temporary.sweep(folder):
            say(f"removed {path}")
    for store in _stores(settings):
        for path in store.left():
            say(f"removing {path}")
        store.sweep()


# ---- The engine


def _engine() -> Iterator[Check]:
    try:
        found = engine.find_server()
        yield doctor.well("engine", f"Docker {found.version}{_kind()}")
    except EngineError as error:
        yield doctor.failed("engine", error)
        return
    try:
        yield doctor.well("buildx", engine.find_buildx())
    except EngineError as error:
        yield doctor.failed("buildx", error)


def _kind() -> str:
    kind = str(engine.kind())
    return f", {kind}" if kind else ""


def _on_the_engine(settings: Settings) -> list[Look]:
    info = functools.cache(engine.info)
    return [
        Look("architecture", lambda: [_architecture(settings)]),
        Look("engine's disk", lambda: [_engine_disk(info())]),
        Look("memory", lambda: [doctor.memory(int(info()["MemTotal"]), int(info()["NCPU"]))]),
        Look("inotify", lambda: [_inotify(info())]),
        Look("engine's clock", lambda: [_engine_clock()]),
        Look("notebooks", lambda: [_notebooks(settings)]),
        Look("ports", lambda: _ports(settings)),
        Look("labs", lambda: [_labs(settings)]),
        Look("added packages", lambda: _added(settings)),
        Look("caches", lambda: [_caches(settings)]),
    ]


def _architecture(settings: Settings) -> Check:
    locked = [one.architecture for one in all_locked(settings) if one.architecture]
    # Where the engine does not emulate what is asked for, that is this line's error.
    return doctor.architecture(chosen(settings, engine.find_server()).architecture, locked)


def _is_here(info: Mapping[str, Any]) -> bool:
    """Tell whether the engine's machine is this very one, and not one in it."""
    return not engine.other_machine(engine.address()) and not engine.Kind.of(info).desktop


def _engine_disk(info: Mapping[str, Any]) -> Check:
    name, folder = "engine's disk", Path(info["DockerRootDir"])
    if not _is_here(info):
        return doctor.untold(name, f"the engine keeps its data on another machine, in {folder}: docker system df")
    try:
        free = host.free(folder)
    except PermissionError:
        return doctor.untold(name, f"this user may not look into {folder}")
    return doctor.disk(name, str(folder), free, doctor.ENGINE_ROOM)


def _inotify(info: Mapping[str, Any]) -> Check:
    limits = host.inotify() if _is_here(info) else None
    if limits is None:
        return doctor.untold("inotify", "the labs run on another machine's kernel")
    return doctor.inotify(*limits)


def _engine_clock() -> Check:
    # Asked now: what `docker info` said to others may be seconds old.
    there = datetime.fromisoformat(engine.info()["SystemTime"])
    return doctor.clock("engine's clock", "the engine", datetime.now(UTC), there)


def _notebooks(settings: Settings) -> Check:
    folder = settings.serving("", port=None, notebooks=None).notebooks
    if not folder.exists():
        return doctor.well("notebooks", f"{folder} will be made")
    found = notebooks.owned(folder, folder.stat(), kind=engine.kind())
    return doctor.well("notebooks", f"{folder}; labs run in it as user {found.uid}")


def _ports(settings: Settings) -> Iterator[Check]:
    here = not engine.other_machine(engine.address())
    for name, port in settings.ports.items():
        own = labs.find(settings, name)
        if own is not None and port in containers.published(own.container):
            yield doctor.well("ports", f"{port} has this project's own {name}")
            continue
        try:
            request = Request(name, name, port, settings.notebooks)
            lab_ports.need_free(request, variable=settings.graph.labs[name].port_variable, here=here)
            yield doctor.well("ports", f"{port} is free for {name}")
        except UsageError as error:
            yield doctor.failed("ports", error)


def _labs(settings: Settings) -> Check:
    own: list[str] = []
    others: list[str] = []
    for container in engine.client().containers.list(filters={"label": LAB_LABEL}, ignore_removed=True):
        is_own = container.labels.get(PROJECT_LABEL) == settings.workspace.key
        (own if is_own else others).append(lab_ports.whose(container.labels, container.name or ""))
    return doctor.labs(own, others)


def _added(settings: Settings) -> Iterator[Check]:
    running = {lab.name: lab for lab in labs.all_of(settings) if lab.runs}
    stored = added.all_volumes(settings)
    for name in sorted({*running, *stored}):
        lab = running.get(name)
        found = added.of_running(lab) if lab else added.stored(settings, stored[name])
        yield doctor.added(name, found)
    if not running and not stored:
        yield doctor.well("added packages", "none")


def _caches(settings: Settings) -> Check:
    used = engine.client().df()
    return doctor.caches(
        {
            "the store": fetch.store_of(settings).size(),
            "work folders": sum(Store(folder).size() for folder in _with_subfolders(settings.workspace.work)),
            "the engine's build cache": sum(one["Size"] for one in used.get("BuildCache") or []),
            "its images": used.get("LayersSize") or 0,
        }
    )


def _with_subfolders(folder: Path) -> Iterator[Path]:
    """Yield the folder and those of the root: what else is there are links to the store's files."""
    yield folder
    yield from (path for path in folder.rglob("root") if path.is_dir() and path.parent.name != "sections")


# ---- This machine


def _on_this_machine(settings: Settings) -> list[Look]:
    return [
        Look("disk", lambda: _disks(settings)),
        Look("proxies", lambda: [doctor.well("proxies", reach.shown_proxies(settings))]),
        Look("certificates", lambda: [_certificates(settings)]),
        Look("locks", lambda: [_locks(settings)]),
        Look("leftovers", lambda: [_leftovers(settings)]),
        Look(reaching.NETWORK, lambda: reaching.from_here(settings)),
    ]


def _disks(settings: Settings) -> Iterator[Check]:
    for folder in (settings.project, settings.cache):
        yield doctor.disk("disk", str(folder), host.free(folder), doctor.HOST_ROOM)


def _certificates(settings: Settings) -> Check:
    if settings.ca_file is None:
        own = host.store()
        return doctor.well("certificates", f"this machine's own: {own}" if own else "each tool's own")
    ends = host.certificate_ends(settings.ca_file)
    return doctor.certificates(str(settings.ca_file), ends, datetime.now(UTC))


def _locks(settings: Settings) -> Check:
    locking.check(settings, KINDS)
    return doctor.well("locks", "they agree with the lists")


def _leftovers(settings: Settings) -> Check:
    found = [path for folder in _work_folders(settings) for path in temporary.left(folder)]
    found += [path for store in _stores(settings) for path in store.left()]
    return doctor.leftovers([str(path) for path in found])


def _work_folders(settings: Settings) -> list[Path]:
    """Return where runs make temporary folders."""
    work = settings.workspace.work
    return [work, *sorted(work.glob("variants/*")), settings.cache]


def _stores(settings: Settings) -> list[Store]:
    return [fetch.store_of(settings), Store(settings.cache / "urls")]
