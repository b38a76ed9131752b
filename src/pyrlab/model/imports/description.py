"""DESCRIPTION: what a package or a project says that it needs, with its bounds."""

from collections.abc import Mapping

from pyrlab.model.cran.record import HARD_FIELDS, Dependency, is_r, parse_field
from pyrlab.model.imports.found import Collector, Found, printable

KIND = "DESCRIPTION"


def read(fields: Mapping[str, str]) -> Found:
    """Read the fields. Raises ValueError that names a field which cannot be read."""
    collector = Collector(KIND)
    needed = {one for field in HARD_FIELDS for one in _parse(fields, field)}
    bound = {one.name for one in needed if one.operator}
    for one in sorted(needed, key=lambda one: (one.name.lower(), one)):
        # A bare name says nothing beside the same name with a bound.
        if not is_r(one.name) and (one.operator or one.name not in bound):
            _take(one, collector)
    gates = sorted(str(one) for one in needed if one.name == "R" and one.operator)
    return Found(
        kind=KIND,
        wanted=tuple(collector.wanted),
        refused=tuple(collector.refused),
        notes=tuple(_notes(fields, gates)),
    )


def _take(one: Dependency, collector: Collector) -> None:
    if one.operator == "!=":
        collector.refuse(one.name, f"the list cannot say {one}: write the name with another bound")
    else:
        collector.take(one.name, one.operator, one.version)


def _parse(fields: Mapping[str, str], field: str) -> list[Dependency]:
    try:
        return parse_field(fields.get(field, ""))
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def _notes(fields: Mapping[str, str], gates: list[str]) -> list[str]:
    notes = []
    if gates:
        notes.append(f"it wants {' and '.join(gates)}: R is Debian's, of the suite in pyrlab.toml")
    suggested = ", ".join(" ".join(fields.get("Suggests", "").split()).split(" , "))
    if suggested:
        notes.append(f"Suggests is left out: {printable(suggested)}")
    remotes = " ".join(fields.get("Remotes", "").split())
    if remotes:
        notes.append(f"Remotes is left out, so that these come from a repository: {printable(remotes)}")
    return notes
