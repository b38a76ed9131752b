"""Memory: when it runs out, a kernel goes and not the server, and the log and the notebook say why.

A part of jupyter_server_config.py. Linux kills whichever process would free the most. Of a kernel whose
process is gone Jupyter starts another, and does not ask why.
"""

import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.ioloop.restarter import AsyncIOLoopKernelRestarter
from jupyter_server import serverapp
from jupyter_server.services.kernels.connection.base import deserialize_binary_message, deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from traitlets import Dict

CGROUP = Path("/sys/fs/cgroup")
# Of cgroup 2 and 1: where Linux counts what it has killed in this container for want of memory, and the limit.
EVENTS = (CGROUP / "memory.events", CGROUP / "memory/memory.oom_control")
LIMITS = (CGROUP / "memory.max", CGROUP / "memory/memory.limit_in_bytes")
# Bytes by which a kernel counts as larger than it is: more than the server has.
HANDICAP = 2**28


def kills(events: Sequence[Path] = EVENTS) -> int:
    """Return how many processes of this container Linux has killed for want of memory; 0 where it does not say."""
    lines = [line.split() for path in events if path.is_file() for line in path.read_text().splitlines()]
    return sum(int(words[1]) for words in lines if words[0] == "oom_kill")


def memory() -> int:
    """Return the bytes that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def limit(limits: Sequence[Path] = LIMITS) -> int | None:
    """Return the bytes that this container may use; None where that is all that the machine has."""
    texts = [path.read_text().strip() for path in limits if path.is_file()]
    # cgroup 1 says "no limit" by a number that no machine has.
    found = [int(text) for text in texts if text.isdigit() and int(text) < memory()]
    return min(found) if found else None


def reason() -> str:
    """Return what a user is told whose kernel was killed for want of memory."""
    most = limit()
    whose = "the lab used all of the memory that it may" if most else "this machine ran out of memory"
    size = f" ({most / 2**30:.1f} GiB)" if most else ""
    return (
        f"The kernel was killed: {whose}{size}. Its variables are gone; files and other kernels are as they were. "
        "Load less at once, shut down kernels that you no longer need, or give the lab more memory."
    )


# The unit is a thousandth of the limit. Source: proc_pid_oom_score_adj(5).
HANDICAP_SCORE = min(1000, 1000 * HANDICAP // (limit() or memory()) + 1)


class LabRestarter(AsyncIOLoopKernelRestarter):
    """Jupyter's own, which looks every few seconds whether its kernel is there; this one also asks why not."""

    # At the last two looks: Linux counts a kill some time before the process is gone.
    kills = (0, 0)

    def start(self) -> None:
        """Begin to look after a kernel that has just been started."""
        super().start()
        self.kills = (kills(), kills())
        process = getattr(self.kernel_manager.provisioner, "pid", None)
        # It may be gone already, or something else may have made it larger still.
        with suppress(OSError):
            if process:
                Path(f"/proc/{process}/oom_score_adj").write_text(str(HANDICAP_SCORE))

    async def poll(self) -> None:
        """Look once."""
        provisioner = self.kernel_manager.provisioner
        ended = await provisioner.poll() if provisioner else None
        (earlier, last), now = self.kills, kills()
        why = reason() if ended == -signal.SIGKILL and now > earlier else ""
        self.kills = (last, now)
        self.kernel_manager.lab_reason = why
        if why:
            self.log.error("kernel %s: %s", self.kernel_manager.kernel_id, why)
        await super().poll()


class LabConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own way between browser and kernel, which writes the reason below the cell that ran."""

    # The requests that the kernel has not answered yet, by their ids, the one that runs first.
    cells = Dict()

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Note what is asked of the kernel. It cannot be relied on to say: its words may go with it."""
        header = self._header(incoming_msg)
        if header.get("msg_type") == "execute_request":
            self.cells[header["msg_id"]] = header
        super().handle_incoming_message(incoming_msg)

    def handle_outgoing_message(self, stream: object, outgoing_msg: list[Any]) -> None:
        """Note what the kernel is done with."""
        _, parts = self.session.feed_identities(outgoing_msg)
        if b'"execute_reply"' in bytes(parts[1]):
            self.cells.pop(self.session.unpack(bytes(parts[2])).get("msg_id"), None)
        super().handle_outgoing_message(stream, outgoing_msg)

    def on_kernel_restarted(self) -> None:
        """Say why, before the browser forgets what it has asked for."""
        why = getattr(self.kernel_manager, "lab_reason", "")
        if why and self.cells:
            self.write_stderr(why, next(iter(self.cells.values())))
        self.cells.clear()
        super().on_kernel_restarted()

    def _header(self, message: str | bytes) -> dict[str, Any]:
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            return dict(self.session.unpack(deserialize_msg_from_ws_v1(message)[1][0]))
        return dict(
            (deserialize_binary_message(message) if isinstance(message, bytes) else json.loads(message))["header"]
        )


c = get_config()  # noqa: F821 - Jupyter puts it there
c.AsyncIOLoopKernelManager.restarter_class = LabRestarter
# What the server takes by itself, unless its kernels are behind a gateway.
serverapp.ZMQChannelsWebsocketConnection = LabConnection
# What is run in a terminal counts as a kernel does.
c.ServerApp.terminado_settings = {
    "shell_command": ["/bin/sh", "-c", f"echo {HANDICAP_SCORE} 2>/dev/null >/proc/self/oom_score_adj; exec /bin/bash"]
}
