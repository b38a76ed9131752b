"""A bundle: one archive with all of a project, and what must be true of each byte of it before any is used.

It is a tar file in one form only: the manifest first, then the members in the manifest's order, with headers that
follow from their paths and sizes. What else a tar file can hold, as links and devices, is no part of the form.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pyrlab.model import oci
from pyrlab.model.oci import Image, Layer

MANIFEST = "pyrlab-bundle"
BLOCK = 512
# Two blocks of zeros end a tar file.
END = 2 * BLOCK
# A whole project has some thousand members, of a hundred bytes each in the manifest.
LONGEST_MANIFEST = 64 * 2**20
# What the base image is called among the images: a stage of that name keeps a graph from having one.
ROOT = "root"
PROJECT, TOOLKIT, SOURCES = "project", "toolkit", "sources"
_TITLE = re.compile(r"pyrlab-bundle 1 sha256:(?P<digest>[0-9a-f]{64})")
# No part of a path begins with a dot: no "..", and nothing that git, a shell or Nox would take for its own.
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.@+=,-]*"
_PATHS = {
    PROJECT: re.compile(rf"{PROJECT}(?:/{_PART})+"),
    TOOLKIT: re.compile(rf"{TOOLKIT}/{_PART}\.whl"),
    SOURCES: re.compile(rf"{SOURCES}/[0-9a-f]{{64}}"),
    "blobs": re.compile(rf"{oci.BLOBS}/[0-9a-f]{{64}}"),
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_LONGEST_PATH = 200


class BadBundleError(ValueError):
    """What a bundle says is not what `bundle` writes."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive; ``size`` in bytes."""

    path: str
    size: int
    sha256: str

    @property
    def stored(self) -> int:
        """The bytes that it takes in the archive: its header, itself, and zeros up to a whole block."""
        return len(header(self.path, self.size)) + self.size + padding(self.size)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds. ``project`` is the name of its folder, ``python`` what the toolkit is for, as in 3.13."""

    project: str
    architecture: str
    python: str
    images: tuple[Image, ...]
    members: tuple[Member, ...]

    def render(self) -> bytes:
        """Return the text of the manifest."""
        document = {
            "architecture": self.architecture,
            "images": [
                {"config": image.config, "layers": [[one.sha256, one.form] for one in image.layers], "name": image.name}
                for image in self.images
            ],
            "members": [[member.path, member.size, member.sha256] for member in self.members],
            "project": self.project,
            "python": self.python,
        }
        body = json.dumps(document, sort_keys=True, indent=0).encode() + b"\n"
        return f"pyrlab-bundle 1 sha256:{hashlib.sha256(body).hexdigest()}\n".encode() + body

    @classmethod
    def parse(cls, text: bytes) -> "Manifest":
        """Read the text of a manifest, and check all that it says. Raises BadBundleError."""
        title, _, body = text.partition(b"\n")
        match = _TITLE.fullmatch(title.decode("ascii", errors="replace"))
        if match is None:
            raise BadBundleError("its first line is not that of a bundle of this version")
        if hashlib.sha256(body).hexdigest() != match["digest"]:
            raise BadBundleError("its list of members is damaged")
        try:
            found = _read(json.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadBundleError(f"its list of members cannot be read: {error}") from error
        if found.render() != text:
            raise BadBundleError("its list of members is not written as bundle writes it")
        _check(found)
        return found

    @property
    def size(self) -> int:
        """The bytes of the whole archive."""
        text = len(self.render())
        return Member(MANIFEST, text, "").stored + sum(member.stored for member in self.members) + END

    def within(self, group: str) -> dict[str, Member]:
        """Return the members of a group, by their path in it."""
        return {
            member.path.removeprefix(f"{group}/"): member
            for member in self.members
            if member.path.startswith(f"{group}/")
        }


def is_of_layout(path: str) -> bool:
    """Tell whether a member is one of the OCI layout."""
    return path.partition("/")[0] not in {PROJECT, TOOLKIT, SOURCES}


def in_order(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return members in the order of the archive: the OCI layout last, as `docker load` gets it in one piece."""
    return tuple(sorted(members, key=lambda member: (is_of_layout(member.path), member.path)))


def header(path: str, size: int) -> bytes:
    """Return the header of a member, the only one that it can have."""
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def padding(size: int) -> int:
    """Return how many zeros follow so many bytes."""
    return -size % BLOCK


def is_allowed(path: str) -> bool:
    """Tell whether a file may be called so in a bundle."""
    return len(path) <= _LONGEST_PATH and any(allowed.fullmatch(path) for allowed in _PATHS.values())


def _read(document: dict[str, Any]) -> Manifest:
    images = [
        Image(
            _text(image["name"], _WORD),
            _text(image["config"], _SHA256),
            tuple(Layer(_text(sha256, _SHA256), _one_of(form, oci.FORMS)) for sha256, form in image["layers"]),
        )
        for image in document["images"]
    ]
    members = [Member(_path(path), _size(size), _text(sha256, _SHA256)) for path, size, sha256 in document["members"]]
    return Manifest(
        project=_text(document["project"], _WORD),
        architecture=_text(document["architecture"], _WORD),
        python=_text(document["python"], re.compile(r"(?:\d+\.\d+)?")),
        images=tuple(images),
        members=tuple(members),
    )


def _check(manifest: Manifest) -> None:
    """Raise BadBundleError unless the members are those of the images and of a project, each once and in order."""
    members = manifest.members
    if members != in_order(members):
        raise BadBundleError("its members are not in order")
    _check_apart([member.path for member in members])
    for member in members:
        named = PurePosixPath(member.path).name
        if member.path.startswith((f"{SOURCES}/", f"{oci.BLOBS}/")) and named != member.sha256:
            raise BadBundleError(f"{member.path} is named by another hash than its own")
    names = [image.name for image in manifest.images]
    if len(set(names)) < len(names):
        raise BadBundleError("it has an image twice")
    _check_layout(manifest)


def _check_apart(paths: Sequence[str]) -> None:
    """Raise BadBundleError where one path would be another's file or folder, also where case does not count."""
    folded = [path.casefold() for path in paths]
    known = set(folded)
    if len(known) < len(folded):
        raise BadBundleError("it has a file twice")
    for path in folded:
        above = next((str(parent) for parent in PurePosixPath(path).parents if str(parent) in known), None)
        if above:
            raise BadBundleError(f"{above} is a file and a folder")


def _check_layout(manifest: Manifest) -> None:
    """Raise BadBundleError unless the OCI layout is the one of these images, with their names, and nothing else."""
    found = {member.path: member for member in manifest.members if is_of_layout(member.path)}
    wanted = {oci.blob(sha256) for sha256 in oci.blobs(manifest.images)}
    missing = sorted(wanted - found.keys())
    if missing:
        raise BadBundleError(f"it lacks {missing[0]}")
    documents = oci.layout(manifest.images, {member.sha256: member.size for member in found.values()})
    for path, text in documents.items():
        member = found.get(path)
        if member is None or (member.size, member.sha256) != (len(text), hashlib.sha256(text).hexdigest()):
            raise BadBundleError(f"its {path} is not that of its images")
    extra = sorted(found.keys() - wanted - documents.keys())
    if extra:
        raise BadBundleError(f"{extra[0]} belongs to no image")


def _text(value: object, allowed: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not allowed.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} is not allowed there")
    return value


def _one_of(value: object, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"{str(value)[:80]!r} is not allowed there")
    return str(value)


def _path(value: object) -> str:
    if not isinstance(value, str) or not (is_allowed(value) or value in {"oci-layout", "index.json", "manifest.json"}):
        raise ValueError(f"{str(value)[:80]!r} is no path of a bundle")
    return value


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{str(value)[:80]!r} is no size")
    return value
