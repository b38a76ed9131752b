"""A played registry of images: manifests and blobs by digest, names that move, and whom it lets in."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from machine import Answer, Project
from requests import PreparedRequest

OCI, DOCKER = (
    ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"),
    (
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ),
)
TOKEN = "played-token"  # noqa: S105 - nobody's
# The image that a project stands on, and the one layer that all images have.
IMAGE = "registry.test/team/base:1"
LAYER = b"the layer of all"
NAMED = f'[base]\nsource = "registry"\nimage = "{IMAGE}"\n'
RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_CODENAME=trixie\n'
INSTALLED = "ii apt 2.9 amd64\nii base-files 13 all\nii libc6 2.41-12 amd64\nrc gone 1 amd64\nii libc6 2.41-12 i386\n"


def digest(content: bytes) -> str:
    """Return the digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class PlayedRegistry:
    """What a registry has: ``manifests`` with their kinds and ``blobs``, by digest or tag.

    ``user`` is let in alone, by ``scheme``, Basic or Bearer; where that is "", everybody is. ``said`` are answers that
    come before all others, ``asked`` the paths that were asked for with the Authorization header's first word.
    """

    kinds: tuple[str, str] = OCI
    scheme: str = ""
    user: tuple[str, str] = ("ann", "sea:cret")
    identity: str = ""
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    said: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def add(self, architecture: str, *, tag: str = "", content: str = "", **config: object) -> str:
        """Put an image there, under a tag where one is given, and return its digest."""
        platform = self._platform(architecture)
        rootfs = {"type": "layers", "diff_ids": [digest(LAYER)]}
        blob = json.dumps({**platform, "config": config, "content": content, "rootfs": rootfs}).encode()
        self.blobs[digest(blob)] = blob
        manifest = json.dumps({"mediaType": self.kinds[1], "config": {"digest": digest(blob)}, "layers": []}).encode()
        return self._put(manifest, self.kinds[1], tag)

    def add_index(self, tag: str, images: Mapping[str, str]) -> str:
        """Put an index of digests by architecture there, with an attestation, which is no image; return its digest."""
        entries = [{"digest": one, "platform": self._platform(name)} for name, one in images.items()]
        attestation = {"digest": digest(b"attestation"), "platform": {"os": "unknown", "architecture": "unknown"}}
        document = {"mediaType": self.kinds[0], "manifests": [attestation, *entries]}
        return self._put(json.dumps(document).encode(), self.kinds[0], tag)

    def answer(self, request: PreparedRequest) -> Answer:
        """Answer as a registry does."""
        parts = urlsplit(str(request.url))
        said = request.headers.get("Authorization", "")
        self.asked.append(f"{request.method} {parts.path} {said.partition(' ')[0]}".strip())
        if self.said:
            return self.said.pop(0)
        if parts.path == "/token":
            return self._token(request, parse_qs(parts.query))
        if self.scheme and said != self._wanted:
            realm = 'realm="https://registry.test/token",service="played"' if self.scheme == "Bearer" else 'realm="x"'
            return Answer(b"{}", 401, {"WWW-Authenticate": f"{self.scheme} {realm}"})
        _, _, kind, name = parts.path.rsplit("/", 3)
        if kind == "blobs" and name in self.blobs:
            return Answer(self.blobs[name])
        if kind == "manifests" and name in self.manifests:
            media, body = self.manifests[name]
            assert media in request.headers["Accept"]
            return Answer(body, headers={"Content-Type": media})
        return Answer(b"{}", 404)

    def _token(self, request: PreparedRequest, query: Mapping[str, list[str]]) -> Answer:
        if request.method == "POST":
            form = parse_qs(str(request.body))
            good = form["refresh_token"] == [self.identity] and form["grant_type"] == ["refresh_token"]
            return Answer(json.dumps({"access_token": TOKEN}).encode()) if good else Answer(status=401)
        assert query == {"service": ["played"], "scope": ["repository:team/base:pull"]}
        good = request.headers.get("Authorization") == _basic(self.user)
        return Answer(json.dumps({"token": TOKEN}).encode()) if good else Answer(status=401)

    @property
    def _wanted(self) -> str:
        return f"Bearer {TOKEN}" if self.scheme == "Bearer" else _basic(self.user)

    def _put(self, manifest: bytes, kind: str, tag: str) -> str:
        for name in filter(None, (digest(manifest), tag)):
            self.manifests[name] = (kind, manifest)
        return digest(manifest)

    @staticmethod
    def _platform(architecture: str) -> dict[str, str]:
        name, _, variant = architecture.partition("/")
        return {"os": "linux", "architecture": name, **({"variant": variant} if variant else {})}


def _basic(user: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(user).encode()).decode()


def stand_on_image(project: Project) -> PlayedRegistry:
    """Let a project name a base image, and return the registry that has it, in an index."""
    played = PlayedRegistry()
    played.add_index("1", {"arm64": played.add("arm64"), "amd64": played.add("amd64")})
    project.toml = project.toml.replace("[base]\n", NAMED)
    project.machine.servers["registry.test"] = played.answer
    project.machine.base = {"release": RELEASE, "lacks": "", "installed": INSTALLED, "python": "3.14.0\n"}
    return played
