"""The caching proxies of this machine: which servers there are, where they answer, and what they ask themselves."""

import dataclasses
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyrlab.model.settings import LOOPBACK, Settings

ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Server:
    """One server: its container and volume are called ``name``, ``user`` runs it, ``folder`` is what it keeps.

    ``path`` is what a client adds to its address; ``proof`` is a path whose answer has ``mark`` in it. ``ready`` is a
    file in the container that is there once the server goes by what it is given, if that comes later.
    """

    name: str
    title: str
    port: int
    user: str
    folder: str
    program: str
    path: str
    proof: str
    mark: bytes
    ready: str = ""

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{ADDRESS}:{self.port}{self.path}"


# The ports are those that both have by themselves, and that people know.
DEBIAN = Server(
    name="pyrlab-apt-cacher-ng",
    title="apt-cacher-ng",
    port=3142,
    user="apt-cacher-ng",
    folder="/var/cache/apt-cacher-ng",
    program="/opt/proxies/start-apt-cacher-ng",
    path="",
    proof="/",
    mark=b"apt-cacher",
)
PYTHON = Server(
    name="pyrlab-devpi",
    title="devpi",
    port=3141,
    user="nobody",
    folder="/var/lib/devpi",
    program="/opt/proxies/start-devpi",
    path="/root/pypi/+simple/",
    proof="/+api",
    mark=b"authstatus",
    ready="/tmp/ready",  # noqa: S108 - the container's own
)
SERVERS = (DEBIAN, PYTHON)


def upstream(settings: Settings) -> Settings:
    """Return the settings that the servers themselves live by: the user's, but for the servers' own addresses."""
    return dataclasses.replace(
        settings,
        apt_proxy="" if _is(settings.apt_proxy, DEBIAN) else settings.apt_proxy,
        python_index="" if _is(settings.python_index, PYTHON) else settings.python_index,
    )


def _is(url: str, server: Server) -> bool:
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.hostname in LOOPBACK and parts.port == server.port
