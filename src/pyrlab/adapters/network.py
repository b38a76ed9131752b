"""What apt and uv say when an archive or index cannot be had, as one of our errors."""

import re

from pyrlab.errors import BuildError, NetworkError

_UNREACHABLE = re.compile(
    r"Temporary failure resolving|Temporary failure in name resolution|Could not resolve|Could not connect|"
    r"Connection (?:refused|reset|timed out)|Network is unreachable|Failed to establish a new connection|"
    r"error sending request|dns error|Unable to connect|Max retries exceeded|CERTIFICATE_VERIFY_FAILED|"
    r"invalid peer certificate|Certificate verification failed|HTTP status server error|"
    r"Request failed after \d+ retries"
)
_EXPIRED = re.compile(r"Release file for .* is expired")


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
    if _UNREACHABLE.search(said):
        return NetworkError(
            "a package index or archive could not be reached",
            remedy="check the network, and APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or their keys in pyrlab.toml",
            detail=detail,
        )
    return None
