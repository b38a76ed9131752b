"""What pip-compile said when it found no solution, as an error that names the line of the list."""

import re
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pyrlab.adapters import network
from pyrlab.errors import BuildError, ListError, NetworkError
from pyrlab.model.lists import IMPLIED, PythonRequest

_UNKNOWN = re.compile(r"No matching distribution found for (?P<name>[A-Za-z0-9._-]+)")


def explain(log: str, requests: Sequence[PythonRequest], list_file: str) -> ListError | NetworkError | BuildError:
    """Turn the log of a failed pip-compile into the error that names the line of the list, if it is one's fault."""
    # pip's own words stand before the traceback that pip-compile lets through, and in its last line.
    *_, reason = log.strip().splitlines() or [""]
    said, traceback, _ = log.strip().partition("Traceback (most recent call last)")
    detail = "\n".join([*said.strip().splitlines()[-25:], *([reason] if traceback else [])])
    unreachable = network.explain(log, detail)
    if unreachable:
        return unreachable
    unknown = _UNKNOWN.search(reason)
    if unknown:
        name = canonicalize_name(unknown["name"])
        where = next((one.where for one in requests if one.name == name), list_file)
        return ListError(
            f"{where}: the Python package index has no {name} that fits",
            remedy="check the name and version",
            detail=detail,
        )
    if "ResolutionImpossible" in log or "conflicting dependencies" in log:
        pinned = [one for one in requests if one.where != IMPLIED and Requirement(one.text).specifier]
        lines = [f"{one.where} ({one})" for one in pinned]
        return ListError(
            f"no set of versions satisfies all of {list_file}"
            + (f"; pinned in it: {', '.join(lines)}" if lines else ""),
            remedy="loosen or drop one of the requirements named above",
            detail=detail,
        )
    return BuildError("pip-compile failed", remedy="its last lines say why; --debug shows all", detail=detail)
