"""Every failure that a user can meet: what went wrong, why, what to do, and the exit status.

2 usage, 3 a list, 4 a stale or drifted lock, 5 the engine, 6 the network, 7 a build, 8 a hash, 9 a lab, 10 an
upgrade that had to hold something back, where that was not wanted, 11 a machine that is not well; 70 a fault of
pyrlab itself; 130 after Ctrl-C, SIGTERM or SIGHUP; 1 for what the operating system refused.
"""

from collections.abc import Sequence

MAKE_ROOM = "make room: nox -s clean, docker builder prune"


class PyrlabError(Exception):
    """A failure with a remedy; ``detail`` is the longer evidence (the end of a log) shown above it."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str, detail: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        self.detail = detail


class UsageError(PyrlabError):
    """The command line or a setting asks for something that cannot be."""

    exit_code = 2


class ListError(PyrlabError):
    """A package list has a line that cannot be read, found or satisfied."""

    exit_code = 3


class StaleLockError(PyrlabError):
    """A lock does not hold what its list wants."""

    exit_code = 4


class EngineError(PyrlabError):
    """No fitting Docker engine answers."""

    exit_code = 5


class NetworkError(PyrlabError):
    """An index or archive could not be reached."""

    exit_code = 6


class BuildError(PyrlabError):
    """An image, or a lock that is made inside one, could not be built."""

    exit_code = 7


class NoRoomError(BuildError):
    """The engine's disk is full: that says nothing about what was built."""


class HashMismatchError(PyrlabError):
    """A downloaded file is not the one that was locked."""

    exit_code = 8


class LabError(PyrlabError):
    """A lab did not start, or did not answer."""

    exit_code = 9


class NotWellError(PyrlabError):
    """The doctor found something that is not well."""

    exit_code = 11


class HeldError(PyrlabError):
    """An upgrade holds something back, and ``--strict`` asks for all or an error."""

    exit_code = 10


class InternalError(PyrlabError):
    """An error that pyrlab does not know: a fault of its own. 70 is EX_SOFTWARE of sysexits(3)."""

    exit_code = 70


class GoneError(PyrlabError):
    """The archive no longer has packages that debs.lock or r_packages.lock pins, and no snapshot archive gives them.

    ``packages`` are names with versions, ``moves`` what locking would do with each, as far as that is known, and
    ``snapshot`` what became of the question to a snapshot archive, where there is one.
    """

    exit_code = 4

    def __init__(self, packages: Sequence[str], *, moves: Sequence[str] = (), snapshot: str = "") -> None:
        what = f"which {', '.join(moves)}" if moves else "which moves just these"
        other = "" if snapshot else "; or name a snapshot archive: debian.snapshot in pyrlab.toml"
        super().__init__(
            f"the archive no longer has {', '.join(packages)}{snapshot and f'; {snapshot}'}",
            remedy=f"nox -s lock -- debs, {what}{other}",
        )
