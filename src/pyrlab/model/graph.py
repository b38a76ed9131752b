"""The image graph: which images there are, what each stands on and installs, and which of them are labs."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any, Self

from pyrlab.errors import UsageError

FILE = "docker/images.toml"
DEBS_LOCK = "debs.lock"
# TensorBoard's default: a lab on it would hide TensorBoard behind the lab's proxy, or the other way round.
RESERVED_PORT = 6006
# What is a Docker repository, a stage of a Dockerfile and a target of bake alike.
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
# Stages and build contexts that are there already; `scratch` is BuildKit's.
_TAKEN = frozenset({"recipe", "root", "scratch", "shared", "tools"})


@dataclass(frozen=True, slots=True)
class Lab:
    """An image that people open: its kernels as {kernelspec: language}, and its port with what moves it.

    ``port_key`` is the key of pyrlab.toml's [serve], ``port_variable`` the name in the environment.
    """

    image: str
    kernels: Mapping[str, str]
    port: int
    port_key: str
    port_variable: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image, the one it stands on, and the file names of the lists that it installs; empty where it has none."""

    name: str
    parent: str | None = None
    debs: str = ""
    debs_needed: tuple[str, ...] = ()
    python: str = ""
    r: str = ""
    r_needed: tuple[str, ...] = ()
    lab: Lab | None = None

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any]) -> Self:
        """Parse one ``[image.NAME]``. Raises TypeError for a key that an image does not have, ValueError for a name."""
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"an image cannot be called {name!r}: a small letter first, then small letters and digits, with single "
                "hyphens or underscores between them"
            )
        if name in _TAKEN:
            raise ValueError(f"an image cannot be called {name!r}: a step of the builds is")
        fields = dict(table)
        lab = fields.pop("lab", None)
        for key in ("debs_needed", "r_needed"):
            fields[key] = tuple(fields.get(key, ()))
        return cls(name=name, lab=Lab(image=name, **lab) if lab else None, **fields)

    @property
    def lists(self) -> tuple[str, ...]:
        """The file names of its own lists."""
        return tuple(filter(None, (self.debs, self.python, self.r)))


@dataclass(frozen=True)
class Graph:
    """All images, parents before children. ``shared_python`` is in all of them, as ``shared_image``'s lock has it.

    So is what that lock has of ``shared_if_locked``, though no image needs it.
    """

    images: Mapping[str, Image]
    root_debs: tuple[str, ...]
    shared_image: str
    shared_python: tuple[str, ...]
    shared_if_locked: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse docker/images.toml. Raises UsageError."""
        try:
            document = tomllib.loads(text)
            return cls(
                images=_in_order({name: Image.parse(name, table) for name, table in document["image"].items()}),
                root_debs=tuple(document["root"]["debs"]),
                shared_image=document["shared"]["image"],
                shared_python=tuple(document["shared"]["python"]),
                shared_if_locked=tuple(document["shared"].get("python_if_locked", ())),
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{FILE} cannot be read: {error}", remedy=f"restore it from version control: git checkout -- {FILE}"
            ) from error

    @property
    def shared_roots(self) -> tuple[str, ...]:
        """The Python packages that are in all images, with what they need, as ``shared_image``'s lock has them."""
        return (*self.shared_python, *self.shared_if_locked)

    @cached_property
    def labs(self) -> dict[str, Lab]:
        """The labs by their image."""
        return {image.name: image.lab for image in self.images.values() if image.lab}

    @property
    def with_debs(self) -> list[Image]:
        """The images that have a list of Debian packages."""
        return [image for image in self.images.values() if image.debs]

    @property
    def with_python(self) -> list[Image]:
        """The images that have a list of Python packages; the one whose lock the shared packages are in comes first."""
        images = [image for image in self.images.values() if image.python]
        return sorted(images, key=lambda image: image.name != self.shared_image)

    @property
    def with_r(self) -> Image | None:
        """The image that has the list of R packages, if one has."""
        return next((image for image in self.images.values() if image.r), None)

    @property
    def of_r(self) -> list[Image]:
        """The image that has the list of R packages, and the nearest one below it that has a list of debs."""
        if self.with_r is None:
            return []
        lineage = self.lineage(self.with_r.name)
        first = max((place for place, image in enumerate(lineage[:-1]) if image.debs), default=len(lineage) - 1)
        return lineage[first:]

    @property
    def locks(self) -> list[str]:
        """The file names of all locks."""
        lists = [file for image in self.images.values() for file in (image.python, image.r) if file]
        return [DEBS_LOCK, *map(lock_of, lists)]

    def lineage(self, name: str) -> list[Image]:
        """Return the image called ``name`` and all that it stands on, the root's side first."""
        image = self.images[name]
        return [*(self.lineage(image.parent) if image.parent else []), image]

    def locks_of(self, name: str) -> list[str]:
        """Return the file names of the locks of the image's own lists, and of those that it stands on."""
        lineage = self.lineage(name)
        own = {lock_of(file) for image in lineage for file in (image.python, image.r) if file}
        return sorted({DEBS_LOCK, *own})

    def find_image(self, name: str) -> Image:
        """Return the image called ``name``. Raises UsageError with the names that there are."""
        if name not in self.images:
            raise UsageError(f"there is no image called {name!r}", remedy=f"choose from: {', '.join(self.images)}")
        return self.images[name]

    def find_lab(self, name: str) -> Lab:
        """Return the lab called ``name``. Raises UsageError with the names that there are."""
        if name not in self.labs:
            raise UsageError(f"there is no lab called {name!r}", remedy=f"choose from: {', '.join(self.labs)}")
        return self.labs[name]


def lock_of(list_file: str) -> str:
    """Return the name of the lock that a list of Python or R packages is pinned in: ``requirements.lock``."""
    return PurePath(list_file).with_suffix(".lock").name


def _in_order(images: Mapping[str, Image]) -> dict[str, Image]:
    """Return the images with parents before children. Raises ValueError for a graph that cannot be built."""
    if sum(bool(image.r) for image in images.values()) > 1:
        raise ValueError("two images have a list of R packages, and there is one r_packages.lock")
    if [image.name for image in images.values() if image.parent is None and not image.debs]:
        raise ValueError("an image without a parent needs a list of Debian packages")
    return {image.name: image for root in _roots(images) for image in _below(root, images)}


def _roots(images: Mapping[str, Image]) -> list[Image]:
    for image in images.values():
        if image.parent is not None and image.parent not in images:
            raise ValueError(f"{image.name} stands on {image.parent}, which is no image")
    roots = [image for image in images.values() if image.parent is None]
    if len(roots) != 1:
        raise ValueError("exactly one image stands on the root itself")
    return roots


def _below(image: Image, images: Mapping[str, Image]) -> Iterator[Image]:
    yield image
    for child in images.values():
        if child.parent == image.name:
            yield from _below(child, images)
