"""Gets a Docker engine onto Debian or Ubuntu, as root; elsewhere it says what to do."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.docker.engine import OLDEST_BUILDX, OLDEST_ENGINE, Engine, UnfitEngineError
from pyrlab.errors import EngineError

PACKAGES = ("docker.io", "docker-cli", "docker-buildx")
# Debian 12's own engine is too old. These of Debian 13 run on its C library; runc, iptables and tini would not, so
# only these are named, and all that they depend on stays Debian 12's.
DONOR_SUITES = {"bookworm": "trixie"}
DONATED = (*PACKAGES, "containerd")
DAEMON_LOG = Path("/var/log/pyrlab-dockerd.log")
PID_FILES = {Path("/var/run/docker.pid"): "dockerd", Path("/run/docker/containerd/containerd.pid"): "containerd"}
START_TIMEOUT = 60.0
APT_TIMEOUT = 900.0


def ensure() -> str:
    """Make sure that an engine answers, and say in one sentence what was done.

    Does nothing when one answers. On Debian or Ubuntu as root it installs the distribution's engine and starts it.
    Raises EngineError with what to do everywhere else.
    """
    try:
        return f"{_shown(engine.find())} answers; nothing to do."
    except UnfitEngineError:
        raise
    except EngineError as missing:
        elsewhere = os.environ.get("DOCKER_HOST")
        if elsewhere:
            raise UnfitEngineError(
                f"{missing} at DOCKER_HOST={elsewhere}",
                remedy="start that engine, or unset DOCKER_HOST to use one on this machine",
                detail=missing.detail,
            ) from missing
        system = _os_release()
        if system.get("ID") not in {"debian", "ubuntu"} and "debian" not in system.get("ID_LIKE", "").split():
            raise EngineError(
                f"{missing}, and {system.get('PRETTY_NAME', platform.system())} is not Debian or Ubuntu",
                remedy=f"install Docker Engine {OLDEST_ENGINE} or newer with buildx "
                f"{OLDEST_BUILDX[0]}.{OLDEST_BUILDX[1]} or newer (docs.docker.com/engine/install), "
                "start it, and run this again",
            ) from missing
        if os.geteuid() != 0:
            raise EngineError(
                f"{missing}, and only root can install or start one",
                remedy="sudo nox -s engine, or: sudo apt-get install docker.io docker-buildx "
                "&& sudo usermod -aG docker $USER, then log in again",
                detail=missing.detail,
            ) from missing
    _install()
    _start()
    return f"{_shown(engine.find())} is installed and running."


def _shown(found: Engine) -> str:
    kind = str(engine.kind())
    return f"Docker {found.version}{f' ({kind})' if kind else ''}"


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _install() -> None:
    if all(_is_installed(package) for package in ("docker.io", "docker-buildx")) and _daemon_is_new():
        return
    if shutil.which("dockerd") and not _is_installed("docker.io"):
        raise UnfitEngineError(
            "a Docker engine that is not the distribution's is installed, but it does not answer or has no buildx",
            remedy="start it (systemctl start docker), or add its buildx plugin",
        )
    _apt("update")
    uris = _archives()
    own = next((suite for suite in DONOR_SUITES if suite in uris), None)
    if own:
        donor = DONOR_SUITES[own]
        _add_suite(own, donor, uris)
        _apt("update")
        packages = [f"{package}/{donor}" for package in DONATED]
    else:
        packages = [package for package in PACKAGES if _has_candidate(package)]
    _apt("install", "--yes", "--no-remove", "--no-install-recommends", *packages)


def _is_installed(package: str) -> bool:
    try:
        status = process.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package], timeout=30)
    except process.CommandError:
        return False
    return status.startswith("ii")


def _daemon_is_new() -> bool:
    shown = process.run(["dpkg-query", "-W", "-f", "${Version}", "docker.io"], timeout=30)
    # A Debian version may begin with an epoch: 5:28.0.1-1
    match = re.match(r"(?:\d+:)?(\d+)", shown)
    return match is not None and int(match[1]) >= OLDEST_ENGINE


def _has_candidate(package: str) -> bool:
    """Tell whether apt knows the package: docker-cli is a package of its own only in newer releases."""
    return bool(process.run(["apt-cache", "madison", package], timeout=60).strip())


def _archives() -> dict[str, str]:
    """Return the archives that apt knows, as {release: URI}."""
    fields = ["--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]
    shown = process.run(["apt-get", "indextargets", *fields], timeout=60)
    return {release: uri for uri, release in (line.split() for line in shown.splitlines())}


def _add_suite(own: str, donor: str, uris: Mapping[str, str]) -> None:
    """Add the donor suite from the mirrors that serve our own, pinned so low that nothing else comes from it."""
    stanzas = [
        f"Types: deb\nURIs: {uris[release]}\nSuites: {release.replace(own, donor)}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for release in (own, f"{own}-security")
        if release in uris
    ]
    texts = {
        "preferences.d/pyrlab-engine": f"Package: *\nPin: release n={donor}*\nPin-Priority: 50\n",
        "sources.list.d/pyrlab-engine.sources": "\n".join(stanzas),
    }
    for name, text in texts.items():
        path = Path("/etc/apt", name)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)  # under umask 077, apt's own user could not read it


def _apt(*arguments: str) -> None:
    process.run(
        ["apt-get", "--quiet", *arguments], timeout=APT_TIMEOUT, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    )


def _start() -> None:
    """Start the engine by the service manager, or by hand where none runs, and wait until it answers."""
    if Path("/run/systemd/system").is_dir():
        process.run(["systemctl", "enable", "--now", "docker"], timeout=120)
    elif not _answers():
        remove_stale_pid_files()
        with DAEMON_LOG.open("ab") as daemon_log:
            # A session of its own: it must outlive this process and its terminal.
            subprocess.Popen(
                ["dockerd"],  # noqa: S607 - apt has just put it on the PATH
                stdin=subprocess.DEVNULL,
                stdout=daemon_log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers():
        if time.monotonic() > deadline:
            raise EngineError(
                f"dockerd did not answer within {START_TIMEOUT:.0f} s",
                remedy=f"read {DAEMON_LOG}",
                detail=process.tail(DAEMON_LOG.read_text(errors="replace")) if DAEMON_LOG.exists() else "",
            )
        time.sleep(0.2)


def _answers() -> bool:
    try:
        process.run(["docker", "info"], timeout=30)
    except process.CommandError:
        return False
    return True


def remove_stale_pid_files() -> None:
    """Remove pid files whose process is gone or is another program by now: dockerd refuses to start beside them."""
    for path, program in PID_FILES.items():
        try:
            pid = int(path.read_text())
            alive = Path(f"/proc/{pid}/comm").read_text().strip() == program
        except (OSError, ValueError):
            alive = False
        if not alive:
            path.unlink(missing_ok=True)
