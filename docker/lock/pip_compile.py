"""pip-compile, whose build backends run as nobody and without a network.

To learn what a source distribution depends on, pip runs its build backend: code of a package that nobody has locked
yet. It gets the package's own folder and nothing else: what pip keeps in its cache, later locks believe.
"""

import sys
from pathlib import Path

# It is in the tools of the images.
from piptools.scripts.compile import cli  # type: ignore[import-not-found]

# pip starts hooks, and itself, by this name.
sys.executable = str(Path(__file__).with_name("python-as-nobody"))
sys.exit(cli())
