"""A Python index on this machine's loopback: packages of the tests' own, and for all others a way to the real index."""

import contextlib
import gzip
import hashlib
import http.server
import io
import ssl
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT

MTIME = 946684800


class IndexHandler(http.server.BaseHTTPRequestHandler):
    """Serves the pages and files of some packages, and sends whoever asks for another one to the real index."""

    packages: dict[str, dict[str, bytes]]

    def do_HEAD(self) -> None:
        """Answer as to GET, without the content: uv asks how long a wheel is, before it reads its end."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with a page, a file or a redirection."""
        kind, name, *rest = self.path.strip("/").split("/")
        own = self.packages.get(name, {})
        if kind == "simple" and not own:
            self.send_response(302)
            self.send_header("Location", f"{PYPI_SIMPLE_ENDPOINT.rstrip('/')}/{name}/")
            self.end_headers()
            return
        content = page(name, own) if kind == "simple" else own.get("".join(rest), b"")
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", "text/html" if kind == "simple" else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def page(name: str, files: dict[str, bytes]) -> bytes:
    """Return a project's page, as PEP 503 wants it."""
    links = [
        f'<a href="/files/{name}/{file}#sha256={hashlib.sha256(content).hexdigest()}">{file}</a>'
        for file, content in files.items()
    ]
    return f"<!DOCTYPE html><html><body>{'<br>'.join(links)}</body></html>".encode()


@contextlib.contextmanager
def served(packages: dict[str, dict[str, bytes]], *, tls: Path | None = None) -> Iterator[str]:
    """Serve packages, {name: {file: content}}, and yield the index's URL. ``tls`` is a file of key and certificate."""
    handler = type("Handler", (IndexHandler,), {"packages": packages})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()


def source_distribution(name: str, version: str, files: dict[str, str]) -> dict[str, bytes]:
    """Return a source distribution as {file name: content}."""
    stem = f"{name.replace('-', '_')}-{version}"
    out = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, text in sorted(files.items()):
            member = tarfile.TarInfo(str(Path(stem, path)))
            member.size, member.mtime = len(text.encode()), MTIME
            archive.addfile(member, io.BytesIO(text.encode()))
    return {f"{stem}.tar.gz": out.getvalue()}


def wheel(name: str, version: str, files: dict[str, str], *requires: str) -> dict[str, bytes]:
    """Return a wheel of these files, {path: text}, as {file name: content}."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    texts = {
        **files,
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *metadata, ""]),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*texts, f"{info}/RECORD"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in texts.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return {f"{stem}-py3-none-any.whl": out.getvalue()}
