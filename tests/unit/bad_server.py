"""A server on 127.0.0.1 that misbehaves in one way, whatever it is asked; and a proxy that does."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from local_server import listening

PAGE = b"<!DOCTYPE html><html><title>Sign in</title>Welcome to our hotel</html>"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def answer(status: str, body: bytes = b"", *, length: int | None = None, **headers: str) -> bytes:
    """Return an answer; ``length`` is what it says of its body."""
    said = {"Content-Length": str(len(body) if length is None else length), "Connection": "close"}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in (said | headers).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class BadServer:
    """``asked`` are the first lines of all requests; ``says`` is the answer to each: none at all where it is empty."""

    says: bytes
    tls: ssl.SSLContext | None = None
    port: int = 0
    asked: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serve(says: bytes, tls: ssl.SSLContext | None = None) -> Iterator[BadServer]:
    """Misbehave within a ``with``."""
    server = BadServer(says, tls)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            connection.settimeout(10)
            with contextlib.suppress(OSError):
                if server.tls:
                    connection = server.tls.wrap_socket(connection, server_side=True)
                with contextlib.closing(connection), connection.makefile("rb") as lines:
                    server.asked.append(lines.readline().decode().strip())
                    while line := lines.readline().decode().strip():
                        if line.lower().startswith(("authorization:", "proxy-authorization:")):
                            server.users.append(line)
                    if not server.says:
                        server.stopped.wait(10)
                    connection.sendall(server.says)

    class Listening(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with listening(Handler, Listening) as port:
        server.port = port
        try:
            yield server
        finally:
            server.stopped.set()


class Hangup(ssl.SSLContext):
    """What hangs up where it should show a certificate."""

    def wrap_socket(self, sock: socket.socket, **_: object) -> ssl.SSLSocket:  # type: ignore[override]
        """Read what the other side begins with, and end."""
        sock.recv(4096)
        sock.shutdown(socket.SHUT_RDWR)
        raise OSError


def certificate(authority: trustme.CA, *, begins: datetime = NOW - DAY, ends: datetime = NOW + DAY) -> ssl.SSLContext:
    """Return what a server shows itself by: a certificate for 127.0.0.1 that holds from then to then."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=begins, not_after=ends).configure_cert(context)
    return context


def trusted(authority: trustme.CA, folder: Path) -> Path:
    """Write the certificate of an authority, and return its path."""
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def nobody() -> str:
    """Return the address of a port on which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{closed.getsockname()[1]}"
