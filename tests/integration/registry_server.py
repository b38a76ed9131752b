"""Debian's docker-registry on this machine's loopback, and an image for it laid out like Python's official ones."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import stamina
from conftest import Project, install_debs, printed_by

from pyrlab.adapters.docker import buildkit
from pyrlab.adapters.docker.buildkit import Bake

INDEX, MANIFEST = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
USER = ("ann", "sea:cret")
# What `htpasswd -nbB` makes of it.
HASHED = "ann:$2y$05$I2lLdI.IzI4nGabpGx7YqO2ttDNcY1yqe69xhEhiz2hMcnXRI8JKO\n"
CONFIG = "application/vnd.docker.container.image.v1+json"
ROOT_TAG, OFFICIAL_TAG = "pyrlab-test/registry-root:latest", "pyrlab-test/registry-official:latest"
# Debian's own Python moves to where the official images build theirs, and dpkg forgets it. apt's sources are deb822
# there; this one leads nowhere, and nobody asks it.
OFFICIAL = f"""
FROM {ROOT_TAG} AS moved
RUN --network=none version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') && \\
    cp "/usr/bin/python$version" /usr/local/bin/ && ln -s "python$version" /usr/local/bin/python3 && \\
    mkdir -p /usr/local/lib && cp -a "/usr/lib/python$version" /usr/local/lib/ && \\
    rm -f "/usr/local/lib/python$version/EXTERNALLY-MANAGED" && cp -a /usr/share/python-wheels /tmp/ && \\
    rm -f /var/lib/dpkg/info/*python3*.prerm && \\
    dpkg --purge --force-depends $(dpkg-query --show --showformat='${{Package}}\\n' '*python3*') && \\
    mv /tmp/python-wheels /usr/share/ && rm -f /etc/apt/sources.list /var/log/dpkg.log && \\
    printf 'Types: deb\\nURIs: http://nowhere.invalid/debian\\nSuites: trixie\\nComponents: main\\n' \\
    >/etc/apt/sources.list.d/debian.sources
FROM scratch AS official
COPY --from=moved / /
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHON_VERSION=3.13
CMD ["python3"]
"""


def docker(*arguments: str, text: str = "", folder: Path | None = None) -> str:
    """Run a docker command that must succeed, and return what it prints."""
    return printed_by(["docker", *arguments], input=text, cwd=folder)


def make_official_image(project: Project) -> None:
    """Make an image with Python in /usr/local out of the root that a project with a debs.lock has."""
    root = {
        "context": "root",
        "dockerfile": "../lock.Dockerfile",
        "target": "root",
        "contexts": {"recipe": "recipe", "section.root": "sections/root"},
        "tags": [ROOT_TAG],
        "output": ["type=docker"],
    }
    buildkit.bake(Bake(project.path / ".pyrlab", {"root": root}), say=lambda _: None)
    docker("buildx", "build", "--quiet", "--provenance=false", f"--tag={OFFICIAL_TAG}", "-", text=OFFICIAL)


@dataclass(frozen=True)
class Registry:
    """A registry that runs: its ``host`` with the port, as names of images begin, and the folder of its files."""

    host: str
    folder: Path
    scheme: str = "http"
    auth: tuple[str, str] | None = None
    ca: Path | None = None

    def push(self, local: str, name: str, *, config: Path | None = None) -> str:
        """Push a local image as ``name``, and return its name at this registry. ``config`` is Docker's folder."""
        remote = f"{self.host}/{name}"
        docker("tag", local, remote)
        docker(*(["--config", str(config)] if config else []), "push", "--quiet", remote)
        docker("rmi", remote)
        return remote

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        """Ask the registry itself for something below /v2/."""
        answer = requests.request(
            method,
            path if path.startswith("http") else f"{self.scheme}://{self.host}/v2/{path}",
            auth=self.auth,
            verify=str(self.ca) if self.ca else True,
            timeout=60,
            **options,  # type: ignore[arg-type]
        )
        assert answer.ok, answer.text
        return answer

    def manifest(self, repository: str, version: str) -> bytes:
        """Return the manifest of an image."""
        return self.ask("GET", f"{repository}/manifests/{version}", headers={"Accept": MANIFEST}).content

    def put(self, repository: str, version: str, manifest: bytes, kind: str) -> str:
        """Put a manifest, and return its digest."""
        self.ask("PUT", f"{repository}/manifests/{version}", data=manifest, headers={"Content-Type": kind})
        return digest(manifest)

    def put_image(self, repository: str, tag: str) -> str:
        """Put an image without layers there, for amd64, and return its digest."""
        config = self._blob(repository, {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}})
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {**config, "mediaType": CONFIG}, "layers": []}
        return self.put(repository, tag, json.dumps(document).encode(), MANIFEST)

    def make_index(self, repository: str, tag: str, *others: str) -> dict[str, str]:
        """Turn an image's tag into an index with it and the same for ``others``; return digests by architecture."""
        own = self.manifest(repository, tag)
        found = {"amd64": self.put(repository, digest(own), own, MANIFEST)}
        sizes = {"amd64": len(own)}
        for architecture in others:
            made = self._for_architecture(repository, json.loads(own), architecture)
            found[architecture] = self.put(repository, digest(made), made, MANIFEST)
            sizes[architecture] = len(made)
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            # The engine's own comes last: whoever takes the first one takes a wrong one.
            "manifests": [
                {
                    "mediaType": MANIFEST,
                    "digest": found[name],
                    "size": sizes[name],
                    "platform": {"os": "linux", "architecture": name},
                }
                for name in reversed(found)
            ],
        }
        self.put(repository, tag, json.dumps(index).encode(), INDEX)
        return found

    def _for_architecture(self, repository: str, manifest: dict[str, dict[str, object]], architecture: str) -> bytes:
        """Return the manifest of the same layers with a configuration that names another architecture."""
        configuration = self.ask("GET", f"{repository}/blobs/{manifest['config']['digest']}").json()
        config = self._blob(repository, {**configuration, "architecture": architecture})
        return json.dumps({**manifest, "config": {**manifest["config"], **config}}).encode()

    def _blob(self, repository: str, content: dict[str, object]) -> dict[str, object]:
        """Put a blob there, and return what a manifest says of it."""
        blob = json.dumps(content).encode()
        upload = self.ask("POST", f"{repository}/blobs/uploads/").headers["Location"]
        self.ask("PUT", f"{upload}&digest={digest(blob)}", data=blob)
        return {"digest": digest(blob), "size": len(blob)}


def digest(content: bytes) -> str:
    """Return the digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextlib.contextmanager
def registry(folder: Path, *, closed: bool = False, tls: tuple[Path, Path] | None = None) -> Iterator[Registry]:
    """Run a registry that keeps its files below ``folder``: for USER alone, or with a certificate and its key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "files")}},
        "http": {"addr": host},
    }
    if tls:
        settings["http"] = {"addr": host, "tls": {"certificate": str(tls[0]), "key": str(tls[1])}}
    if closed:
        (folder / "users").write_text(HASHED, encoding="utf-8")
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "users")}}
    configuration = folder / "config.yml"
    # All JSON is YAML.
    configuration.write_text(json.dumps(settings), encoding="utf-8")
    command = [program(), "serve", str(configuration)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for attempt in stamina.retry_context(on=OSError, timeout=60, attempts=None, wait_max=0.2):
                with attempt, socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), timeout=5):
                    pass
            yield Registry(host, folder, "https" if tls else "http", USER if closed else None, tls[0] if tls else None)
        finally:
            server.terminate()
            server.wait(timeout=60)


@contextlib.contextmanager
def busy(server: Registry, *, refusals: int) -> Iterator[tuple[str, list[int]]]:
    """Stand before a registry, and answer so many requests by 429 and Retry-After: 1 before it is asked itself.

    Yield the name that images have here, and the statuses of all answers.
    """
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = 429, {"Retry-After": "1"}, b"{}"
            if len(statuses) >= refusals:
                accept = {"Accept": self.headers["Accept"] or "*/*"}
                said = requests.get(f"{server.scheme}://{server.host}{self.path}", headers=accept, timeout=60)
                status, headers, body = said.status_code, {"Content-Type": said.headers["Content-Type"]}, said.content
            statuses.append(status)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as before:
        threading.Thread(target=before.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{before.server_port}", statuses
        finally:
            before.shutdown()


def program() -> str:
    """Return the path of docker-registry. On Debian, as root, it is installed where it is missing."""
    if shutil.which("docker-registry") is None:
        if os.geteuid() or shutil.which("apt-get") is None:
            pytest.skip("there is no docker-registry: apt-get install docker-registry")
        install_debs("docker-registry")
    found = shutil.which("docker-registry")
    assert found
    return found
