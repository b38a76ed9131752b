"""The browser that the tests drive: one that is on this machine, or Debian's own, installed for whoever is root."""

import os
import shutil
import sys

from pyrlab.adapters import process

# All of them speak the protocol that Playwright drives.
NAMES = ("chromium", "google-chrome", "google-chrome-stable")
REMEDY = "install chromium, as by: apt-get install chromium"
APT_TIMEOUT = 600.0


def find() -> str:
    """Return the path of a Chromium, or nothing.

    Ubuntu's own is a snap, which cannot see the profile that Playwright makes for it in /tmp.
    """
    paths = filter(None, map(shutil.which, NAMES))
    return next((path for path in paths if "/snap/" not in path), "")


def ensure() -> str:
    """Make sure that there is a browser where that is ours to do, and say in one sentence what was done.

    Raises CommandError when apt fails: where it should work, tests that do not run would prove nothing.
    """
    if not find() and os.geteuid() == 0 and shutil.which("apt-get"):
        _apt("update")
        if process.run(["apt-cache", "madison", "chromium"], timeout=60).strip():
            # Translations and a window system's parts are nothing that a test sees.
            _apt("install", "--yes", "--no-install-recommends", "chromium")
    found = find()
    return f"{found} is the browser." if found else f"there is no Chromium here, and nothing is tried: {REMEDY}"


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    process.run(["apt-get", "--quiet", *arguments], timeout=APT_TIMEOUT, env=environment)


if __name__ == "__main__":
    sys.stdout.write(f"{ensure()}\n")
