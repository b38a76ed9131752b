"""Questions that are answered where the packages will live: docker's lock stages, with files in and files out."""

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pyrlab.adapters.docker import buildkit as bake
from pyrlab.model.settings import Settings
from pyrlab.steps.root import Root

Say = Callable[[str], None]


def ask(settings: Settings, kind: str, request: Mapping[str, str], *options: str, below: Root, say: Say) -> Path:
    """Put ``request``, as files, to docker's lock stage of this kind, and return the folder of the answer.

    ``below`` is the root that the stage runs in. Raises what ``bake`` raises.
    """
    work = settings.workspace.work
    folder = work / f"lock-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in request.items():
        (folder / name).write_text(text, encoding="utf-8")
    variables = {
        # Each question is asked anew: the archive and the index move, and BuildKit's cache does not know.
        "RUN": uuid.uuid4().hex,
        "OPTIONS": " ".join(options),
    }
    bake.bake(settings, [f"lock-{kind}"], below=below.folder, variables=variables, say=say)
    return folder / "answer"


def find_files(settings: Settings, files: Sequence[str], *, below: Root, say: Say) -> dict[str, set[str]]:
    """Return, by file, the Debian packages that have it; files are written as in ``include/zlib.h``."""
    found: dict[str, set[str]] = {}
    if files:
        say(f"looking up in Debian's Contents: {', '.join(files[:3])}{' …' if files[3:] else ''}")
        folder = ask(settings, "files", {"files": "".join(f"{one}\n" for one in files)}, below=below, say=say)
        for line in (folder / "files").read_text(encoding="utf-8").splitlines():
            file, _, deb = line.partition(" ")
            found.setdefault(file, set()).add(deb)
    return found
