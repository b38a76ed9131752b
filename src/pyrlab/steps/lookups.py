"""What Debian's archive knows beside its packages: who has a file, and what source packages ask for.

This machine looks, not a build: the indexes come by their hashes, and a mirror that is out of step with itself is a
warning. No lock and no compile error depends on them more than it must.
"""

from collections.abc import Callable, Mapping, Sequence

from pyrlab.adapters.debian import archive, contents
from pyrlab.adapters.debian.sources import read_r_sources
from pyrlab.model.settings import Settings
from pyrlab.steps import fetch

Say = Callable[[str], None]
_SHOWN = 3


def find_files(
    settings: Settings, files: Sequence[str], *, architecture: str, say: Say
) -> Mapping[str, frozenset[str]]:
    """Return, by file, the Debian packages that have it; files are written as in ``include/zlib.h``.

    ``say`` is told of files of which nobody can know, and why. Raises UsageError.
    """
    if not files:
        return {}
    say(f"looking up in Debian's Contents: {', '.join(files[:_SHOWN])}{' …' if files[_SHOWN:] else ''}")
    suites, missed = archive.suites(settings, architecture=architecture, web=fetch.debian_web(settings))
    found = contents.find(files, suites, architecture=architecture, cache=settings.cache, missed=missed)
    if found.warning:
        say(f"warning: {found.warning}")
    return found.packages


def r_sources(settings: Settings, *, architecture: str, say: Say) -> str:
    """Return the stanzas of the source packages that make R packages; ``say`` is told when there are none to be had.

    Raises UsageError.
    """
    suites, missed = archive.suites(settings, architecture=architecture, web=fetch.debian_web(settings))
    sources = read_r_sources(suites, cache=settings.cache, missed=missed)
    if sources.warning:
        say(f"warning: {sources.warning}")
    return sources.text
