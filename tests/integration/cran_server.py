"""A CRAN-like repository for tests: a folder over HTTP on 127.0.0.1, which can be told to misbehave."""

import base64
import gzip
import hashlib
import io
import ssl
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Hit:
    """One request, and how it was answered."""

    method: str
    path: str
    agent: str
    status: int
    authorization: str = field(default="", compare=False)


class CranServer:
    """Serve ``folder`` within a ``with``: files with ETag and Last-Modified, folders as listings.

    Below ``folder/binaries`` may be a second tree: R's own agent gets a file from there where there is one, as from a
    repository with Linux binaries. Each attribute can be set between two requests; counts go down as they are used up.
    """

    def __init__(self, folder: Path, *, credentials: tuple[str, str] | None = None, tls: Path | None = None) -> None:
        self.folder = folder
        self.credentials = credentials
        self.hits: list[Hit] = []
        self.failures = 0  # requests that are answered 503
        self.retry_after = ""
        self.cuts = 0  # bodies that end half way
        self.hangs = 0  # requests that are answered only when the server ends
        self.validators = True  # ETag and Last-Modified
        self.packs = False  # bodies, for who accepts it; and .gz files are labelled as if they were packed so
        self.listings = True
        self.redirects: dict[str, str] = {}  # path → URL
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def statuses(self) -> list[int]:
        """The statuses of all answers, oldest first."""
        return [hit.status for hit in self.hits]

    def take(self, count: str) -> bool:
        """Use up one of the misbehaviours; tell whether there was one left."""
        with self._lock:
            left = getattr(self, count)
            setattr(self, count, max(0, left - 1))
            return bool(left)

    def _handler(self) -> type["_Handler"]:
        return type("Handler", (_Handler,), {"cran": self})


class _Handler(SimpleHTTPRequestHandler):
    """Answers GET; as a proxy would too, whose requests name a whole URL."""

    cran: CranServer
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.cran.take("hangs"):
            self.cran.released.wait(timeout=10)
            self.close_connection = True
        elif self.cran.take("failures"):
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": self.cran.retry_after})
        elif not self.allowed():
            self.answer(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="packages"'})
        elif path in self.cran.redirects:
            self.answer(HTTPStatus.FOUND, {"Location": self.cran.redirects[path]})
        elif (folder := self.cran.folder / path.lstrip("/")).is_dir():
            self.list(folder)
        else:
            self.serve(path.lstrip("/"))

    def allowed(self) -> bool:
        if not self.cran.credentials:
            return True
        wanted = base64.b64encode(":".join(self.cran.credentials).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def list(self, folder: Path) -> None:
        if not self.cran.listings:
            self.answer(HTTPStatus.FORBIDDEN)
            return
        page = self.list_directory(folder)
        if page:
            self.copyfile(page, self.wfile)

    def serve(self, path: str) -> None:
        binary = self.cran.folder / "binaries" / path
        is_binary = self.headers.get("User-Agent", "").startswith("R (") and binary.is_file()
        file = binary if is_binary else self.cran.folder / path
        if not file.is_file():
            self.answer(HTTPStatus.NOT_FOUND, body=b"<html>no such file</html>")
            return
        body = file.read_bytes()
        headers = {"X-Package-Type": "binary" if is_binary else "source"}
        if is_binary:
            headers["X-Package-Binary-Tag"] = "4.5-trixie"
        if self.cran.validators:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
            headers["Last-Modified"] = self.date_time_string(int(file.stat().st_mtime))
        if self.cran.packs and "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        elif self.cran.packs and path.endswith(".gz"):
            headers["Content-Encoding"] = "gzip"
        if self.cran.validators and self.headers.get("If-None-Match") == headers["ETag"]:
            self.answer(HTTPStatus.NOT_MODIFIED, headers)
        else:
            self.answer(HTTPStatus.OK, headers, body)

    def answer(self, status: HTTPStatus, headers: Mapping[str, str] = {}, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and status is HTTPStatus.OK and self.cran.take("cuts"):
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Note the request before anything reaches the client: so a test sees all that it asked for."""
        del size
        names = ("User-Agent", "Authorization", "Proxy-Authorization")
        agent, own, proxy = (self.headers.get(name, "") for name in names)
        self.cran.hits.append(Hit(self.command, self.path, agent, int(code), own + proxy))


def r_package(name: str, version: str, *, compression: str = "gz", encoding: str = "utf-8", **fields: str) -> bytes:
    """Return the smallest R package: a DESCRIPTION with these fields, and an empty NAMESPACE. The same bytes always."""
    description = {"Package": name, "Version": version, "Title": "Made for a test", **fields}
    text = "".join(f"{key}: {value}\n" for key, value in description.items())
    return tarball({f"{name}/DESCRIPTION": text.encode(encoding), f"{name}/NAMESPACE": b""}, compression=compression)


def tarball(files: Mapping[str, bytes], *, compression: str = "gz") -> bytes:
    """Return a packed tar of these files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def put(folder: Path, path: str, data: bytes) -> str:
    """Write a file below a repository's folder and return its SHA-256."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
