"""The tables of pyrlab.toml, as values of the types that their defaults have."""

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any

from pyrlab.errors import UsageError
from pyrlab.model.urls import FILE

# Digits of a number that may be right; Python refuses to read thousands of them.
LONGEST_NUMBER = 20


def read(text: str, defaults: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return a pyrlab.toml by section and key: each default, or what the text says instead. Raises UsageError."""
    try:
        found = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits is another
        raise UsageError(f"{FILE} cannot be read: {error}", remedy="mend that line; it is TOML") from error
    values = {section: dict(keys) for section, keys in defaults.items()}
    for section, table in found.items():
        _known(section, defaults, "section")
        if not isinstance(table, dict):
            raise UsageError(f"{FILE}: {section} is a section, not a value", remedy=f"write it as [{section}]")
        for key, value in table.items():
            _known(key, defaults[section], f"key of [{section}]")
            values[section][key] = typed(value, defaults[section][key], f"{FILE}: {section}.{key}")
    return values


def _known(name: str, names: Mapping[str, object], what: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from: {', '.join(names)}"
        raise UsageError(f"{FILE}: {name!r} is no {what}", remedy=hint)


def typed(value: Any, default: Any, origin: str) -> Any:  # noqa: ANN401 - TOML holds any of several types
    """Return ``value`` in the type of ``default``: numbers in the environment come as text.

    Raises UsageError for another type; ``origin`` says where the value was set.
    """
    if type(default) is int and isinstance(value, str) and value.isdecimal():
        # No number here has more digits than that, and Python refuses to read thousands of them.
        return int(value[: LONGEST_NUMBER + 1])
    if type(default) is float and type(value) is int:
        return float(value)
    if type(value) is not type(default) or (
        isinstance(value, list) and not all(isinstance(item, str) for item in value)
    ):
        kinds = {
            int: "a number",
            float: "a number",
            str: "text in quotes",
            list: "a list of texts",
            bool: "true or false",
            dict: "a table of its own",
        }
        raise UsageError(f"{origin} is {value!r}", remedy=f"it must be {kinds[type(default)]}")
    return value
