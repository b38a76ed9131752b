"""An OCI layout of images, as documents: the same for the same images, whatever engine and version saved them.

Docker of before version 25 neither writes nor reads such a layout: it goes by manifest.json, which is in it, too.
Source: the OCI image layout specification; Docker's image specification v1.2 for manifest.json.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# Such a name is nobody's: what is loaded by it never takes another image's tag.
REPOSITORY = "pyrlab-bundle"
BLOBS = "blobs/sha256"
_PREFIX = "application/vnd.oci.image"
# How a layer begins, and what its media type ends in. An engine with containerd's image store keeps packed layers.
PACKED = {b"\x1f\x8b": "tar+gzip", b"\x28\xb5\x2f\xfd": "tar+zstd"}
PLAIN = "tar"
FORMS = (PLAIN, *PACKED.values())


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer by the SHA-256 of its file; ``form`` is one of FORMS."""

    sha256: str
    form: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its name in the graph, the SHA-256 of its configuration, which is its id, and its layers."""

    name: str
    config: str
    layers: tuple[Layer, ...]

    @property
    def tag(self) -> str:
        """What it is called in the layout: a name that follows from what it is."""
        return f"{REPOSITORY}/{self.name}:{self.config[:16]}"


def blob(sha256: str) -> str:
    """Return the path of a blob."""
    return f"{BLOBS}/{sha256}"


def familiar(tag: str) -> str:
    """Return a tag as engines write it: those of Docker Hub have no host, and its official images no folder.

    Source: `FamiliarString` of github.com/distribution/reference.
    """
    name = tag.removeprefix("index.").removeprefix("docker.io/")
    official = name.removeprefix("library/")
    return name if "/" in official else official


def form_of(head: bytes) -> str:
    """Return how a layer is packed, by its first bytes."""
    return next((form for mark, form in PACKED.items() if head.startswith(mark)), PLAIN)


def layout(images: Sequence[Image], sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Return the documents of a layout by path, those of its manifests among them.

    ``sizes`` are the bytes of configurations and layers, by SHA-256.
    """
    manifests = {image: _render(_manifest(image, sizes)) for image in images}
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_PREFIX}.index.v1+json",
        "manifests": [
            {
                **_descriptor("manifest.v1+json", hashlib.sha256(text).hexdigest(), len(text)),
                "annotations": {
                    "io.containerd.image.name": f"docker.io/{image.tag}",
                    "org.opencontainers.image.ref.name": image.tag.rpartition(":")[2],
                },
            }
            for image, text in manifests.items()
        ],
    }
    docker = [
        {
            "Config": blob(image.config),
            "RepoTags": [image.tag],
            "Layers": [blob(layer.sha256) for layer in image.layers],
        }
        for image in images
    ]
    return {
        "oci-layout": _render({"imageLayoutVersion": "1.0.0"}),
        "index.json": _render(index),
        "manifest.json": _render(docker),
        **{blob(hashlib.sha256(text).hexdigest()): text for text in manifests.values()},
    }


def blobs(images: Iterable[Image]) -> set[str]:
    """Return the SHA-256 of all configurations and layers."""
    return {sha256 for image in images for sha256 in (image.config, *(layer.sha256 for layer in image.layers))}


def _manifest(image: Image, sizes: Mapping[str, int]) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": f"{_PREFIX}.manifest.v1+json",
        "config": _descriptor("config.v1+json", image.config, sizes[image.config]),
        "layers": [_descriptor(f"layer.v1.{layer.form}", layer.sha256, sizes[layer.sha256]) for layer in image.layers],
    }


def _descriptor(kind: str, sha256: str, size: int) -> dict[str, object]:
    return {"mediaType": f"{_PREFIX}.{kind}", "digest": f"sha256:{sha256}", "size": size}


def _render(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
