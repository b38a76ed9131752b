"""How devpi is told which index it mirrors, by a server that is not there at once, and one that refuses."""

import http.server
import json
import runpy
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphs import SOURCE

SCRIPT = SOURCE / "docker/install/proxies/configure-devpi.py"
INDEX = "https://index.example/simple/"


class Devpi(http.server.BaseHTTPRequestHandler):
    """Plays the server: ``breaks`` connections are closed without an answer, ``refuses`` says that nobody logs in."""

    breaks, refuses = 0, False
    mirror: dict[str, object]

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def answer(self) -> None:
        """Answer as devpi does, and take changes over."""
        of_class = type(self)
        if of_class.breaks:
            of_class.breaks -= 1
            self.close_connection = True
            return
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        if self.path == "/+login":
            assert body == {"user": "root", "password": "hush"}
        if self.command == "PATCH":
            assert self.headers["X-Devpi-Auth"]
            of_class.mirror |= {"mirror_url": body[0].partition("=")[2], "mirror_no_project_list": True}
        result = {"password": "token"} if self.path == "/+login" else of_class.mirror
        content = json.dumps({"result": result}).encode()
        self.send_response(403 if of_class.refuses and self.path == "/+login" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names that http.server calls


@pytest.fixture
def devpi() -> Iterator[tuple[type[Devpi], str]]:
    """Return the server's class, and its port."""
    played = type("Played", (Devpi,), {"mirror": {"mirror_url": "https://first.example/"}})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), played) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield played, str(server.server_address[1])
        finally:
            server.shutdown()


def configure(port: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, index: str = INDEX) -> None:
    (folder / "password").write_text("hush\n", encoding="utf-8")
    (folder / "index").write_text(index, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["configure-devpi.py", port, str(folder / "password"), str(folder / "index")])
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.parametrize("breaks", [0, 1, 2, 3], ids=["sound", "first", "second", "third"])
def test_a_server_that_breaks_off_is_asked_again(
    devpi: tuple[type[Devpi], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: int
) -> None:
    server, port = devpi
    server.breaks = breaks
    configure(port, tmp_path, monkeypatch)
    assert server.mirror["mirror_url"] == INDEX
    # Without an index of one's own it goes back to what it was made with.
    configure(port, tmp_path, monkeypatch, index="")
    assert server.mirror["mirror_url"] == "https://first.example/"


def test_a_server_that_refuses_is_told_in_the_end(
    devpi: tuple[type[Devpi], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, port = devpi
    server.refuses = True
    seconds = iter(range(0, 1000, 25))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(OSError, match="403"):
        configure(port, tmp_path, monkeypatch)
    assert server.mirror["mirror_url"] == "https://first.example/"
