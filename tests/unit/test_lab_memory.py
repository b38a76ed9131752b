"""What a lab reads of its memory, from either kind of cgroup, and whatever engine it runs on."""

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from graphs import SOURCE

# What the part of the configuration imports, which only labs have.
IMPORTED = {
    "jupyter_client": [],
    "jupyter_client.ioloop": [],
    "jupyter_client.ioloop.restarter": ["AsyncIOLoopKernelRestarter"],
    "jupyter_server": [],
    "jupyter_server.serverapp": [],
    "jupyter_server.services": [],
    "jupyter_server.services.kernels": [],
    "jupyter_server.services.kernels.connection": [],
    "jupyter_server.services.kernels.connection.base": ["deserialize_binary_message", "deserialize_msg_from_ws_v1"],
    "jupyter_server.services.kernels.connection.channels": ["ZMQChannelsWebsocketConnection"],
    "traitlets": ["Dict"],
}


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names that lab_kernels.py defines."""
    for name, names in IMPORTED.items():
        module = ModuleType(name)
        vars(module).update({one: type(one, (), {}) for one in names})
        monkeypatch.setitem(sys.modules, name, module)
    vars(sys.modules["jupyter_server"])["serverapp"] = sys.modules["jupyter_server.serverapp"]
    settings = SimpleNamespace(AsyncIOLoopKernelManager=SimpleNamespace(), ServerApp=SimpleNamespace())
    given: dict[str, Any] = {"get_config": lambda: settings}
    return runpy.run_path(str(SOURCE / "docker/install/lab/lab_kernels.py"), init_globals=given)


@pytest.mark.parametrize(
    ("text", "kills"),
    [
        pytest.param("low 0\nhigh 0\nmax 71\noom 2\noom_kill 3\noom_group_kill 0\n", 3, id="cgroup-2"),
        pytest.param("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", 4, id="cgroup-1"),
        pytest.param("oom_kill_disable 0\nunder_oom 0\n", 0, id="cgroup-1-of-old"),
        pytest.param(None, 0, id="none"),
    ],
)
def test_kills_are_counted(part: dict[str, Any], tmp_path: Path, text: str | None, kills: int) -> None:
    path = tmp_path / "events"
    if text is not None:
        path.write_text(text)
    assert part["kills"]([tmp_path / "other", path]) == kills


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        pytest.param("1073741824\n", 2**30, id="limited"),
        pytest.param("max\n", None, id="cgroup-2-without-limit"),
        pytest.param("9223372036854771712\n", None, id="cgroup-1-without-limit"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_limit_is_known_where_there_is_one(
    part: dict[str, Any], tmp_path: Path, text: str | None, limit: int | None
) -> None:
    path = tmp_path / "limit"
    if text is not None:
        path.write_text(text)
    assert part["limit"]([tmp_path / "other", path]) == limit
