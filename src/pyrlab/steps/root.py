"""The root below all images: bootstrapped from a Debian archive by mmdebstrap, and cached by its content."""

import hashlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrlab.adapters import network, process
from pyrlab.errors import BuildError, EngineError, HashMismatchError, PyrlabError
from pyrlab.model import graph
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.settings import Settings

# Part of each root's key: raise it when the recipe below changes.
RECIPE = "1"
# Times in the tarball that are later are set to this, so that equal packages give equal bytes. 2025-01-01.
EPOCH = "1735689600"
TIMEOUT = 900.0
KEPT = 4
# What mmdebstrap takes from the host or from the moment, and what only this recipe put there.
_SCRIPTS = ("available-debs", "add-unstable")
_LEFTOVERS = (
    "etc/apt/apt.conf.d/99mmdebstrap etc/apt/preferences.d/pyrlab etc/hostname etc/resolv.conf "
    "var/cache/ldconfig/aux-cache var/log/alternatives.log var/log/apt var/log/bootstrap.log var/log/dpkg.log "
    "var/cache/debconf/*-old var/lib/dpkg/*-old pyrlab-installed pyrlab-available " + " ".join(_SCRIPTS)
)
STEPS = "docker/debs"


@dataclass(frozen=True, slots=True)
class Root:
    """A bootstrapped root: the folder that holds its ``root.tar``, and every package in it."""

    folder: Path
    pins: tuple[DebPin, ...]


def key(pins: Sequence[DebPin], settings: Settings) -> str:
    """Return what the root of these packages is cached under: its content decides, not when or where it was made."""
    lines = [RECIPE, EPOCH, settings.suite, "own" if settings.apt_sources else "debian", *map(str, sorted(pins))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def find(pins: Sequence[DebPin], settings: Settings) -> Root | None:
    """Return the cached root of exactly these packages, if there is one."""
    folder = settings.cache / "roots" / key(pins, settings)
    if not (folder / "root.tar").exists():
        return None
    os.utime(folder)  # the roots that are used are the ones that stay
    return Root(folder, tuple(pins))


def make(pins: Sequence[DebPin], settings: Settings, *, say: Callable[[str], None]) -> Root:
    """Bootstrap a root that keeps ``pins`` where the archive still has them, and return it with what it really holds.

    Raises NetworkError or BuildError, and HashMismatchError when a pin's file has other bytes than the pin says.
    """
    _need_mmdebstrap(say)
    say(f"bootstrapping a Debian {settings.suite} root")
    roots = settings.cache / "roots"
    roots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=roots, prefix=".new-") as name:
        new = Path(name)
        _bootstrap(new, pins, settings)
        made = _installed(new)
        same_bytes(pins, made)
        folder = roots / key(made, settings)
        if not folder.exists():
            (new / "content").mkdir()
            (new / "root.tar").rename(new / "content" / "root.tar")
            (new / "content").rename(folder)
    _forget_old(roots, keep=folder)
    return Root(folder, made)


def preferences(pins: Sequence[DebPin]) -> str:
    """Return apt preferences that choose each pin's version wherever the archive still has it.

    Source: apt_preferences(5): a priority over 1000 wins even against newer versions.
    """
    return "".join(f"Package: {pin.name}\nPin: version {pin.version}\nPin-Priority: 1001\n\n" for pin in sorted(pins))


def _bootstrap(folder: Path, pins: Sequence[DebPin], settings: Settings) -> None:
    (folder / "preferences").write_text(preferences(pins), encoding="utf-8")
    hooks = [
        ("setup", 'mkdir -p "$1/etc/apt/preferences.d"'),
        ("setup", f"upload {shlex.quote(str(folder / 'preferences'))} /etc/apt/preferences.d/pyrlab"),
        *(
            ("customize", f"upload {shlex.quote(str((settings.project / STEPS / name).resolve()))} /{name}")
            for name in _SCRIPTS
        ),
        ("customize", 'chroot "$1" sh /available-debs > "$1/pyrlab-available"'),
        (
            "customize",
            'chroot "$1" dpkg-query -W -f \'${Package} ${Version} ${Architecture}\\n\' > "$1/pyrlab-installed"',
        ),
        ("customize", f"download /pyrlab-available {shlex.quote(str(folder / 'available'))}"),
        ("customize", f"download /pyrlab-installed {shlex.quote(str(folder / 'installed'))}"),
        # A company's mirror is this build's business: builds get it as a secret, and the image does not tell.
        ("customize", 'rm -f "$1/etc/apt/sources.list"' if settings.apt_sources else 'chroot "$1" sh /add-unstable'),
        ("customize", f'cd "$1" && rm -rf {_LEFTOVERS}'),
        ("customize", ': > "$1/etc/machine-id"'),
    ]
    options = [f'Acquire::Check-Valid-Until "{settings.check_valid_until}"']
    if settings.ca_file:
        options.append(f'Acquire::https::CaInfo "{settings.ca_file.resolve()}"')
    command = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(graph.ROOT_DEBS)}",
        *(f"--aptopt={option}" for option in options),
        *(f"--{moment}-hook={hook}" for moment, hook in hooks),
        settings.suite,
        str(folder / "root.tar"),
    ]
    if settings.apt_sources:
        # In a file, as sources may hold credentials, which a command line shows to everybody.
        (folder / "sources.list").touch(mode=0o600)
        (folder / "sources.list").write_text("\n".join([*settings.apt_sources, ""]), encoding="utf-8")
        command.append(str(folder / "sources.list"))
    environment = {**os.environ, **_proxies(settings), "SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"}
    try:
        process.run(command, timeout=TIMEOUT, env=environment)
    except process.CommandError as error:
        raise _explain(error, settings) from error


def _proxies(settings: Settings) -> dict[str, str]:
    """Return the proxies as apt reads them: in lower case only, and its own before the others."""
    proxies = {name.lower(): value for name, value in settings.proxies.items()}
    if settings.apt_proxy:
        proxies.update(http_proxy=settings.apt_proxy, https_proxy=settings.apt_proxy, no_proxy="")
    return proxies


def _explain(error: process.CommandError, settings: Settings) -> PyrlabError:
    detail = process.tail(error.output, 20)
    if re.search(r"newuidmap|/etc/subuid|unshare.* (?:failed|not permitted)", error.output):
        return EngineError(
            "mmdebstrap cannot make a root as this user",
            remedy="run as root, or install uidmap and give this user lines in /etc/subuid and /etc/subgid",
            detail=detail,
        )
    return network.explain(error.output, detail) or BuildError(
        f"no root could be bootstrapped for suite {settings.suite!r}",
        remedy="check base.suite and base.apt_sources in pyrlab.toml",
        detail=detail,
    )


def _installed(folder: Path) -> tuple[DebPin, ...]:
    """Read what a new root holds, each package with the hash that the archive gives for it."""
    hashes: dict[tuple[str, ...], str] = {}
    for line in (folder / "available").read_text(encoding="utf-8").splitlines():
        *identity, sha256 = line.split()
        hashes[tuple(identity)] = sha256
    pins = []
    for line in (folder / "installed").read_text(encoding="utf-8").splitlines():
        name, version, architecture = line.split()
        sha256 = hashes[name, version, architecture]
        pins.append(DebPin(name, version, architecture, sha256, name in graph.ROOT_DEBS))
    return tuple(sorted(pins))


def same_bytes(pins: Iterable[DebPin], made: Iterable[DebPin]) -> None:
    """Raise HashMismatchError when the archive now gives other bytes for a version that is pinned."""
    locked = {(pin.name, pin.version, pin.architecture): pin.sha256 for pin in pins}
    for pin in made:
        expected = locked.get((pin.name, pin.version, pin.architecture), pin.sha256)
        if expected != pin.sha256:
            raise HashMismatchError(
                f"the archive has other bytes than debs.lock for {pin.name} {pin.version}",
                remedy=f"find out why before you trust it: nox -s lock -- --upgrade-package {pin.name} takes it as is",
            )


def _need_mmdebstrap(say: Callable[[str], None]) -> None:
    if shutil.which("mmdebstrap"):
        return
    if sys.platform != "linux" or not shutil.which("apt-get") or os.geteuid() != 0:
        raise EngineError(
            "mmdebstrap, which makes the Debian root, is not installed",
            remedy="sudo apt-get install mmdebstrap debian-archive-keyring gpg uidmap (on Debian or Ubuntu)",
        )
    say("installing mmdebstrap")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = ["mmdebstrap", "debian-archive-keyring", "gpg"]
    process.run(["apt-get", "--quiet", "update"], timeout=TIMEOUT, env=environment)
    process.run(
        ["apt-get", "--quiet", "install", "--yes", "--no-install-recommends", *packages],
        timeout=TIMEOUT,
        env=environment,
    )


def _forget_old(roots: Path, *, keep: Path) -> None:
    """Keep the few newest roots: each is 160 MB, and the one before is what a rollback needs."""
    others = [path for path in roots.iterdir() if path != keep and not path.name.startswith(".")]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path)
