"""Files of other tools, read by what they hold and not by what they are called."""

import codecs
import json
from typing import Any

from pyrlab.errors import ListError
from pyrlab.model.cran.index import read_fields
from pyrlab.model.imports import description, pak, renv
from pyrlab.model.imports.found import Found, printable

_KINDS = "a DESCRIPTION, an renv.lock or a lock of pak"
_SHOWN = 60


def read(content: bytes, *, name: str) -> Found:
    """Return what a file says. Raises ListError that names the file, the reason and the way on."""
    if not content.strip():
        raise ListError(f"{name} is empty", remedy=f"name {_KINDS}")
    if b"\0" in content or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        reason = "it is in UTF-16, or no text at all"
        raise ListError(f"{name} is not UTF-8 text: {reason}", remedy="save it as UTF-8, and import it again")
    text = content.removeprefix(codecs.BOM_UTF8).lstrip()
    try:
        if b"\n<<<<<<< " in b"\n" + text:
            raise ValueError("it holds an unresolved merge")  # noqa: TRY301 - as what cannot be read otherwise
        return _read_json(text) if text.startswith((b"{", b"[")) else _read_fields(text)
    except _UnknownKindError as error:
        raise ListError(f"{name} is not {_KINDS}: {error}", remedy="name one of these files") from error
    except ValueError as error:
        raise ListError(
            f"{name} cannot be read: {printable(str(error))}",
            remedy="mend it, or let the tool that made it write it anew; nothing was changed",
        ) from error


class _UnknownKindError(ValueError):
    """The file can be read, and is none of those that pyrlab knows."""


def _read_json(text: bytes) -> Found:
    try:
        document: Any = json.loads(text.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if isinstance(document, dict) and "Packages" in document:
        return renv.read(document)
    if isinstance(document, dict) and "lockfile_version" in document and "packages" in document:
        return pak.read(document)
    raise _UnknownKindError("it is JSON of another kind")


def _read_fields(text: bytes) -> Found:
    try:
        fields = read_fields(text)
    except ValueError as error:
        raise _UnknownKindError(str(error)) from error
    if not fields.keys() & {"Package", "Imports", "Depends", "Type"}:
        raise _UnknownKindError(f"it begins with {text[:_SHOWN].decode(errors='replace')!r}")
    return description.read(fields)
