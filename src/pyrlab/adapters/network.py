"""What apt and uv say when an archive or index cannot be had, as one of our errors."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from pyrlab.adapters.http_errors import masked, public
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
        # The first where an earlier copy of the indexes is kept, the other where there is none, or not any more.
        (
            r"signature verification failed: (?P<url>\S+)|"
            r"E: The repository '(?P<unsigned>\S+) (?P<suite>\S+) (?P<file>\S+)' is (?:not|no longer) signed\."
        ),
        "{url} has no valid signature of the keys that count for it",
        (
            "do not trust it: use another mirror; or for an archive with its own key, [signed-by=FINGERPRINT] in its "
            "line in pyrlab.toml, and the key's place in debian.keys"
        ),
    ),
    (
        r"Failed to fetch (?P<url>\S+) +(?:Hash Sum mismatch|File has unexpected size)",
        "{url} does not fit its Release file",
        (
            "the mirror may be in the middle of an update, or a sign-in page of this network may answer in its place: "
            "try again in some minutes, or name another one in pyrlab.toml"
        ),
    ),
)
_CLOCK = "look at the clock of the engine's machine; if it is right, tell whoever runs this server or proxy"
_ARCHIVES = (
    "base.apt_sources and r.apt_sources in pyrlab.toml, and APTPROXY, HTTP_PROXY and HTTPS_PROXY for a proxy on the way"
)
INDEX = "PIPPROXY, or network.python_index in pyrlab.toml, and HTTP_PROXY and HTTPS_PROXY for a proxy on the way"
_PROXY = (
    "ask whoever runs the proxy, or reach the host without it: NO_PROXY; else check APTPROXY, HTTP_PROXY, HTTPS_PROXY"
)
# How apt names a file that it could not have, before it says why.
_APT = r"^E: Failed to fetch (?P<url>\S+) +"
# And uv, behind the status.
_UV = r" for url \((?P<url>[^)\s]+)\)"
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
        r"SSL routines::certificate verify failed",
        "the certificate of {host} is not trusted, has expired, or is for another name: apt does not say which",
        (
            "name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml; else look at the clock of "
            "the engine's machine, and at the host's name in base.apt_sources and r.apt_sources"
        ),
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
        r"tunnel error: unsuccessful|Invalid response from proxy: HTTP/\S+ (?P<reason>\d+ ?[^\s\[]*(?: [^\s\[]+)*)",
        "the proxy before {host} does not let us reach it{reason}",
        _PROXY,
    ),
    (
        _APT + r"(?:Clearsigned file isn't valid|511 )",
        "{url} is no Release file of an archive: it may be a sign-in page of this network",
        "open {host} in a browser; check the network, and " + _ARCHIVES,
    ),
    (
        (
            r"^\s*(?:error|cause): .*?(?:Missing `Content-Type` header for `(?P<url>[^`]+)`|"
            r"Unsupported `Content-Type` .* for `(?P<kind>[^`]+)`|unexpected JSON from `(?P<json>[^`]+)`|"
            r"HTTP status server error \(511\b[^)]*\) for url \((?P<sign>[^)\s]+))"
        ),
        "{url} is no page of a Python index: it may be a sign-in page of this network",
        "open {host} in a browser; check the network, and " + INDEX,
    ),
    (
        _APT + r"(?P<reason>40[13] +[^\[\n]*)",
        "{url} refused this user{reason}",
        "put the user into ~/.netrc, or as ${VARIABLE} into the URL; check " + _ARCHIVES,
    ),
    (
        r"HTTP status client error \((?P<reason>40[13]\b[^)]*)\)" + _UV,
        "{url} refused this user{reason}",
        "check the user and password in " + INDEX,
    ),
    (
        (
            r"^Err:\d+ (?P<url>\S+) (?P<suite>\S+) Release\n +(?P<reason>[^\[\n]*)|"
            r"^E: The repository '(?P<bare>\S+) (?P<named>\S+) Release' (?:does not have|no longer has) a Release file"
        ),
        "{url} gave no Release file of {suite}{reason}",
        "check the URL and the suite: " + _ARCHIVES,
    ),
    (_APT + r"(?P<reason>(?:404|410) +[^\[\n]*)", "{url} is not there{reason}", "check the URL: " + _ARCHIVES),
    (
        _APT + r"(?P<reason>[345]\d\d {2}[^\[\n]*)",
        "{url} answered {said}",
        "try again in some minutes; else check " + _ARCHIVES,
    ),
    (
        r"HTTP status (?:client|server) error \((?P<reason>[^)]*)\)" + _UV,
        "{url} answered {said}",
        "try again in some minutes; else check " + INDEX,
    ),
    (
        r"SSL connection failed: .*(?:unexpected eof|wrong version number)|tls handshake eof|received corrupt message",
        "{host} hung up before it showed a certificate: it is busy, or speaks no TLS",
        "try again in some minutes; else look at https:// in the URLs of pyrlab.toml, and of HTTPS_PROXY",
    ),
    (
        (
            _APT + r"(?P<reason>Undetermined Error|Error reading from server|Connection failed|Connection timed out|"
            r"Bad header line|Reading from proxy failed|OpenSSL error)"
        ),
        # Of half a file apt says that its error is undetermined, of a server that hangs that the connection failed.
        "{url} did not answer in time, or broke off{reason}",
        "try again in some minutes; else check the network, and " + _ARCHIVES,
    ),
    (
        (
            r"^\s*cause: (?P<reason>operation timed out|connection closed before message completed|"
            r"end of file before message length reached|invalid HTTP .*)"
        ),
        "{host} did not answer in time, or broke off{reason}",
        "try again in some minutes; else check the network, and " + INDEX,
    ),
    (
        (
            r"Temporary failure (?:resolving|in name resolution)|Could not (?:resolve|connect)|"
            r"Unable to connect|dns error|Connection (?:refused|reset|timed out)|Network is unreachable|"
            r"Failed to establish a new connection|error sending request|Max retries exceeded|"
            r"Request failed after \d+ retr(?:y|ies)"
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
# A pattern names a group once, so what may stand in several places has several names.
_URLS = ("url", "unsigned", "kind", "json", "sign", "bare")
_SUITES = ("suite", "named")
_URL = re.compile(r"https?://[^\s'\"`()<>,]+")


def explain(said: str, detail: str) -> NetworkError | BuildError | None:
    """Return the error that ``said`` speaks of, or None when the network is not at fault; ``detail`` is shown with it.

    Hand in what the failed step said, not all: another step may have overcome a broken connection.
    """
    said = masked(said)
    for words, message, remedy in _NOT_BELIEVED:
        if found := next((one for one in re.finditer(words, said) if _was_there(one, said)), None):
            return BuildError(message.format(url=_url(found)), remedy=remedy, detail=detail)
    for words, message, remedy in _TOLD:
        if found := re.search(words, said, re.MULTILINE):
            host = _host(said, found)
            line = said[said.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            reason = " ".join(_of(found, ["reason"]).split())  # apt has two spaces behind a status
            told = message.format(
                host=host,
                why=_unreached(line, host),
                url=_url(found),
                suite=_of(found, _SUITES),
                said=reason,
                reason=f" ({reason})" if reason else "",
            )
            return NetworkError(told, remedy=remedy.replace("{host}", host), detail=detail)
    return None


def _was_there(found: re.Match[str], said: str) -> bool:
    """Tell whether apt has had what it calls not signed: it says so, too, of what it could not fetch, in any order.

    Only that very file counts: whoever refuses another one of the same archive must not take the word from this one.
    """
    if "file" not in found.re.groupindex or found["file"] != "InRelease":
        return True
    place, suite = found["unsigned"].rstrip("/"), found["suite"].rstrip("/")
    of_it = rf"{re.escape(place)}/(?:dists/)?{re.escape(suite)}/InRelease"
    return not re.search(rf"Failed to fetch {of_it} +(?!.*signature)", said)


def _of(found: re.Match[str], names: Sequence[str]) -> str:
    """Return the first group of these that has matched; nothing for none."""
    groups = found.groupdict()
    return next((value for name in names if (value := groups.get(name))), "")


def _url(found: re.Match[str]) -> str:
    """Return the URL in what was found, as a message may show it."""
    return public(_of(found, _URLS))


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
