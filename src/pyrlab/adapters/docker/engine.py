"""The door to Docker: is there an engine that can build these images, which kind is it, and where is it."""

import functools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pyrlab.adapters import process
from pyrlab.errors import EngineError
from pyrlab.model import architectures

if TYPE_CHECKING:
    import docker

# COPY --link needs the BuildKit that came with engine 23, whose API is 1.42.
OLDEST_ENGINE = 23
_OLDEST_API = (1, 42)
# The bake file has matrices, which came with buildx 0.11.
OLDEST_BUILDX = (0, 11)


class UnfitEngineError(EngineError):
    """An engine is there that is not ours to replace or to start."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine that answers. ``architecture`` is Debian's word for it, as in ``amd64``."""

    version: str
    architecture: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What is special about an engine: whose files its labs can write, and what has to be done for that.

    A ``rootless`` one runs as an ordinary user. Where users are ``remapped``, those of its containers are others here.
    With ``selinux`` it keeps containers from files that have no label for them. ``desktop`` is one in a machine of its
    own, Docker Desktop's.
    """

    rootless: bool = False
    remapped: bool = False
    selinux: bool = False
    desktop: bool = False

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Self:
        """Read it out of what `docker info` says in JSON."""
        options = {part for option in info.get("SecurityOptions") or [] for part in str(option).split(",")}
        return cls(
            rootless="name=rootless" in options,
            remapped="name=userns" in options,
            selinux="name=selinux" in options,
            desktop=str(info.get("OperatingSystem") or "").startswith("Docker Desktop"),
        )

    def __str__(self) -> str:
        """Return it in words, or nothing where nothing is special."""
        found = {
            "rootless": self.rootless,
            "with mapped users": self.remapped,
            "with SELinux": self.selinux,
            "Docker Desktop": self.desktop,
        }
        return ", ".join(words for words, is_so in found.items() if is_so)

    @property
    def is_at_odds(self) -> bool:
        """Whether a user id in its containers is another one on this machine."""
        return self.rootless or self.remapped


def find() -> Engine:
    """Return the engine that answers, without changing anything.

    Its architecture is the engine's own, which may be on another machine than this one.
    Raises EngineError when there is none, when it is older than 23, or when buildx is missing or older than 0.11.
    """
    found = find_server()
    find_buildx()
    return found


def find_server() -> Engine:
    """Return the engine that answers, whatever builds with it. Raises EngineError when there is none, or an old one."""
    server = _server()
    version = str(server.get("Version") or "unknown")
    if not _is_new(version, str(server.get("ApiVersion") or "")):
        raise UnfitEngineError(
            f"the Docker engine is version {version}, and COPY --link needs {OLDEST_ENGINE} or newer",
            remedy="install a newer engine, or remove this one and run: nox -s engine",
        )
    return Engine(version=version, architecture=debian_architecture(str(server.get("Arch") or "")))


def _server() -> Mapping[str, Any]:
    """Return what `docker version` tells of the engine."""
    try:
        shown = process.run(["docker", "version", "--format", "{{json .Server}}"], timeout=30)
        # Warnings come before it, on standard error.
        server = json.loads(shown.strip().splitlines()[-1]) if shown.strip() else None
    except process.MissingProgramError as error:
        raise EngineError("no docker command on the PATH", remedy="nox -s engine") from error
    except (process.CommandError, json.JSONDecodeError) as error:
        if "permission denied" in getattr(error, "detail", "").lower():
            raise UnfitEngineError(
                "this user may not talk to the Docker engine",
                remedy="sudo usermod -aG docker $USER, then log in again",
            ) from error
        raise EngineError(
            "no Docker engine answers", remedy="nox -s engine", detail=getattr(error, "detail", "")
        ) from error
    if not isinstance(server, dict):
        raise EngineError("no Docker engine answers", remedy="nox -s engine")
    return server


def _is_new(version: str, api: str) -> bool:
    """Tell whether an engine is new enough: by its version, or where that is no number ("dev"), by its API's."""
    match = re.match(r"v?(\d+)\.", version)
    if match:
        return int(match[1]) >= OLDEST_ENGINE
    known = re.match(r"(\d+)\.(\d+)", api)
    # An engine that says neither was built by hand, by somebody who knows what it is.
    return known is None or (int(known[1]), int(known[2])) >= _OLDEST_API


def find_buildx() -> str:
    """Return buildx's version, as in ``0.13``; ``unknown`` for a build without one. Raises EngineError."""
    try:
        shown = process.run(["docker", "buildx", "version"], timeout=30)
    except process.CommandError as error:
        raise EngineError("the docker command has no buildx plugin", remedy="nox -s engine") from error
    version = buildx_version(shown)
    if version is not None and version < OLDEST_BUILDX:
        raise UnfitEngineError(
            f"buildx is version {version[0]}.{version[1]}, and the bake file's matrices need "
            f"{OLDEST_BUILDX[0]}.{OLDEST_BUILDX[1]} or newer",
            remedy="install a newer one: the package docker-buildx or docker-buildx-plugin, or the file docker-buildx "
            "of github.com/docker/buildx/releases into ~/.docker/cli-plugins",
        )
    return f"{version[0]}.{version[1]}" if version else "unknown"


def platforms() -> frozenset[str]:
    """Return what the builder can run programs for, as in ``linux/arm64``: its own, and what it emulates.

    Raises CommandError.
    """
    shown = process.run(["docker", "buildx", "inspect"], timeout=30)
    lines = re.findall(r"^Platforms:[ \t]*(\S.*)$", shown, re.MULTILINE)
    return frozenset(word.strip(" *") for line in lines for word in line.split(","))


def buildx_version(shown: str) -> tuple[int, int] | None:
    """Return the version out of what `docker buildx version` prints; None for a build without one.

    Such as ``github.com/docker/buildx v0.12.0-desktop.2 9a5…``. Builds from a checkout say ``v0.0.0+unknown``, a
    commit, or ``(devel)``.
    """
    match = re.search(r"\bbuildx v?(\d+)\.(\d+)", shown)
    if not match or (match[1], match[2]) == ("0", "0"):
        return None
    return int(match[1]), int(match[2])


def debian_architecture(name: str) -> str:
    """Return Debian's name of an architecture. Raises UnfitEngineError for one that Debian does not know."""
    found = architectures.debian(name)
    if found is None:
        raise UnfitEngineError(
            f"the Docker engine's architecture is {name or 'not told'}, for which Debian has no packages",
            remedy=f"use an engine on one of: {', '.join(architectures.KNOWN)}",
        )
    return found


def kind() -> Kind:
    """Return what is special about the engine. Raises CommandError."""
    return Kind.of(info())


def info() -> Mapping[str, Any]:
    """Return what `docker info` says in JSON; nothing where it says something else. Raises CommandError."""
    shown = process.run(["docker", "info", "--format", "{{json .}}"], timeout=30)
    try:
        said = json.loads(shown.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


@functools.cache
def address() -> str:
    """Return where the engine is that the docker command talks to, contexts included, as in ``unix:///…``."""
    told = os.environ.get("DOCKER_HOST")
    if told:
        return told
    shown = process.run(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], timeout=30)
    return shown.strip()


def other_machine(address: str) -> str:
    """Return the name of the machine that an engine's address points to, or nothing when it is this one."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""  # the docker command says what is wrong with it
    host = parts.hostname or ""
    is_local = parts.scheme not in {"tcp", "http", "https", "ssh"} or host in {"localhost", "::1"}
    return "" if is_local or host.startswith("127.") else host


@functools.cache
def client() -> "docker.DockerClient":
    """Return the SDK's client for the very engine that the docker command talks to, contexts included."""
    # `unbundle` finds the engine on machines that have Python, and nothing that is to be installed.
    import docker  # noqa: PLC0415

    where = address()
    if where.startswith("ssh://"):
        raise UnfitEngineError(
            f"the Docker engine is at {where}, and pyrlab does not speak ssh to it",
            remedy="bring its socket over: ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST & "
            "export DOCKER_HOST=unix:///tmp/docker.sock",
        )
    return docker.from_env() if os.environ.get("DOCKER_HOST") else docker.DockerClient(base_url=where)
