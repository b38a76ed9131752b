"""How a lab starts and ends: what it refuses, that it needs no network, and that it stops at once."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from labs import Fleet, Options, RunningLab, wait_for

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "arithmetic.ipynb"
# sysexits.h: the command was used incorrectly.
EX_USAGE = 64


@pytest.mark.parametrize(
    ("environment", "options", "reason"),
    [
        pytest.param({"PORT": "6006"}, {}, "TensorBoard", id="port-of-tensorboard"),
        pytest.param({"RPORT": "6006"}, {}, "TensorBoard", id="rport-of-tensorboard"),
        pytest.param({"PORT": "eight"}, {}, "'eight', which is no port", id="port-no-number"),
        pytest.param({"JUPYTER_PORT": "0"}, {}, "JUPYTER_PORT is '0'", id="port-of-jupyter"),
        pytest.param({}, {"user": "0"}, "root", id="root"),
        pytest.param({"JUPYTER_TOKEN": ""}, {}, "let everybody in", id="empty-token"),
        pytest.param({"JUPYTER_TOKEN_FILE": "/none"}, {}, "cannot read", id="token-file"),
    ],
)
def test_refuses(fleet: Fleet, lab_name: str, environment: Mapping[str, str], options: Options, reason: str) -> None:
    """What would be unsafe or in nobody's interest ends at once, with the reason in one line."""
    ended = fleet.finish(lab_name, {"JUPYTER_TOKEN": "unused", **environment}, **options)
    assert (ended.status, ended.stdout) == (EX_USAGE, "")
    assert len(ended.stderr.splitlines()) == 1
    assert reason in ended.stderr


@pytest.mark.language("python")
def test_works_without_a_network(fleet: Fleet, lab_name: str) -> None:
    """The server answers and a notebook runs where there is nothing but the loopback."""
    with fleet.another(lab_name, network="none") as lab:
        chosen = f"--ExecutePreprocessor.kernel_name={lab.kernel('python')}"
        source = lab.add(NOTEBOOK)
        lab.run("jupyter", "nbconvert", "--to", "notebook", "--execute", chosen, "--output", "executed", source)
        assert "5050" in (lab.folder / "executed.ipynb").read_text()


def test_moves_to_another_port(fleet: Fleet, lab_name: str) -> None:
    """PORT moves the server, its own health check, and the link that it prints."""
    with fleet.another(lab_name, {"PORT": "7777"}, network="none") as lab:
        assert "http://127.0.0.1:7777/lab?token=..." in lab.start_log


def test_stops_at_once(fleet: Fleet, lab_name: str) -> None:
    """`docker stop` reaches the server, which ends its kernels and itself before Docker's ten seconds are over.

    A server that Docker had to kill has another exit status.
    """
    with fleet.another(lab_name) as lab:
        kernel_name = list(lab.lab.kernels)[-1]
        kernel = lab.request("POST", "/api/kernels", token=lab.token, json={"name": kernel_name}).json()
        wait_for("the kernel's process", lambda: _runs_kernel(lab, kernel["id"]), timeout=30)
        lab.container.stop(timeout=10)
        lab.container.reload()
        assert lab.container.attrs["State"]["ExitCode"] == 0
        assert "Shutting down 1 kernel" in lab.log()
        assert f"Kernel shutdown: {kernel['id']}" in lab.log()


def _runs_kernel(lab: RunningLab, kernel_id: str) -> bool:
    """Tell whether a process was started with the kernel's connection file: its name holds the kernel's id."""
    # Not `run`: a process that ends meanwhile is no failure.
    return kernel_id in lab.attempt("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
