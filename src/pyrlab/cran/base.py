"""The packages that are R itself, and the dependencies that a DESCRIPTION names beside them."""

import re
from collections.abc import Mapping

# They come with R and have its version; no repository carries them. Source: tools::standard_package_names().
BASE_PACKAGES = frozenset(
    {
        "base",
        "compiler",
        "datasets",
        "grDevices",
        "graphics",
        "grid",
        "methods",
        "parallel",
        "splines",
        "stats",
        "stats4",
        "tcltk",
        "tools",
        "utils",
    }
)
HARD_FIELDS = ("Depends", "Imports", "LinkingTo")


def dependencies(description: Mapping[str, str]) -> list[str]:
    """Return the names that a package cannot do without, sorted, R and its base packages left out."""
    names = set()
    for field in HARD_FIELDS:
        for entry in description.get(field, "").split(","):
            name = re.split(r"[\s(]", entry.strip(), maxsplit=1)[0]
            if name and name != "R" and name not in BASE_PACKAGES:
                names.add(name)
    return sorted(names)
