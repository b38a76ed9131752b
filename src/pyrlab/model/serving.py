"""What one lab is asked to be: its name, port, folder and limits, checked; and the words that say how to reach it."""

import csv
import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from pyrlab.errors import UsageError
from pyrlab.model.graph import RESERVED_PORT
from pyrlab.model.settings import Settings

LOOPBACK = "127.0.0.1"
INSIDE = "/home/notebook/notebooks"
HOME = "/home/notebook"
ADDED = "/opt/lab/added"
# What serve decides itself: an --env-file that could change them would break the link.
_OWN_VARIABLES = frozenset({"PORT", "RPORT", "JUPYTER_PORT", "JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE"})
# Part of a container's name, and of a volume's.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,29}")
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[bkmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_GPUS = re.compile(r"all|[1-9]\d{0,2}|device=[\w.:-]+(?:,[\w.:-]+)*")
# Docker's own least.
_LEAST_MEMORY = 6 * 2**20
# How many ports above a busy one are tried.
_NEAR = 200
_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder, a file or a volume of the engine's machine that a lab sees, besides its notebooks."""

    kind: str
    source: str
    target: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what ``docker run --mount`` takes, such as ``src=/data,dst=/data,readonly``; bind is the default type.

        Raises UsageError.
        """
        found = {"type": "bind"}
        names = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
        for field in next(csv.reader([text]), []):
            key, equals, value = field.partition("=")
            found[names.get(key, key)] = value if equals else "true"
        unknown = sorted(found.keys() - {"type", "source", "target", "readonly"})
        if unknown or found["type"] not in {"bind", "volume"} or not found.get("source") or not found.get("target"):
            raise UsageError(
                f"--mount {text!r} cannot be read",
                remedy="write it as src=/data,dst=/data or src=/data,dst=/data,readonly; type=volume has a name as src",
            )
        if not found["target"].startswith("/"):
            raise UsageError(
                f"--mount {text!r}: dst is not a full path", remedy="name a path in the lab, such as /data"
            )
        if found["target"].rstrip("/") in {INSIDE, HOME, ADDED}:
            raise UsageError(
                f"--mount {text!r}: {found['target']} is the lab's own", remedy=f"take a folder in {INSIDE}, or /data"
            )
        source = found["source"]
        if found["type"] == "bind":
            source = str(Path(source).expanduser().absolute())
        return cls(found["type"], source, found["target"], found.get("readonly") in {"true", "1"})


@dataclass(frozen=True, slots=True)
class Request:
    """One lab as it was asked for. ``name`` is what it is known by, ``lab`` its image; ``memory`` is in bytes.

    With ``clean`` it is without the packages that were added to it.
    ``gpus`` is as for ``docker run --gpus``: ``all``, a number, or ``device=0,1``. Empty or 0 is no limit.
    """

    lab: str
    name: str
    port: int
    notebooks: Path
    address: str = LOOPBACK
    gpus: str = ""
    memory: int = 0
    cpus: float = 0.0
    env_file: Path | None = None
    mounts: tuple[Bind, ...] = ()
    read_only: bool = False
    clean: bool = False

    @classmethod
    def of(cls, settings: Settings, lab: str, **options: Any) -> Self:  # noqa: ANN401 - the fields of this very class
        """Return the request for a lab with the port and the folder of ``settings``, and checked ``options``.

        Raises UsageError for a lab that there is not, or an option that cannot be.
        """
        graph = settings.graph
        image = graph.find_lab(lab).image
        name = options.pop("name", "") or image
        made = cls(lab=image, name=name, port=settings.ports[image], notebooks=settings.notebooks, **options)
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"--name {name!r} is no name of a lab",
                remedy="use at most 30 lower-case letters, digits and . _ -, such as thesis",
            )
        if name != image and name in graph.images:
            raise UsageError(f"--name {name} is an image's own name", remedy="choose another, such as thesis")
        if made.gpus and not _GPUS.fullmatch(made.gpus):
            raise UsageError(f"--gpus {made.gpus!r} cannot be read", remedy="use all, a number, or device=0,1")
        if not _is_address(made.address):
            raise UsageError(
                f"--address {made.address!r} is no IP address", remedy="use one of this machine's, such as 127.0.0.1"
            )
        if made.cpus < 0:
            raise UsageError(f"--cpus is {made.cpus}", remedy="use a number of cores, such as 1.5")
        return made

    @property
    def link_host(self) -> str:
        """The host of the lab's link: where a lab listens everywhere, this machine's loopback."""
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.address, self.address)  # noqa: S104 - it is only compared
        return f"[{host}]" if ":" in host else host

    @property
    def url(self) -> str:
        """The lab's address, without a token."""
        return f"http://{self.link_host}:{self.port}"

    def note(self) -> str:
        """Return the request as JSON, for a label of the container. There is no secret in it."""
        return json.dumps(
            {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``note`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        said = json.loads(text)
        said["notebooks"] = Path(said["notebooks"])
        said["env_file"] = Path(said["env_file"]) if said["env_file"] else None
        said["mounts"] = tuple(Bind(**mount) for mount in said["mounts"])
        return cls(**said)

    def moved(self, port: int) -> Self:
        """Return the same request on another port."""
        return replace(self, port=port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_memory(text: str) -> int:
    """Return a size such as ``2g`` or ``512m`` in bytes. Raises UsageError."""
    match = _MEMORY.fullmatch(text)
    size = int(float(match["number"]) * _UNITS[match["unit"].lower()]) if match else 0
    if size < _LEAST_MEMORY:
        raise UsageError(f"--memory {text!r} is no amount of memory for a lab", remedy="use a size such as 4g or 512m")
    return size


def parse_environment(text: str, environment: Mapping[str, str], *, where: str) -> dict[str, str]:
    """Parse the text of an ``--env-file``: NAME=VALUE a line, or NAME alone for what ``environment`` has.

    Source: docker run's manual, "Set environment variables". Raises UsageError that names the line.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not name or any(character.isspace() for character in name):
            raise UsageError(
                f"{where}:{number}: this is no NAME=VALUE", remedy="write a variable a line; # starts a comment"
            )
        if name in _OWN_VARIABLES:
            raise UsageError(f"{where}:{number}: {name} is set by serve itself", remedy="remove it; --port moves a lab")
        if equals or name in environment:
            found[name] = value if equals else environment[name]
    return found


def next_free(port: int, is_free: Callable[[int], bool]) -> int:
    """Return the next port above ``port`` that is free, or 0 where none is near. Never TensorBoard's."""
    near = range(port + 1, min(port + 1 + _NEAR, 2**16))
    return next((number for number in near if number != RESERVED_PORT and is_free(number)), 0)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How somebody at another computer reaches this one by ssh: ``host`` as ssh takes it, and its server's port."""

    host: str
    port: int = _SSH_PORT

    @classmethod
    def find(cls, remote: str, connection: str, user: str) -> Self | None:
        """Return the tunnel that is wanted: to ``remote``, or back through the ssh connection that this run has.

        ``connection`` is the variable SSH_CONNECTION: the client's address and port, then this machine's.
        """
        if remote:
            return cls(remote)
        parts = connection.split()
        if len(parts) != 4 or not parts[3].isdecimal():  # noqa: PLR2004 - two addresses with their ports
            return None
        return cls(f"{user}@{parts[2]}" if user else parts[2], int(parts[3]))

    def command(self, request: Request) -> str:
        """Return the line to enter at the other computer."""
        options: Sequence[str] = ["-p", str(self.port)] if self.port != _SSH_PORT else []
        forward = f"{request.port}:{request.link_host}:{request.port}"
        return shlex.join(["ssh", "-N", "-L", forward, *options, self.host])
