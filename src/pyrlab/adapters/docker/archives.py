"""Images as archives: what `docker save` writes, read whatever its form is, and what `docker load` is given.

Since Docker 25 the archive is an OCI layout; before, each layer is a folder with a layer.tar, which may be a link to
another's. manifest.json is in both, and says which files an image is made of.
"""

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pyrlab.adapters import process
from pyrlab.adapters.bundle_file import Part
from pyrlab.adapters.docker import room
from pyrlab.errors import BuildError, HashMismatchError
from pyrlab.model.oci import PLAIN, Image, Layer, familiar, form_of

TIMEOUT = 3600.0
_CHUNK = 2**20


def save(tags: Mapping[str, str], target: Path) -> tuple[tuple[Image, ...], dict[str, Part]]:
    """Let the engine write images, ``tags`` by name, into the file ``target``.

    Returns them, and their configurations and layers by SHA-256, as parts of that file.
    Raises BuildError where the engine does not, or writes something else.
    """
    try:
        process.run(["docker", "save", "--output", str(target), *tags.values()], timeout=TIMEOUT)
    except process.CommandError as error:
        raise room.of(error.output, error.detail) or BuildError(
            "the engine could not save the images",
            remedy="nox -s build, then run the same again",
            detail=error.detail,
        ) from error
    try:
        return _read(tags, target)
    except (KeyError, ValueError, TypeError, tarfile.TarError) as error:
        raise BuildError(
            f"the engine saved the images in a form that is not known: {error}",
            remedy="please report it, with what docker version says",
        ) from error


def _read(tags: Mapping[str, str], path: Path) -> tuple[tuple[Image, ...], dict[str, Part]]:
    parts: dict[str, Part] = {}
    found: dict[str, Image] = {}
    with tarfile.open(path, "r:") as archive:
        seen: dict[str, Part] = {}

        def part(name: str) -> Part:
            member = _member(archive, name)
            if member.name not in seen:
                seen[member.name] = _part(path, member)
            return seen[member.name]

        for entry in json.loads(b"".join(part("manifest.json").chunks())):
            config = part(entry["Config"])
            layers = [part(name) for name in entry["Layers"]]
            forms = [form_of(next(layer.chunks(), b"")[:4]) for layer in layers]
            _check(b"".join(config.chunks()), layers, forms)
            parts |= {one.sha256: one for one in (config, *layers)}
            pairs = zip(layers, forms, strict=True)
            layered = tuple(Layer(layer.sha256, form) for layer, form in pairs)
            found |= {familiar(tag): Image("", config.sha256, layered) for tag in entry["RepoTags"] or ()}
    images = [replace(found[familiar(tag)], name=name) for name, tag in sorted(tags.items())]
    return tuple(images), parts


def _member(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """Return the regular file that a name leads to."""
    for _ in range(8):
        member = archive.getmember(name)
        if member.isreg():
            return member
        if not member.issym():
            break
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
    raise ValueError(f"{name} is no file")


def _part(path: Path, member: tarfile.TarInfo) -> Part:
    digest, left = hashlib.sha256(), member.size
    with path.open("rb") as file:
        file.seek(member.offset_data)
        while left and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return Part(member.size, digest.hexdigest(), path, member.offset_data)


def _check(config: bytes, layers: list[Part], forms: list[str]) -> None:
    """Raise ValueError unless the layers are those that the configuration names: the engine checks it when it loads."""
    named = [str(one).removeprefix("sha256:") for one in json.loads(config)["rootfs"]["diff_ids"]]
    plain = [layer.sha256 if form == PLAIN else name for layer, form, name in zip(layers, forms, named, strict=True)]
    if plain != named:
        raise ValueError("its layers are not those of the image")


def load(archive: BinaryIO, images: tuple[Image, ...]) -> dict[str, str]:
    """Give the engine a layout to load, and return the ids of its images by name.

    Raises BuildError, and HashMismatchError where the engine then has something else under a name.
    """
    try:
        process.run(["docker", "load"], timeout=TIMEOUT, stdin=archive)
    except process.CommandError as error:
        raise room.of(error.output, error.detail) or BuildError(
            "the engine could not load the images",
            remedy="its words say why; then run the same again",
            detail=error.detail,
        ) from error
    return {image.name: _checked_id(image) for image in images}


def _checked_id(image: Image) -> str:
    """Return an image's id, which is the hash of its configuration, or with containerd's store of its manifest."""
    layers = _inspect(image.tag, "{{json .RootFS.Layers}}")
    found = [str(name).removeprefix("sha256:") for name in json.loads(layers)]
    wanted = [layer.sha256 for layer in image.layers]
    if len(found) != len(wanted) or any(
        layer.form == PLAIN and layer.sha256 != name for layer, name in zip(image.layers, found, strict=True)
    ):
        raise HashMismatchError(
            f"the engine has another image as {image.tag}",
            remedy=f"docker image rm {image.tag}, then run the same again",
        )
    return _inspect(image.tag, "{{.Id}}")


def _inspect(tag: str, template: str) -> str:
    # Warnings come before it.
    return process.run(["docker", "image", "inspect", "--format", template, tag], timeout=60).strip().splitlines()[-1]


def rename(image: Image, tag: str) -> None:
    """Let ``tag`` name an image of a layout, and the layout's own name be gone."""
    process.run(["docker", "image", "tag", image.tag, tag], timeout=60)
    process.run(["docker", "image", "rm", "--no-prune", image.tag], timeout=60)
