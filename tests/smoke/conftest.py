"""Which labs are tested, which tests apply to them, and the containers that they share."""

import json
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import containers
import docker
import kernels
import project
import pytest
from containers import docker_client
from labs import Fleet, RunningLab
from project import Contents, Project, ProofNotebook
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from pyrlab.adapters.process import INTERRUPTS
from pyrlab.errors import PyrlabError
from pyrlab.model.graph import Lab

MARKERS = {
    "language(name)": "only for kernels of this language, and labs that have one",
    "late": "after the others, as it takes long or waits for time to pass",
    "needs(debs=[…], python=[…], r=[…])": "only for labs whose lists of these kinds lock all of these packages",
}
KINDS = ("debs", "python", "r")
# Why tests do not run, in the words of the summary; filled while they are collected.
NOT_RUN = pytest.StashKey[dict[str, None]]()
# Whether a worker was killed.
LOST = pytest.StashKey[bool]()
# Seconds until labs answered.
STARTS = pytest.StashKey[dict[str, float]]()
# The file of --results, if there is one and this process writes it: a report does not know its configuration.
RESULTS: list[Path] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lab``."""
    parser.addoption(
        "--lab", action="append", default=[], metavar="NAME", help="test only this lab; may be repeated (default: all)"
    )
    parser.addoption("--results", type=Path, metavar="FILE", help="write a line of JSON for each test into this file")
    parser.addoption("--outputs", type=Path, metavar="DIR", help="keep the executed notebooks of [proof] here")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse labs that do not exist, before anything starts."""
    config.stash[NOT_RUN], config.stash[STARTS], config.stash[LOST] = {}, {}, False
    # What a worker of xdist tells, the process that has started it hears as well.
    results = config.getoption("--results", default=None)
    RESULTS[:] = [] if _is_worker(config) or results is None else [results]
    for marker, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")
    labs = _load().graph.labs
    unknown = sorted(set(config.getoption("--lab", default=None) or ()) - labs.keys())
    if unknown:
        message = f"there is no lab called {', '.join(unknown)}; choose from: {', '.join(labs)}"
        raise pytest.UsageError(message)
    # What is wrong with the project is said here: a worker has nobody to say it to.
    _contents(config)
    _proof_notebooks()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let nothing of this run stay on the engine, however it ends; workers start after this."""
    config = session.config
    if _is_worker(config) or config.option.collectonly:
        return
    for number in INTERRUPTS:
        # Whoever started us with nohup wants us to outlive the terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    containers.begin_run()
    config.add_cleanup(containers.end_run)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Prove labs side by side, each by a worker of its own; one lab needs none."""
    number = len(_labs(config))
    return number if number > 1 else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Let each lab be proved by one worker, which has the container that its tests share."""
    return ByLab(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every lab, or for every kernel of every lab."""
    languages = {mark.args[0] for mark in metafunc.definition.iter_markers("language")}
    labs = [lab for lab in _load().graph.labs.values() if _speaks(lab, languages)]
    if "kernel_name" in metafunc.fixturenames:
        pairs = [
            pytest.param(lab.image, kernel, id=f"{lab.image}-{kernel}")
            for lab in labs
            for kernel, language in lab.kernels.items()
            if not languages or language in languages
        ]
        metafunc.parametrize(("lab_name", "kernel_name"), pairs)
    elif "proof_notebook" in metafunc.fixturenames:
        found = _proof_notebooks()
        metafunc.parametrize(
            ("lab_name", "proof_notebook"),
            [pytest.param(one.lab, one, id=f"{one.lab}-{one.path}") for one in found]
            # pytest would skip a test without parameters, and not say why.
            or [pytest.param("", None, id="none")],
        )
    elif "lab_name" in metafunc.fixturenames:
        metafunc.parametrize("lab_name", [lab.image for lab in labs])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of other labs, and those that need what the lab's locks do not hold; note the reasons.

    The quick ones come first.
    """
    contents, exempt = _contents(config), _load().exempt
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        lab = _lab_of(item)
        reason = _why_not(item, contents[lab], exempt) if lab in contents else ""
        if reason:
            config.stash[NOT_RUN][f"not run: {_words(item)} in {lab}: {reason}"] = None
        if lab == "" and "proof_notebook" in getattr(item, "fixturenames", ()):
            reason = "[proof] in pyrlab.toml names no notebook"
            config.stash[NOT_RUN][f"not run: {_words(item)}: {reason}"] = None
        (dropped if reason or (lab and lab not in contents) else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=lambda item: item.get_closest_marker("late") is not None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say at once, and only once, which images are missing."""
    if not (session.config.option.collectonly or _is_worker(session.config)):
        _refuse_missing(map(_lab_of, session.items))


def pytest_xdist_node_collection_finished(ids: Sequence[str]) -> None:
    """Say the same where workers collect."""
    _refuse_missing(map(_load().lab_of, ids))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Note how long labs took to start. A worker hands over what it knows: none of them prints a summary."""
    if session.config.stash[LOST]:
        # The tests that it ran have failed, and say nothing of a lab.
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    not_run, starts = session.config.stash[NOT_RUN], session.config.stash[STARTS]
    if _is_worker(session.config):
        # pytest-xdist adds it to pytest's own.
        session.config.workeroutput |= {"not run": list(not_run), "starts": starts}  # type: ignore[attr-defined]
    _note(*({"lab": lab, "start": seconds} for lab, seconds in starts.items()))


def pytest_testnodedown(node: WorkerController, error: object) -> None:
    """Take over what a worker knows, if it came to its end."""
    node.config.stash[LOST] = node.config.stash[LOST] or bool(error)
    output = getattr(node, "workeroutput", {})
    node.config.stash[NOT_RUN].update(dict.fromkeys(output.get("not run", ())))
    node.config.stash[STARTS].update(output.get("starts", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was not tried, and why."""
    exempt = [f"exempt: {name}: {reason}" for name, reason in _load().settings.smoke_exempt.items()]
    for line in (*exempt, *config.stash[NOT_RUN]):
        terminalreporter.write_line(line)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended, for those who read it by machine: when it ran, or why it could not."""
    if report.when == "call" or report.failed:
        said: dict[str, object] = dict(report.user_properties)
        # Its longreprtext begins with the worker of xdist, which is no evidence.
        text = str(report.longrepr) if report.longrepr else ""
        said |= {"outcome": report.outcome, "seconds": report.duration, "text": text}
        _note({"test": report.nodeid, **said})


def _note(*lines: dict[str, object]) -> None:
    """Write lines into the file of --results, if there is one."""
    for path in RESULTS:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def outputs(pytestconfig: pytest.Config) -> Path | None:
    """Return where executed notebooks are kept, if they are."""
    folder: Path | None = pytestconfig.getoption("--outputs")
    return folder


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Fleet]:
    """Start and share the containers; those that are left are removed with the run."""
    ships = Fleet(_load(), tmp_path_factory.mktemp)
    with pytest.MonkeyPatch.context() as environment:
        # The kernel client knows no other way to pass by a proxy.
        for variable in ("NO_PROXY", "no_proxy"):
            environment.setenv(variable, "127.0.0.1")
        try:
            yield ships
        finally:
            pytestconfig.stash[STARTS].update(ships.starts)


@pytest.fixture
def lab(fleet: Fleet, lab_name: str, request: pytest.FixtureRequest) -> RunningLab:
    """Return the running lab that all tests share."""
    # Counted by pytest-rerunfailures, where it is there.
    return fleet.shared(lab_name, again=getattr(request.node, "execution_count", 1) > 1)


@pytest.fixture
def kernel(lab: RunningLab, kernel_name: str) -> Iterator[kernels.Kernel]:
    """Return a fresh kernel of the shared lab."""
    with kernels.start(lab, kernel_name) as started:
        yield started


class ByLab(LoadScopeScheduling):  # type: ignore[misc]
    """Gives workers all tests of a lab at once."""

    def _split_scope(self, nodeid: str) -> str:
        return _load().lab_of(nodeid) or super()._split_scope(nodeid)


def _is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def _labs(config: pytest.Config) -> list[str]:
    """Return the labs under test: those of ``--lab``, or all."""
    return config.getoption("--lab") or list(_load().graph.labs)


def _contents(config: pytest.Config) -> dict[str, Contents]:
    try:
        _ = _load().exempt
        return {lab: _load().contents(lab) for lab in _labs(config)}
    except PyrlabError as error:
        raise _usage_error(error) from error


def _refuse_missing(labs: Iterable[str]) -> None:
    """Raise UsageError for labs that have no image."""
    settings = _load().settings
    tags = [settings.tag(lab) for lab in sorted(set(labs)) if lab]
    missing = [tag for tag in tags if not _exists(tag)]
    if missing:
        raise pytest.UsageError(*(f"there is no image {tag}: run nox -s build" for tag in missing))


def _proof_notebooks() -> list[ProofNotebook]:
    try:
        return _load().proof_notebooks()
    except PyrlabError as error:
        raise _usage_error(error) from error


def _load() -> Project:
    try:
        return project.load()
    except PyrlabError as error:
        raise _usage_error(error) from error


def _usage_error(error: PyrlabError) -> pytest.UsageError:
    return pytest.UsageError(f"{error}; {error.remedy}")


def _speaks(lab: Lab, languages: Iterable[str]) -> bool:
    return set(lab.kernels.values()).issuperset(languages)


def _lab_of(item: pytest.Item) -> str:
    return str(item.callspec.params.get("lab_name", "")) if hasattr(item, "callspec") else ""


def _why_not(item: pytest.Item, contents: Contents, exempt: Mapping[str, str]) -> str:
    """Return why a test does not apply to a lab that holds ``contents``, or nothing."""
    reasons = (contents.lacks(_needs(mark), exempt) for mark in item.iter_markers("needs"))
    return next(filter(None, reasons), "")


def _needs(mark: pytest.Mark) -> Mapping[str, Sequence[str]]:
    """Return the needs by kind. A kind that there is not would never be missed."""
    unknown = set(mark.kwargs) - set(KINDS)
    if unknown or mark.args:
        raise pytest.UsageError(f"needs() takes {', '.join(KINDS)}, not {', '.join(sorted(unknown)) or mark.args}")
    return mark.kwargs


def _words(item: pytest.Item) -> str:
    """Return a test's name as words: ``exports pdf``."""
    name = getattr(item, "originalname", None) or item.name
    return str(name).removeprefix("test_").replace("_", " ")


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
