"""What apt and uv say when an archive or index cannot be had, as one of our errors."""

import re
from urllib.parse import urlsplit

from pyrlab.errors import BuildError, NetworkError
from pyrlab.model.proxies import USER_REMEDY

_EXPIRED = re.compile(r"Release file for .* is expired")
_WANTS_USER = re.compile(r"\b407\b|proxy authorization required|Proxy Authentication Required")
_OLD_CERTIFICATE = re.compile(
    r"certificate expired|certificate has expired|uses expired certificate|invalid peer certificate: Expired"
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|[Cc]ertificate verif\w+ failed")
_UNREACHABLE = re.compile(
    r"Temporary failure resolving|Temporary failure in name resolution|Could not resolve|Could not connect|"
    r"Connection (?:refused|reset|timed out)|Network is unreachable|Failed to establish a new connection|"
    r"error sending request|dns error|Unable to connect|Max retries exceeded|HTTP status server error|"
    r"Request failed after \d+ retries"
)
_URL = re.compile(r"https?://[^\s'\"`()<>,]+")
_SETTINGS = "APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or their keys in pyrlab.toml"


def explain(said: str, detail: str) -> NetworkError | BuildError | None:
    """Return the error that ``said`` speaks of, or None when the network is not at fault; ``detail`` is shown with it.

    Hand in what the failed step said, not all: another step may have overcome a broken connection.
    """
    if _EXPIRED.search(said):
        return BuildError(
            "the archive's Release file is past its Valid-Until date",
            remedy='for a snapshot, or a mirror that stands still: check_valid_until = "no" in pyrlab.toml',
            detail=detail,
        )
    if found := _WANTS_USER.search(said):
        return NetworkError(
            f"the proxy before {_host(said, found)} wants a user and a password, or refuses the given ones (407)",
            remedy=USER_REMEDY,
            detail=detail,
        )
    if found := _OLD_CERTIFICATE.search(said):
        return NetworkError(
            f"the certificate of {_host(said, found)} has expired",
            remedy="look at the clock of the engine's machine; if it is right, tell whoever runs this server or proxy",
            detail=detail,
        )
    if found := _UNTRUSTED.search(said):
        return NetworkError(
            f"the certificate of {_host(said, found)} is not trusted",
            remedy="name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml",
            detail=detail,
        )
    if found := _UNREACHABLE.search(said):
        return NetworkError(
            f"{_host(said, found)} could not be reached", remedy=f"check the network, and {_SETTINGS}", detail=detail
        )
    return None


def _host(said: str, found: re.Match[str]) -> str:
    """Return whom a message is about, without a user: both programs name the URL before the reason."""
    urls = _URL.findall(said[: found.end()])[-1:] or _URL.findall(said)[:1]
    host = urlsplit(urls[0]).netloc.rpartition("@")[2] if urls else ""
    return host or "a package index or archive"
