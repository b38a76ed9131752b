"""Runs `pyrlab smoke` in a project of the tests, where there need be no engine."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from graphs import SOURCE

# Answers as the command does that pyrlab asks for the engine.
DOCKER = """\
#!/bin/sh
case "$*" in
version*) echo '{"Version": "26.1", "ApiVersion": "1.45", "Arch": "amd64"}' ;;
"buildx version") echo 'github.com/docker/buildx 0.18.0' ;;
*) exit 1 ;;
esac
"""


def run_smoke(
    project: Path, home: Path, *options: str, plugins: Sequence[str] = (), modules: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the smoke tests of a project, with more plugins of pytest and folders of modules; ``home`` is the user's."""
    programs = home / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(DOCKER, encoding="utf-8")
    (programs / "docker").chmod(0o755)
    return subprocess.run(
        [sys.executable, "-m", "pyrlab", "smoke", "--", "-q", *options],
        cwd=project,
        env={
            **os.environ,
            "HOME": str(home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(map(str, (SOURCE / "src", *modules))),
            "COLUMNS": "200",
            # What else is installed has no say in this.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": ",".join(("xdist.plugin", *plugins)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
