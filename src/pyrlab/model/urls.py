"""URLs in settings: ``${VARIABLE}`` in them, and whether they can be read."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from pyrlab.errors import UsageError

FILE = "pyrlab.toml"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def with_secrets(text: str, key: str, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return a text with the values of its variables, as a URL holds them, and these values.

    ``key`` is the setting, for the UsageError about a variable that is not set.
    """
    secrets = [_secret(variable, key, environment) for variable in _VARIABLE.findall(text)]
    values = iter(secrets)
    return _VARIABLE.sub(lambda _: next(values), text), tuple(secrets)


def _secret(variable: str, key: str, environment: Mapping[str, str]) -> str:
    """Return what ``${VARIABLE}`` stands for in a URL."""
    if variable not in environment:
        raise UsageError(f"{FILE}: {key} uses ${{{variable}}}, which is not set", remedy=f"export {variable}=…")
    # A password may hold any character, a URL not.
    return quote(environment[variable], safe="")


def is_sound(url: str) -> bool:
    """Tell whether a URL can be read, and has no password where none would be looked for."""
    try:
        parts = urlsplit(url)
        # The port is only read when it is asked for.
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname or parts.scheme == "file") and "@" not in parts.path and not parts.fragment
