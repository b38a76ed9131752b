"""A CRAN-like repository for tests: a folder over HTTP on 127.0.0.1, which can be told to misbehave."""

import base64
import gzip
import hashlib
import io
import re
import ssl
import struct
import tarfile
import threading
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Place:
    """What a path stands for: a path below the served folder, or another URL, with what is said beside that."""

    path: str = ""
    location: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


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
        self.refusals: set[str] = set()  # paths that are answered 400, with all below them
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

    def place(self, path: str, agent: str) -> Place:
        """Return where the file is that a path means for an agent."""
        del agent
        return Place(path, self.redirects.get(path, ""))

    def makes_nothing_of(self, path: str) -> bool:
        """Tell whether a path is one that is answered 400."""
        return any(path.startswith(f"{one}/") for one in self.refusals)

    def take(self, count: str) -> bool:
        """Use up one of the misbehaviours; tell whether there was one left."""
        with self._lock:
            left = getattr(self, count)
            setattr(self, count, max(0, left - 1))
            return bool(left)

    def _handler(self) -> type["_Handler"]:
        return type("Handler", (_Handler,), {"cran": self})


class PackageManager(CranServer):
    """Dated snapshots as Posit Package Manager has them, out of ``folder``/REPOSITORY/DATE.

    Each is at /REPOSITORY/DATE, /REPOSITORY/__linux__/CODENAME/DATE and /REPOSITORY/DATE/bin/linux/CODENAME-MACHINE/R.
    Of the last two R's own agent gets ``folder``/binaries/R-CODENAME/FILE, where there is one, the third gives it to
    everybody. Packages come from another place, by a redirect; folders are not shown; days are at /__api__/.
    """

    def place(self, path: str, agent: str) -> Place:
        """Return where a file is."""
        match = _SNAPSHOT.fullmatch(path)
        if not match or not (self.folder / match["repository"] / match["date"]).is_dir():
            return Place(path if path.startswith(("/__api__/", "/store/")) else "/nowhere")
        path = "/".join(["", match["repository"], match["date"], match["rest"]])
        if not path.endswith(".tar.gz"):
            return Place("/nowhere" if (self.folder / path[1:]).is_dir() else path)
        asking = re.match(r"R \((\d+\.\d+)\.\d+ ", agent)
        r = match["r"] or (asking[1] if asking and match["codename"] else "")
        tag = f"{r}-{match['system'] or match['codename']}"
        binary = self.folder / "binaries" / tag / path.rpartition("/")[2]
        headers = {"X-Repository-Type": "RSPM", "X-Package-Type": "source"}
        if binary.is_file():
            headers |= {"X-Package-Type": "binary", "X-Package-Binary-Tag": tag}
        source = self.folder / path[1:]
        file = binary if binary.is_file() else source
        if not file.is_file():
            return Place("/nowhere")
        data = file.read_bytes()
        stored = f"store/{hashlib.sha256(data).hexdigest()}.tar.gz"
        put(self.folder, stored, data)
        return Place(location=f"{self.url}/{stored}", headers=headers)


_SNAPSHOT = re.compile(
    r"/(?P<repository>[^/_]+)(?:/__linux__/(?P<codename>[^/]+))?/(?P<date>[0-9-]+)"
    r"(?:/bin/linux/(?P<system>[^/-]+)-(?P<machine>[^/]+)/(?P<r>[0-9.]+))?/(?P<rest>.+)"
)


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
        elif self.cran.makes_nothing_of(path):
            self.answer(HTTPStatus.BAD_REQUEST)
        else:
            self.bring(self.cran.place(path, self.headers.get("User-Agent", "")))

    def bring(self, place: Place) -> None:
        path = place.path.lstrip("/")
        if place.location:
            self.answer(HTTPStatus.TEMPORARY_REDIRECT, {"Location": place.location, **place.headers})
        elif (self.cran.folder / path).is_dir():
            self.list(self.cran.folder / path)
        else:
            self.serve(path)

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
    """Return a packed tar of these files; the same bytes always: gzip gets no time."""
    data = io.BytesIO()
    mode = "w" if compression == "gz" else f"w:{compression}"
    with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(data.getvalue(), mtime=0) if compression == "gz" else data.getvalue()


def put(folder: Path, path: str, data: bytes) -> str:
    """Write a file below a repository's folder and return its SHA-256."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def archive_rds(files: Mapping[str, Sequence[str]]) -> bytes:
    """Return Meta/archive.rds: a list of a data frame for each package, with files as row names, and their sizes.

    Source: R Internals, Serialization Formats.
    """

    def text(value: str) -> bytes:
        return struct.pack(">ii", 0x00040009, len(value)) + value.encode()

    def texts(values: Sequence[str]) -> bytes:
        return struct.pack(">ii", 16, len(values)) + b"".join(map(text, values))

    def attributes(values: Mapping[str, Sequence[str]]) -> bytes:
        pairs = [struct.pack(">ii", 0x402, 1) + text(name) + texts(value) for name, value in values.items()]
        return b"".join(pairs) + struct.pack(">i", 0xFE)

    def frame(name: str) -> bytes:
        sizes = struct.pack(f">ii{len(files[name])}d", 14, len(files[name]), *[1.0] * len(files[name]))
        rows = [f"{name}/{file}" for file in files[name]]
        return (
            struct.pack(">ii", 0x313, 1)
            + sizes
            + attributes({"names": ["size"], "row.names": rows, "class": ["data.frame"]})
        )

    head = b"X\n" + struct.pack(">iiii", 3, 0x40500, 0x30500, 5) + b"UTF-8" + struct.pack(">ii", 0x213, len(files))
    return gzip.compress(head + b"".join(map(frame, files)) + attributes({"names": list(files)}), mtime=0)
