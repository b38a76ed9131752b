"""Which labs are tested, which tests apply to them, and the containers that they share."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import docker
import kernels
import pytest
from labs import Contents, Fleet, RunningLab, docker_client

from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.errors import PyrlabError
from pyrlab.model import graph, settings

MARKERS = {
    "language(name)": "only for kernels of this language",
    "needs(python=[…], r=[…])": "only for labs whose locks hold all of these packages",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lab``."""
    parser.addoption(
        "--lab", action="append", default=[], metavar="NAME", help="test only this lab; may be repeated (default: all)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse labs that do not exist, before anything starts."""
    for marker, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")
    unknown = sorted(set(config.getoption("--lab", default=None) or ()) - graph.LABS.keys())
    if unknown:
        message = f"there is no lab called {', '.join(unknown)}; choose from: {', '.join(graph.LABS)}"
        raise pytest.UsageError(message)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every lab, or for every kernel of every lab."""
    if "kernel_name" in metafunc.fixturenames:
        languages = {mark.args[0] for mark in metafunc.definition.iter_markers("language")}
        pairs = [
            pytest.param(lab.image, kernel, id=f"{lab.image}-{kernel}")
            for lab in graph.LABS.values()
            for kernel, language in lab.kernels.items()
            if not languages or language in languages
        ]
        metafunc.parametrize(("lab_name", "kernel_name"), pairs)
    elif "lab_name" in metafunc.fixturenames:
        metafunc.parametrize("lab_name", graph.LABS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of other labs, and those that need what the lab's locks do not hold."""
    wanted = config.getoption("--lab", default=None) or graph.LABS
    try:
        contents = {lab: Contents.of(lab, Path.cwd()) for lab in wanted}
    except PyrlabError as error:
        raise _usage_error(error) from error
    dropped = [item for item in items if not _applies(item, contents)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say at once, and only once, which images are missing."""
    if session.config.option.collectonly:
        return
    tags = _load_settings()
    missing = [tag for tag in (tags.tag(lab) for lab in sorted(_labs_of(session.items))) if not _exists(tag)]
    if missing:
        raise pytest.UsageError(*(f"there is no image {tag}: run nox -s build" for tag in missing))


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Start and share the containers, and remove them all in the end."""
    ships = Fleet(_load_settings(), tmp_path_factory.mktemp)
    with pytest.MonkeyPatch.context() as environment:
        # The kernel client knows no other way to pass by a proxy.
        for variable in ("NO_PROXY", "no_proxy"):
            environment.setenv(variable, "127.0.0.1")
        try:
            yield ships
        finally:
            ships.close()


@pytest.fixture
def lab(fleet: Fleet, lab_name: str) -> RunningLab:
    """Return the running lab that all tests share."""
    return fleet.shared(lab_name)


@pytest.fixture
def kernel(lab: RunningLab, kernel_name: str) -> Iterator[kernels.Kernel]:
    """Return a fresh kernel of the shared lab."""
    with kernels.start(lab, kernel_name) as started:
        yield started


@functools.cache
def _load_settings() -> settings.Settings:
    try:
        return read_settings(Path.cwd(), os.environ)
    except PyrlabError as error:
        raise _usage_error(error) from error


def _usage_error(error: PyrlabError) -> pytest.UsageError:
    return pytest.UsageError(f"{error}; {error.remedy}")


def _labs_of(items: list[pytest.Item]) -> set[str]:
    return {item.callspec.params["lab_name"] for item in items if hasattr(item, "callspec")}


def _applies(item: pytest.Item, contents: dict[str, Contents]) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "lab_name" not in parameters:
        return True
    held = contents.get(parameters["lab_name"])
    return held is not None and all(held.has(**mark.kwargs) for mark in item.iter_markers("needs"))


def _exists(tag: str) -> bool:
    client = docker_client()
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return False
    else:
        return True
    finally:
        client.close()
