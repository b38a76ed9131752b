"""An engine that is played, for labs: containers with their files, images by tag, and servers that answer at once."""

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError, ImageNotFound

from pyrlab.adapters.docker import engine
from pyrlab.model.workspace import LAB_LABEL


class Container:
    """A lab's container."""

    def __init__(self, engine_: "Engine", given: Mapping[str, Any]) -> None:
        self._engine, self.given = engine_, given
        self.name, self.labels, self.status = given["name"], given["labels"], "created"
        self.files: dict[str, tuple[str, int, int]] = {}
        environment = [f"{name}={value}" for name, value in given["environment"].items()]
        bindings = {
            inside: [{"HostIp": address, "HostPort": str(port)}] for inside, (address, port) in given["ports"].items()
        }
        self.attrs = {
            "Config": {"Env": environment},
            "NetworkSettings": {"Ports": bindings},
            "Image": engine_.images_by_tag.get(given["image"], ""),
            "State": {"StartedAt": "2026-11-29T08:00:00.123456789Z", "FinishedAt": "2026-11-29T09:00:00Z"},
        }

    def start(self) -> None:
        """Start it."""
        if self._engine.refuses:
            raise APIError("refused", explanation=self._engine.refuses)
        self.status = "exited" if self._engine.dies else "running"

    def stop(self, *, timeout: int) -> None:
        """Stop it."""
        assert timeout > 0
        self.status = "exited"

    def remove(self, *, force: bool) -> None:
        """Remove it."""
        assert force
        self._engine.made.remove(self)

    def reload(self) -> None:
        """Ask the engine anew: what it says is here already."""

    def logs(self, *, tail: int = 0, stream: bool = False, follow: bool = False) -> bytes | Iterator[bytes]:
        """Return the end of its log, or yield it in pieces."""
        del follow
        if stream:
            return iter([b"one\ntw", b"o\nthree"])
        return f"the end of {tail} lines, token={self.token()}".encode()

    def stats(self, *, stream: bool, one_shot: bool) -> dict[str, Any]:
        """Return what it uses."""
        assert not stream
        assert one_shot
        return {"memory_stats": {"usage": 300_000_000, "limit": 8_000_000_000, "stats": {"inactive_file": 50_000_000}}}

    def put_archive(self, path: str, data: bytes) -> bool:
        """Take files in."""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                found = archive.extractfile(member)
                assert found
                self.files[f"{path}/{member.name}"] = (found.read().decode(), member.mode, member.uid)
        return True

    def token(self) -> str:
        """Return the token that its server has."""
        return self.files["/home/notebook/.lab-token"][0]


class Engine:
    """An engine: it refuses a second container of the same name, as Docker does.

    ``refuses`` is why it starts none; with ``dies`` each ends as soon as it has started.
    """

    def __init__(self) -> None:
        self.made: list[Container] = []
        self.images_by_tag: dict[str, str] = {}
        self.refuses = ""
        self.dies = False

    def create(self, image: str, **given: Any) -> Container:  # noqa: ANN401 - as Docker's SDK
        """Make a container."""
        if any(container.name == given["name"] for container in self.made):
            raise APIError("Conflict", explanation=f"Conflict. The container name {given['name']} is already in use")
        self.made.append(Container(self, {"image": image, **given}))
        return self.made[-1]

    def list(self, *, filters: Mapping[str, Sequence[str]] | None = None, **options: bool) -> Sequence[Container]:
        """Return the containers with these labels; without ``all``, those that run."""
        return [
            container
            for container in self.made
            if (options.get("all") or container.status == "running")
            and all(
                name in {*container.labels, *map("=".join, container.labels.items())}
                for name in (filters or {}).get("label", ())
            )
        ]

    def get(self, tag: str) -> SimpleNamespace:
        """Return an image."""
        if tag not in self.images_by_tag:
            raise ImageNotFound(tag)
        return SimpleNamespace(id=self.images_by_tag[tag])

    def answer(self, url: str, headers: Mapping[str, str]) -> SimpleNamespace:
        """Answer as the lab's server on that port does."""
        port, _, path = url.removeprefix("http://").partition(":")[2].partition("/api/")
        found = [one for one in self.made if one.status == "running" and f"{port}/tcp" in one.given["ports"]]
        if not found:
            raise requests.ConnectionError(url)
        [lab] = found
        if lab.files and headers["Authorization"] != f"token {lab.token()}":
            return SimpleNamespace(status_code=403, json=dict)
        return SimpleNamespace(status_code=200, json=lambda: [{}, {}] if path == "kernels" else {})

    def stranger(self, name: str, port: int, **labels: str) -> None:
        """Let somebody else's container have a port."""
        labels = {LAB_LABEL: "pylab", **labels} if labels else {}
        ports = {f"{port}/tcp": ("127.0.0.1", port)}
        self.create("x", name=name, labels=labels, environment={}, ports=ports).start()


def play(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Play an engine on this machine."""
    played = Engine()
    client = SimpleNamespace(containers=played, images=played)
    monkeypatch.setattr(engine, "find", lambda: None)
    monkeypatch.setattr(engine, "is_rootless", lambda: False)
    monkeypatch.setattr(engine, "address", lambda: "")
    monkeypatch.setattr(engine, "client", lambda: client)

    def get(session: requests.Session, url: str, *, headers: Mapping[str, str], timeout: float) -> SimpleNamespace:
        assert not session.trust_env, "a proxy must not come between this machine and itself"
        assert timeout > 0
        return played.answer(url, headers)

    monkeypatch.setattr(requests.Session, "get", get)
    return played
