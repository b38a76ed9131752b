"""An engine that is played, for labs: containers with their files, images by tag, and servers that answer at once."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError, ImageNotFound

from pyrlab.adapters.docker import engine
from pyrlab.model.serving import ADDED
from pyrlab.model.workspace import LAB_LABEL


class Container:
    """A lab's container."""

    def __init__(self, engine_: "Engine", given: Mapping[str, Any]) -> None:
        self._engine, self.given = engine_, given
        self.name, self.labels, self.status = given.get("name", ""), given["labels"], "created"
        self.files: dict[str, tuple[str, int, int]] = {}
        environment = [f"{name}={value}" for name, value in given.get("environment", {}).items()]
        bindings = {
            inside: [{"HostIp": address, "HostPort": str(port)}]
            for inside, (address, port) in given.get("ports", {}).items()
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

    def volume(self, target: str) -> str:
        """Return the volume that it has at a folder, or nothing."""
        mounts = self.given.get("mounts", ())
        return next((mount["Source"] for mount in mounts if (mount["Type"], mount["Target"]) == ("volume", target)), "")

    def exec_run(self, command: Sequence[str], *, stderr: bool) -> tuple[int, bytes]:
        """Run list-added in it."""
        assert (command[-1], stderr) == ("list-added", False)
        return self._engine.list_added(self.volume(ADDED))

    def wait(self, *, timeout: float) -> dict[str, int]:
        """Wait for the end of one that runs list-added only."""
        assert timeout > 0
        assert self.given["entrypoint"][-1] == "list-added"
        return {"StatusCode": self._engine.list_added(self.volume(ADDED))[0]}

    def logs(
        self, *, tail: int = 0, stream: bool = False, follow: bool = False, stdout: bool = False, stderr: bool = True
    ) -> bytes | Iterator[bytes]:
        """Return the end of its log, or yield it in pieces."""
        del follow
        if stdout and not stderr:
            return self._engine.list_added(self.volume(ADDED))[1]
        if stream:
            return iter(self._engine.log)
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


class Volume:
    """A volume with added packages, or a home folder."""

    def __init__(self, engine_: "Engine", name: str, labels: Mapping[str, str]) -> None:
        self._engine, self.name, self.attrs = engine_, name, {"Labels": dict(labels)}

    def remove(self) -> None:
        """Remove it: not below a container, as with Docker."""
        if any(mount["Source"] == self.name for one in self._engine.made for mount in one.given.get("mounts", ())):
            raise APIError("Conflict", explanation="volume is in use")
        self._engine.stored.remove(self)
        self._engine.added.pop(self.name, None)


class Volumes:
    """The volumes of an engine."""

    def __init__(self, engine_: "Engine") -> None:
        self._engine = engine_

    def list(self, *, filters: Mapping[str, Sequence[str]]) -> Sequence[Volume]:
        """Return those with these labels."""
        return [volume for volume in self._engine.stored if _has(volume.attrs["Labels"], filters["label"])]


def _has(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    return all(name in {*labels, *map("=".join, labels.items())} for name in wanted)


class Engine:
    """An engine: it refuses a second container of the same name, as Docker does.

    ``log`` is what each container has logged, in pieces; ``refuses`` is why it starts none; with ``dies`` each ends as
    soon as it has started. ``added`` is what list-added prints of a volume; with ``tells_added`` false the images have
    no such program.
    """

    def __init__(self) -> None:
        self.made: list[Container] = []
        self.stored: list[Volume] = []
        self.added: dict[str, str] = {}
        self.tells_added = True
        self.images_by_tag: dict[str, str] = {}
        self.log = [b"one\ntw", b"o\nthree"]
        self.refuses = ""
        self.dies = False

    def create(self, image: str, **given: Any) -> Container:  # noqa: ANN401 - as Docker's SDK
        """Make a container."""
        if any(container.name == given.get("name") for container in self.made):
            raise APIError("Conflict", explanation=f"Conflict. The container name {given['name']} is already in use")
        there = {volume.name for volume in self.stored}
        for mount in given.get("mounts", ()):
            if mount["Type"] == "volume" and mount["Source"] not in there:
                labels = mount["VolumeOptions"].get("Labels", {})
                self.stored.append(Volume(self, mount["Source"], labels))
        self.made.append(Container(self, {"image": image, **given}))
        return self.made[-1]

    def list(self, *, filters: Mapping[str, Sequence[str]] | None = None, **options: bool) -> Sequence[Container]:
        """Return the containers with these labels; without ``all``, those that run."""
        return [
            container
            for container in self.made
            if (options.get("all") or container.status == "running")
            and _has(container.labels, (filters or {}).get("label", ()))
        ]

    def list_added(self, volume: str) -> tuple[int, bytes]:
        """Return the status and the output of list-added beside a volume."""
        nothing = json.dumps({"packages": [], "says": []})
        return (0, self.added.get(volume, nothing).encode()) if self.tells_added else (127, b"not found")

    def get(self, tag: str) -> SimpleNamespace:
        """Return an image."""
        if tag not in self.images_by_tag:
            raise ImageNotFound(tag)
        return SimpleNamespace(id=self.images_by_tag[tag])

    def answer(self, url: str, headers: Mapping[str, str]) -> SimpleNamespace:
        """Answer as the lab's server on that port does."""
        port, _, path = url.removeprefix("http://").partition(":")[2].partition("/api/")
        found = [one for one in self.made if one.status == "running" and f"{port}/tcp" in one.given.get("ports", {})]
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
    client = SimpleNamespace(containers=played, images=played, volumes=Volumes(played))
    for name in ("find", "find_server"):
        monkeypatch.setattr(engine, name, lambda: engine.Engine("26", "amd64"))
    monkeypatch.setattr(engine, "kind", engine.Kind)
    monkeypatch.setattr(engine, "address", lambda: "")
    monkeypatch.setattr(engine, "client", lambda: client)

    def get(session: requests.Session, url: str, *, headers: Mapping[str, str], timeout: float) -> SimpleNamespace:
        assert not session.trust_env, "a proxy must not come between this machine and itself"
        assert timeout > 0
        return played.answer(url, headers)

    monkeypatch.setattr(requests.Session, "get", get)
    return played
