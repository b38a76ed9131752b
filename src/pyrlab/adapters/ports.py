"""Ports of this machine: whether one is free, and which process has it."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
# The state of a socket that listens. Source: Linux, include/net/tcp_states.h
_LISTEN = "0A"


def why_not(address: str, port: int) -> str:
    """Return why nobody can listen on a port of this machine now, or nothing when it is free."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def holder(port: int) -> str:
    """Return the process that listens on a port, as in ``process python3 (4321)``; nothing where it cannot be known.

    Another user's process shows its sockets to root alone, and only Linux has /proc.
    """
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    if not wanted:
        return ""
    for descriptor in _PROC.glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) in wanted:
                process = descriptor.parents[1]
                return f"process {(process / 'comm').read_text(errors='replace').strip()} ({process.name})"
    return ""


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on a port."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
