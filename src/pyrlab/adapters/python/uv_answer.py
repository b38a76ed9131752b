"""What uv said when it found no solution, as an error that names the lines of the list."""

import re
from collections.abc import Sequence

from packaging.utils import canonicalize_name

from pyrlab.adapters import network
from pyrlab.adapters.http_errors import public
from pyrlab.errors import BuildError, ListError, NetworkError
from pyrlab.model.lists import IMPLIED, PythonRequest

_SHOWN = 25
_UNSOLVABLE = "No solution found when resolving dependencies"
_NAME = r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)"
_UNKNOWN = re.compile(rf"Because {_NAME} was not found in the package registry")
_REQUIRED = re.compile(rf"you require {_NAME}")
_DEPENDS = re.compile(r"\bdepends? on\b")
_REFUSED = re.compile(
    r"An index(?: URL)? \((?P<url>[^)\s]+)\) "
    r"(?:could not be queried due to a lack of valid authentication credentials \(|returned a )(?P<status>401|403)\b"
)
# What has no links is to uv a page of a package without versions.
_NOTHING = re.compile(
    rf"there (?:are no versions|is no version) of {_NAME}|{_NAME.replace('name', 'other')} was not found"
)
_NO_WHEEL = re.compile(rf"The structure of `{_NAME}` \(v(?P<version>[^)]+)\) was invalid")
_YOUNG = re.compile(rf"`{_NAME}` was filtered by `exclude-newer`")
_UNBUILT = re.compile(r"Failed to build `(?P<name>[^`=]+)==(?P<version>[^`]+)`")


def without_versions(log: str) -> str:
    """Return the name of the package of which uv found nothing at all; nothing where that is not why it failed."""
    found = _NOTHING.search(log) if _UNSOLVABLE in log else None
    return canonicalize_name(found["name"] or found["other"]) if found else ""


def explain(log: str, requests: Sequence[PythonRequest], list_file: str) -> ListError | NetworkError | BuildError:
    """Turn the log of a failed ``uv pip compile`` into the error that names the lines of the list that are at fault."""
    detail = "\n".join(log.strip().splitlines()[-_SHOWN:])
    if refused := _REFUSED.search(log):
        return NetworkError(
            f"the Python package index {public(refused['url'])} refuses us: HTTP {refused['status']}",
            remedy="check the name and password in PIPPROXY, or network.python_index in pyrlab.toml",
            detail=detail,
        )
    if unreachable := network.explain(log, detail):
        return unreachable
    if broken := _NO_WHEEL.search(log):
        return NetworkError(
            f"{broken['name']} {broken['version']}: what the Python package index gave is no wheel; it may be half of "
            "one, or a sign-in page of this network",
            remedy=f"try again in some minutes; else check the network, and {network.INDEX}",
            detail=detail,
        )
    if _UNSOLVABLE in log:
        return _unsolvable(log, requests, list_file, detail)
    if unbuilt := _UNBUILT.search(log):
        return BuildError(
            f"{unbuilt['name']} {unbuilt['version']} comes as source only, and does not say what it depends on",
            remedy="its last lines say why; another version may be there as a wheel",
            detail=detail,
        )
    return BuildError(
        "uv could not resolve the list", remedy="its last lines say why; --debug shows all", detail=detail
    )


def _unsolvable(log: str, requests: Sequence[PythonRequest], list_file: str, detail: str) -> ListError:
    if young := _YOUNG.search(log):
        return ListError(
            f"the Python package index has no {young['name']} that fits and is as old as upgrade.min_age says,"
            " or does not say when its files came",
            remedy="wait, or shorten upgrade.min_age in pyrlab.toml, or leave it out",
            detail=detail,
        )
    required = {canonicalize_name(match["name"]) for match in _REQUIRED.finditer(log)}
    unknown = _UNKNOWN.search(log)
    name = canonicalize_name(unknown["name"]) if unknown else ""
    if not name and len(required) == 1 and not _DEPENDS.search(log):
        (name,) = required
    if name:
        where = next((one.where for one in requests if one.name == name), list_file)
        return ListError(
            f"{where}: the Python package index has no {name} that fits",
            remedy="check the name and version",
            detail=detail,
        )
    lines = [f"{one.where} ({one})" for one in requests if one.name in required and one.where != IMPLIED]
    return ListError(
        f"no set of versions satisfies all of {list_file}" + (f"; at odds: {', '.join(lines)}" if lines else ""),
        remedy="loosen or drop one of the requirements named above; the lines above say who wants what",
        detail=detail,
    )
