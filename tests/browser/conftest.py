"""A browser, the labs that `serve` has opened, and pages whose consoles are watched."""

import os
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect, sync_playwright
from served import Served, serve

from pyrlab.adapters.settings_file import read as read_settings

# In milliseconds, as all of Playwright's: a machine of two cores that builds meanwhile is slow.
TIMEOUT = 60_000
SIZE = ViewportSize(width=1280, height=800)
# What a console may complain of, with the reason.
HARMLESS = {
    "net::ERR_NETWORK_CHANGED": "a container of somebody else's came or went: the browser asks again",
    "/font-roboto/": "TensorBoard looks for its fonts at the server's root, whatever lies before it: others are taken",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--pictures``."""
    parser.addoption("--pictures", type=Path, metavar="DIR", help="only take the README's pictures, into this folder")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every lab, or for every kernel of every lab; the labs one after the other."""
    labs = read_settings(Path.cwd(), os.environ).graph.labs.values()
    if "kernel_name" in metafunc.fixturenames:
        pairs = [(lab.image, kernel) for lab in labs for kernel in lab.kernels]
        metafunc.parametrize(("lab_name", "kernel_name"), pairs, scope="session")
    elif "lab_name" in metafunc.fixturenames:
        metafunc.parametrize("lab_name", [lab.image for lab in labs], scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take either pictures or tests."""
    wanted = config.getoption("--pictures") is not None
    chosen = [item for item in items if ("pictures" in getattr(item, "fixturenames", ())) is wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def pictures(pytestconfig: pytest.Config) -> Path:
    """Return the folder for pictures."""
    folder: Path = pytestconfig.getoption("--pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a browser, or skip all tests with what to install."""
    path = chromium.find()
    if not path:
        pytest.skip(f"there is no Chromium here: {chromium.REMEDY}")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        # No test looks at anything in three dimensions, and to compute that without a GPU takes long.
        started = playwright.chromium.launch(executable_path=path, args=["--disable-3d-apis"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def lab(browser: Browser, lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a lab; without a browser it would be for nothing."""
    assert browser.is_connected()
    with serve(lab_name, tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("state")) as served:
        yield served


@pytest.fixture(scope="session")
def person(browser: Browser, lab: Served) -> Iterator[BrowserContext]:
    """Return a browser's profile that has opened the lab's link: it has the cookies, and the static files."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    page.goto(lab.link)
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(person: BrowserContext) -> Iterator[Page]:
    """Return a page of the person's, and look at the end whether its console has complained."""
    opened = person.new_page()
    complaints = watch(opened)
    yield opened
    opened.close()
    assert complaints == []


@pytest.fixture
def stranger(browser: Browser) -> Iterator[Page]:
    """Return a page of somebody who has never opened the lab."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(TIMEOUT)
    yield context.new_page()
    context.close()


def watch(page: Page) -> list[str]:
    """Return a list that fills with what a page's console calls an error, and with what its scripts do not catch."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        said = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(known in said for known in HARMLESS):
            complaints.append(said)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(f"{error}"))
    return complaints
