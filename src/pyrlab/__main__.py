"""`python -m pyrlab`."""

import sys

from pyrlab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
