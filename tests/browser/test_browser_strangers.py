"""What docs/security.md promises and only a browser can show: pages and notebooks of strangers that want the lab."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from served import Served

# All that a page may try which is shown to somebody who is logged in. Each ends with what it got, or with the error.
TRY = """async lab => {
  const tried = {};
  const attempt = async (name, act) => { try { tried[name] = await act() } catch (error) { tried[name] = error.name } };
  const ask = (path, more) => fetch(lab + path, { credentials: 'include', ...more }).then(answer => answer.text());
  const loads = (element, source) => new Promise((done, fail) => {
    element.onload = () => done('loaded');
    element.onerror = () => fail(new TypeError('refused'));
    element.src = source;
    document.body.append(element);
  });
  await attempt('cookies', () => document.cookie);
  await attempt('storage', () => String(localStorage.length));
  await attempt('page', () => ask('/lab'));
  await attempt('files', () => ask('/api/contents'));
  await attempt('terminal', () => ask('/api/terminals', { method: 'POST' }));
  await attempt('events', () => new Promise((done, fail) => {
    const socket = new WebSocket(lab.replace('http', 'ws') + '/api/events/subscribe');
    socket.onopen = () => done('open');
    socket.onerror = () => fail(new TypeError('refused'));
  }));
  await attempt('script', () => loads(document.createElement('script'), lab + '/files/own.js'));
  await attempt('opener', () => opener.document.title);
  return tried;
}"""
# In a notebook or a page, to be seen whether or not the rest of it is run.
WORDS = "a stranger's words"
SCRIPT = "<script>window.owned = 'script'</script><img src='/files/none.png' onerror=\"window.owned = 'image'\">"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Serve an empty page, and return its address.

    It is of the lab's own host at another port: to browsers another origin, to which cookies are sent all the same.
    """

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html><title>elsewhere</title><body>")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def visited(person: BrowserContext) -> Iterator[Page]:
    """Return a page of the person's, in which a stranger's attempts may fail loudly."""
    opened = person.new_page()
    yield opened
    opened.close()


def test_a_page_of_another_origin_gets_nothing(visited: Page, lab: Served, elsewhere: str) -> None:
    """Though the person is logged in. What it tries, the lab's own page can, with the same cookies."""
    lab.write("own.js", "window.own = 'words'")
    visited.goto(f"{lab.url}/login")
    own = visited.evaluate(TRY, lab.url)
    assert "own.js" in own["files"]
    assert (own["events"], own["script"], own["page"][:15]) == ("open", "loaded", "<!doctype html>")

    visited.goto(elsewhere)
    tried = visited.evaluate(TRY, lab.url)
    refused = dict.fromkeys(("page", "files", "terminal", "events", "script"), "TypeError")
    assert {name: tried[name] for name in refused} == refused
    visited.set_content(f"<iframe src='{lab.url}/lab'></iframe>")
    expect(visited.frame_locator("iframe").locator("body")).not_to_contain_text("Launcher")
    assert [frame.url for frame in visited.frames[1:]] == ["chrome-error://chromewebdata/"]


def test_a_strangers_page_among_the_notebooks_has_no_way_to_the_lab(visited: Page, lab: Served) -> None:
    """Opened by a link of the lab itself it runs as of no origin: without cookies, storage, token or opener."""
    lab.write("own.js", "window.own = 'words'")
    script = f"const attempts = {TRY};\nattempts('{lab.url}').then(tried => document.title = JSON.stringify(tried))"
    lab.write("page.html", f"<!DOCTYPE html><title></title><body><h1>{WORDS}</h1><script>{script}</script>")
    visited.goto(f"{lab.url}/login")
    with visited.expect_popup() as popup:
        visited.evaluate("window.open('/files/page.html')")
    opened = popup.value
    expect(opened).to_have_title(re.compile(".+"))
    tried = json.loads(opened.title())
    opened.close()
    refused = dict.fromkeys(("page", "files", "terminal", "events", "script"), "TypeError")
    assert tried == {**refused, **dict.fromkeys(("cookies", "storage", "opener"), "SecurityError")}


def test_a_strangers_page_runs_nothing_in_the_labs_viewer(visited: Page, lab: Served) -> None:
    """As long as nobody clicks on "Trust HTML"."""
    lab.write("viewed.html", f"<h1>{WORDS}</h1><script>document.querySelector('h1').textContent = 'owned'</script>")
    visited.goto(lab.desk("viewed.html"))
    frame = visited.locator(".jp-HTMLViewer iframe")
    expect(visited.frame_locator(".jp-HTMLViewer iframe").locator("h1")).to_have_text(WORDS)
    assert "allow-scripts" not in str(frame.get_attribute("sandbox"))


def test_a_strangers_notebook_runs_nothing_when_it_is_opened(visited: Page, lab: Served) -> None:
    """Its words are shown, be they text or a saved output; what is beside them is not run."""
    new = nbformat.v4
    html = f"<p>{WORDS}</p>{SCRIPT}"
    cell = new.new_code_cell("1", execution_count=1)  # type: ignore[no-untyped-call] # it is half annotated
    for data in ({"text/html": html}, {"application/javascript": "window.owned = 'javascript'"}):
        cell.outputs.append(new.new_output("display_data", data=data))  # type: ignore[no-untyped-call]
    cell.metadata["trusted"] = True
    text = new.new_markdown_cell(html)  # type: ignore[no-untyped-call]
    notebook = new.new_notebook(cells=[text, cell])  # type: ignore[no-untyped-call]
    lab.write("stranger.ipynb", nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    visited.goto(lab.desk("stranger.ipynb"))
    expect(visited.locator("p", has_text=WORDS)).to_have_count(2)
    # What fails to load after the stranger's pictures says that theirs would have failed by now.
    visited.evaluate("new Promise(done => { const i = new Image(); i.onerror = done; i.src = '/files/none.png?own' })")
    assert visited.evaluate("window.owned") is None
