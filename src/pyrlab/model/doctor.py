"""What `doctor` makes of what it finds: findings in, one line each out, with a remedy where it is not well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pyrlab.errors import MAKE_ROOM, PyrlabError
from pyrlab.model.added import Added

GB = 10**9
MB = 10**6
# The default lists' images are 4.4 GB of layers. The build cache holds them once more, an upgrade's candidate again.
ENGINE_ROOM = 15 * GB
# The store, the root's tar and the locks' files.
HOST_ROOM = 3 * GB
# Large R packages take a compiler 2 GB, and a lab with a notebook about 1 GB.
MEMORY = 2 * GB
# The kernel's own defaults of old; JupyterLab's watchers of files and TensorBoard need some hundreds of them.
WATCHES = 8192
INSTANCES = 128
# Certificates and signed indexes are refused when a clock is hours off; tokens and Valid-Until after minutes.
CLOCK = timedelta(minutes=5)


class State(StrEnum):
    """How a check ended. What cannot be told is not taken for well, nor for ill."""

    WELL = "ok"
    ILL = "not well"
    UNTOLD = "not told"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, what was found, and where it is not well the remedy."""

    name: str
    state: State
    found: str
    remedy: str = ""

    def table(self) -> dict[str, str]:
        """Return it for JSON."""
        return {key: str(value) for key, value in asdict(self).items()}


def well(name: str, found: str) -> Check:
    """Return the line of what is well."""
    return Check(name, State.WELL, found)


def ill(name: str, found: str, *, remedy: str) -> Check:
    """Return the line of what is not well."""
    return Check(name, State.ILL, found, remedy)


def untold(name: str, reason: str, *, remedy: str = "") -> Check:
    """Return the line of a check that could not be made."""
    return Check(name, State.UNTOLD, reason, remedy)


def failed(name: str, error: PyrlabError) -> Check:
    """Return the line of what a command would fail with, too."""
    return ill(name, str(error), remedy=error.remedy)


def not_well(checks: Iterable[Check]) -> list[str]:
    """Return the names of what is not well: none means that all is well, as far as could be told."""
    return list(dict.fromkeys(check.name for check in checks if check.state is State.ILL))


def architecture(engine: str, locked: Sequence[str]) -> Check:
    """Judge the engine's architecture beside those that there are locks for."""
    name = "architecture"
    if locked and engine not in locked:
        return ill(
            name,
            f"the engine is {engine}, and the locks are for {' and '.join(locked)}",
            remedy=f"lock for this one, beside the others: nox -s lock; or use an engine on {locked[0]}",
        )
    return well(name, f"{engine}, as the locks" if locked else f"{engine}; no lock names another")


def disk(name: str, where: str, free: int, needed: int) -> Check:
    """Judge the room on a disk; ``free`` and ``needed`` are in bytes."""
    found = f"{_amount(free)} free on the disk of {where}"
    if free < needed:
        return ill(name, f"{found}, and a first build takes {_amount(needed)}", remedy=MAKE_ROOM)
    return well(name, found)


def memory(total: int, processors: int) -> Check:
    """Judge the engine's memory in bytes."""
    name, found = "memory", f"the engine has {_amount(total)} and {processors} processors"
    if total < MEMORY:
        return ill(
            name,
            f"{found}; to compile large R packages takes {_amount(MEMORY)}",
            remedy="give the engine's machine more, or compile one by one: build.jobs = 1 in pyrlab.toml",
        )
    return well(name, found)


def inotify(watches: int, instances: int) -> Check:
    """Judge the kernel's limits on watching files, for one user."""
    name, found = "inotify", f"{watches} watches and {instances} instances a user"
    if watches < WATCHES or instances < INSTANCES:
        return ill(
            name,
            f"{found}: labs watch files, and fail with 'too many open files'",
            remedy=f"sudo sysctl fs.inotify.max_user_watches={max(watches, 65536)} "
            f"fs.inotify.max_user_instances={max(instances, 512)}",
        )
    return well(name, found)


def clock(name: str, other: str, here: datetime, there: datetime) -> Check:
    """Judge this machine's clock beside another's; ``other`` says whose that is."""
    ahead = here - there
    if abs(ahead) <= CLOCK:
        return well(name, f"as that of {other}")
    way = "ahead of" if ahead > timedelta() else "behind"
    return ill(
        name,
        f"this machine's is {_span(abs(ahead))} {way} that of {other}",
        remedy="let the network set it: sudo timedatectl set-ntp true, or on a Mac Date & Time in its settings; "
        "certificates and signed indexes are refused by a wrong clock",
    )


def certificates(path: str, ends: Sequence[datetime], now: datetime) -> Check:
    """Judge the certificates to trust: when each of a file's ends."""
    name = "certificates"
    if not ends:
        return ill(name, f"{path} has none", remedy="name a PEM file: SSL_CERT_FILE, or network.ca_file in pyrlab.toml")
    over = sum(end < now for end in ends)
    found = f"{path} has {_count(len(ends), 'certificate')}"
    if over == len(ends):
        return ill(name, f"{found}, expired on {max(ends):%Y-%m-%d}", remedy="ask who runs this network for a new one")
    if over:
        return well(name, f"{found}, {over} of them expired")
    return well(name, f"{found}, the first ends on {min(ends):%Y-%m-%d}")


def caches(sizes: Mapping[str, int]) -> Check:
    """Return how large what builds keep is, in bytes."""
    return well("caches", ", ".join(f"{name} {_amount(size)}" for name, size in sizes.items()))


def labs(own: Sequence[str], others: Sequence[str]) -> Check:
    """Return the labs on the engine, each as a message says it: those of other projects are left alone."""
    found = [f"{_count(len(own), 'lab')} of this project"]
    found.append(f"{len(others)} of others: {'; '.join(others)}" if others else "none of others")
    return well("labs", ", ".join(found))


def added(lab: str, found: Added | None) -> Check:
    """Judge what was added to a lab beside its image; None where it does not tell."""
    name = "added packages"
    if found is None:
        return untold(name, f"{lab}: its image does not tell", remedy=f"nox -s build; nox -s restart -- {lab}")
    said = f"{lab}: {'; '.join(found.says) or 'none'}"
    if found.unfit:
        return ill(
            name,
            said,
            remedy=f"add them again in the lab, or have them pinned: nox -s stop adopt -- {lab}; nox -s lock",
        )
    return well(name, said)


def leftovers(paths: Sequence[str]) -> Check:
    """Judge what killed runs left: nothing uses it, and it takes room."""
    name = "leftovers"
    if not paths:
        return well(name, "none of killed runs")
    return ill(name, f"killed runs left {', '.join(paths)}", remedy="nox -s doctor -- --fix")


def _amount(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / MB:.0f} MB"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _span(span: timedelta) -> str:
    if span.days:
        return _count(span.days, "day")
    minutes = span.seconds // 60
    return _count(minutes // 60, "hour") if minutes >= 60 else _count(minutes, "minute")  # noqa: PLR2004 - an hour
