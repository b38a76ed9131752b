"""What a person does in a lab in the first hour, in a real browser."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import watch
from playwright.sync_api import BrowserContext, Locator, Page, expect
from served import OWNER, Served, wait_for

TERMINAL = "@jupyterlab/terminal-extension:plugin"
PLOTS = {
    "matplotlib": "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()",
    "R": "plot(pressure)",
    # Of a lab that has no package for plots.
    "drawing": (
        "from IPython.display import SVG\n"
        'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><circle r="99"/></svg>\')'
    ),
}


def test_the_printed_link_opens_the_lab(stranger: Page, lab: Served) -> None:
    """Nothing is in the way: a card for each kernel, no question, no news, and no word about a build or an update."""
    complaints = watch(stranger)
    stranger.goto(lab.link)
    cards = stranger.locator(".jp-LauncherCard[data-category=Notebook]")
    expect(cards).to_have_count(len(lab.lab.kernels))
    expect(stranger.locator(".jp-FileBrowser")).to_be_visible()
    expect(stranger.locator(".jp-Notification-Toast, .Toastify__toast, .jp-Dialog")).to_have_count(0)
    # Who looks over a shoulder, or at a bookmark, sees no token.
    assert stranger.url == f"{lab.url}/lab"
    assert complaints == []


def test_the_page_for_the_browser_leads_to_the_lab(stranger: Page, lab: Served) -> None:
    """What `open` gives the browser is a file, which has the token in the place of the browser's arguments."""
    printed = lab.pyrlab("open", lab.name, DISPLAY=":0", BROWSER="echo browser %s", SSH_CONNECTION="")
    (address,) = re.findall(r"^browser (file:\S+)", printed, re.MULTILINE)
    assert lab.token not in address
    stranger.goto(address)
    expect(stranger.locator(".jp-LauncherCard").first).to_be_visible()
    assert stranger.url == f"{lab.url}/lab"


def test_the_login_page_wants_the_token(stranger: Page, lab: Served) -> None:
    stranger.goto(f"{lab.url}/lab")
    enter(stranger, "wrong")
    expect(stranger.get_by_text("Invalid credentials")).to_be_visible()
    expect(stranger.locator(".jp-LauncherCard")).to_have_count(0)
    enter(stranger, lab.token)
    expect(stranger.locator(".jp-LauncherCard").first).to_be_visible()


def enter(page: Page, token: str) -> None:
    """Fill in the login form, and send it."""
    page.get_by_label("Password or token").fill(token)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_a_notebook_shows_its_plot_and_is_saved(page: Page, lab: Served, kernel_name: str) -> None:
    """From the launcher's card to a file of the person's own on this machine, with the plot in it."""
    name = f"{kernel_name}.ipynb"
    new_notebook(page, lab, kernel_name)
    run(page, plot_of(lab, kernel_name))
    picture = page.locator(".jp-OutputArea-output img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 300
    page.keyboard.press("Control+s")
    page.get_by_placeholder("File name").fill(name)
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(1)
    page.get_by_role("button", name="Rename and Save").click()
    expect(page.locator(".lm-TabBar-tab", has_text=name)).to_be_visible()
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)

    saved = lab.folder / name
    assert (saved.stat().st_uid, saved.stat().st_gid) == OWNER
    (data,) = pictures_in(saved)
    assert data.get("image/svg+xml") or len(base64.b64decode(data["image/png"])) > 1000


def plot_of(lab: Served, kernel_name: str) -> str:
    """Return code that draws something in a lab with its own packages."""
    if lab.lab.kernels[kernel_name] == "R":
        return PLOTS["R"]
    return PLOTS["matplotlib" if "matplotlib" in lab.python else "drawing"]


def new_notebook(page: Page, lab: Served, kernel_name: str) -> None:
    """Open the lab with no notebook, and click the card of a kernel. The end is a cell that takes what is typed."""
    specs = page.request.get(f"{lab.url}/api/kernelspecs").json()["kernelspecs"]
    title = specs[kernel_name]["spec"]["display_name"]
    page.goto(lab.desk())
    page.locator(f".jp-LauncherCard[data-category=Notebook][title='{title}']").click()
    # Where no kernel is there yet, JupyterLab runs nothing, and says nothing; the notebook's own sign shows it as idle.
    expect(page.locator("#jp-main-statusbar").get_by_text(" | Idle")).to_be_visible()
    page.locator(".jp-Notebook .cm-content").click()


def run(page: Page, code: str) -> None:
    """Put code into the first cell, and run it."""
    cell = page.locator(".jp-Notebook .jp-Cell").first
    lines = cell.locator(".cm-line")

    def takes_it() -> bool:
        # As from the clipboard: letter by letter, the editor would close each bracket once more.
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(code)
        typed: list[str] = lines.all_inner_texts()
        return typed == code.split("\n")

    # An editor that is new drops what comes while its extensions load.
    wait_for(takes_it)
    page.keyboard.press("Shift+Enter")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[[*0-9]"))


def pictures_in(notebook: Path) -> list[Mapping[str, str]]:
    """Return the outputs of a saved notebook that hold a picture, as text by MIME type."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    joined = [{kind: "".join(text) for kind, text in one.items()} for one in data]
    return [one for one in joined if one.keys() & {"image/png", "image/svg+xml"}]


def test_the_terminal_answers(page: Page, lab: Served) -> None:
    """In the notebooks, as a user with a name. It draws on a canvas; what it tells screen readers is what it shows."""
    setting = json.dumps({"raw": '{"screenReaderMode": true}'})
    headers = {"Authorization": f"token {lab.token}"}
    assert page.request.put(f"{lab.url}/lab/api/settings/{TERMINAL}", data=setting, headers=headers).ok
    page.goto(lab.desk())
    page.locator(".jp-LauncherCard[title='Start a new terminal session']").click()
    screen = page.locator(".xterm-accessibility")
    expect(screen).to_contain_text(":~/notebooks$")
    page.keyboard.type("echo $((6*7)) $(id -un) >answer; cat answer\n")
    expect(screen).to_contain_text("42 notebook")
    assert (lab.folder / "answer").read_text(encoding="utf-8") == "42 notebook\n"
    assert (lab.folder / "answer").stat().st_uid == OWNER[0]


def test_tensorboard_is_shown_in_a_notebook(page: Page, lab: Served, person: BrowserContext) -> None:
    """And on a page of its own, behind the lab's proxy."""
    if "tensorboard" not in lab.python:
        pytest.skip(f"{lab.lab.image} has no tensorboard in its lists")
    new_notebook(page, lab, "python3")
    run(page, "%load_ext tensorboard\n%tensorboard --logdir runs --port 6006")
    inside = page.frame_locator(".jp-OutputArea-output iframe")
    expect(no_dashboards(inside.locator("body"))).to_be_visible()
    alone = person.new_page()
    alone.goto(f"{lab.url}/proxy/6006/")
    expect(no_dashboards(alone.locator("body"))).to_be_visible()
    alone.close()


def no_dashboards(body: Locator) -> Locator:
    """Return what TensorBoard's own page says where nothing was logged."""
    return body.get_by_text("No dashboards are active")
