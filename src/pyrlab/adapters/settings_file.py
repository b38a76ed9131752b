"""The only reader of pyrlab.toml and of the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from pyrlab.adapters import files, process
from pyrlab.adapters.lists_files import read_graph
from pyrlab.errors import UsageError
from pyrlab.model.settings import Settings
from pyrlab.model.settings_keys import parse
from pyrlab.model.urls import FILE


def read(project: Path, environment: Mapping[str, str]) -> Settings:
    """Read the settings of ``project``; a missing file is an empty one. Raises UsageError."""
    project = project.resolve()
    path = project / FILE
    try:
        text = files.read_bytes(path).decode("utf-8")
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError as error:
        raise UsageError(f"{FILE} cannot be read: {error}", remedy="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(
            f"{FILE} cannot be read: {error.strerror}", remedy=f"make it a file that you can read: {path}"
        ) from error
    settings = parse(
        project,
        read_graph(project),
        text,
        environment,
        owner=os.getuid(),
        host_checks_valid_until=_host_checks_valid_until(),
    )
    if settings.ca_file and not settings.ca_file.is_file():
        raise UsageError(
            f"the certificate file {settings.ca_file} does not exist",
            remedy=f"set SSL_CERT_FILE or network.ca_file in {FILE}",
        )
    return settings


def _host_checks_valid_until() -> bool:
    """Tell whether the apt of this machine, where there is one, refuses an archive past its date."""
    try:
        shown = process.run(["apt-config", "dump", "Acquire::Check-Valid-Until"], timeout=30)
    except (process.CommandError, process.MissingProgramError):
        return True
    return '"false"' not in shown and '"0"' not in shown
