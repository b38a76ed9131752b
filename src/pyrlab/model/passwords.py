"""Whether settings name users and passwords, which belong into variables and netrc, and not into files that travel."""

import re
import tomllib
from collections.abc import Iterator
from urllib.parse import urlsplit

_VARIABLES = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}(?::\$\{[A-Za-z_][A-Za-z0-9_]*\})?")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\]]+")


def keys_with_users(text: str) -> list[str]:
    """Return the keys of a pyrlab.toml whose URLs have a user other than ``${VARIABLE}`` or ``${USER}:${PASSWORD}``.

    A name alone counts, too: it may be a token. The file can be read, as it was for the settings.
    """
    found = []
    for key, value in _texts(tomllib.loads(text), ""):
        for url in _URL.findall(value):
            # A $ and braces may stand in a user, and brackets of IPv6 behind it.
            user, at, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
            if at and not _VARIABLES.fullmatch(user):
                found.append(key)
    # A proxy may be written without a scheme.
    proxy = str(tomllib.loads(text).get("network", {}).get("apt_proxy", ""))
    if "://" not in proxy and urlsplit(f"//{proxy}").username is not None:
        found.append("network.apt_proxy")
    return sorted(set(found))


def _texts(value: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, key)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(one, f"{key}.{name}" if key else name)
