"""A snapshot archive on 127.0.0.1 for the tests, laid out as Debian's own: by time, by version and by SHA-1."""

import contextlib
import functools
import hashlib
import http.server
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from local_server import listening

Answer = Callable[[str], tuple[int, bytes]]


@dataclass
class Server:
    """A server whose answers, status and body, are a function of the path. ``asked`` are all paths, in order."""

    answer: Answer
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve(answer: Answer) -> Iterator[Server]:
    """Answer on a port of its own within a ``with``."""
    server = Server(answer)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            status, body = server.answer(unquote(self.path))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


def folder(path: Path) -> Answer:
    """Return the answers of a plain server of files."""
    return functools.partial(_file, path)


def _file(path: Path, asked: str) -> tuple[int, bytes]:
    file = path / asked.lstrip("/")
    return (200, file.read_bytes()) if file.is_file() else (404, b"")


@dataclass
class Snapshots:
    """What a snapshot archive keeps: files by archive, time of the snapshot and path; and files by version."""

    runs: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)

    def take(self, time: str, files: dict[str, bytes], *, archive: str = "debian") -> None:
        """Keep an archive as it is at a time."""
        self.runs[archive, time] = files

    def keep(self, name: str, version: str, **files: bytes) -> None:
        """Keep the files of one version, by architecture."""
        self.versions[name, version] = files

    def __call__(self, asked: str) -> tuple[int, bytes]:
        """Answer as Debian's service does: a time between two snapshots is that of the earlier one."""
        match asked.strip("/").split("/", 3):
            case ["archive", archive, time, path]:
                runs = [when for name, when in self.runs if name == archive and when <= time]
                files = self.runs[archive, max(runs)] if runs else {}
                return (200, files[path]) if path in files else (404, b"")
            case ["mr", "binary", name, rest] if rest.endswith("/binfiles"):
                found = self.versions.get((name, rest.removesuffix("/binfiles")))
                if found is None:
                    return 404, b"{}"
                result = [{"architecture": key, "hash": hashlib.sha1(data).hexdigest()} for key, data in found.items()]  # noqa: S324 - so Debian calls them
                return 200, json.dumps({"binary": name, "result": result}).encode()
            case ["file", sha1]:
                kept = [data for found in self.versions.values() for data in found.values()]
                matching = [data for data in kept if hashlib.sha1(data).hexdigest() == sha1]  # noqa: S324 - as above
                return (200, matching[0]) if matching else (404, b"")
        return 404, b""
