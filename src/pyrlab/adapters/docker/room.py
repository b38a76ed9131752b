"""The engine's disk is full: how programs say it, and the one error for it."""

from pyrlab.errors import MAKE_ROOM, NoRoomError


def error(detail: str) -> NoRoomError:
    """Return the error, with what a program said."""
    return NoRoomError("the Docker engine's disk is full", remedy=MAKE_ROOM, detail=detail)


def of(output: str, detail: str) -> NoRoomError | None:
    """Return the error where a program's output speaks of a full disk."""
    return error(detail) if "no space left on device" in output.lower() else None
