"""A Debian archive for tests: suites in a folder, and the server on 127.0.0.1 in front of it."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import lzma
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_server import listening

from pyrlab.adapters.debian.indexes import Suite
from pyrlab.adapters.http import Web

PACK: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": functools.partial(gzip.compress, mtime=0),
    ".xz": lzma.compress,
}


@dataclass(frozen=True)
class Listed:
    """A file that the Release file vouches for."""

    path: str
    size: int
    sha256: str


class Archive:
    """Suites below ``folder``, over HTTP. ``asked`` are the paths of all requests, in their order."""

    def __init__(self, folder: Path, web: Web) -> None:
        self.folder = folder
        self.web = web
        self.url = ""
        self.asked: list[str] = []
        self.cut: set[str] = set()  # paths whose bodies end half way

    def publish(self, suite: str, index: str, text: str, *, form: str = ".gz", by_hash: bool = False) -> Suite:
        """Put one index into a suite of the component ``main``, and return the suite as its Release file has it."""
        path = f"main/{index}{form}"
        data = PACK[form](text.encode())
        sha256 = hashlib.sha256(data).hexdigest()
        folder = f"dists/{suite}"
        place = f"main/by-hash/SHA256/{sha256}" if by_hash else path
        file = self.folder / folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

        def read(wanted: str) -> Path:
            return self.web.get(f"{self.url}/{folder}/{wanted}", agent="test").path

        files = {path: Listed(path, len(data), sha256)}
        return Suite(f"{self.url}/{folder}", ("main",), files, by_hash, read)

    def damage(self, suite: str, index: str, data: bytes | None) -> None:
        """Replace an index, or take it away, behind the back of its Release file."""
        file = self.folder / f"dists/{suite}/main/{index}"
        if data is None:
            file.unlink()
        else:
            file.write_bytes(data)


@contextlib.contextmanager
def serve(archive: Archive) -> Iterator[Archive]:
    """Serve an archive within a ``with``."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            archive.asked.append(self.path)
            if self.path in archive.cut:
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            else:
                super().do_GET()

        def send_header(self, keyword: str, value: str) -> None:
            # Two files of one second would be the same file to who asks by that date.
            if keyword != "Last-Modified":
                super().send_header(keyword, value)

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(archive.folder))
    with listening(handler) as port:
        archive.url = f"http://127.0.0.1:{port}"
        yield archive
