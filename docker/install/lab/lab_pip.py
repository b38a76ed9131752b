"""`pip uninstall` in a lab: it removes what was added, and says in one line why not what is the image's own.

added.pth imports this in each Python that is started with the word ``uninstall``, before pip begins. pip itself would
end in a traceback, as nobody in a lab can write in the image's own folder; and of a package that was added and is in
the image, too, it would find the image's.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

SITE = Path(__file__).parent
# /opt/lab/lib/python3.13/site-packages and /opt/lab/added/lib/python3.13/site-packages
ADDED = SITE.parents[2] / "added" / SITE.relative_to(SITE.parents[2])


def prepare(words: Sequence[str]) -> None:
    """Let pip find added packages first; end this process where it is asked to remove one of the image's own."""
    place = words.index("uninstall")
    # Whoever may change the image, as root in a Dockerfile, needs no advice.
    if not any(re.fullmatch(r"pip[0-9.]*", Path(word).name) for word in words[:place]) or os.access(SITE, os.W_OK):
        return
    own, added = _distributions(SITE), _distributions(ADDED)
    kept = sorted({word for word in map(_normal, words[place + 1 :]) if word in own and word not in added})
    if kept:
        sys.stderr.write(
            f"ERROR: the image's own packages stay: {', '.join(kept)}. Only what was added can be removed here; "
            "leave them out of the image's list instead\n"
        )
        sys.stderr.flush()
        # While Python starts, SystemExit would be an error of its own.
        os._exit(1)
    if str(ADDED) in sys.path and str(SITE) in sys.path:
        sys.path.remove(str(ADDED))
        sys.path.insert(sys.path.index(str(SITE)), str(ADDED))


def _distributions(folder: Path) -> set[str]:
    return {_normal(info.name.partition("-")[0]) for info in folder.glob("*.dist-info")}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
