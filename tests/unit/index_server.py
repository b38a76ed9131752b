"""A Python index on 127.0.0.1 for the tests: a folder over HTTP, with a password, redirects and missing files."""

import base64
import contextlib
import http.server
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local_server import listening


@dataclass
class IndexServer:
    """``asked`` are (path, whether with a user) of all requests. ``user`` as in ``me:secret`` closes it."""

    folder: Path
    user: str = ""
    url: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def with_user(self, user: str) -> str:
        """Return the URL with a user in it."""
        return self.url.replace("//", f"//{user}@")


@contextlib.contextmanager
def serve(folder: Path, user: str = "") -> Iterator[IndexServer]:
    """Serve a folder within a ``with``."""
    index = IndexServer(folder, user)
    wanted = "Basic " + base64.b64encode(user.encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            given = self.headers.get("Authorization", "")
            index.asked.append((path, bool(given)))
            file = folder / path.lstrip("/")
            if path.endswith("/"):
                file /= "index.html"
            if user and given != wanted:
                self.answer(401)
            elif path in index.redirects:
                self.answer(302, location=index.redirects[path])
            elif file.is_file():
                self.answer(200, file.read_bytes())
            else:
                self.answer(404)

        def answer(self, status: int, body: bytes = b"", location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as port:
        index.url = f"http://127.0.0.1:{port}"
        yield index
