"""Which proxy a URL is asked by: one rule for this machine, for apt, and for the doctor's questions."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

NO_PROXY = "NO_PROXY"
# What a proxy would look for on its own machine, such as the index of `nox -s proxies`.
OF_THIS_MACHINE = "localhost,127.0.0.1,::1"
USER_REMEDY = (
    "write them into the proxy's URL, http://USER:PASSWORD@HOST:PORT, in HTTP_PROXY and HTTPS_PROXY, or APTPROXY;"
    " special characters as %XX"
)


def proxy_for(url: str, proxies: Mapping[str, str]) -> str:
    """Return the proxy that ``url`` is asked by, with its user, or nothing. ``proxies`` are by upper-case variable."""
    if bypasses(url, proxies.get(NO_PROXY, "")):
        return ""
    return proxies.get(f"{urlsplit(url).scheme.upper()}_PROXY", "")


def bypasses(url: str, no_proxy: str) -> bool:
    """Tell whether NO_PROXY has a URL's host: ``*``, the name, the end of it, or a network such as 10.0.0.0/8.

    A network is compared with addresses only: a name is not looked up, as the proxy may be the only one to know it.
    """
    parts = urlsplit(url)
    host, address = parts.hostname or "", parts.netloc.rpartition("@")[2].lower()
    entries = [entry.strip().lstrip(".").lower() for entry in no_proxy.split(",") if entry.strip()]
    if {"*", host, address}.intersection(entries):
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return any(host.endswith(f".{entry}") for entry in entries)
    return any(_holds(entry, number) for entry in entries)


def plain_no_proxy(no_proxy: str) -> str:
    """Return NO_PROXY as all tools read it: to some, ``*.example.com`` is no end of names, and ``.example.com`` is."""
    entries = [entry.strip() for entry in no_proxy.split(",")]
    return ",".join(entry[1:] if entry.startswith("*.") else entry for entry in entries if entry)


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def with_scheme(proxy: str) -> str:
    """Return a proxy as a URL: ``HOST:PORT`` is what curl takes for one, and apt does not."""
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def shown(proxy: str) -> str:
    """Return a proxy's host and port, as a message may show it."""
    return urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2]


def has_user(proxy: str) -> bool:
    """Tell whether a proxy's URL names a user."""
    return "@" in urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc
