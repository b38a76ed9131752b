"""TOML tables read with the types that they should have, and errors that name the place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Table:
    """A TOML table. ``where`` is what to call it in an error, as in ``package 'zoo'``.

    Each method raises ValueError, with a sentence, for a key that is missing or has another type.
    """

    values: Mapping[str, Any]
    where: str

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text."""
        found = self._get(key, default)
        if not isinstance(found, str):
            raise self._wrong(key, "a text")
        return found

    def number(self, key: str, default: int | None = None) -> int:
        """Return a whole number."""
        found = self._get(key, default)
        if type(found) is not int:
            raise self._wrong(key, "a whole number")
        return found

    def flag(self, key: str) -> bool:
        """Return true or false."""
        found = self._get(key, None)
        if not isinstance(found, bool):
            raise self._wrong(key, "true or false")
        return found

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self._get(key, default)
        if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
            raise self._wrong(key, "a list of texts")
        return tuple(found)

    def tables(self, key: str, *, optional: bool = False) -> list[Self]:
        """Return a list of tables, each called by its name where it has one."""
        found = self._get(key, [] if optional else None)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self._wrong(key, "a list of tables")
        return [type(self)(item, _call(item, key, number)) for number, item in enumerate(found, start=1)]

    def _get(self, key: str, default: object) -> object:
        found = self.values.get(key, default)
        if found is None:
            raise ValueError(f"{self.where} has no {key!r}")
        return found

    def _wrong(self, key: str, wanted: str) -> ValueError:
        return ValueError(f"{key!r} of {self.where} is not {wanted}")


def _call(values: Mapping[str, Any], key: str, number: int) -> str:
    name = values.get("name")
    return f"{key} {name!r}" if isinstance(name, str) else f"{key} number {number}"
