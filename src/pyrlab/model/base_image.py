"""Base images of a registry: how one is named, what pins it, and what it must be to carry labs."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from pyrlab.errors import UsageError
from pyrlab.model.architectures import oci

# Where Docker looks for a name without a registry, and the server that answers for it.
HUB, HUB_SERVER = "docker.io", "registry-1.docker.io"
# Source: github.com/distribution/reference, the grammar of its regexp.go.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_NAME = re.compile(rf"(?:(?P<host>{_HOST})/)?(?P<repository>{_PART}(?:/{_PART})*)")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image: ``host`` of its registry, ``repository`` there, and a tag, or a digest."""

    host: str
    repository: str
    version: str

    @classmethod
    def parse(cls, text: str, *, where: str) -> Self:
        """Read a name as Docker does: ``python:3.14-slim``, ``registry.example.org/team/base``. Raises UsageError."""
        name, at, digest = text.partition("@")
        # A colon before the last slash is a port's.
        head, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")
        match = _NAME.fullmatch(f"{head}{slash}{last}")
        version = digest if at else tag if colon else "latest"
        sound = DIGEST.fullmatch(version) if at else _TAG.fullmatch(version)
        if match is None or not sound or not _is_host(match["host"] or ""):
            raise UsageError(
                f"{where} is {text!r}, which is no name of an image",
                remedy='write it as "python:3.14-slim-trixie" or "registry.example.org/team/base:1"',
            )
        host, repository = match["host"] or "", match["repository"]
        if host and not {".", ":"} & set(host) and host != "localhost" and host == host.lower():
            # As in "team/base": no server is called so, it is a part of a name at Docker's own registry.
            host, repository = "", f"{host}/{repository}"
        if host in {"", HUB, f"index.{HUB}"}:
            host, repository = HUB, repository if "/" in repository else f"library/{repository}"
        return cls(host, repository, version)

    @property
    def server(self) -> str:
        """The server that answers for it, with the port, if it has one of its own."""
        return HUB_SERVER if self.host == HUB else self.host

    def pinned(self, digest: str) -> str:
        """Return the name of the image with this digest, as FROM takes it."""
        return f"{self.host}/{self.repository}@{digest}"


@dataclass(frozen=True, slots=True)
class Base:
    """The base image that debs.lock pins: its name in the settings, its digest, and its own Python's version.

    The digest is that of one architecture's image, the lock's own.
    """

    image: str
    digest: str
    python: str

    @property
    def reference(self) -> str:
        """The image by its digest, as FROM takes it."""
        return Reference.parse(self.image, where="image").pinned(self.digest)

    @property
    def here(self) -> str:
        """What it is called on an engine that got it from a bundle."""
        return local_name(self.digest)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine's own loopback: a name only begins like its addresses, as 127.example.org."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_host(text: str) -> bool:
    """Tell whether a host is one with a port that there is: the grammar knows neither IPv6's nor the largest port."""
    try:
        return urlsplit(f"//{text}").port != 0
    except ValueError:
        return False


def table_in(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a table of a registry's document, empty where it has none: nothing says that it has the right form."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def configuration_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest of the configuration that an image's manifest names, or nothing."""
    digest = str(table_in(manifest, "config").get("digest"))
    return digest if DIGEST.fullmatch(digest) else ""


def local_name(digest: str) -> str:
    """Return what an engine calls the base image that it got from a bundle."""
    return f"pyrlab-root:{digest.removeprefix('sha256:')[:32]}"


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image is for: operating system, architecture and its variant, in the words of registries."""

    system: str
    architecture: str
    variant: str = ""

    @classmethod
    def of(cls, said: Mapping[str, object]) -> Self:
        """Read a platform of an index, or the configuration of an image."""
        words = (said.get(key) or "" for key in ("os", "architecture", "variant"))
        return cls(*map(str, words))

    def serves(self, architecture: str) -> bool:
        """Tell whether an image for it runs on Debian's ``architecture``. Only 32 bits of ARM differ by variant."""
        name, variant = oci(architecture)
        fits = not variant or self.variant in {variant, ""}
        return self.system == "linux" and self.architecture == name and fits

    def __str__(self) -> str:
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))


def named(platforms: Sequence[Platform]) -> str:
    """Return platforms as a message shows them. An index also lists what is no image: that has none."""
    return ", ".join(dict.fromkeys(f"{one}" for one in platforms if one.system != "unknown")) or "nothing"
