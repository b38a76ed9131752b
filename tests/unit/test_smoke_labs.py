"""The labs that smoke tests share, where a test runs again."""

import importlib
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import requests
from docker.errors import APIError, DockerException, NotFound
from graphs import SOURCE


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the smoke tests' module of that name."""
    return of_the_smoke_tests("labs", monkeypatch)


def of_the_smoke_tests(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a module that only they can import by its name."""
    monkeypatch.syspath_prepend(str(SOURCE / "tests/smoke"))
    found = importlib.import_module(name)
    for own in ("labs", "project", "containers"):
        sys.modules.pop(own, None)
    return found


class Container:
    """Plays a lab's container."""

    removed = False

    def remove(self, **_: bool) -> None:
        """Be gone."""
        self.removed = True


def test_a_lab_that_did_not_start_is_started_once_more_for_a_test_that_runs_again(
    labs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starts: list[str] = []

    def start(_: object, name: str) -> None:
        starts.append(name)
        pytest.fail(f"{name} stopped: why {len(starts)}", pytrace=False)

    monkeypatch.setattr(labs.Fleet, "start", start)
    fleet = labs.Fleet(None, lambda _: tmp_path)
    for again, said in ((False, "why 1"), (True, "why 2"), (False, "see the first"), (True, "see the first")):
        with pytest.raises(pytest.fail.Exception, match=said):
            fleet.shared("pylab", again=again)
    assert len(starts) == 2


def test_a_test_that_runs_again_finds_nothing_of_its_first_run(
    labs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(labs.Fleet, "start", lambda *_: SimpleNamespace(container=Container()))
    fleet = labs.Fleet(None, lambda _: tmp_path)
    first = fleet.shared("pylab")
    assert fleet.shared("pylab") is first
    second = fleet.shared("pylab", again=True)
    assert second is not first
    assert first.container.removed
    assert fleet.shared("pylab") is second
    assert fleet.shared("pylab", again=True) is not second


@pytest.mark.parametrize(
    ("test", "lab"),
    [
        ("tests/smoke/test_a.py::test_starts[lab]", "lab"),
        ("tests/smoke/test_a.py::test_starts[lab-python3]", "lab"),
        ("tests/smoke/test_a.py::test_starts[lab-2-../[x]]", "lab-2"),
        ("tests/smoke/test_a.py::test_starts[laboratory]", ""),
        ("tests/smoke/test_a.py::test_starts", ""),
        ("tests/smoke", ""),
    ],
)
def test_a_test_is_of_the_lab_that_its_id_names(monkeypatch: pytest.MonkeyPatch, test: str, lab: str) -> None:
    """Each lab is proved by a process of its own: both processes' tests together are all tests."""
    project = of_the_smoke_tests("project", monkeypatch)
    graph = SimpleNamespace(labs={"lab": None, "lab-2": None})
    assert project.Project(SimpleNamespace(graph=graph), None).lab_of(test) == lab


def test_what_a_dead_run_of_this_machine_has_left_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    containers = of_the_smoke_tests("containers", monkeypatch)
    monkeypatch.setattr(containers, "_remove", lambda *_: None)
    monkeypatch.setenv(containers.VARIABLE, "")
    containers.begin_run()
    [run] = containers.of_this_run().values()
    place, pid, _ = run.split("-")
    assert int(pid) == os.getpid()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not containers.is_left(run)
    assert containers.is_left(f"{place}-{ended.pid}-0123abcd")
    assert not containers.is_left(f"0123456789ab-{ended.pid}-0123abcd"), "it may live there"
    for other in ("", "home", "0123456789abcdef", f"{place}-{ended.pid}"):
        assert not containers.is_left(other)


def test_cleaning_up_passes_over_what_others_remove_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    containers = of_the_smoke_tests("containers", monkeypatch)
    removed: list[str] = []

    def thing(name: str, status: int) -> SimpleNamespace:
        def remove(**_: bool) -> None:
            removed.append(name)
            if status:
                answer = requests.Response()
                answer.status_code = status
                raise (NotFound if status == HTTPStatus.NOT_FOUND else APIError)(name, response=answer)

        return SimpleNamespace(
            labels={containers.LABEL: "run"}, attrs={"Labels": {containers.LABEL: "run"}}, remove=remove
        )

    client = SimpleNamespace(
        containers=SimpleNamespace(list=lambda **_: [thing("gone", 404), thing("going", 409), thing("lab", 0)]),
        volumes=SimpleNamespace(list=lambda **_: [thing("in-use", 409), thing("volume", 0)]),
        api=SimpleNamespace(images=lambda **_: [{"Id": "image", "Labels": {containers.LABEL: "run"}}]),
        images=SimpleNamespace(remove=lambda name, **_: removed.append(name)),
        close=lambda: removed.append("closed"),
    )
    monkeypatch.setattr(containers, "docker_client", lambda: client)
    monkeypatch.setenv(containers.VARIABLE, "run")
    containers.end_run()
    assert removed == ["gone", "going", "lab", "in-use", "volume", "image", "closed"]


def test_an_engine_that_went_away_is_told_and_no_failure_of_the_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    containers = of_the_smoke_tests("containers", monkeypatch)

    def gone() -> None:
        raise DockerException("no engine")

    monkeypatch.setattr(containers, "docker_client", gone)
    monkeypatch.setenv(containers.VARIABLE, "run")
    containers.end_run()
    assert capsys.readouterr().err == "labs under test may still be there; the next run removes them: no engine\n"
