"""What kinds of servers are asked, and which settings say where and how: for messages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of server: what it is called, the settings that lead to it, and where its user can be written."""

    name: str
    settings: str
    user: str


DEBIAN = Kind(
    "Debian archive",
    "APTPROXY, HTTP_PROXY and HTTPS_PROXY, or network.apt_proxy and base.apt_sources in pyrlab.toml",
    "put the user into ~/.netrc, or as ${VARIABLE} into the URL: base.apt_sources in pyrlab.toml",
)
KEY = Kind(
    "key of an archive",
    "HTTP_PROXY and HTTPS_PROXY, or debian.keys in pyrlab.toml",
    "put the user into ~/.netrc, or as ${VARIABLE} into the URL: debian.keys in pyrlab.toml",
)
SNAPSHOT = Kind(
    "snapshot archive",
    "APTPROXY, HTTP_PROXY and HTTPS_PROXY, or network.apt_proxy and debian.snapshot in pyrlab.toml",
    "put the user into ~/.netrc, or as ${VARIABLE} into debian.snapshot of pyrlab.toml",
)
PYTHON = Kind(
    "Python index",
    "PIPPROXY, PIPHOST, HTTP_PROXY and HTTPS_PROXY, or network.python_index in pyrlab.toml",
    "put the user into ~/.netrc, or into the URL: PIPPROXY, or network.python_index in pyrlab.toml",
)
R = Kind(
    "R repository",
    "r.repositories in pyrlab.toml, HTTP_PROXY and HTTPS_PROXY",
    "put the user into ~/.netrc, or as ${VARIABLE} into the URL in r.repositories of pyrlab.toml",
)
REGISTRY = Kind(
    "registry of images",
    "base.image in pyrlab.toml, HTTP_PROXY and HTTPS_PROXY",
    "docker login with the registry's name; and check the image's, base.image in pyrlab.toml",
)
OTHER = Kind(
    "",
    "APTPROXY, PIPPROXY, HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and the URLs in pyrlab.toml",
    R.user,
)
