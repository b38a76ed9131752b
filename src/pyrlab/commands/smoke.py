"""The use case `smoke`: pytest over tests/smoke, for both labs or for those named."""

import os
from collections.abc import Sequence

import pytest

from pyrlab.model.settings import Settings
from pyrlab.steps.proof import SIDE_BY_SIDE


def smoke(settings: Settings, arguments: Sequence[str]) -> int:
    """Run the smoke tests and return pytest's exit status.

    ``arguments`` are names of labs first, then pytest's own options. Raises UsageError for an unknown lab.
    """
    names = list(arguments)
    labs = []
    while names and not names[0].startswith("-"):
        labs.append(settings.graph.find_lab(names.pop(0)).image)
    chosen = [option for lab in labs for option in ("--lab", lab)]
    # Relative, as pytest takes [ and :: for the names of tests, and a project's folder may be called so.
    tests = os.path.relpath(settings.project / "tests/smoke")
    return int(pytest.main([tests, *SIDE_BY_SIDE, *chosen, *names]))
