"""configure-devpi.py PORT PASSWORD INDEX: let devpi's root/pypi mirror the index whose URL the file INDEX has, if any.

Without one it goes back to what it was made with. Source: devpi's documentation, HTTP API of indexes.
"""

import base64
import contextlib
import http.client
import json
import sys
import time
import urllib.request
from pathlib import Path

PATIENCE = 60.0


def main() -> None:
    """Set the mirror's URL where it is another, as soon as the server answers. Raises OSError where it does not."""
    port, password, given = sys.argv[1:]
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            configure(f"http://127.0.0.1:{port}", password, given)
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def configure(base: str, password: str, given: str) -> None:
    """Ask the server for the mirror's URL, and set it where it is another. Raises OSError and HTTPException."""
    home = f"{base}/root/pypi"
    now = ask(home)["result"]
    first = Path(password).with_name("first-index")
    if not first.exists():
        first.write_text(now["mirror_url"], encoding="utf-8")
    with contextlib.suppress(FileNotFoundError):
        first = Path(given) if Path(given).stat().st_size else first
    # Of an index nothing is asked but the packages' own pages: the list of all names is long, and some have none.
    wanted = {"mirror_url": first.read_text(encoding="utf-8").strip(), "mirror_no_project_list": True}
    if wanted.items() <= now.items():
        return
    secret = Path(password).read_text(encoding="utf-8").strip()
    token = ask(f"{base}/+login", {"user": "root", "password": secret})["result"]["password"]
    said = base64.b64encode(f"root:{token}".encode()).decode()
    changes = [f"{name}={value}" for name, value in wanted.items()]
    ask(home, changes, method="PATCH", headers={"X-Devpi-Auth": said})


def ask(url: str, body: object = None, *, method: str = "", headers: dict[str, str] | None = None) -> dict:
    """Return what the server answers, as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - this very machine
        url,
        data=data,
        method=method or ("POST" if data else "GET"),
        headers={"Accept": "application/json", "Content-Type": "application/json", **(headers or {})},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return dict(json.loads(response.read()))


if __name__ == "__main__":
    main()
