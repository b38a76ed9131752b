"""What apt and uv say when an archive or index cannot be had, as one of our errors."""

import re
from urllib.parse import urlsplit

from pyrlab.adapters.http_errors import public
from pyrlab.errors import BuildError, NetworkError
from pyrlab.model.proxies import USER_REMEDY

# What apt says of an archive that it does not believe, what that means for a URL, and what to do.
_NOT_BELIEVED = (
    (
        r"Release file for (?P<url>\S+) is expired",
        "the archive's Release file is past its Valid-Until date",
        'for a snapshot, or a mirror that stands still: check_valid_until = "no" in pyrlab.toml',
    ),
    (
        # The first where an earlier copy of the indexes is kept, the other where there is none.
        r"(?:signature verification failed: |The repository '(?=.*' is not signed\.))(?P<url>\S+)",
        "{url} has no valid signature of the keys that count for it",
        (
            "do not trust it: use another mirror; or for an archive with its own key, [signed-by=FINGERPRINT] in its "
            "line in pyrlab.toml, and the key's place in debian.keys"
        ),
    ),
    (
        r"Failed to fetch (?P<url>\S+) +(?:Hash Sum mismatch|File has unexpected size)",
        "{url} does not fit its Release file",
        "the mirror may be in the middle of an update: try again in some minutes, or name another one in pyrlab.toml",
    ),
)
_CLOCK = "look at the clock of the engine's machine; if it is right, tell whoever runs this server or proxy"
_SETTINGS = (
    "check the network, HTTP_PROXY and HTTPS_PROXY, and APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or their keys "
    "in pyrlab.toml"
)
# What they say, what that means for a host, and what to do; the first that fits counts.
_TOLD = (
    (
        # The status as they write it: a line of a compiler, or a size, may have the number as well.
        r"^\s*407 {2}\S|HTTP/1\.\d 407\b|client error \(407\b|(?i:proxy (?:authorization|authentication) required)",
        "the proxy before {host} wants a user and a password, or refuses the given ones (407)",
        USER_REMEDY,
    ),
    (
        r"certificate expired|certificate has expired|uses expired certificate|invalid peer certificate: Expired",
        "the certificate of {host} has expired",
        _CLOCK,
    ),
    (r"certificate is not yet valid|certificate not valid yet", "the certificate of {host} is not valid yet", _CLOCK),
    (
        r"certificate not valid for name|(?i:hostname|ip address) mismatch",
        "the certificate of {host} is for another name",
        "look at the host's name in base.apt_sources, or in PIPPROXY or network.python_index",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|[Cc]ertificate verif\w+ failed",
        "the certificate of {host} is not trusted",
        "name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml",
    ),
    (
        r"tunnel error: failed to create underlying connection",
        "{host} could not be reached: the proxy before it is not there, or does not answer",
        _SETTINGS,
    ),
    (
        (
            r"Temporary failure (?:resolving|in name resolution)|Could not (?:resolve|connect)|"
            r"Unable to connect|dns error|Connection (?:refused|reset|timed out)|Network is unreachable|"
            r"Failed to establish a new connection|error sending request|Max retries exceeded|"
            r"HTTP status server error|Request failed after \d+ retries"
        ),
        "{host} could not be reached{why}",
        _SETTINGS,
    ),
)
# Whom apt could not reach or find: the host itself, or the proxy before it. The name may be an address of IPv6.
_UNREACHED = re.compile(
    r"(?:Temporary failure resolving|Could not resolve) '(?P<unknown>[^']+)'|"
    r"(?:[Cc]ould not connect|Unable to connect|Cannot initiate the connection) to "
    r"\[?(?P<name>[\w.:-]+)\]?:(?P<port>\w+)(?=[\s:]|$)"
)
_URL = re.compile(r"https?://[^\s'\"`()<>,]+")


def explain(said: str, detail: str) -> NetworkError | BuildError | None:
    """Return the error that ``said`` speaks of, or None when the network is not at fault; ``detail`` is shown with it.

    Hand in what the failed step said, not all: another step may have overcome a broken connection.
    """
    for words, message, remedy in _NOT_BELIEVED:
        if found := re.search(words, said):
            return BuildError(message.format(url=public(found["url"])), remedy=remedy, detail=detail)
    for words, message, remedy in _TOLD:
        if found := re.search(words, said, re.MULTILINE):
            host = _host(said, found)
            line = said[said.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            told = message.format(host=host, why=_unreached(line, host))
            return NetworkError(told, remedy=remedy, detail=detail)
    return None


def _unreached(line: str, host: str) -> str:
    """Return which server apt did not reach on the way to ``host``, as the end of a message; nothing for none."""
    found = _UNREACHED.search(line)
    name = (found["unknown"] or found["name"]) if found else ""
    if found is None or name == urlsplit(f"//{host}").hostname:
        return ""
    shown = f"[{name}]" if ":" in name else name
    return f": {shown}{':' + found['port'] if found['port'] else ''} is not there, or does not answer"


def _host(said: str, found: re.Match[str]) -> str:
    """Return whom a message is about, without a user: both programs name the URL before the reason."""
    urls = _URL.findall(said[: found.end()])[-1:] or _URL.findall(said)[:1]
    host = urlsplit(urls[0]).netloc.rpartition("@")[2] if urls else ""
    return host or "a package index or archive"
