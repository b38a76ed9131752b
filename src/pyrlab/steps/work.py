"""The work folder of a project."""

from pathlib import Path

from pyrlab.model.settings import Settings

WORK = ".pyrlab"


def work_of(settings: Settings) -> Path:
    """Return the folder that builds and questions of this project work in."""
    return settings.project / WORK
