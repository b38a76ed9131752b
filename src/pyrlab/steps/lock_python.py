"""The Python side of locking: uv in the root for each list, and the one file of each pin that is installed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from packaging.utils import canonicalize_name

from pyrlab.adapters import process
from pyrlab.adapters.python import uv_answer
from pyrlab.adapters.python.index import NoPageError
from pyrlab.errors import ListError, NetworkError
from pyrlab.model.graph import lock_of
from pyrlab.model.lists import Lists, PythonRequest
from pyrlab.model.locks import python
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import Earlier, glibc_of, python_of
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.wish import Wish
from pyrlab.steps import fetch
from pyrlab.steps.materials import TOOLS_LOCK, Materials
from pyrlab.steps.question import Below

Say = Callable[[str], None]


def lock_python(  # noqa: PLR0913 - what one run of lock knows
    below: Below, lists: Lists, wish: Wish, earlier: Earlier, debs: DebsLock, *, say: Say
) -> dict[str, PythonLock]:
    """Return the new Python locks by image. What all images share comes from one of them, and bounds the others.

    Raises ListError, NetworkError, BuildError, EngineError.
    """
    graph = below.settings.graph
    made: dict[str, PythonLock] = {}
    for image in graph.with_python:
        shared = made[graph.shared_image].closure(graph.shared_roots) if made else ()
        old = earlier.python.get(image.name)
        compiler = Compiler(below, image.python, lists.python[image.name], wish, say)
        pins = compiler.compile(old, shared)
        made[image.name] = PythonLock(
            name=lock_of(image.python),
            input=python.input_of(lists.python[image.name], below.settings.suite),
            python=python_of(debs),
            glibc=glibc_of(debs),
            pins=_with_files(below, pins, old, debs, lists),
        )
    return made


@dataclass(frozen=True)
class Compiler:
    """uv for one list, in the root."""

    below: Below
    list_file: str
    requests: tuple[PythonRequest, ...]
    wish: Wish
    say: Say

    def compile(self, old: PythonLock | None, shared: tuple[PythonPin, ...]) -> tuple[PythonPin, ...]:
        """Return pins without files; ``shared`` pins bound them. Raises ListError, NetworkError, BuildError."""
        self.say(f"asking uv for the closure of {self.list_file}")
        request = {"requirements.in": "".join(f"{line}\n" for line in self.requests)}
        if old:
            request["requirements.lock"] = old.render()
        bounds = [f"{pin.name}=={pin.version}" for pin in shared]
        if self.wish.upgrade and "python" in self.wish.kinds:
            own = {pin.name for pin in shared}
            bounds += [f"{name}<{below}" for name, below in self.wish.below("python").items() if name not in own]
        if bounds:
            request["constraints.txt"] = "".join(f"{bound}\n" for bound in bounds)
        if self.wish.min_age and (self.wish.upgrade or self.wish.upgrade_packages):
            request["prior"] = f"{datetime.now(UTC) - self.wish.min_age:%Y-%m-%dT%H:%M:%SZ}"
        folder = self.below.ask("python", request, *self._options(old), say=self.say)
        if (folder / "status").read_text().strip() != "0":
            log = (folder / "log").read_text(encoding="utf-8", errors="replace")
            error = uv_answer.explain(log, self.requests, self.list_file)
            if isinstance(error, ListError):
                self._look_at(uv_answer.without_versions(log), log)
            raise error
        text = (folder / "requirements.lock").read_text(encoding="utf-8")
        return python.parse_pins(text, name=lock_of(self.list_file))

    def _look_at(self, name: str, log: str) -> None:
        """Raise NoPageError where it is no index that answers: to uv a sign-in page is a package without versions.

        And so is any server's word that a page is not there.
        """
        if not name:
            return
        others = (request.name for request in self.requests if canonicalize_name(request.name) != name)
        try:
            fetch.python_index(self.below.settings).look_for(name, next(others, ""))
        except NoPageError as error:
            error.detail = process.tail(log)
            raise
        except NetworkError:
            # uv has reached it, and what it says of the list holds.
            return

    def _options(self, old: PythonLock | None) -> list[str]:
        if self.wish.upgrade:
            return ["--upgrade"]
        known = set(old.versions()) if old else set()
        own = sorted({canonicalize_name(name) for name in self.wish.upgrade_packages} & known)
        return [f"--upgrade-package={name}" for name in own]


def _with_files(
    below: Below,
    pins: tuple[PythonPin, ...],
    old: PythonLock | None,
    debs: DebsLock,
    lists: Lists,
) -> tuple[PythonPin, ...]:
    """Return the pins with the one file each that this architecture installs.

    Raises ListError for a source distribution that wants what docker's tools.lock does not pin to build it.
    """
    index = fetch.python_index(below.settings)
    chosen = index.choose_files(
        pins,
        python=python_of(debs),
        glibc=glibc_of(debs),
        architecture=below.architecture,
        earlier=old.pins if old else (),
    )
    tools = python.parse_pins(Materials(below.settings).recipe[TOOLS_LOCK].decode(), name=TOOLS_LOCK)
    whole = tuple(replace(pin, files=(chosen[pin.name],)) for pin in pins)
    index.check_backends(whole, tools, lists.all_python, python=python_of(debs), architecture=below.architecture)
    return whole
