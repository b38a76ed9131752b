"""The running of a test's server on 127.0.0.1: a port of its own, and a thread that ends with it."""

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def listening(
    handler: Callable[..., Any], kind: type[socketserver.TCPServer] = http.server.ThreadingHTTPServer
) -> Iterator[int]:
    """Answer by ``handler`` within a ``with``; yield the port."""
    with kind(("127.0.0.1", 0), handler) as server:
        # The loop that ends it looks so often whether it shall: a half second of the default would be each test's.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
