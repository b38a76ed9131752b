"""Kernels of a running lab, over the websocket that a browser uses."""

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jupyter_kernel_client import JupyterKernelClient  # type: ignore[import-untyped] # it has no py.typed
from labs import RunningLab, wait_for

TIMEOUT = 60.0
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a kernel sent back for one piece of code."""

    status: str
    outputs: tuple[Mapping[str, Any], ...]

    @property
    def stdout(self) -> str:
        """All that was written to standard output."""
        return "".join(one["text"] for one in self.outputs if one.get("name") == "stdout")

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The errors, each with ``ename``, ``evalue`` and ``traceback``."""
        return [one for one in self.outputs if one["output_type"] == "error"]

    def data(self, mimetype: str) -> list[str]:
        """Return what was displayed as ``mimetype``."""
        return [one["data"][mimetype] for one in self.outputs if mimetype in one.get("data", {})]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that was asked for by the name of its kernelspec, and proved to speak that one's language."""

    client: JupyterKernelClient
    language: str

    def execute(self, code: str) -> Answer:
        """Execute ``code`` and wait for its end."""
        reply = self.client.execute(code, timeout=TIMEOUT)
        return Answer(reply["status"], tuple(reply["outputs"]))

    def restart(self) -> None:
        """Restart the kernel and wait until it answers again.

        The server returns before it listens to all that the new process says, so the first answers may get lost.
        """
        self.client.restart()
        wait_for("the restarted kernel to answer", self.answers, timeout=TIMEOUT)

    def execute_until(self, sign: str, code: str, act: Callable[[], None]) -> Answer:
        """Execute ``code``, ``act`` as soon as it prints ``sign``, and return the answer."""
        seen, outputs = threading.Event(), list[Mapping[str, Any]]()

        def note(message: Mapping[str, Any]) -> None:
            outputs.append({"output_type": message["header"]["msg_type"], **message["content"]})
            if sign in message["content"].get("text", ""):
                seen.set()

        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(self.client.execute_interactive, code, timeout=TIMEOUT, output_hook=note)
            assert seen.wait(TIMEOUT), f"{sign!r} was never printed"
            act()
            reply = run.result(TIMEOUT)
        return Answer(reply["content"]["status"], tuple(outputs))

    def answers(self) -> bool:
        """Tell whether the kernel executes code."""
        try:
            self.client.execute("1", timeout=3)
        except TimeoutError:
            return False
        return True


@contextmanager
def start(lab: RunningLab, name: str) -> Iterator[Kernel]:
    """Start the kernel of the kernelspec ``name``, and shut it down at the end."""
    kernel = lab.request("POST", "/api/kernels", token=lab.token, json={"name": name}).json()
    # By its id: a client that started a kernel itself asks for its end once more when Python ends.
    client = JupyterKernelClient(server_url=lab.url, token=lab.token, kernel_id=kernel["id"])
    client.start(timeout=TIMEOUT)
    try:
        language = client.kernel_info["language_info"]["name"]
        assert language == lab.lab.kernels[name]
        yield Kernel(client, language)
    finally:
        lab.request("DELETE", f"/api/kernels/{client.id}", token=lab.token)
        # The client's own thread may take ten seconds to see that its websocket is closed. Nobody has to wait for it.
        threading.Thread(target=client.stop, kwargs={"shutdown_kernel": False}).start()


def is_png(encoded: str) -> bool:
    """Tell whether base64 text is a PNG file of more than its header."""
    picture = base64.b64decode(encoded)
    return picture.startswith(PNG) and len(picture) > 1000
