"""The user's own notebooks as a proof of the labs: which ones, in which lab, with which parameters, and how long."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from pyrlab.errors import UsageError
from pyrlab.model.graph import Graph, Lab

MAY, MUST_NOT = "may change", "must not change"
NUMBERS = (MAY, MUST_NOT)
# The tag of the cell that holds values. One that is there already is of an earlier run.
INJECTED = "injected-parameters"
_AGE = re.compile(r"(?P<count>\d{1,4}) ?(?P<unit>hour|day|week)s?")


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """[proof] of pyrlab.toml. ``notebooks`` are globs below the project; ``parameters`` and ``labs`` are by glob.

    ``timeout`` is in seconds, for each notebook. ``numbers`` says whether a changed number in an output is a failure,
    and ``tolerance`` which relative change is none.
    """

    notebooks: tuple[str, ...] = ()
    timeout: int = 600
    numbers: str = MAY
    tolerance: float = 1e-6
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labs: Mapping[str, str] = field(default_factory=dict)

    def parameters_of(self, notebook: str) -> dict[str, Any]:
        """Return the parameters of a notebook, by its path below the project; later globs win."""
        found: dict[str, Any] = {}
        for glob, values in self.parameters.items():
            if fnmatchcase(notebook, glob):
                found |= values
        return found

    def lab_of(self, notebook: str, language: str, graph: Graph) -> Lab:
        """Return the lab that a notebook runs in: the one that a glob names, or the first with its language.

        Raises UsageError when there is none.
        """
        named = next((lab for glob, lab in self.labs.items() if fnmatchcase(notebook, glob)), None)
        for lab in [graph.find_lab(named)] if named else graph.labs.values():
            if language.lower() in {spoken.lower() for spoken in lab.kernels.values()}:
                return lab
        raise UsageError(
            f"{named or 'no lab'} has {'no' if named else 'a'} kernel for {notebook}, "
            f"whose language is {language or 'not said'}",
            remedy=f'name one in pyrlab.toml: [proof.labs] "{notebook}" = "{next(iter(graph.labs), "")}"',
        )


@dataclass(frozen=True, slots=True)
class UpgradeSettings:
    """[upgrade] of pyrlab.toml: how many generations are kept, and what bounds a search and the age of releases."""

    keep: int = 3
    max_trials: int = 60
    minutes: int = 120
    min_age: timedelta = timedelta()


def parse_age(text: str, origin: str) -> timedelta:
    """Return an age such as ``3 days``; empty text is none. Raises UsageError; ``origin`` says where it was set."""
    if not text.strip():
        return timedelta()
    match = _AGE.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"{origin} is {text!r}, which is no age", remedy='write it as "3 days", "12 hours" or "2 weeks"'
        )
    return timedelta(**{f"{match['unit']}s": int(match["count"])})


def parse_proof(values: Mapping[str, Any], graph: Graph, origin: str) -> ProofSettings:
    """Return [proof] out of its typed values. Raises UsageError that names the key."""
    for key in ("parameters", "labs"):
        for glob, value in values[key].items():
            wanted: type = dict if key == "parameters" else str
            if not isinstance(value, wanted):
                example = "{ alpha = 0.1 }" if key == "parameters" else f'"{next(iter(graph.labs), "pylab")}"'
                raise UsageError(f"{origin}.{key}: {glob!r} is {value!r}", remedy=f'write it as "{glob}" = {example}')
    for lab in values["labs"].values():
        graph.find_lab(lab)
    if values["numbers"] not in NUMBERS:
        raise UsageError(
            f"{origin}.numbers is {values['numbers']!r}", remedy=f"choose from: {', '.join(map(repr, NUMBERS))}"
        )
    if not 0 <= values["tolerance"] < 1:
        raise UsageError(f"{origin}.tolerance is {values['tolerance']}", remedy="it is relative: 0 or more, below 1")
    if values["timeout"] < 1:
        raise UsageError(f"{origin}.timeout is {values['timeout']}", remedy="it is in seconds, at least 1")
    for glob in values["notebooks"]:
        if glob.startswith(("/", "~")) or ".." in glob.split("/"):
            raise UsageError(
                f"{origin}.notebooks: {glob!r} leads out of the project", remedy="copy the notebooks into it"
            )
    return ProofSettings(
        notebooks=tuple(values["notebooks"]),
        timeout=values["timeout"],
        numbers=values["numbers"],
        tolerance=values["tolerance"],
        parameters=values["parameters"],
        labs=values["labs"],
    )


def parse_upgrade(values: Mapping[str, Any], origin: str) -> UpgradeSettings:
    """Return [upgrade] out of its typed values. Raises UsageError that names the key."""
    for key, least in (("keep", 1), ("max_trials", 0), ("minutes", 0)):
        if values[key] < least:
            raise UsageError(f"{origin}.{key} is {values[key]}", remedy=f"it is {least} or more")
    return UpgradeSettings(
        keep=values["keep"],
        max_trials=values["max_trials"],
        minutes=values["minutes"],
        min_age=parse_age(values["min_age"], f"{origin}.min_age"),
    )


def inject(notebook: Mapping[str, Any], parameters: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return a notebook (nbformat 4, as JSON has it) with values for its parameters, by papermill's convention.

    A cell tagged ``parameters`` holds the defaults; the values follow it in a cell of their own, or come first where
    no cell is tagged. Raises UsageError for a value that the language has no word for.
    Source: papermill.readthedocs.io, "Parameterize".
    """
    cells = [cell for cell in notebook.get("cells", ()) if INJECTED not in _tags(cell)]
    if not parameters:
        return dict(notebook)
    at = next((number for number, cell in enumerate(cells, start=1) if "parameters" in _tags(cell)), 0)
    source = "\n".join(_assignment(name, value, language) for name, value in parameters.items())
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED]},
        "outputs": [],
        "source": source,
        # Notebooks of format 4.5 want an id for each cell; older ones refuse it.
        **({"id": INJECTED} if any("id" in other for other in cells) else {}),
    }
    return {**notebook, "cells": [*cells[:at], cell, *cells[at:]]}


def language_of(notebook: Mapping[str, Any]) -> str:
    """Return the language that a notebook says it is in, as in ``python`` or ``R``; empty where it does not say."""
    metadata = notebook.get("metadata", {})
    said = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
    # A kernelspec without a language is told by its name.
    kernel = str(metadata.get("kernelspec", {}).get("name", ""))
    return str(said or ("R" if kernel.lower() in {"ir", "r"} else "python" if kernel.startswith("python") else ""))


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", ()))


def _assignment(name: str, value: object, language: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*" if language != "R" else r"[A-Za-z][A-Za-z0-9_.]*", name):
        raise UsageError(f"{name!r} is no name of a parameter", remedy="write it as the notebook's language does")
    return f"{name} <- {_in_r(value)}" if language == "R" else f"{name} = {_in_python(value)}"


def _in_python(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_in_python, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_in_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, bool | int | float | str):
        return repr(value)
    return repr(str(value))


def _in_r(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, list):
        return f"list({', '.join(map(_in_r, value))})"
    if isinstance(value, dict):
        return "list(" + ", ".join(f"`{key}` = {_in_r(item)}" for key, item in value.items()) + ")"
    if isinstance(value, int):
        return f"{value}L" if abs(value) < 2**31 else str(value)
    if isinstance(value, float):
        return {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}.get(str(value), repr(value))
    # R reads JSON's escapes in a string, but for the slash, which json.dumps leaves alone.
    return json.dumps(str(value))
